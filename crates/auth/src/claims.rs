//! Who asks: the extractors handlers take.

use std::future::Future;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use contracts::{Account, CallError, Role, Status, Sub};
use entitlements::Plan;
use http::{Method, StatusCode};
use service::clock::{now_s, now_us};
use service::web::{Format, Problem, RequestId, ShellUser, cookie, wants};
use uuid::Uuid;

use crate::cookies;
use crate::error::AuthError;
use crate::provider::Identity;
use crate::relying_party::RelyingParty;
use crate::sessions::{Session, SessionInfo};

/// Who is signed in. As an argument of a handler it means that somebody is: browsers are sent to sign in, programs get 401.
#[derive(Clone, Debug)]
pub struct UserClaims {
    /// The account.
    pub sub: Sub,
    /// Its username.
    pub username: String,
    /// Its e-mail address.
    pub email: Option<String>,
    /// Whether the address is proven.
    pub email_verified: bool,
    /// Its plan.
    pub plan: Plan,
    /// What it may do beyond using the platform.
    pub roles: Vec<Role>,
    /// Its customer at the payment provider.
    pub stripe_customer_id: Option<String>,
    /// The issuer's session.
    pub sid: Option<String>,
    /// When the user last proved who they are, seconds since 1970.
    pub auth_time: Option<i64>,
    /// The session here.
    pub session: Uuid,
    /// When it ends at the latest, seconds since 1970.
    pub expires_at: i64,
    /// The account as gatekeeper last told; `None` only if gatekeeper has been away since this process began.
    pub account: Option<Account>,
    party: RelyingParty,
}

impl UserClaims {
    /// Whether the user has a role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether the user proved who they are within the last `seconds`: asked before what cannot be undone. Where not, send
    /// them to `/auth/login?prompt=login&return_to=…`.
    pub fn is_fresh(&self, seconds: i64) -> bool {
        self.auth_time.is_some_and(|at| at >= now_s() - seconds)
    }

    /// Comes true within a second after the session was revoked, the account suspended or deleted, or time ran out: an event
    /// stream ends then. See [`service::sse::respond`].
    pub fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let (party, session, expires_at) = (self.party.clone(), self.session, self.expires_at);
        async move {
            // First the watch, then the look: what happens in between is seen by one of them.
            let watch = party.inner.live.watch(session);
            if matches!(party.inner.sessions.is_alive(session).await, Ok(false)) {
                return;
            }
            let left = u64::try_from(expires_at - now_s()).unwrap_or(0);
            tokio::select! {
                () = watch.ended() => {}
                () = tokio::time::sleep(std::time::Duration::from_secs(left)) => {}
            }
        }
    }

    fn new(party: &RelyingParty, info: SessionInfo, identity: Identity, account: Option<Account>) -> Self {
        let told = account.clone();
        let roles = identity.ours.roles.iter().filter_map(|role| role_of(role)).collect();
        Self {
            sub: info.sub,
            username: told
                .as_ref()
                .map_or_else(|| identity.username.unwrap_or_default(), |a| a.username.clone()),
            email: told.as_ref().map_or(identity.email, |a| a.email.clone()),
            email_verified: told.as_ref().map_or(identity.email_verified, |a| a.email_verified),
            plan: told.as_ref().map_or_else(
                || Plan::from(identity.ours.plan.as_deref().unwrap_or("free")),
                |a| a.plan.clone(),
            ),
            roles: told.map_or(roles, |a| a.roles),
            stripe_customer_id: identity.ours.stripe_customer_id,
            sid: info.sid,
            auth_time: identity.auth_time,
            session: info.id,
            expires_at: info.expires_at,
            account,
            party: party.clone(),
        }
    }
}

fn role_of(name: &str) -> Option<Role> {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
}

/// Why a handler was not reached.
#[derive(Debug)]
pub enum Denied {
    /// Nobody is signed in; a browser that can come back by itself goes to sign in first.
    SignIn {
        /// Where to come back to.
        return_to: String,
    },
    /// Anything else, in words.
    Problem(Problem),
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn { return_to } => {
                let query: String = url::form_urlencoded::Serializer::new(String::new())
                    .append_pair("return_to", &return_to)
                    .finish();
                Redirect::to(&format!("/auth/login?{query}")).into_response()
            }
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

impl From<AuthError> for Denied {
    fn from(error: AuthError) -> Self {
        Self::Problem(error.into())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for UserClaims {
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Denied> {
        match find(parts).await? {
            Some(claims) => Ok(claims),
            None => Err(nobody(parts)),
        }
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for UserClaims {
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Denied> {
        find(parts).await
    }
}

/// Who is signed in, if anybody: for pages that are there for both. The same as `Option<UserClaims>`.
#[derive(Clone, Debug)]
pub struct MaybeUser(pub Option<UserClaims>);

impl<S: Send + Sync> FromRequestParts<S> for MaybeUser {
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Denied> {
        Ok(Self(find(parts).await?))
    }
}

/// An administrator. To everybody else what is behind it does not exist.
#[derive(Clone, Debug)]
pub struct Admin(pub UserClaims);

impl<S: Send + Sync> FromRequestParts<S> for Admin {
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Denied> {
        let claims = <UserClaims as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        if claims.has(Role::Admin) { Ok(Self(claims)) } else { Err(Denied::Problem(Problem::not_found())) }
    }
}

/// Who is signed in, as an error page's layout shows it. Where that cannot be said, nobody is.
pub(crate) async fn shown(parts: &mut Parts) -> Option<ShellUser> {
    let claims = find(parts).await.ok().flatten()?;
    Some(ShellUser { username: claims.username, plan: claims.plan.to_string() })
}

async fn find(parts: &mut Parts) -> Result<Option<UserClaims>, Denied> {
    if let Some(found) = parts.extensions.get::<UserClaims>() {
        return Ok(Some(found.clone()));
    }
    let Some(party) = parts.extensions.get::<RelyingParty>().cloned() else {
        return Err(Denied::Problem(Problem::internal("RelyingParty::layer is not around this route")));
    };
    let Some(token) = cookie(&parts.headers, cookies::SESSION) else { return Ok(None) };
    let Some(mut session) = party.inner.sessions.by_token(token).await? else { return Ok(None) };
    if !keep_vouched(&party, &mut session).await? {
        return Ok(None);
    }
    let id = parts.extensions.get::<RequestId>().cloned().unwrap_or_else(RequestId::fresh);
    let Some(account) = known(&party, session.info.sub, &id).await? else { return Ok(None) };
    let claims = UserClaims::new(&party, session.info, session.identity, account);
    parts.extensions.insert(claims.clone());
    Ok(Some(claims))
}

/// Asks the issuer again when its word has run out. `false` if it does not vouch any more. While it is away, its last
/// word stands.
async fn keep_vouched(party: &RelyingParty, session: &mut Session) -> Result<bool, AuthError> {
    let due = session.refresh_at != 0 && session.refresh_at <= now_us();
    if !due || !party.inner.sessions.claim_refresh(session).await? {
        return Ok(true);
    }
    let (_, refresh_token) = party.inner.sessions.secrets(session.info.id).await?;
    let Some(refresh_token) = refresh_token else { return Ok(true) };
    match party.inner.provider.refresh(&refresh_token).await {
        Ok(login) if login.identity.sub == session.identity.sub => {
            party.inner.sessions.refreshed(session.info.id, &login).await?;
            session.identity = login.identity;
            Ok(true)
        }
        Ok(_) => {
            tracing::warn!(session = %session.info.id, "a refresh answered for somebody else");
            party.revoke(session.info.sub, session.info.id).await?;
            Ok(false)
        }
        Err(AuthError::Refused(error)) => {
            tracing::info!(session = %session.info.id, error, "the issuer does not vouch any more");
            party.revoke(session.info.sub, session.info.id).await?;
            Ok(false)
        }
        Err(error) => {
            tracing::warn!(%error, "a session could not be refreshed; it stays as it is");
            Ok(true)
        }
    }
}

/// The account as gatekeeper tells it (`Some(None)` if it is away and was never asked); `None` if it is gone.
async fn known(party: &RelyingParty, sub: Sub, id: &RequestId) -> Result<Option<Option<Account>>, Denied> {
    match party.inner.cache.get(sub, id.as_str()).await {
        Ok(account) if account.status == Status::Active => Ok(Some(Some(account))),
        Ok(account) if account.status == Status::Suspended => {
            party.end(None, Some(sub)).await?;
            Err(Denied::Problem(Problem::new(
                StatusCode::FORBIDDEN,
                "This account is suspended.",
                "Everything in it is kept. Ask the operator why, and what can be done.",
            )))
        }
        Ok(_) | Err(CallError::NotFound { .. }) => {
            party.end(None, Some(sub)).await?;
            Ok(None)
        }
        Err(error) => {
            tracing::warn!(%error, "the account cannot be asked for; its last known state stands");
            Ok(Some(None))
        }
    }
}

/// What somebody gets who is not signed in.
fn nobody(parts: &Parts) -> Denied {
    if wants(&parts.headers) != Format::Html {
        return Denied::Problem(Problem::of(StatusCode::UNAUTHORIZED));
    }
    // What a form wanted to change is lost; its page is not: the path it came from, if the browser says so.
    let path = match parts.method {
        Method::GET => parts.uri.path_and_query().map(|path| path.as_str().to_owned()),
        _ => parts
            .headers
            .get(http::header::REFERER)
            .and_then(|referer| url::Url::parse(referer.to_str().ok()?).ok())
            .map(|referer| referer.path().to_owned()),
    };
    Denied::SignIn { return_to: path.unwrap_or_else(|| "/".to_owned()) }
}
