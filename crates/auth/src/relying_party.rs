//! A service as relying party: what it needs, its routes, and the layer around the service's own.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use contracts::{Accounts, Sub};
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
use crate::provider::Provider;
use crate::sessions::{MIGRATIONS, SessionInfo, Sessions};
use crate::{follow, login, logout};

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
        Router::new()
            .route("/auth/login", get(login::begin))
            .route("/auth/callback", get(login::finish))
            .route("/auth/logout", post(logout::ours))
            .route("/auth/backchannel-logout", post(logout::theirs))
            .with_state(self.clone())
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

    /// Deletes every session row of an account, for `AccountData::delete`.
    pub async fn delete_account(&self, sub: Sub) -> Result<(), AuthError> {
        let ended = self.inner.sessions.delete(sub).await?;
        self.inner.live.end(&ended);
        Ok(())
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
    (targets, next.run(request).await).into_response()
}
