//! Figures for Prometheus. Labels are bounded: a route is its template, a status its class, a method one of the known.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

pub use prometheus_client;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    site: &'static str,
    method: &'static str,
    route: String,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    site: &'static str,
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SiteLabels {
    site: &'static str,
}

/// All figures of a process. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    requests: Family<RequestLabels, Counter>,
    durations: Family<DurationLabels, Histogram, fn() -> Histogram>,
    in_flight: Family<SiteLabels, Gauge>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn seconds() -> Histogram {
    Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}

impl Metrics {
    /// A registry with prefix `ircnow` and the figures of HTTP in it.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("ircnow");
        let requests = Family::<RequestLabels, Counter>::default();
        registry.register("http_requests", "HTTP requests answered", requests.clone());
        let durations = Family::<DurationLabels, Histogram, fn() -> Histogram>::new_with_constructor(
            seconds as fn() -> Histogram,
        );
        registry.register(
            "http_request_duration_seconds",
            "Time to the first byte of the answer",
            durations.clone(),
        );
        let in_flight = Family::<SiteLabels, Gauge>::default();
        registry.register("http_requests_in_flight", "HTTP requests being answered", in_flight.clone());
        let build = Gauge::<i64>::default();
        build.set(1);
        registry.register("up", "1 while the process serves", build);
        Self { registry: Arc::new(Mutex::new(registry)), requests, durations, in_flight }
    }

    /// Registers a service's own figures: `metrics.register(|r| r.register("name", "help", counter.clone()))`.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Everything in OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if encode(&mut text, &registry).is_err() {
            tracing::error!("the figures cannot be written as text");
        }
        text
    }

    /// Counts a request as begun; what is returned counts it as ended when dropped.
    pub(crate) fn begin(&self, site: &'static str) -> InFlight {
        let gauge = self.in_flight.get_or_create_owned(&SiteLabels { site });
        gauge.inc();
        InFlight(gauge)
    }

    /// Counts an answered request. `route` is the template it matched.
    pub(crate) fn answered(
        &self,
        site: &'static str,
        method: &::http::Method,
        route: Option<&str>,
        status: ::http::StatusCode,
        took: Duration,
    ) {
        let route = route.unwrap_or("none").to_owned();
        self.requests
            .get_or_create(&RequestLabels {
                site,
                method: method_label(method),
                route: route.clone(),
                status: status_class(status),
            })
            .inc();
        self.durations.get_or_create(&DurationLabels { site, route }).observe(took.as_secs_f64());
    }
}

/// A request being answered.
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn method_label(method: &::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn status_class(status: ::http::StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
