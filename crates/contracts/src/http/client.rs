//! The HTTP side of every client adapter: headers, the caller's token, timeouts, and the one repeat that is safe.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;
use uuid::Uuid;

use super::sse::{self, Event};
use super::wire::headers_of;
use crate::{Call, CallError, CallResult, Sub};

/// Where a service gets the token it shows another: client credentials at gatekeeper, audience = the callee.
#[async_trait]
pub trait Bearer: Send + Sync + 'static {
    /// A token that is good for at least the next call.
    async fn bearer(&self, audience: &str) -> CallResult<String>;
}

/// Shows no token: for a callee that asks for none, as in the adapters' own tests.
pub struct NoBearer;

#[async_trait]
impl Bearer for NoBearer {
    async fn bearer(&self, _: &str) -> CallResult<String> {
        Ok(String::new())
    }
}

/// A connection to one other service.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    audience: Arc<str>,
    bearer: Arc<dyn Bearer>,
}

impl Client {
    /// A client of the service `audience` whose admin listener answers at `base` (`http://127.0.0.1:9101/`). A path that ends
    /// with a slash stays before those of the calls.
    pub fn new(
        http: reqwest::Client,
        base: Url,
        audience: impl Into<Arc<str>>,
        bearer: Arc<dyn Bearer>,
    ) -> Self {
        Self { http, base, audience: audience.into(), bearer }
    }

    fn url(&self, path: &str) -> CallResult<Url> {
        self.base.join(&format!("internal/{path}")).map_err(|error| {
            CallError::unavailable(format!("The address of {} is wrong: {error}.", self.audience))
        })
    }

    /// Calls a method. A call that changes nothing, or carries an idempotency key, is repeated once if the answer got
    /// lost on the way.
    pub(super) async fn call<A: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        call: &Call,
        changes: bool,
        args: &A,
    ) -> CallResult<T> {
        let repeats = if changes && call.idempotency_key.is_none() { 1 } else { 2 };
        let work = async {
            let mut last = CallError::unavailable(String::new());
            for _ in 0..repeats {
                match self.once(path, call, args).await {
                    Err(lost @ CallError::Unavailable { .. }) => last = lost,
                    answered => return answered,
                }
            }
            Err(last)
        };
        tokio::time::timeout(call.timeout, work)
            .await
            .unwrap_or_else(|_| Err(self.silent("did not answer in time")))
    }

    async fn once<A: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        call: &Call,
        args: &A,
    ) -> CallResult<T> {
        let token = self.bearer.bearer(&self.audience).await?;
        let sent = self
            .http
            .post(self.url(path)?)
            .headers(headers_of(call))
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .json(args)
            .send()
            .await
            .map_err(|_| self.silent("cannot be reached"))?;
        let ok = sent.status().is_success();
        let body = sent.bytes().await.map_err(|_| self.silent("broke off its answer"))?;
        if ok {
            return serde_json::from_slice(&body)
                .map_err(|_| self.silent("gave an answer nobody understands"));
        }
        Err(serde_json::from_slice(&body).unwrap_or_else(|_| self.silent("refused the call")))
    }

    /// Opens a stream of server-sent events.
    pub(super) async fn stream<A: Serialize>(
        &self,
        path: &str,
        call: Option<&Call>,
        args: &A,
    ) -> CallResult<BoxStream<'static, Event>> {
        let anybody = Call::new(Sub(Uuid::nil()), "");
        let token = self.bearer.bearer(&self.audience).await?;
        let request = self
            .http
            .post(self.url(path)?)
            .headers(headers_of(call.unwrap_or(&anybody)))
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header(ACCEPT, "text/event-stream")
            .json(args);
        let answer = tokio::time::timeout(Duration::from_secs(5), request.send())
            .await
            .map_err(|_| self.silent("did not answer in time"))?
            .map_err(|_| self.silent("cannot be reached"))?;
        if !answer.status().is_success() {
            let body = answer.bytes().await.unwrap_or_default();
            return Err(serde_json::from_slice(&body).unwrap_or_else(|_| self.silent("refused the call")));
        }
        Ok(sse::events(answer))
    }

    fn silent(&self, what: &str) -> CallError {
        CallError::unavailable(format!("The {} service {what}. Try again in a moment.", self.audience))
    }
}
