//! Login through another OpenID provider (Keycloak): gatekeeper is its one relying party and stays the only issuer our
//! services know. `(issuer, sub)` there is one `sub` here.

use auth::provider::{Identity, Provider};
use auth::{AuthError, LogoutToken, verify_logout_token};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use service::http::HttpClient;
use service::sites::Sites;

use crate::config::Config;
use crate::error::{Error, Result, forbidden, unavailable};

/// Seconds a login there may take.
const PATIENCE: i64 = 1800;

/// The provider people log in through.
#[derive(Clone, Debug)]
pub struct Upstream(Provider);

/// What must be remembered while somebody logs in there; it travels sealed in a short-lived cookie.
#[derive(Serialize, Deserialize)]
pub struct Journey {
    pub state: String,
    pub nonce: String,
    pub verifier: String,
    pub next: String,
    pub until: i64,
}

impl Upstream {
    /// The provider of the configuration, if one is named. It is not asked before it is needed.
    pub fn new(config: &Config, sites: &Sites, http: HttpClient) -> Result<Option<Self>> {
        let Some(issuer) = &config.keycloak_issuer else { return Ok(None) };
        let secret = config.keycloak_secret.as_ref();
        let secret =
            secret.ok_or_else(|| Error::Config("gatekeeper.keycloak_secret is not set.".to_owned()))?;
        let (issuer, callback) =
            (issuer.as_str().trim_end_matches('/'), sites.auth.url("/keycloak/callback"));
        let provider = Provider::new(http, issuer, &config.keycloak_client_id, secret, &callback);
        Ok(Some(Self(provider.map_err(|error| Error::Config(error.to_string()))?)))
    }

    /// The issuer, which with its `sub` names a person.
    pub fn issuer(&self) -> &str {
        self.0.issuer()
    }

    /// Keycloak's own page for password, second step and address.
    pub fn account_page(&self) -> String {
        format!("{}/account/", self.issuer())
    }

    /// Where a browser logs in, and what to remember until it comes back.
    pub async fn begin(&self, next: &str, sign_up: bool, now: i64) -> Result<(String, Journey)> {
        let begun =
            self.0.authorize(&["profile", "email"], sign_up.then_some("create")).await.map_err(translated)?;
        let journey = Journey {
            state: begun.state,
            nonce: begun.nonce,
            verifier: begun.verifier.expose_secret().to_owned(),
            next: next.to_owned(),
            until: now + PATIENCE,
        };
        Ok((begun.url.into(), journey))
    }

    /// Who came back with this code: the identity, and the ID token for the logout later.
    pub async fn finish(&self, code: &str, journey: &Journey) -> Result<(Identity, String)> {
        let verifier = SecretString::from(journey.verifier.as_str());
        let login = self.0.exchange(code, &verifier, &journey.nonce).await.map_err(translated)?;
        Ok((login.identity, login.id_token.expose_secret().to_owned()))
    }

    /// A logout there, checked but for the replay of its `jti`, which the caller keeps. `None` if it is not good.
    pub async fn logout_token(&self, token: &str, now: i64) -> Result<Option<LogoutToken>> {
        let check = |keys: &auth::openidconnect::core::CoreJsonWebKeySet| {
            verify_logout_token(token, keys, self.0.issuer(), self.0.client_id(), now)
        };
        let mut checked = check(&self.0.keys().await.map_err(translated)?);
        if checked == Err(auth::jwt::JwtError::UnknownKey) {
            checked = check(&self.0.newer_keys().await.map_err(translated)?);
        }
        if let Err(error) = &checked {
            tracing::warn!(%error, "a logout token of the upstream provider was refused");
        }
        Ok(checked.ok())
    }

    /// Where a browser goes so that it is signed out there too; it comes back to `back` with `state`.
    pub async fn logout_url(&self, id_token: &str, back: &str, state: &str) -> Option<String> {
        let hint = SecretString::from(id_token);
        let mut url = self.0.end_session_url(Some(&hint), Some(back)).await.ok().flatten()?;
        url.query_pairs_mut().append_pair("state", state);
        Some(url.into())
    }
}

fn translated(error: AuthError) -> Error {
    tracing::warn!(%error, "the upstream provider");
    match error {
        AuthError::Refused(_) | AuthError::Untrusted(_) => {
            forbidden("The sign-in was not confirmed. Start again from the page you came from.")
        }
        _ => unavailable("The sign-in service does not answer. Try again in a moment."),
    }
}
