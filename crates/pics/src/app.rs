//! What every handler works with, and who is asking.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use auth::{MaybeUser, RelyingParty};
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use contracts::{Account, Accounts, Call};
use entitlements::{Amount, Limit};
use http::StatusCode;
use http::request::Parts;
use service::metrics::prometheus_client::metrics::counter::Counter;
use service::metrics::prometheus_client::registry::Registry;
use service::secrets::Keyring;
use service::sites::Sites;
use service::web::{ClientIp, Problem, RequestId, SiteShell};
use share::{Abuse, Pace, Rate, ShortId, Whose};

use crate::objects::Objects;
use crate::store::{Gone, Picture, Store, StoreError};
use crate::worker::pool::Workers;

/// How long a picture may wait until a worker has time for it.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often somebody may report.
pub const REPORTS: Rate = Rate { count: 10, period: Duration::from_secs(3_600) };

/// The site's inside.
pub struct App {
    pub store: Store,
    pub objects: Objects,
    pub workers: Workers,
    pub abuse: Abuse,
    /// Where uploads under way lie.
    pub spool: PathBuf,
    pub largest: u64,
    pub accounts: Arc<dyn Accounts>,
    pub sites: Sites,
    pub keyring: Keyring,
    pub party: RelyingParty,
    pub uploads: Pace,
    pub reports: Pace,
    pub figures: Figures,
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub put: Counter,
    pub refused: Counter,
    pub swept: Counter,
    pub lost: Counter,
}

impl Figures {
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("pics");
        registry.register("put", "Pictures put up", self.put.clone());
        registry.register("refused", "Uploads that did not become pictures", self.refused.clone());
        registry.register(
            "swept",
            "Pictures, objects and reservations the sweeper took away",
            self.swept.clone(),
        );
        registry.register("lost", "Pictures whose bytes were gone", self.lost.clone());
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full(over) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, over.to_string(), ""),
            StoreError::Database(error) => error.into(),
            error @ StoreError::Row(_) => Self::internal(error),
        }
    }
}

/// What is said of a picture that is not there, was taken away or is over.
pub fn nothing() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "There is no such picture.",
        "It may have expired or been deleted. Check the address.",
    )
}

impl App {
    /// The picture an address names.
    pub async fn find(&self, id: &str) -> Result<Picture, Problem> {
        let id: ShortId = id.parse().map_err(|_| nothing())?;
        self.store.picture(id).await?.ok_or_else(nothing)
    }

    /// The same, if it is the account's: to all others there is no such thing.
    pub async fn own(&self, id: &str, account: &Account) -> Result<Picture, Problem> {
        let picture = self.find(id).await?;
        if picture.sub == account.sub { Ok(picture) } else { Err(nothing()) }
    }

    /// Takes a picture away, its bytes with it if nobody else has them.
    pub async fn delete(&self, id: ShortId) -> Result<(), StoreError> {
        if let Some(gone) = self.store.delete(id).await? {
            self.take_away(gone).await;
        }
        Ok(())
    }

    /// Deletes the objects of what is gone. Where that fails the sweeper finds them.
    pub async fn take_away(&self, gone: Gone) {
        let Some(key) = gone.key else { return };
        if let Err(error) = self.objects.delete(key).await {
            tracing::warn!(%error, "objects of a deleted picture stay until the sweeper comes");
        }
    }

    /// How much more an account may put up.
    pub async fn room_left(&self, account: &Account) -> Result<u64, StoreError> {
        let usage = self.store.usage(account.sub).await?;
        Ok(match account.limits.get(Limit::PictureBytes) {
            Amount::Unlimited => u64::MAX,
            Amount::AtMost(most) => most.saturating_sub(usage.bytes).saturating_sub(usage.reserved),
        })
    }

    /// The address of a picture's bytes.
    pub fn address(&self, picture: &Picture) -> String {
        self.sites.i_pics.url(&format!("/{}.{}", picture.id, picture.told.kind))
    }

    /// The same as whoever asked at `host` can reach it: IRC clients know `localhost`, and no name below it.
    pub fn address_at(&self, picture: &Picture, host: Option<&str>) -> String {
        let root = &self.sites.root;
        if host.is_some_and(|host| host.eq_ignore_ascii_case(root.authority())) {
            return root.url(&format!("/i/{}.{}", picture.id, picture.told.kind));
        }
        self.address(picture)
    }

    /// The address of a view, or of the picture where it has none of that side.
    pub fn view(&self, picture: &Picture, side: u32) -> String {
        match picture.views.iter().find(|view| view.side == side) {
            Some(view) => self.sites.i_pics.url(&format!("/{}.{side}.{}", picture.id, view.kind)),
            None => self.address(picture),
        }
    }
}

/// Whoever asks, with what a page needs.
pub struct Visitor {
    pub whose: Whose,
    pub shell: SiteShell,
}

impl Visitor {
    pub fn account(&self) -> Option<&Account> {
        self.whose.account()
    }
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let ClientIp(address) =
            ClientIp::from_request_parts(parts, app).await.map_err(|never| never.into_response())?;
        let shell = SiteShell::new(&app.sites, &parts.uri, &parts.headers).section("pics");
        // Whoever shows a secret means it, whatever cookies come with it.
        if let Some(account) = share::shown(&*app.accounts, &parts.headers, address)
            .await
            .map_err(|(headers, problem)| (headers, problem).into_response())?
        {
            let whose = Whose::Account { account: Box::new(account), address };
            return Ok(Self { whose, shell });
        }
        let MaybeUser(user) =
            MaybeUser::from_request_parts(parts, app).await.map_err(|denied| denied.into_response())?;
        let Some(user) = user else { return Ok(Self { whose: Whose::Nobody { address }, shell }) };
        let account = match user.account {
            Some(account) => account,
            // Gatekeeper has been away since this process began: ask it ourselves, and say so if it still is.
            None => {
                let id =
                    RequestId::from_request_parts(parts, app).await.map_err(|never| never.into_response())?;
                let asked = app.accounts.account(&Call::new(user.sub, id.as_str())).await;
                asked.map_err(|error| Problem::unavailable(error).into_response())?
            }
        };
        let shell = shell.user(account.username.as_str(), account.plan.to_string());
        Ok(Self { whose: Whose::Account { account: Box::new(account), address }, shell })
    }
}

/// Whoever is signed in, or shows an app password or a token.
pub struct Member {
    pub account: Account,
    pub whose: Whose,
    pub shell: SiteShell,
}

impl FromRequestParts<Arc<App>> for Member {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let Visitor { whose, shell } = Visitor::from_request_parts(parts, app).await?;
        if let Some(account) = whose.account() {
            return Ok(Self { account: account.clone(), whose, shell });
        }
        // Sends browsers to sign in, and tells programs what to show.
        match auth::UserClaims::from_request_parts(parts, app).await {
            Err(denied) => {
                let challenge =
                    [(http::header::WWW_AUTHENTICATE, "Basic realm=\"irc.now\", charset=\"UTF-8\"")];
                Err((challenge, denied.into_response()).into_response())
            }
            Ok(_) => Err(Problem::of(StatusCode::UNAUTHORIZED).into_response()),
        }
    }
}
