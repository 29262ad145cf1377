//! Whether a bouncer can be carried out as it is asked for. No client: everything that is needed was read before.

use std::collections::BTreeMap;

use crds::common::SecretKeyRef;
use crds::database::ClusterRef;
use crds::expose::{IrcExposure, WebExposure};
use crds::sidecar::{Sealed, SidecarState};
use crds::soju::{AuthMethod, Engine};
use crds::{SojuBouncer, SojuBouncerSpec};
use kube::ResourceExt as _;
use operator::Error;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::dereference::{Facts, Has, PostgresAt};
use super::{condition, names};
use crate::config::Installation;
use crate::credentials;
use crate::names::Names;
use crate::soju::{SojuVersion, oauth2_url};

/// A bouncer that can be carried out, with everything that is needed for it.
#[derive(Debug)]
pub struct Valid {
    /// The names of its objects.
    pub names: Names,
    /// The bouncer's namespace.
    pub namespace: String,
    /// What was asked for.
    pub spec: SojuBouncerSpec,
    /// The image that runs.
    pub image: String,
    /// The image of the sidecar.
    pub sidecar_image: Option<String>,
    /// The version of soju in the image.
    pub version: SojuVersion,
    /// As it was written.
    pub version_text: String,
    /// Where rows are kept.
    pub rows: Rows,
    /// Whether the database is there.
    pub database_made: bool,
    /// Whether the server may be made, or was made already.
    pub server: bool,
    /// The issuer with the client's credentials; `None` for the bouncer's own passwords.
    pub oauth2: Option<SecretString>,
    /// The Secret with the certificate, and whether it is ours to ask for.
    pub tls: TlsFrom,
    /// What stands in front of the IRC port.
    pub irc: Irc,
    /// What stands in front of the WebSocket.
    pub web: Web,
    /// The WebSocket's host name.
    pub web_host: Option<String>,
    /// Whether the WebSocket is served without TLS too, for what ended TLS before.
    pub web_in_the_clear: bool,
    /// Whether a monitor is made.
    pub monitor: bool,
    /// What the running server says.
    pub state: Option<SidecarState>,
    secrets: BTreeMap<SecretKeyRef, SecretString>,
}

impl Valid {
    /// A value the resource points to. All of them were read.
    pub fn secret(&self, at: &SecretKeyRef) -> Sealed {
        Sealed::new(self.secrets.get(at).map(|secret| secret.expose_secret()).unwrap_or_default())
    }
}

/// Where rows are kept.
#[derive(Clone, Debug)]
pub enum Rows {
    /// On a volume.
    Sqlite,
    /// In a database.
    Postgres(PostgresAt),
}

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFrom {
    /// Somebody else keeps the Secret.
    Given(String),
    /// cert-manager is asked.
    Asked(crds::expose::Issuer),
}

/// What stands in front of the IRC port, decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Irc {
    /// A load balancer.
    LoadBalancer,
    /// A `TLSRoute`.
    Gateway,
    /// A Route.
    Route,
    /// Nothing.
    Inside,
}

/// What stands in front of the WebSocket, decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Web {
    /// A Route.
    Route,
    /// An `HTTPRoute`.
    Gateway,
    /// An Ingress.
    Ingress,
    /// Nothing.
    None,
}

fn refused(reason: &'static str, message: impl Into<String>) -> Error {
    Error::Invalid { condition: condition::ACCEPTED, reason, message: message.into() }
}

/// Checks everything.
pub fn validate(installation: &Installation, root: &SojuBouncer, facts: Facts) -> Result<Valid, Error> {
    let Facts { uid, secrets, client, postgres, database_made, server_made, has, state } = facts;
    let spec = root.spec.clone();
    let (image, sidecar_image) = images(installation, &spec)?;
    let version_text = spec.version.clone().unwrap_or_else(|| installation.soju_version.clone()).0;
    let version =
        SojuVersion::parse(&version_text).filter(|version| *version >= SojuVersion::OLDEST).ok_or_else(
            || refused("VersionNotSupported", format!("soju {version_text} is not supported: 0.9 or newer")),
        )?;
    ranges(&spec)?;
    let (irc, web) = (irc(&spec, has)?, web(&spec, has)?);
    let oauth2 = oauth2(installation, &spec, &uid, client)?;
    let tls = tls(installation, &spec, has)?;
    let rows = match postgres {
        None => Rows::Sqlite,
        Some(at) if has.databases => Rows::Postgres(at),
        Some(_) => {
            return Err(Error::NoKind { kind: operator::kinds::DATABASE.id() });
        }
    };
    let web_host = (web != Web::None)
        .then(|| spec.expose.web_hostname.as_ref().unwrap_or(&spec.hostname).as_str().to_owned());
    Ok(Valid {
        names: names(root),
        namespace: root.namespace().unwrap_or_default(),
        image,
        sidecar_image,
        version,
        version_text,
        database_made,
        server: database_made || server_made,
        rows,
        oauth2,
        tls,
        irc,
        web,
        web_host,
        web_in_the_clear: matches!(web, Web::Gateway | Web::Ingress),
        monitor: spec.monitoring && has.monitors,
        state,
        secrets,
        spec,
    })
}

fn images(installation: &Installation, spec: &SojuBouncerSpec) -> Result<(String, Option<String>), Error> {
    let given = spec.image.as_ref().map(|image| image.0.clone());
    let missing = |key: &str| {
        refused(
            "NoImage",
            format!("no image is named: set spec.image, or `soju_operator.{key}` for the installation"),
        )
    };
    match spec.engine {
        Engine::Ircnow => {
            let image = given.or_else(|| installation.ircnow_image.clone());
            Ok((image.ok_or_else(|| missing("ircnow_image"))?, None))
        }
        Engine::Soju => {
            let image =
                given.or_else(|| installation.soju_image.clone()).ok_or_else(|| missing("soju_image"))?;
            let sidecar = installation.ircnow_image.clone().ok_or_else(|| missing("ircnow_image"))?;
            Ok((image, Some(sidecar)))
        }
    }
}

fn oauth2(
    installation: &Installation,
    spec: &SojuBouncerSpec,
    uid: &str,
    client: Option<(String, SecretString)>,
) -> Result<Option<SecretString>, Error> {
    if spec.auth.method == AuthMethod::Internal {
        return Ok(None);
    }
    let issuer = match &spec.auth.issuer_url {
        Some(url) => Url::parse(url.as_str())
            .map_err(|error| refused("IssuerInvalid", format!("auth.issuerUrl is no address: {error}")))?,
        None => installation.issuer_url.clone().ok_or_else(|| {
            refused("NoIssuer", "no issuer is named: set spec.auth.issuerUrl, or `soju_operator.issuer_url`")
        })?,
    };
    let (id, secret) = match client {
        Some(client) => client,
        // Derived credentials are for gatekeeper alone: nobody else may be shown them.
        None if spec.auth.issuer_url.is_some() => {
            return Err(refused("NoClient", "an issuer of one's own needs auth.client"));
        }
        None => {
            let from = installation.client_secret.as_ref().ok_or_else(|| {
                refused(
                    "NoClient",
                    "no client is named: set spec.auth.client, or `soju_operator.client_secret`",
                )
            })?;
            let id = credentials::client_id(uid);
            let secret = credentials::client_secret(from, &id);
            (id, secret)
        }
    };
    let url = oauth2_url(&issuer, &id, secret.expose_secret());
    Ok(Some(url.ok_or_else(|| refused("IssuerInvalid", "the issuer's address takes no credentials"))?.into()))
}

fn tls(installation: &Installation, spec: &SojuBouncerSpec, has: Has) -> Result<TlsFrom, Error> {
    if let Some(name) = &spec.tls.secret_name {
        return Ok(TlsFrom::Given(name.0.clone()));
    }
    let issuer = spec.tls.issuer.clone().or_else(|| installation.certificate_issuer.clone()).ok_or_else(|| {
        refused(
            "NoCertificate",
            "no certificate is named: set spec.tls, or `soju_operator.certificate_issuer` for the installation",
        )
    })?;
    if !has.certificates {
        return Err(Error::NoKind { kind: operator::kinds::CERTIFICATE.id() });
    }
    Ok(TlsFrom::Asked(issuer))
}

fn irc(spec: &SojuBouncerSpec, has: Has) -> Result<Irc, Error> {
    let no = |kind: &'static operator::Kind| Err(Error::NoKind { kind: kind.id() });
    match spec.expose.irc {
        IrcExposure::Auto if spec.expose.gateway.is_some() && has.tls_routes => Ok(Irc::Gateway),
        IrcExposure::Auto | IrcExposure::LoadBalancer => Ok(Irc::LoadBalancer),
        IrcExposure::Gateway if !has.tls_routes => no(&operator::kinds::TLS_ROUTE),
        IrcExposure::Gateway => Ok(Irc::Gateway),
        IrcExposure::Route if !has.routes => no(&operator::kinds::ROUTE),
        IrcExposure::Route => Ok(Irc::Route),
        IrcExposure::ClusterIP => Ok(Irc::Inside),
    }
}

fn web(spec: &SojuBouncerSpec, has: Has) -> Result<Web, Error> {
    let no = |kind: &'static operator::Kind| Err(Error::NoKind { kind: kind.id() });
    match spec.expose.web {
        WebExposure::Auto if has.routes => Ok(Web::Route),
        WebExposure::Auto if spec.expose.gateway.is_some() && has.http_routes => Ok(Web::Gateway),
        WebExposure::Auto | WebExposure::Ingress => Ok(Web::Ingress),
        WebExposure::Route if !has.routes => no(&operator::kinds::ROUTE),
        WebExposure::Route => Ok(Web::Route),
        WebExposure::Gateway if !has.http_routes => no(&operator::kinds::HTTP_ROUTE),
        WebExposure::Gateway => Ok(Web::Gateway),
        WebExposure::None => Ok(Web::None),
    }
}

fn ranges(spec: &SojuBouncerSpec) -> Result<(), Error> {
    let expose = spec.expose.source_ranges.iter().chain(&spec.expose.proxy_ranges);
    let all = expose.chain(spec.egress.allow.iter().map(|rule| &rule.cidr));
    match all.map(|range| range.as_str()).find(|range| !operator::settings::is_range(range)) {
        Some(range) => Err(refused("RangeInvalid", format!("`{range}` is no range of addresses"))),
        None => Ok(()),
    }
}

/// The PostgreSQL cluster a bouncer uses: one the installation allows.
pub fn cluster(installation: &Installation, root: &SojuBouncer) -> Result<ClusterRef, Error> {
    let wrong = |reason, message: &str| Error::Invalid {
        condition: condition::DATABASE,
        reason,
        message: message.into(),
    };
    match &root.spec.database.cluster {
        None => installation.postgres_clusters.first().cloned().ok_or_else(|| {
            wrong(
                "NoCluster",
                "this installation has no PostgreSQL cluster: set `soju_operator.postgres_clusters`",
            )
        }),
        Some(named) if installation.postgres_clusters.contains(named) => Ok(named.clone()),
        Some(_) => Err(wrong(
            "ClusterNotAllowed",
            "this PostgreSQL cluster is not one of `soju_operator.postgres_clusters`",
        )),
    }
}
