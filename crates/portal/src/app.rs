//! What every handler works with: the services behind their traits, and who is asking.

use std::sync::Arc;

use auth::{RelyingParty, UserClaims};
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use axum_extra::extract::CookieJar;
use contracts::{
    Account, AccountData, Accounts, Bouncers, Call, Credential, DedicatedBouncer, DedicatedBouncers,
    Networks, Sub, WellKnownNetwork,
};
use entitlements::Table;
use http::request::Parts;
use http::{HeaderMap, Uri};
use service::secrets::Keyring;
use service::shutdown::Shutdown;
use service::sites::Sites;
use service::view::Form;
use service::web::{RequestId, SiteShell};
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

use crate::IrcDoor;
use crate::clients::{LocalCertificate, Setup};
use crate::fresh::{self, Fresh};
use crate::pages::problem;

/// How many nudges wait for a slow stream before it reads everything anew.
const NUDGES: usize = 256;

/// The portal's inside. One for both sites.
pub(crate) struct App {
    pub bouncers: Arc<dyn Bouncers>,
    pub hosting: Option<Arc<dyn Networks>>,
    pub dedicated: Option<Arc<dyn DedicatedBouncers>>,
    pub accounts: Arc<dyn Accounts>,
    pub data: Vec<Arc<dyn AccountData>>,
    pub plans: Arc<Table>,
    pub sites: Sites,
    pub keyring: Keyring,
    pub irc: IrcDoor,
    pub party: RelyingParty,
    pub shutdown: Shutdown,
    pub notice: watch::Receiver<Option<String>>,
    nudges: broadcast::Sender<Sub>,
}

impl App {
    pub fn new(deps: crate::Deps, party: RelyingParty, data: Vec<Arc<dyn AccountData>>) -> Self {
        Self {
            bouncers: deps.bouncers,
            hosting: deps.hosting,
            dedicated: deps.dedicated,
            accounts: deps.accounts,
            data,
            plans: deps.plans,
            sites: deps.sites,
            keyring: deps.keyring,
            irc: deps.irc,
            party,
            shutdown: deps.shutdown,
            notice: deps.notice.unwrap_or_else(|| watch::channel(None).1),
            nudges: broadcast::Sender::new(NUDGES),
        }
    }

    /// The layout's values for a page that everybody may see.
    pub fn shell(&self, uri: &Uri, headers: &HeaderMap) -> SiteShell {
        SiteShell::new(&self.sites, uri, headers)
    }

    /// Where somebody new begins.
    pub fn sign_up(&self) -> String {
        self.sites.my.url("/auth/login?prompt=create&return_to=/start")
    }

    /// What everybody must know right now, if there is something.
    pub fn notice(&self) -> Option<String> {
        self.notice.borrow().clone()
    }

    /// Tells the account's streams that something changed here that no service tells of.
    pub fn nudge(&self, sub: Sub) {
        // No stream is open if this fails.
        self.nudges.send(sub).ok();
    }

    /// The nudges from now on.
    pub fn nudges(&self) -> broadcast::Receiver<Sub> {
        self.nudges.subscribe()
    }

    /// A key that makes a form one wish however often it is sent.
    pub fn form_key(&self) -> String {
        Uuid::now_v7().to_string()
    }

    /// The key a form came with, or a new one.
    pub fn key_of(&self, form: &Form) -> String {
        match form.value("key").parse::<Uuid>() {
            Ok(key) => key.to_string(),
            Err(_) => self.form_key(),
        }
    }

    /// The app password this browser has just made, as long as it is not used yet.
    pub fn fresh(
        &self,
        viewer: &Viewer,
        jar: &CookieJar,
        credentials: &[Credential],
        now: i64,
    ) -> Option<Fresh> {
        let fresh = Fresh::open(&self.keyring, viewer.account.sub, jar.get(fresh::COOKIE), now)?;
        // Revoked: gone. Used: it is in a client now, and needs to be nowhere else.
        credentials.iter().any(|known| known.id == fresh.id && known.last_used_at.is_none()).then_some(fresh)
    }

    /// What the connection steps are filled in with.
    pub fn setup(&self, username: &str, network: Option<String>, fresh: Option<&Fresh>) -> Setup {
        Setup {
            host: self.sites.irc.host.clone(),
            tls_port: self.sites.irc.tls_port,
            websocket: self.irc.websocket.clone(),
            username: username.to_owned(),
            network,
            secret: fresh.map(|fresh| fresh.secret.clone()),
            local: self.local_certificate(),
        }
    }

    /// The same for an account's own bouncer, if it lives there.
    pub async fn setup_of(&self, viewer: &Viewer, network: Option<String>, fresh: Option<&Fresh>) -> Setup {
        let setup = self.setup(&viewer.account.username, network, fresh);
        let own = self.dedicated_of(&viewer.call()).await.filter(DedicatedBouncer::has_moved);
        let Some((own, address)) = own.and_then(|own| Some((own.clone(), own.address?))) else {
            return setup;
        };
        Setup { host: address.host, tls_port: address.port, websocket: own.websocket, local: None, ..setup }
    }

    /// The account's dedicated bouncer, as far as that is known: pages stand without it.
    pub async fn dedicated_of(&self, call: &Call) -> Option<DedicatedBouncer> {
        self.dedicated.as_ref()?.dedicated(call).await.ok().flatten()
    }

    /// Whether this installation could have a network of its own beside it and has none: then pages say how to get it.
    pub fn lacks_local_network(&self, offers: &[WellKnownNetwork]) -> bool {
        crate::clients::is_this_machine(&self.sites.irc.host) && !offers.iter().any(|offer| offer.local)
    }

    fn local_certificate(&self) -> Option<LocalCertificate> {
        self.irc.authority_pem.as_ref()?;
        Some(LocalCertificate {
            fingerprint: self.irc.certificate.as_ref()?.fingerprint(),
            authority_url: self.sites.root.url("/authority.pem"),
        })
    }
}

/// Whoever is signed in, with what a page of theirs needs.
pub(crate) struct Viewer {
    pub account: Account,
    pub claims: UserClaims,
    pub shell: SiteShell,
    request_id: RequestId,
}

impl Viewer {
    /// A call that reads, for this account.
    pub fn call(&self) -> Call {
        Call::new(self.account.sub, self.request_id.as_str())
    }

    /// A call that changes something, under the form's own key where it has one: sent twice, it is one wish.
    pub fn changing(&self, form: &Form) -> Call {
        let mut call = self.call().changing();
        if let Ok(key) = form.value("key").parse::<Uuid>() {
            call.idempotency_key = Some(format!("form:{key}"));
        }
        call
    }
}

impl FromRequestParts<Arc<App>> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let claims =
            UserClaims::from_request_parts(parts, app).await.map_err(|denied| denied.into_response())?;
        let request_id =
            RequestId::from_request_parts(parts, app).await.map_err(|never| never.into_response())?;
        let account = match claims.account.clone() {
            Some(account) => account,
            // Gatekeeper has been away since this process began: ask it ourselves, and say so if it still is.
            None => {
                let call = Call::new(claims.sub, request_id.as_str());
                app.accounts.account(&call).await.map_err(|error| problem(error).into_response())?
            }
        };
        let shell = SiteShell::new(&app.sites, &parts.uri, &parts.headers)
            .user(account.username.as_str(), account.plan.to_string());
        Ok(Self { account, claims, shell, request_id })
    }
}
