//! `ircnow up`: everything in one process, on embedded defaults.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use contracts::http::{Far, NoBearer};
use contracts::{Accounts, Tls, WellKnownNetwork};
use hosting::dedicated::host::NoBouncers;
use service::dialer::Guarded;
use service::hosts::Hosts;
use service::http::{HttpClient, Target};
use service::sites::{IrcAddress, Sites, SitesConfig};
use service::tls::ReloadingCert;

use crate::admin::{act, socket};
use crate::cli::{Common, say};
use crate::hosted::{Machine, Processes};
use crate::localnet::{self, LocalNetwork, Supervised};
use crate::settings::UpConfig;
use crate::wiring::{self, Base, HostingSide};
use crate::{banner, local_tls};

/// What is said where a dedicated bouncer is asked for.
const NO_CLUSTER: &str = "Dedicated bouncers run in a Kubernetes cluster, and this irc.now runs on one machine: here everybody shares its bouncer.";

/// Runs it until it is told to stop.
pub async fn run(common: Common, https: bool) -> Result<()> {
    let mut base = Base::open(&common)?;
    let config = UpConfig::load(&base.source)?;
    let pages = wiring::bind(config.listen).await?;
    let admin = wiring::bind(config.admin_listen).await?;
    base.sites = sites(&base, pages.local_addr()?, https)?;
    let tls = local_tls::open(base.data.path(), &base.sites, &base.shutdown)?;
    let local = local_network(&base, &config).await.map(|network| Supervised::new(network, &base.shutdown));

    // Every site is one listener of ours, past DNS and past the outbound guard.
    let http = HttpClient::trusting(std::slice::from_ref(&tls.authority_pem))?;
    let target = Target { address: pages.local_addr()?, tls: https };
    for (_, site) in base.sites.all() {
        http.map_site(site, target);
    }

    let gatekeeper = wiring::gatekeeper(&base, &http, Some("own")).await?;
    let dialer = wiring::dialer(&base)?;
    let bouncer = wiring::bouncer(
        &base,
        gatekeeper.accounts(),
        Arc::clone(&tls.certificate),
        dialer.clone(),
        // Networks hosted here have certificates of this machine.
        Some(&tls.authority_pem),
        local.as_ref().map(offered),
    )
    .await?;
    let addresses = bouncer.addresses();
    base.sites.irc = Arc::new(IrcAddress {
        host: base.sites.irc.host.clone(),
        port: addresses.plain.port(),
        tls_port: addresses.tls.port(),
    });
    let networks = processes(&base, gatekeeper.accounts(), dialer, Arc::clone(&tls.certificate));
    let networks = Arc::new(networks);
    let dedicated = hosting::dedicated::Parts {
        host: Arc::new(NoBouncers(NO_CLUSTER)),
        moves: bouncer.moves(),
        far: Far::new(http.raw().clone(), Arc::new(NoBearer)),
    };
    let hosting = wiring::hosting(&base, gatekeeper.accounts(), networks, dedicated).await?;
    let paste = wiring::paste(&base, &http, gatekeeper.accounts()).await?;
    let pics = wiring::pics(&base, &http, gatekeeper.accounts()).await?;
    let data = vec![gatekeeper.data(), bouncer.account_data(), hosting.data(), paste.data(), pics.data()];
    let portal = wiring::portal(
        &base,
        &http,
        gatekeeper.accounts(),
        bouncer.calls(),
        Some(HostingSide { networks: hosting.calls(), dedicated: hosting.dedicated() }),
        data,
        wiring::door(&tls, &base.sites.irc),
        local.as_ref().map(Supervised::notice),
    )
    .await?;
    gatekeeper.register_data(vec![
        bouncer.account_data(),
        hosting.data(),
        portal.data(),
        paste.data(),
        pics.data(),
    ]);
    socket::listen(
        &base,
        act::Context::of(&base).beside(&bouncer, &portal, &paste, &pics),
        gatekeeper.admin(),
    )?;

    let hosts = Hosts::new()
        .site(&base.sites.root, portal.site().merge(pics.on_root()))
        .site(&base.sites.my, portal.my())
        .site(&base.sites.auth, gatekeeper.site())
        .site(&base.sites.txt, paste.site())
        .site(&base.sites.raw_txt, paste.raw())
        .site(&base.sites.pics, pics.site())
        .site(&base.sites.i_pics, pics.bytes());
    let page_tls = if https {
        Some(service::tls::server_config(Arc::clone(&tls.certificate), &[b"http/1.1"], None)?)
    } else {
        None
    };
    let admin_address = admin.local_addr()?;
    base.serve("pages", pages, hosts.into_router(), page_tls);
    base.serve("admin", admin, wiring::admin_router(&base, axum::Router::new()), None);

    say(&banner::text(&banner::Facts {
        sites: &base.sites,
        irc: Some(bouncer.addresses().plain),
        irc_tls: Some(bouncer.addresses().tls),
        fingerprint: &tls.certificate.fingerprint(),
        local_network: local.as_ref().map(|network| (network.software, network.address)),
        admin: admin_address,
        data: base.data.path().display().to_string(),
    }));
    base.until_the_end().await?;
    if let Some(local) = local {
        tokio::task::spawn_blocking(move || local.stop()).await?;
    }
    Ok(())
}

/// The sites' addresses: as configured, else under `localhost` with the port that was really bound.
fn sites(base: &Base, bound: SocketAddr, https: bool) -> Result<Sites> {
    let mut config = SitesConfig::load(&base.source)?;
    if config.base.as_str() == "http://localhost:8080/" {
        let scheme = if https { "https" } else { "http" };
        config.base = format!("{scheme}://localhost:{}", bound.port()).parse()?;
    }
    Ok(Sites::new(&config)?)
}

/// The local network, if it is wanted and there is a server to run it. Without one the platform works all the same.
async fn local_network(base: &Base, config: &UpConfig) -> Option<LocalNetwork> {
    if !config.local_network {
        return None;
    }
    let (folder, port) = (base.data.file("localnet"), config.local_network_port);
    let started = tokio::task::spawn_blocking(move || localnet::start(&folder, port)).await;
    match started.context("starting the local network").and_then(|started| started) {
        Ok(network) => network,
        Err(error) => {
            tracing::warn!(%error, "there is no local network");
            None
        }
    }
}

/// Hosted networks are processes of this machine.
fn processes(
    base: &Base,
    accounts: Arc<dyn Accounts>,
    dialer: Guarded,
    certificate: Arc<ReloadingCert>,
) -> Processes {
    let tls = base.data.path().join("tls");
    Processes::new(Machine {
        folder: base.data.file("hosted"),
        host: base.sites.irc.host.clone(),
        files: (tls.join("server.pem"), tls.join("server.key")),
        certificate,
        dialer,
        accounts,
        shutdown: base.shutdown.clone(),
    })
}

fn offered(network: &Supervised) -> WellKnownNetwork {
    let SocketAddr::V4(address) = network.address else {
        return offered_at("localhost", network.address.port());
    };
    offered_at(&address.ip().to_string(), address.port())
}

fn offered_at(host: &str, port: u16) -> WellKnownNetwork {
    WellKnownNetwork {
        name: "localnet".to_owned(),
        about: "The network of this installation, for a first message.".to_owned(),
        host: host.to_owned(),
        port,
        tls: Tls::Off,
        local: true,
    }
}
