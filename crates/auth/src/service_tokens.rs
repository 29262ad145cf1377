//! Tokens a service shows the services it calls: client credentials at gatekeeper, one for each callee.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use contracts::http::Bearer;
use contracts::{CallError, CallResult};
use secrecy::{ExposeSecret as _, SecretString};
use service::http::HttpClient;
use tokio::sync::Mutex;

use crate::error::AuthError;
use crate::provider::Provider;

/// A token is not shown any more this long before it ends.
const MARGIN: Duration = Duration::from_secs(30);

/// Where a service gets its tokens.
#[derive(Debug)]
pub struct ServiceTokens {
    provider: Provider,
    tokens: Mutex<HashMap<String, (SecretString, Instant)>>,
}

impl ServiceTokens {
    /// As the service `name`, whose secret is [`service::secrets::service_secret`].
    pub fn new(http: HttpClient, issuer: &str, name: &str, secret: &SecretString) -> Result<Self, AuthError> {
        Ok(Self { provider: Provider::new(http, issuer, name, secret, issuer)?, tokens: Mutex::default() })
    }
}

#[async_trait]
impl Bearer for ServiceTokens {
    async fn bearer(&self, audience: &str) -> CallResult<String> {
        // Held over the request: one asks, the others get what it got.
        let mut tokens = self.tokens.lock().await;
        if let Some((token, until)) = tokens.get(audience)
            && *until > Instant::now()
        {
            return Ok(token.expose_secret().to_owned());
        }
        let (token, lasts) = self.provider.client_credentials(audience).await.map_err(|error| {
            tracing::warn!(%error, audience, "no token for a call");
            CallError::unavailable("The services cannot talk to each other right now. Try again in a moment.")
        })?;
        let until = Instant::now() + lasts.unwrap_or(Duration::from_secs(60)).saturating_sub(MARGIN);
        let text = token.expose_secret().to_owned();
        tokens.insert(audience.to_owned(), (token, until));
        Ok(text)
    }
}
