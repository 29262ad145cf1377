//! `ircnow gatekeeper`, `ircnow bouncer`, `ircnow hosting`, `ircnow portal`, `ircnow paste`, `ircnow pics`: one role a process. The others are found over HTTP, with
//! tokens of gatekeeper; nothing else differs from `ircnow up`.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use auth::{ServiceTokens, TokenVerifier};
use axum::Router;
use contracts::http::{
    AccountDataClient, AccountsClient, Bearer, BouncersClient, Client, Far, NetworksClient, RoutedBouncers,
};
use contracts::{AccountData, Accounts, Bouncers};
use portal::IrcDoor;
use service::http::{HttpClient, Target};
use service::sites::Origin;
use service::tls::{LocalTls, ReloadingCert};
use url::Url;

use crate::admin::{act, socket};
use crate::cli::Common;
use crate::local_tls;
use crate::settings::RoleConfig;
use crate::wiring::{self, Base};

/// One role's process.
struct Role {
    base: Base,
    config: RoleConfig,
    http: HttpClient,
    bearer: Arc<dyn Bearer>,
    /// As what others call this process, and as what it calls gatekeeper.
    audiences: Audiences,
}

/// Whom tokens are made for.
struct Audiences {
    ours: String,
    gatekeepers: &'static str,
}

impl Role {
    fn open(common: &Common, name: &str) -> Result<Self> {
        let base = Base::open(common)?;
        let config = RoleConfig::load(&base.source)?;
        let http = HttpClient::trusting(&wiring::authorities(config.authorities.as_ref())?)?;
        let tls = config.certificate.is_some();
        let map = |site: &Origin, address: Option<std::net::SocketAddr>| {
            if let Some(address) = address {
                http.map_site(site, Target { address, tls });
            }
        };
        map(&base.sites.auth, config.gatekeeper_site);
        map(&base.sites.my, config.portal_site);
        map(&base.sites.root, config.portal_site);
        let (id, secret, gatekeepers) = match (&config.client_id, &config.client_secret) {
            (Some(id), Some(secret)) => (id.clone(), secret.clone(), gatekeeper::DEDICATED_AUDIENCE),
            (None, None) => (name.to_owned(), base.secret_of(name), "gatekeeper"),
            _ => anyhow::bail!("role.client_id and role.client_secret belong together: set both, or none"),
        };
        let tokens = ServiceTokens::new(http.clone(), base.sites.auth.as_str(), &id, &secret)?;
        let audiences = Audiences { ours: id, gatekeepers };
        Ok(Self { base, config, http, bearer: Arc::new(tokens), audiences })
    }

    fn client(&self, of: &Url, audience: &'static str) -> Client {
        Client::new(self.http.raw().clone(), of.clone(), audience, Arc::clone(&self.bearer))
    }

    fn gatekeeper(&self) -> AccountsClient {
        AccountsClient::new(self.client(&self.config.gatekeeper, self.audiences.gatekeepers))
    }

    fn accounts(&self) -> Arc<dyn Accounts> {
        Arc::new(self.gatekeeper())
    }

    fn bouncer(&self) -> BouncersClient {
        BouncersClient::new(self.client(&self.config.bouncer, "bouncer"))
    }

    /// Hosting, where this installation has it.
    fn hosting(&self) -> Option<NetworksClient> {
        let hosting = self.config.hosting.as_ref()?;
        Some(NetworksClient::new(self.client(hosting, "hosting")))
    }

    /// The way to dedicated bouncers.
    fn far(&self) -> Far {
        Far::new(self.http.raw().clone(), Arc::clone(&self.bearer))
    }

    /// The bouncer of each account: the shared one, or its own.
    fn bouncers(&self) -> Arc<dyn Bouncers> {
        match self.hosting() {
            Some(hosting) => {
                Arc::new(RoutedBouncers::new(Arc::new(self.bouncer()), Arc::new(hosting), self.far()))
            }
            None => Arc::new(self.bouncer()),
        }
    }

    /// What hosting keeps of accounts, where this installation has it.
    fn data_of_hosting(&self) -> Option<Arc<dyn AccountData>> {
        Some(self.data_of(self.config.hosting.as_ref()?, "hosting"))
    }

    /// What pastes keep of accounts, where this installation has them.
    fn data_of_paste(&self) -> Option<Arc<dyn AccountData>> {
        Some(self.data_of(self.config.paste.as_ref()?, "paste"))
    }

    /// What pictures keep of accounts, where this installation has them.
    fn data_of_pics(&self) -> Option<Arc<dyn AccountData>> {
        Some(self.data_of(self.config.pics.as_ref()?, "pics"))
    }

    fn data_of(&self, of: &Url, service: &'static str) -> Arc<dyn AccountData> {
        Arc::new(AccountDataClient::new(service, self.client(of, service)))
    }

    fn verifier(&self) -> Result<TokenVerifier> {
        Ok(TokenVerifier::remote(self.http.clone(), self.base.sites.auth.as_str())?)
    }

    /// The certificate of this role's pages and door: the configured one, or one of this machine's own authority.
    fn certificate(&self) -> Result<Arc<ReloadingCert>> {
        match (&self.config.certificate, &self.config.certificate_key) {
            (Some(chain), Some(key)) => {
                let certificate = ReloadingCert::open(chain, key)?;
                certificate.watch(&self.base.shutdown);
                Ok(certificate)
            }
            _ => Ok(self.local_tls()?.certificate),
        }
    }

    fn local_tls(&self) -> Result<LocalTls> {
        local_tls::open(self.base.data.path(), &self.base.sites, &self.base.shutdown)
    }

    async fn serve(self, pages: Option<Router>, internal: Router) -> Result<()> {
        let admin = wiring::bind(self.config.admin_listen).await?;
        self.base.serve("admin", admin, wiring::admin_router(&self.base, internal), None);
        if let Some(pages) = pages {
            let tls = match self.config.certificate {
                Some(_) => Some(service::tls::server_config(self.certificate()?, &[b"http/1.1"], None)?),
                None => None,
            };
            let listener = wiring::bind(self.config.listen).await?;
            tracing::info!(address = %listener.local_addr()?, "serving pages");
            self.base.serve("pages", listener, pages, tls);
        }
        self.base.until_the_end().await
    }
}

/// Accounts, login, tokens.
pub async fn gatekeeper(common: Common) -> Result<()> {
    let role = Role::open(&common, "gatekeeper")?;
    let gatekeeper = wiring::gatekeeper(&role.base, &role.http, None).await?;
    let data = [
        Some(role.data_of(&role.config.bouncer, "bouncer")),
        role.data_of_hosting(),
        role.data_of_paste(),
        role.data_of_pics(),
        Some(role.data_of(&role.config.portal, "portal")),
    ];
    gatekeeper.register_data(data.into_iter().flatten().collect());
    socket::listen(&role.base, act::Context::of(&role.base), gatekeeper.admin())?;
    let verifier = TokenVerifier::with_keys(gatekeeper.issuer(), Arc::new(gatekeeper.clone()));
    let callers = &["portal", "bouncer", "hosting", "paste", "pics"];
    let internal = wiring::guarded(&verifier, "gatekeeper", callers, gatekeeper.internal());
    role.serve(Some(gatekeeper.site()), internal).await
}

/// Upstream connections, devices, history.
pub async fn bouncer(common: Common) -> Result<()> {
    let role = Role::open(&common, "bouncer")?;
    let dialer = wiring::dialer(&role.base)?;
    let bouncer =
        wiring::bouncer(&role.base, role.accounts(), role.certificate()?, dialer, None, None).await?;
    let kept = bouncer.clone();
    wiring::follow_keys(&role.base, move || {
        let kept = kept.clone();
        async move { Ok(kept.reseal().await?) }
    });
    tracing::info!(plain = %bouncer.addresses().plain, tls = %bouncer.addresses().tls, "the door is open");
    let callers = &["portal", "gatekeeper", "hosting"];
    let internal = wiring::guarded(&role.verifier()?, &role.audiences.ours, callers, bouncer.internal());
    role.serve(None, internal).await
}

/// Hosted networks and dedicated bouncers.
pub async fn hosting(common: Common) -> Result<()> {
    let role = Role::open(&common, "hosting")?;
    let installation = provisioner::Installation::load(&role.base.source)?;
    let (readiness, shutdown) = (&role.base.readiness, &role.base.shutdown);
    let gatekeeper = Arc::new(role.gatekeeper());
    let cluster = provisioner::Cluster::connect(installation, gatekeeper, readiness, shutdown).await?;
    let dedicated = hosting::dedicated::Parts {
        host: cluster.bouncers(),
        moves: Arc::new(role.bouncer()),
        far: role.far(),
    };
    let hosting = wiring::hosting(&role.base, role.accounts(), cluster.networks(), dedicated).await?;
    let callers = &["portal", "gatekeeper"];
    let internal = wiring::guarded(&role.verifier()?, "hosting", callers, hosting.internal());
    role.serve(None, internal).await
}

/// irc.now and my.irc.now.
pub async fn portal(common: Common) -> Result<()> {
    let role = Role::open(&common, "portal")?;
    let (accounts, bouncers) = (role.accounts(), role.bouncers());
    // The bouncer's part of an export comes from wherever the account is.
    let own: Arc<dyn AccountData> = bouncers.clone();
    let (gatekeeper, hosting) = (role.data_of(&role.config.gatekeeper, "gatekeeper"), role.data_of_hosting());
    let data = [Some(gatekeeper), Some(own), hosting, role.data_of_paste(), role.data_of_pics()];
    let data = data.into_iter().flatten().collect();
    let door = match role.config.certificate {
        Some(_) => IrcDoor {
            certificate: Some(role.certificate()?),
            authority_pem: None,
            websocket: Some(wiring::websocket(&role.base.sites.irc)),
        },
        None => {
            let tls = role.local_tls().context("making the certificate of this machine")?;
            wiring::door(&tls, &role.base.sites.irc)
        }
    };
    let hosting = role.hosting().map(wiring::HostingSide::of);
    let portal =
        wiring::portal(&role.base, &role.http, accounts, bouncers, hosting, data, door, None).await?;
    let kept = portal.clone();
    wiring::follow_keys(&role.base, move || {
        let kept = kept.clone();
        async move { Ok(kept.reseal().await?) }
    });
    let internal = wiring::guarded(&role.verifier()?, "portal", &["gatekeeper"], portal.internal());
    let hosts = service::hosts::Hosts::new()
        .site(&role.base.sites.root, portal.site())
        .site(&role.base.sites.my, portal.my());
    role.serve(Some(hosts.into_router()), internal).await
}

/// txt.irc.now and raw.txt.irc.now.
pub async fn paste(common: Common) -> Result<()> {
    let role = Role::open(&common, "paste")?;
    let paste = wiring::paste(&role.base, &role.http, role.accounts()).await?;
    let kept = paste.clone();
    wiring::follow_keys(&role.base, move || {
        let kept = kept.clone();
        async move { Ok(kept.reseal().await?) }
    });
    let internal = wiring::guarded(&role.verifier()?, "paste", &["portal", "gatekeeper"], paste.internal());
    let hosts = service::hosts::Hosts::new()
        .site(&role.base.sites.txt, paste.site())
        .site(&role.base.sites.raw_txt, paste.raw());
    role.serve(Some(hosts.into_router()), internal).await
}

/// irc.pics and i.pics.
pub async fn pics(common: Common) -> Result<()> {
    let role = Role::open(&common, "pics")?;
    let pics = wiring::pics(&role.base, &role.http, role.accounts()).await?;
    let kept = pics.clone();
    wiring::follow_keys(&role.base, move || {
        let kept = kept.clone();
        async move { Ok(kept.reseal().await?) }
    });
    let internal = wiring::guarded(&role.verifier()?, "pics", &["portal", "gatekeeper"], pics.internal());
    let hosts = service::hosts::Hosts::new()
        .site(&role.base.sites.pics, pics.site())
        .site(&role.base.sites.i_pics, pics.bytes());
    role.serve(Some(hosts.into_router()), internal).await
}

/// Keeps every `SojuBouncer` as its resource says.
pub async fn soju_operator(common: Common) -> Result<()> {
    let source = common.source()?;
    service::telemetry::init(&service::telemetry::LogConfig::load(&source)?);
    let shutdown = service::shutdown::Shutdown::new();
    shutdown.on_signals()?;
    soju_operator::serve(&source, shutdown.clone()).await?;
    if let Err(late) = shutdown.finished(std::time::Duration::from_secs(20)).await {
        tracing::warn!(?late, "stopped what did not end in time");
    }
    Ok(())
}
