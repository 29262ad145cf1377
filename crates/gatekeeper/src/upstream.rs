//! Login through another OpenID provider (Keycloak): gatekeeper is its one relying party and stays the only issuer our
//! services know. `(issuer, sub)` there is one `sub` here.
//!
//! The provider is discovered at first use, and again when a key turns up that it did not have before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use auth::jwt::{self, Expect, ID_TOKEN, JwtError, LOGOUT_TOKEN, OneOrMany};
use openidconnect::core::CoreJsonWebKeySet;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use service::http::HttpClient;
use service::sites::Sites;
use tokio::sync::Mutex;

use crate::config::Config;
use crate::error::{Error, Result, unavailable};
use crate::secret::sha256;
use crate::text::base64url;

/// How long what was discovered is believed.
const KEEP: Duration = Duration::from_secs(600);
/// How often at most unknown keys make us look again.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Seconds a logout token may be old.
const LOGOUT_AGE: i64 = 300;
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The provider people log in through.
#[derive(Clone)]
pub struct Upstream {
    issuer: String,
    client_id: String,
    secret: Option<SecretString>,
    callback: String,
    http: HttpClient,
    known: Arc<Mutex<Option<(Instant, Arc<Provider>)>>>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

#[derive(Debug, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    end_session_endpoint: Option<String>,
}

struct Provider {
    document: Document,
    keys: CoreJsonWebKeySet,
}

/// What must be remembered while somebody logs in there; it travels sealed in a short-lived cookie.
#[derive(Serialize, Deserialize)]
pub struct Journey {
    pub state: String,
    pub nonce: String,
    pub verifier: String,
    pub next: String,
    pub until: i64,
}

/// Who somebody is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Identity {
    pub sub: String,
    pub sid: Option<String>,
    pub email: Option<String>,
    #[serde(default)]
    pub email_verified: bool,
    pub preferred_username: Option<String>,
}

#[derive(Deserialize)]
struct IdToken {
    nonce: Option<String>,
    azp: Option<String>,
    aud: OneOrMany,
    #[serde(flatten)]
    identity: Identity,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

/// A logout there, checked: the session or, without one, everything of the user.
#[derive(Debug, Deserialize)]
pub struct LogoutToken {
    pub sub: Option<String>,
    pub sid: Option<String>,
    pub jti: String,
    iat: i64,
    events: serde_json::Map<String, serde_json::Value>,
    nonce: Option<serde_json::Value>,
}

impl Upstream {
    /// The provider of the configuration, if one is named.
    pub fn new(config: &Config, sites: &Sites, http: HttpClient) -> Result<Option<Self>> {
        let Some(issuer) = &config.upstream_issuer else { return Ok(None) };
        if !matches!(issuer.scheme(), "https" | "http") {
            return Err(Error::Config("gatekeeper.upstream_issuer must be an https: URL.".to_owned()));
        }
        Ok(Some(Self {
            issuer: issuer.as_str().trim_end_matches('/').to_owned(),
            client_id: config.upstream_client_id.clone(),
            secret: config.upstream_client_secret.clone(),
            callback: sites.auth.url("/upstream/callback"),
            http,
            known: Arc::new(Mutex::new(None)),
        }))
    }

    /// The issuer, which with its `sub` names a person.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Keycloak's own page for password, second step and address.
    pub fn account_page(&self) -> String {
        format!("{}/account/", self.issuer)
    }

    /// Where a browser logs in, and what to remember until it comes back.
    pub async fn begin(&self, next: &str, sign_up: bool, now: i64) -> Result<(String, Journey)> {
        let provider = self.provider(KEEP).await?;
        let journey = Journey {
            state: service::secrets::random_token()?,
            nonce: service::secrets::random_token()?,
            verifier: service::secrets::random_token()?,
            next: next.to_owned(),
            until: now + 1800,
        };
        let challenge = base64url(&sha256(journey.verifier.as_bytes()));
        let mut url = url::Url::parse(&provider.document.authorization_endpoint).map_err(|_| {
            Error::Internal("the upstream provider's authorization endpoint is no URL".to_owned())
        })?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", &self.callback)
            .append_pair("scope", "openid profile email")
            .append_pair("state", &journey.state)
            .append_pair("nonce", &journey.nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if sign_up {
            url.query_pairs_mut().append_pair("prompt", "create");
        }
        Ok((url.into(), journey))
    }

    /// Who came back with this code: the identity, and the ID token for the logout later.
    pub async fn finish(&self, code: &str, journey: &Journey, now: i64) -> Result<(Identity, String)> {
        let provider = self.provider(KEEP).await?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.callback),
            ("code_verifier", &journey.verifier),
            ("client_id", &self.client_id),
        ];
        if let Some(secret) = &self.secret {
            form.push(("client_secret", secret.expose_secret()));
        }
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let tokens: Tokens = self.ask(&provider.document.token_endpoint, Some(body)).await?;
        let claims: IdToken = self.verified(&tokens.id_token, &[ID_TOKEN], now).await?;
        let ours = match &claims.aud {
            OneOrMany::One(_) => true,
            OneOrMany::Many(many) => many.len() == 1 || claims.azp.as_deref() == Some(&self.client_id),
        };
        if !ours || claims.nonce.as_deref() != Some(&journey.nonce) {
            return Err(Error::Internal("the upstream ID token is not for this login".to_owned()));
        }
        Ok((claims.identity, tokens.id_token))
    }

    /// A logout token that keeps every rule of Back-Channel Logout 1.0 §2.6, but for its `jti`, which the caller keeps.
    pub async fn logout_token(&self, token: &str, now: i64) -> Result<Option<LogoutToken>> {
        // Keycloak says `JWT`, others `logout+jwt`: the events claim tells it from an ID token.
        let Ok(claims) = self.verified::<LogoutToken>(token, &[LOGOUT_TOKEN, ID_TOKEN], now).await else {
            return Ok(None);
        };
        let good = claims.nonce.is_none()
            && claims.events.contains_key(LOGOUT_EVENT)
            && (now - claims.iat).abs() <= LOGOUT_AGE
            && (claims.sub.is_some() || claims.sid.is_some());
        Ok(good.then_some(claims))
    }

    /// Where a browser goes so that it is signed out there too.
    pub async fn logout_url(&self, id_token: &str, back: &str) -> Option<String> {
        let provider = self.provider(KEEP).await.ok()?;
        let mut url = url::Url::parse(provider.document.end_session_endpoint.as_deref()?).ok()?;
        url.query_pairs_mut()
            .append_pair("id_token_hint", id_token)
            .append_pair("client_id", &self.client_id)
            .append_pair("post_logout_redirect_uri", back);
        Some(url.into())
    }

    async fn verified<T: DeserializeOwned>(&self, token: &str, types: &[&str], now: i64) -> Result<T> {
        let expect = Expect { issuer: &self.issuer, audience: &self.client_id, types, now_s: now };
        let provider = self.provider(KEEP).await?;
        let mut checked = jwt::verify(token, &provider.keys, &expect);
        if matches!(checked, Err(JwtError::UnknownKey)) {
            let provider = self.provider(LOOK_AGAIN).await?;
            checked = jwt::verify(token, &provider.keys, &expect);
        }
        checked.map_err(|error| Error::Internal(format!("a token of the upstream provider: {error}")))
    }

    /// What is known of the provider, looked up again if that is older than `age`.
    async fn provider(&self, age: Duration) -> Result<Arc<Provider>> {
        // Held over the look-up: who comes meanwhile waits for it instead of asking too.
        let mut known = self.known.lock().await;
        if let Some((at, provider)) = &*known
            && at.elapsed() < age
        {
            return Ok(Arc::clone(provider));
        }
        let fresh = match self.discover().await {
            Ok(fresh) => Arc::new(fresh),
            Err(error) => {
                tracing::warn!(%error, issuer = %self.issuer, "the upstream provider does not answer");
                // What was known stays good enough while it is away.
                return match &*known {
                    Some((_, provider)) => Ok(Arc::clone(provider)),
                    None => Err(unavailable("The sign-in service does not answer. Try again in a moment.")),
                };
            }
        };
        *known = Some((Instant::now(), Arc::clone(&fresh)));
        Ok(fresh)
    }

    async fn discover(&self) -> Result<Provider> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer);
        let document: Document = self.ask(&url, None).await?;
        if document.issuer.trim_end_matches('/') != self.issuer {
            return Err(Error::Internal(format!("the upstream provider calls itself {}", document.issuer)));
        }
        let keys: CoreJsonWebKeySet = self.ask(&document.jwks_uri, None).await?;
        Ok(Provider { document, keys })
    }

    async fn ask<T: DeserializeOwned>(&self, url: &str, form: Option<String>) -> Result<T> {
        let request = match form {
            None => http::Request::get(url).header(http::header::ACCEPT, "application/json").body(Vec::new()),
            Some(form) => http::Request::post(url)
                .header(http::header::ACCEPT, "application/json")
                .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.into_bytes()),
        };
        let request = request.map_err(|error| Error::Internal(error.to_string()))?;
        let answer = self.http.exchange(request).await.map_err(|error| Error::Internal(error.to_string()))?;
        if !answer.status().is_success() {
            return Err(Error::Internal(format!("the upstream provider answered {}", answer.status())));
        }
        serde_json::from_slice(answer.body()).map_err(|error| Error::Internal(error.to_string()))
    }
}
