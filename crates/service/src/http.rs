//! The one HTTP client of a process: for what the operator configured (our own sites, the issuer, other roles).
//!
//! Redirects are never followed. Names of our sites are mapped to the configured address of their role, past DNS: a
//! site's public name may not resolve from inside at all (`*.localhost` does not in glibc). For what users wish there is
//! [`crate::dialer`] instead.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::header::HOST;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Method, RequestBuilder};
use url::Url;

use crate::sites::Origin;

pub use reqwest;

/// Where a site is really served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address to connect to.
    pub address: SocketAddr,
    /// Whether it speaks TLS there (a role behind an ingress does not).
    pub tls: bool,
}

#[derive(Clone, Debug, Default)]
struct SiteMap(Arc<RwLock<HashMap<String, Target>>>);

impl SiteMap {
    fn by_authority(&self, authority: &str) -> Option<Target> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(authority).copied()
    }

    fn by_host(&self, host: &str) -> Option<SocketAddr> {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        map.iter()
            .find(|(authority, _)| host_of(authority).eq_ignore_ascii_case(host))
            .map(|(_, target)| target.address)
    }
}

fn host_of(authority: &str) -> &str {
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

impl Resolve for SiteMap {
    fn resolve(&self, name: Name) -> Resolving {
        let mapped = self.by_host(name.as_str());
        Box::pin(async move {
            let addresses: Addrs = match mapped {
                Some(address) => Box::new(std::iter::once(address)),
                None => Box::new(
                    tokio::net::lookup_host((name.as_str(), 0)).await?.collect::<Vec<_>>().into_iter(),
                ),
            };
            Ok(addresses)
        })
    }
}

/// Why a request got no answer. Holds no header and no body.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The client could not be made.
    #[error("the HTTP client cannot be made: {0}")]
    Client(#[source] reqwest::Error),
    /// The URL is none, or is neither http nor https.
    #[error("`{0}` is no address to ask")]
    Url(String),
    /// No answer.
    #[error("no answer: {0}")]
    Request(#[source] reqwest::Error),
    /// The answer is longer than it may be.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

/// The longest answer [`HttpClient::exchange`] reads.
const LONGEST_ANSWER: usize = 1 << 20;

/// The client. Cheap to clone; all clones share connections and the map of sites.
#[derive(Clone, Debug)]
pub struct HttpClient {
    inner: reqwest::Client,
    sites: SiteMap,
}

impl HttpClient {
    /// A client that trusts the system's authorities.
    pub fn new() -> Result<Self, HttpError> {
        Self::trusting(&[])
    }

    /// A client that trusts these authorities (PEM) too: the local one of `up --https`.
    pub fn trusting(authorities: &[String]) -> Result<Self, HttpError> {
        crate::tls::install_provider();
        let sites = SiteMap::default();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_secs(60))
            .user_agent(concat!("irc.now/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(sites.clone());
        let certificates = authorities
            .iter()
            .map(|pem| reqwest::Certificate::from_pem(pem.as_bytes()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(HttpError::Client)?;
        if !certificates.is_empty() {
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self { inner: builder.build().map_err(HttpError::Client)?, sites })
    }

    /// From now on requests to `site` go to `target`. Clones of the client see it too.
    pub fn map_site(&self, site: &Origin, target: Target) {
        self.sites
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(site.authority().to_owned(), target);
    }

    /// A GET request.
    pub fn get(&self, url: &str) -> Result<RequestBuilder, HttpError> {
        self.request(Method::GET, url)
    }

    /// A POST request.
    pub fn post(&self, url: &str) -> Result<RequestBuilder, HttpError> {
        self.request(Method::POST, url)
    }

    /// A request. If its host is a mapped site, it goes to the site's target and still says the site's name.
    pub fn request(&self, method: Method, url: &str) -> Result<RequestBuilder, HttpError> {
        let bad = || HttpError::Url(url.to_owned());
        let mut url = Url::parse(url).map_err(|_| bad())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(bad());
        }
        let origin = Origin::of(&url);
        let Some(target) = self.sites.by_authority(origin.authority()) else {
            return Ok(self.inner.request(method, url));
        };
        // The name stays in the URL for TLS; the resolver above turns it into the target's address.
        url.set_port(Some(target.address.port())).map_err(|()| bad())?;
        url.set_scheme(if target.tls { "https" } else { "http" }).map_err(|()| bad())?;
        Ok(self.inner.request(method, url).header(HOST, origin.authority()))
    }

    /// One whole exchange in the types of the `http` crate, answers up to 1 MiB: what `openidconnect` takes for a client.
    pub async fn exchange(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>, HttpError> {
        let (parts, body) = request.into_parts();
        let mut answer = self
            .request(parts.method, &parts.uri.to_string())?
            .headers(parts.headers)
            .timeout(Duration::from_secs(10))
            .body(body)
            .send()
            .await
            .map_err(HttpError::Request)?;
        let mut response = http::Response::new(Vec::new());
        *response.status_mut() = answer.status();
        std::mem::swap(response.headers_mut(), answer.headers_mut());
        while let Some(chunk) = answer.chunk().await.map_err(HttpError::Request)? {
            if response.body().len() + chunk.len() > LONGEST_ANSWER {
                return Err(HttpError::TooLong(LONGEST_ANSWER));
            }
            response.body_mut().extend_from_slice(&chunk);
        }
        Ok(response)
    }

    /// The bare client, for addresses that are no site (the admin listeners of other roles).
    pub fn raw(&self) -> &reqwest::Client {
        &self.inner
    }
}
