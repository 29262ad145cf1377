//! A service as relying party: what it needs, its routes, and the layer around the service's own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use contracts::{AccountData, Accounts, Call, CallError, CallResult, ExportChunk, Sub};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use secrecy::SecretString;
use service::db::Database;
use service::http::HttpClient;
use service::secrets::Keyring;
use service::shutdown::Shutdown;
use service::sites::Origin;
use service::web::FormAction;
use url::Url;
use uuid::Uuid;

use crate::account_cache::AccountCache;
use crate::error::AuthError;
use crate::live::Live;
use crate::provider::{Identity, Login, OurClaims, Provider};
use crate::sessions::{MIGRATIONS, NewSession, SessionInfo, Sessions};
use crate::{claims, cookies, follow, login, logout};

service::routes! {
    /// What a site that signs people in has beside its own routes.
    ROUTES, own_routes<RelyingParty>,
    get "/auth/login" Anyone => login::begin;
    get "/auth/callback" Anyone => login::finish;
    post "/auth/logout" Anyone => logout::ours;
    post "/auth/backchannel-logout" Bearer => logout::theirs;
}

/// What a relying party must be told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The site it protects; `/auth/callback` on it is the redirect URI, `/auth/backchannel-logout` the logout URI.
    pub site: Origin,
    /// The issuer's URL.
    pub issuer: String,
    /// Our client there.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// Where a browser ends up after it has signed out; registered at the issuer.
    pub after_logout: String,
    /// A session nobody used for this long is over.
    pub idle: Duration,
    /// A session is over after this at the latest.
    pub absolute: Duration,
}

impl Settings {
    /// The usual: two weeks idle, two months at the latest, back to the site's front page after signing out.
    pub fn new(site: &Origin, issuer: &Origin, client_id: &str, client_secret: SecretString) -> Self {
        Self {
            after_logout: site.url("/"),
            site: site.clone(),
            issuer: issuer.to_string(),
            client_id: client_id.to_owned(),
            client_secret,
            idle: Duration::from_secs(14 * 86_400),
            absolute: Duration::from_secs(60 * 86_400),
        }
    }

    /// The redirect URI to register at the issuer.
    pub fn redirect_uri(&self) -> String {
        self.site.url("/auth/callback")
    }

    /// The back-channel logout URI to register at the issuer.
    pub fn backchannel_logout_uri(&self) -> String {
        self.site.url("/auth/backchannel-logout")
    }
}

/// A service as relying party. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct RelyingParty {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) provider: Provider,
    pub(crate) sessions: Sessions,
    pub(crate) live: Live,
    pub(crate) cache: AccountCache,
    form_targets: Vec<Origin>,
}

impl RelyingParty {
    /// Makes its tables in `db`, and follows the account feed until the end begins. The issuer is not asked yet.
    pub async fn open(
        settings: Settings,
        db: Database,
        keyring: Keyring,
        http: HttpClient,
        accounts: Arc<dyn Accounts>,
        shutdown: &Shutdown,
    ) -> Result<Self, AuthError> {
        db.migrate_component("auth", MIGRATIONS).await?;
        let provider = Provider::new(
            http,
            &settings.issuer,
            &settings.client_id,
            &settings.client_secret,
            &settings.redirect_uri(),
        )?;
        let sessions = Sessions { db, keyring, idle: settings.idle, absolute: settings.absolute };
        // A key may have been put before the others while nothing ran here.
        sessions.reseal().await?;
        let form_targets = [&settings.issuer, &settings.after_logout]
            .into_iter()
            .filter_map(|url| Url::parse(url).ok())
            .map(|url| Origin::of(&url))
            .collect();
        let cache = AccountCache::new(Arc::clone(&accounts));
        let inner = Inner { settings, provider, sessions, live: Live::default(), cache, form_targets };
        let this = Self { inner: Arc::new(inner) };
        follow::start(&this, accounts, shutdown);
        Ok(this)
    }

    /// `/auth/login`, `/auth/callback`, `/auth/logout` and `/auth/backchannel-logout`, for the site's router.
    pub fn router(&self) -> Router {
        own_routes().with_state(self.clone())
    }

    /// Around the routes whose handlers ask for [`crate::UserClaims`]. It also lets their forms lead to the issuer, where
    /// they end when the session has.
    pub fn layer(&self, routes: Router) -> Router {
        routes.layer(from_fn_with_state(self.clone(), surround))
    }

    /// Accounts as last seen, kept true by the feed.
    pub fn accounts(&self) -> &AccountCache {
        &self.inner.cache
    }

    /// The living sessions of an account on this site, the last seen first.
    pub async fn sessions(&self, sub: Sub) -> Result<Vec<SessionInfo>, AuthError> {
        self.inner.sessions.of(sub).await
    }

    /// Ends one session of an account; what is open for it closes at once. `false` if there is none such.
    pub async fn revoke(&self, sub: Sub, session: Uuid) -> Result<bool, AuthError> {
        let ended = self.inner.sessions.revoke(sub, session).await?;
        self.inner.live.end(&ended);
        Ok(!ended.is_empty())
    }

    /// Ends every session of an account but `except`.
    pub async fn revoke_others(&self, sub: Sub, except: Option<Uuid>) -> Result<usize, AuthError> {
        let mut count = 0;
        for session in self.sessions(sub).await? {
            if Some(session.id) != except && self.revoke(sub, session.id).await? {
                count += 1;
            }
        }
        Ok(count)
    }

    /// Seals the tokens of every session under the newest key of the keyring. It is done at every start, too.
    pub async fn reseal(&self) -> Result<(), AuthError> {
        self.inner.sessions.reseal().await
    }

    /// Deletes every session row of an account, for `AccountData::delete`.
    pub async fn delete_account(&self, sub: Sub) -> Result<(), AuthError> {
        let ended = self.inner.sessions.delete(sub).await?;
        self.inner.live.end(&ended);
        Ok(())
    }

    /// The session rows of an account as the data `service` keeps of it: exported without their secrets, deleted whole.
    pub fn data(&self, service: &'static str) -> Arc<dyn AccountData> {
        Arc::new(SessionData { party: self.clone(), service })
    }

    /// A session made without asking the issuer, as the value of a `Cookie` header: for tests of pages.
    #[doc(hidden)]
    pub async fn sign_in_for_tests(&self, sub: Sub, username: &str) -> Result<String, AuthError> {
        let identity = Identity {
            sub: sub.to_string(),
            username: Some(username.to_owned()),
            email: None,
            email_verified: false,
            auth_time: Some(service::clock::now_s()),
            ours: OurClaims::default(),
        };
        let login = Login {
            identity,
            id_token: SecretString::from(String::new()),
            refresh_token: None,
            expires_in: None,
        };
        let new = NewSession { sub, login: &login, address: None, agent: None };
        let (_, token) = self.inner.sessions.create(new).await?;
        Ok(format!("{}={token}", cookies::SESSION))
    }

    /// Ends every session that came from a session of the issuer, or every one of an account.
    pub(crate) async fn end(&self, sid: Option<&str>, sub: Option<Sub>) -> Result<(), AuthError> {
        let ended = match (sid, sub) {
            (Some(sid), _) => self.inner.sessions.revoke_sid(sid).await?,
            (None, Some(sub)) => self.inner.sessions.revoke_sub(sub).await?,
            (None, None) => Vec::new(),
        };
        self.inner.live.end(&ended);
        Ok(())
    }
}

async fn surround(State(party): State<RelyingParty>, mut request: Request, next: Next) -> Response {
    let targets = FormAction::to(party.inner.form_targets.iter().cloned());
    request.extensions_mut().insert(party);
    let (mut asked, body) = request.into_parts();
    let mut answer = next.run(Request::from_parts(asked.clone(), body)).await;
    // Whoever is signed in stays so on the page that says what went wrong.
    if (answer.status().is_client_error() || answer.status().is_server_error())
        && let Some(user) = claims::shown(&mut asked).await
    {
        answer.extensions_mut().insert(user);
    }
    (targets, answer).into_response()
}

struct SessionData {
    party: RelyingParty,
    service: &'static str,
}

#[async_trait]
impl AccountData for SessionData {
    fn service(&self) -> &'static str {
        self.service
    }

    async fn export(&self, call: &Call) -> CallResult<BoxStream<'static, CallResult<ExportChunk>>> {
        let sessions = self.party.sessions(call.account).await.map_err(unavailable)?;
        let rows: Vec<_> = sessions
            .iter()
            .map(|session| {
                serde_json::json!({
                    "created_at": session.created_at,
                    "last_seen_at": session.last_seen_at,
                    "expires_at": session.expires_at,
                    "address": session.address,
                    "browser": session.agent,
                })
            })
            .collect();
        let bytes = serde_json::to_vec_pretty(&rows).map_err(unavailable)?;
        let file = ExportChunk { path: "sessions.json".to_owned(), bytes };
        Ok(stream::iter([Ok(file)]).boxed())
    }

    async fn delete(&self, call: &Call) -> CallResult<()> {
        self.party.delete_account(call.account).await.map_err(unavailable)
    }
}

fn unavailable(error: impl std::fmt::Display) -> CallError {
    tracing::warn!(%error, "the sessions of an account cannot be read or deleted");
    CallError::unavailable("The sessions cannot be reached right now. Try again in a moment.")
}
