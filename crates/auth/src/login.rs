//! Signing in: out to the issuer with a promise, back with a code.
//!
//! What must be remembered in between (state, nonce, PKCE verifier, where to go afterwards) travels sealed in a short-lived
//! cookie of this browser: nobody can send somebody else a link that signs them in as another.

use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contracts::Sub;
use http::header::{SET_COOKIE, USER_AGENT};
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use service::assets::local_path;
use service::clock::now_s;
use service::web::{ClientIp, Problem, cookie, set_cookie};
use uuid::Uuid;

use crate::cookies;
use crate::error::AuthError;
use crate::relying_party::RelyingParty;
use crate::sessions::NewSession;

/// How long a sign-in may take, seconds: long enough to sign up and find the e-mail.
const PATIENCE_S: i64 = 1800;
const CONTEXT: &str = "sign-in under way";
const SCOPES: &[&str] = &["profile", "email", "offline_access"];

#[derive(Deserialize)]
pub(crate) struct Begin {
    #[serde(default)]
    return_to: Option<String>,
    /// `create` begins with the sign-up page, `login` asks for the password again.
    #[serde(default)]
    prompt: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct UnderWay {
    state: String,
    nonce: String,
    verifier: String,
    return_to: String,
    until: i64,
}

/// `GET /auth/login?return_to=/path&prompt=create|login`
pub(crate) async fn begin(
    State(party): State<RelyingParty>,
    headers: HeaderMap,
    Query(query): Query<Begin>,
) -> Result<Response, Problem> {
    let return_to = checked_path(query.return_to.as_deref());
    let prompt = query.prompt.as_deref().filter(|prompt| matches!(*prompt, "create" | "login"));
    if prompt.is_none()
        && let Some(token) = cookie(&headers, cookies::SESSION)
        && party.inner.sessions.by_token(token).await?.is_some()
    {
        return Ok(Redirect::to(&return_to).into_response());
    }
    let authorization = party.inner.provider.authorize(SCOPES, prompt).await?;
    let under_way = UnderWay {
        state: authorization.state,
        nonce: authorization.nonce,
        verifier: authorization.verifier.expose_secret().to_owned(),
        return_to,
        until: now_s() + PATIENCE_S,
    };
    let plain = serde_json::to_vec(&under_way).map_err(Problem::internal)?;
    let sealed = party.inner.sessions.keyring.seal(CONTEXT, &plain).map_err(Problem::internal)?;
    let name = cookies::login_name(&under_way.state);
    let cookie = set_cookie(&name, &URL_SAFE_NO_PAD.encode(sealed), PATIENCE_S.unsigned_abs());
    Ok(with_cookies([cookie], Redirect::to(authorization.url.as_str())))
}

#[derive(Deserialize)]
pub(crate) struct Finish {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    error: Option<String>,
    /// RFC 9207: who says so.
    #[serde(default)]
    iss: Option<String>,
}

/// `GET /auth/callback`
pub(crate) async fn finish(
    State(party): State<RelyingParty>,
    ClientIp(address): ClientIp,
    headers: HeaderMap,
    Query(query): Query<Finish>,
) -> Result<Response, Problem> {
    let name = cookies::login_name(&query.state);
    let under_way = remembered(&party, &headers, &name, &query.state).ok_or_else(too_late)?;
    if query.iss.as_deref().is_some_and(|iss| iss != party.inner.provider.issuer()) {
        return Err(AuthError::Untrusted("another issuer sent the browser back".to_owned()).into());
    }
    let code = match (query.code, query.error) {
        (Some(code), None) => code,
        (_, error) => return Err(refused(error.as_deref().unwrap_or("no code"))),
    };
    let verifier = SecretString::from(under_way.verifier);
    let login = party.inner.provider.exchange(&code, &verifier, &under_way.nonce).await?;
    let sub = subject(&login.identity.sub)?;

    // Never the session from before: whoever may have planted its cookie has no part in the new one.
    if let Some(old) = cookie(&headers, cookies::SESSION)
        && let Some(old) = party.inner.sessions.by_token(old).await?
    {
        party.revoke(old.info.sub, old.info.id).await?;
    }
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    let (session, token) = party
        .inner
        .sessions
        .create(NewSession {
            sub,
            login: &login,
            address: Some(address.to_string()),
            agent: agent.map(|agent| agent.chars().take(200).collect()),
        })
        .await?;
    tracing::info!(%sub, %session, "signed in");
    let lifetime = party.inner.settings.absolute.as_secs();
    let cookies = [set_cookie(cookies::SESSION, &token, lifetime), set_cookie(&name, "", 0)];
    Ok(with_cookies(cookies, Redirect::to(&under_way.return_to)))
}

/// The account an ID token names.
pub(crate) fn subject(sub: &str) -> Result<Sub, AuthError> {
    let id = Uuid::parse_str(sub)
        .map_err(|_| AuthError::Untrusted("its subject is no account of ours".to_owned()))?;
    Ok(Sub(id))
}

fn remembered(party: &RelyingParty, headers: &HeaderMap, name: &str, state: &str) -> Option<UnderWay> {
    let sealed = URL_SAFE_NO_PAD.decode(cookie(headers, name)?).ok()?;
    let plain = party.inner.sessions.keyring.unseal(CONTEXT, &sealed).ok()?;
    let under_way: UnderWay = serde_json::from_slice(&plain).ok()?;
    let is_ours = service::secrets::same(under_way.state.as_bytes(), state.as_bytes());
    (is_ours && under_way.until > now_s()).then_some(under_way)
}

/// A path of this site that is worth returning to.
pub(crate) fn checked_path(path: Option<&str>) -> String {
    path.and_then(local_path).filter(|path| !path.starts_with("/auth/")).unwrap_or("/").to_owned()
}

fn with_cookies<const N: usize>(cookies: [Option<http::HeaderValue>; N], to: Redirect) -> Response {
    let mut response = to.into_response();
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

fn too_late() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "This sign-in is over, or it began in another browser.",
        "Go to the front page and sign in again.",
    )
}

fn refused(error: &str) -> Problem {
    tracing::info!(error, "the issuer sent the browser back without a code");
    match error {
        "access_denied" => {
            Problem::new(StatusCode::FORBIDDEN, "You did not sign in.", "Sign in whenever you like.")
        }
        "temporarily_unavailable" | "server_error" => AuthError::Issuer(error.to_owned()).into(),
        other => AuthError::Refused(other.to_owned()).into(),
    }
}
