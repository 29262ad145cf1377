//! Logs: structured, for people or as JSON lines. Every line of a request carries its `request_id` by the span it runs in.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::ConfigValue;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

impl ConfigValue for LogFormat {
    fn kind() -> String {
        "human or json".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            other => Err(format!("`{other}` is neither")),
        }
    }
}

crate::config! {
    /// What is logged and how.
    pub struct LogConfig in "log" {
        /// How lines look: `human` or `json`.
        pub format: LogFormat = "human",
        /// What is logged, as a filter: `info`, `warn,bouncer=debug`.
        pub filter: String = "info,sqlx=warn,hyper=warn,rustls=warn",
    }
}

/// Starts logging to standard error. A second call in one process changes nothing (tests).
pub fn init(config: &LogConfig) {
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let started = match config.format {
        LogFormat::Human => {
            registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr)).try_init()
        }
        LogFormat::Json => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_span_list(false)
                    .with_writer(std::io::stderr),
            )
            .try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging runs already");
    }
}
