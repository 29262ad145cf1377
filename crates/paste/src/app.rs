//! What every handler works with, and who is asking.

use std::sync::Arc;
use std::time::Duration;

use auth::{MaybeUser, RelyingParty};
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use contracts::{Accounts, Call};
use entitlements::Limits;
use http::StatusCode;
use http::header::RETRY_AFTER;
use http::request::Parts;
use service::clock::now_us;
use service::db::{Database, Engine};
use service::rate::{Buckets, Neighbourhood};
use service::secrets::{Keyring, sha256};
use service::shutdown::Shutdown;
use service::sites::Sites;
use service::web::{ClientIp, Problem, RequestId, SiteShell, cookie};
use share::{Abuse, Owner, Pace, Rate, ShortId, TooOften, Whose};

use crate::cache::{Cache, Known, Painted};
use crate::lock::Locks;
use crate::metrics::PasteMetrics;
use crate::render::Painter;
use crate::store::{PasteRow, Seal, Store, StoreError};

/// The cookie by which a browser without an account manages what it put up.
pub const MINE: &str = "__Host-mine";

/// The site's inside.
pub struct App {
    pub store: Store,
    pub abuse: Abuse,
    pub cache: Cache,
    pub painter: Painter,
    pub locks: Locks,
    pub accounts: Arc<dyn Accounts>,
    /// What those without an account may.
    pub anonymous: Limits,
    pub sites: Sites,
    pub keyring: Keyring,
    pub party: RelyingParty,
    pub puts: Pace,
    pub reports: Pace,
    pub guesses: Buckets<Neighbourhood>,
    pub metrics: PasteMetrics,
    pub shutdown: Shutdown,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

/// How much the cache holds.
pub fn cache(db: &Database, bytes: usize) -> Cache {
    let believed = match db.engine() {
        Engine::Sqlite => None,
        Engine::Postgres => Some(Duration::from_secs(1)),
    };
    Cache::new(bytes, believed)
}

/// How often reports may come.
pub const REPORTS: Rate = Rate { count: 10, period: Duration::from_secs(3_600) };

/// What a text may not be read for: whoever asks for it gets this.
fn nothing() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "There is no such paste.",
        "It may have expired, been deleted, or been read: what is read once is gone. Check the address.",
    )
}

/// What is said of a text that may not be put up again.
pub fn blocked() -> Problem {
    Problem::new(
        StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS,
        "This text was taken away by a moderator before.",
        "It may not be put up again.",
    )
}

/// What is said of what a moderator took away.
pub fn removed() -> Problem {
    Problem::new(
        StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS,
        "This paste was taken away.",
        "It was reported, and a moderator decided so.",
    )
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotTheirs => nothing(),
            StoreError::Full => Self::of(StatusCode::FORBIDDEN),
            StoreError::Database(inner) => match &*inner {
                service::db::DbError::Sql(sql) if service::db::is_unavailable(sql) => {
                    Self::unavailable(inner)
                }
                _ => Self::internal(inner),
            },
            error @ StoreError::Row(_) => Self::internal(error),
        }
    }
}

impl App {
    /// The paste an address names, from the cache or the store.
    pub async fn find(&self, id: &str) -> Result<Known, Problem> {
        let id: ShortId = id.parse().map_err(|_| nothing())?;
        let now = now_us();
        if let Some(known) = self.cache.get(id, now) {
            self.metrics.found(true);
            return Ok(known);
        }
        match self.store.get(id, now).await? {
            Some(row) => {
                self.metrics.found(false);
                Ok(self.remember(row))
            }
            None => {
                self.cache.forget(id);
                Err(self.gone(id).await)
            }
        }
    }

    /// What is read once or locked never stays in memory.
    fn remember(&self, row: PasteRow) -> Known {
        if row.burn || row.seal == Seal::Password {
            return Known { row: Arc::new(row), coloured: None };
        }
        self.cache.put(row)
    }

    /// Why there is no paste of this id.
    pub async fn gone(&self, id: ShortId) -> Problem {
        match self.store.is_removed(id).await {
            Ok(true) => removed(),
            Ok(false) => nothing(),
            Err(error) => error.into(),
        }
    }

    /// The lines of a paste in their colours, remembered where the paste is.
    pub async fn painted(self: &Arc<Self>, known: &Known) -> Arc<Painted> {
        if let Some(painted) = &known.coloured {
            return Arc::clone(painted);
        }
        let row = &known.row;
        let lines = self.painter.paint(&row.language, &row.body).await;
        let painted = Arc::new(Painted { page: crate::pages::lines::page(&lines, None), lines });
        if row.burn || row.seal != Seal::None {
            return painted;
        }
        self.cache.paint(row, Arc::clone(&painted));
        if !painted.lines.whole {
            self.paint_later(Arc::clone(row));
        }
        painted
    }

    /// The rest of the colours, for whoever comes next.
    fn paint_later(self: &Arc<Self>, row: Arc<PasteRow>) {
        let this = Arc::clone(self);
        self.shutdown.spawn_until("paste colours", async move {
            let lines = this.painter.finish(&row.language, &row.body).await;
            let painted = Arc::new(Painted { page: crate::pages::lines::page(&lines, None), lines });
            this.cache.paint(&row, painted);
        });
    }

    /// One more try at a password from there.
    pub fn guess(&self, visitor: &Visitor) -> Result<(), TooOften> {
        let place = Neighbourhood::from(visitor.whose.address());
        self.guesses.take(place, 1.0).map_err(|wait| TooOften { wait })
    }
}

/// Whoever asks.
#[derive(Debug)]
pub struct Visitor {
    pub whose: Whose,
    pub limits: Limits,
    pub shell: SiteShell,
    /// What a browser without an account manages its own by.
    pub mine: Option<String>,
    /// Whom what they put up belongs to.
    pub owner: Owner,
}

impl Visitor {
    /// Whether a paste is theirs.
    pub fn owns(&self, row: &PasteRow) -> bool {
        let by_account = self.whose.account().is_some() && row.owner == self.owner;
        by_account || self.manage().is_some_and(|manage| row.manage.as_ref() == Some(&manage))
    }

    /// What the cookie's token is looked up by.
    pub fn manage(&self) -> Option<Vec<u8>> {
        self.mine.as_ref().map(|token| sha256(token.as_bytes()).to_vec())
    }
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let Ok(ClientIp(address)) = ClientIp::from_request_parts(parts, app).await;
        let Ok(id) = RequestId::from_request_parts(parts, app).await;
        let shown = share::shown(&*app.accounts, &parts.headers, address).await;
        let account = match shown.map_err(|(headers, problem)| (headers, problem).into_response())? {
            Some(account) => Some(account),
            None => {
                let MaybeUser(claims) = MaybeUser::from_request_parts(parts, app)
                    .await
                    .map_err(|denied| denied.into_response())?;
                match claims {
                    None => None,
                    Some(claims) => match claims.account {
                        Some(account) => Some(account),
                        None => Some(ask(app, claims.sub, &id).await?),
                    },
                }
            }
        };
        let shell = SiteShell::new(&app.sites, &parts.uri, &parts.headers).section("pastes");
        let (whose, limits, shell) = match account {
            Some(account) => {
                let limits = account.limits.clone();
                let shell = shell.user(account.username.as_str(), account.plan.to_string());
                (Whose::Account { account: Box::new(account), address }, limits, shell)
            }
            None => (Whose::Nobody { address }, app.anonymous.clone(), shell),
        };
        let owner = whose.owner(&app.keyring);
        let mine = cookie(&parts.headers, MINE).map(str::to_owned);
        Ok(Self { whose, limits, shell, mine, owner })
    }
}

/// Gatekeeper has been away since this process began: it is asked once more, and whoever asks is told if it still is.
async fn ask(app: &App, sub: contracts::Sub, id: &RequestId) -> Result<contracts::Account, Response> {
    app.accounts.account(&Call::new(sub, id.as_str())).await.map_err(|error| {
        tracing::warn!(%error, "an account cannot be asked for");
        let problem = Problem::of(StatusCode::SERVICE_UNAVAILABLE);
        ([(RETRY_AFTER, "5")], problem).into_response()
    })
}
