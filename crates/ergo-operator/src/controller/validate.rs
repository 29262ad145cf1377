//! Whether a network can be carried out as it is asked for. No client: everything that is needed was read before.

use std::collections::BTreeSet;

use crds::database::ClusterRef;
use crds::ergo::{HistoryBackend, JwtAlgorithm};
use crds::expose::{IrcExposure, WebExposure};
use crds::sidecar::Sealed;
use crds::{ErgoNetwork, ErgoNetworkSpec};
use entitlements::{Limit, Plan};
use jiff::Timestamp;
use kube::ResourceExt as _;
use operator::Error;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::dereference::{Facts, Has};
use super::{condition, names, snapshots};
use crate::config::Installation;
use crate::credentials::{self, Purpose};
use crate::ergo::{self, Checks, Database, Issuer, Key, Release, Secrets, Wanted, change, render, yaml};
use crate::names::Names;
use crate::paths;
use crate::schedule::Schedule;
use crate::sidecar::{Door, Introspection, SidecarConfig};

/// A network that can be carried out, with everything that is needed for it.
#[derive(Debug)]
pub struct Valid {
    /// The names of its objects.
    pub names: Names,
    /// The network's namespace.
    pub namespace: String,
    /// What was asked for.
    pub spec: ErgoNetworkSpec,
    /// The image of Ergo.
    pub image: String,
    /// The image of the sidecar.
    pub sidecar_image: String,
    /// The release in the image.
    pub release: Release,
    /// Ergo's configuration, the sidecar's, and what they are named by.
    pub config: Config,
    /// Which questions the sidecar answers.
    pub checks: Checks,
    /// The history's database.
    pub database: Option<(ClusterRef, Database)>,
    /// Whether the server may be made, or was made already.
    pub server: bool,
    /// Where the certificate comes from.
    pub tls: TlsFrom,
    /// What stands in front of the IRC port.
    pub irc: Irc,
    /// What stands in front of the WebSocket.
    pub web: Web,
    /// The WebSocket's host name.
    pub web_host: Option<String>,
    /// Whether a monitor is made.
    pub monitor: bool,
    /// What is to be done about snapshots; `None` without a schedule.
    pub snapshots: Option<snapshots::Plan>,
    /// What was read.
    pub facts: Facts,
}

/// The files of the Secret and the ConfigMap.
#[derive(Debug)]
pub struct Config {
    /// Ergo's configuration.
    pub ergo: Sealed,
    /// The sidecar's configuration.
    pub sidecar: Sealed,
    /// The message of the day.
    pub motd: String,
    /// The name of what Ergo reads.
    pub hash: String,
    /// The name of what needs a restart.
    pub mark: String,
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
pub fn validate(installation: &Installation, root: &ErgoNetwork, facts: Facts) -> Result<Valid, Error> {
    let spec = root.spec.clone();
    let uid = root.uid().unwrap_or_default();
    let missing = |key: &str| {
        let message =
            format!("no image is named: set spec.image, or `ergo_operator.{key}` for the installation");
        refused("NoImage", message)
    };
    let given = spec.image.as_ref().map(|image| image.0.clone());
    let image = given.or_else(|| installation.ergo_image.clone()).ok_or_else(|| missing("ergo_image"))?;
    let sidecar_image = installation.ircnow_image.clone().ok_or_else(|| missing("ircnow_image"))?;
    let release = release(installation, &spec)?;
    ranges(&spec)?;
    people(&spec, &facts)?;
    let (irc, web) = doors(&spec, facts.has)?;
    let tls = tls(installation, &spec, facts.has)?;
    let clients = clients(installation, &spec)?;
    let issuer = issuer(installation, &spec, &uid, &facts)?;
    let checks = Checks { addresses: clients.is_some(), passwords: spec.auth.gatekeeper && issuer.is_some() };
    let secrets = Secrets {
        issuer,
        jwt: spec.auth.jwt.as_ref().and_then(|jwt| facts.secrets.get(&jwt.key)).cloned().map(Key),
        operators: spec
            .operators
            .iter()
            .map(|operator| facts.secrets.get(operator.password_hash.as_ref()?).cloned())
            .collect(),
    };
    let database = database(installation, root, &uid, facts.has)?;
    let ergo = render(&Wanted {
        spec: &spec,
        release,
        secrets: &secrets,
        database: database.as_ref().map(|(_, database)| database),
        api_token: &credentials::derive(&installation.client_secret, &uid, Purpose::Api),
        operator_hash: &credentials::operator_hash(&installation.client_secret, &uid)
            .map_err(|error| Error::Internal(format!("hashing the operator's password: {error}")))?,
        checks,
        websocket: web != Web::None,
    });
    let config = config(installation, &spec, &uid, &ergo, release, clients, &secrets, checks)?;
    let names = names(root);
    let snapshots = snapshots(root, &names, &facts)?;
    Ok(Valid {
        namespace: root.namespace().unwrap_or_default(),
        web_host: (web != Web::None)
            .then(|| spec.expose.web_hostname.as_ref().unwrap_or(&spec.hostname).as_str().to_owned()),
        server: facts.database_made || facts.server_made,
        monitor: spec.monitoring && facts.has.monitors,
        image,
        sidecar_image,
        release,
        config,
        checks,
        database,
        tls,
        irc,
        web,
        snapshots,
        facts,
        names,
        spec,
    })
}

fn release(installation: &Installation, spec: &ErgoNetworkSpec) -> Result<Release, Error> {
    // An image of one's own whose version nobody said is taken for the installation's version.
    let version = spec.version.as_ref().unwrap_or(&installation.ergo_version);
    let release = Release::parse(version).filter(|release| release.is_known()).ok_or_else(|| {
        refused(
            "VersionNotSupported",
            format!("Ergo {version} is not supported: name 2.15 or newer in spec.version"),
        )
    })?;
    if spec.history.backend != HistoryBackend::Memory && !release.has_sql_history() {
        let message = format!(
            "Ergo {release} keeps history in memory only: set history.backend to Memory, or use 2.18 or newer"
        );
        return Err(refused("HistoryNotSupported", message));
    }
    Ok(release)
}

/// What Ergo would refuse to start with is refused here, in words.
fn people(spec: &ErgoNetworkSpec, facts: &Facts) -> Result<(), Error> {
    let mut known = BTreeSet::new();
    for operator in &spec.operators {
        let name = operator.name.as_str();
        if !is_operator_name(name) {
            let message = format!(
                "`{name}` cannot be an operator's name: use letters, digits and - _ [ ] {{ }} | ^ ` only, and begin with a letter"
            );
            return Err(refused("OperatorInvalid", message));
        }
        if !known.insert(name.to_ascii_lowercase()) || name.eq_ignore_ascii_case(render::SIDECAR_OPERATOR) {
            return Err(refused("OperatorInvalid", format!("there are two operators named `{name}`")));
        }
        if operator.fingerprint.as_ref().is_some_and(|fingerprint| fingerprint.as_str().len() != 64) {
            let message =
                format!("the fingerprint of operator `{name}` must be SHA-256: 64 hexadecimal digits");
            return Err(refused("OperatorInvalid", message));
        }
        let hash = operator.password_hash.as_ref().and_then(|at| facts.secrets.get(at));
        if hash.is_some_and(|hash| !is_bcrypt(hash.expose_secret())) {
            let message = format!(
                "the password of operator `{name}` is no bcrypt hash: make one with `ergo genpasswd`"
            );
            return Err(refused("OperatorInvalid", message));
        }
    }
    if let Some(jwt) = &spec.auth.jwt
        && jwt.algorithm != JwtAlgorithm::Hmac
        && facts.secrets.get(&jwt.key).is_some_and(|key| !key.expose_secret().contains("-----BEGIN "))
    {
        return Err(refused("KeyInvalid", "the key of auth.jwt is no public key in PEM"));
    }
    let foreign = spec
        .channels
        .auto_join
        .iter()
        .map(|channel| channel.as_str())
        .find(|name| !name.starts_with('#') || !name.bytes().all(|byte| byte.is_ascii_graphic()));
    match foreign {
        Some(name) => Err(refused(
            "ChannelInvalid",
            format!("`{name}` cannot be joined: channels begin with # and are written in ASCII"),
        )),
        None => Ok(()),
    }
}

fn is_operator_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_[]{}|^`".contains(&byte))
}

fn is_bcrypt(text: &str) -> bool {
    text.len() == 60
        && text.starts_with("$2")
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"$./".contains(&byte))
}

/// Clients at once: the less of what the resource and its plan say.
fn clients(installation: &Installation, spec: &ErgoNetworkSpec) -> Result<Option<u64>, Error> {
    let own = spec.limits.clients.map(|clients| u64::try_from(clients).unwrap_or_default());
    let plan = match &spec.plan {
        None => None,
        Some(name) => {
            let plan = installation.plans.plan(&Plan(name.as_str().to_owned()));
            let plan = plan.ok_or_else(|| refused("PlanUnknown", format!("there is no plan `{name}`")))?;
            plan.limits.get(Limit::HostedNetworkUsers).number()
        }
    };
    Ok(own.into_iter().chain(plan).min())
}

fn issuer(
    installation: &Installation,
    spec: &ErgoNetworkSpec,
    uid: &str,
    facts: &Facts,
) -> Result<Option<Issuer>, Error> {
    if let (Some(oauth2), Some((client_id, client_secret))) = (&spec.auth.oauth2, &facts.client) {
        return Ok(Some(Issuer {
            introspection_url: oauth2.introspection_url.as_str().to_owned(),
            client_id: client_id.clone(),
            client_secret: client_secret.clone(),
        }));
    }
    if !spec.auth.gatekeeper {
        return Ok(None);
    }
    let url = installation.issuer_url.as_ref().ok_or_else(|| {
        refused("NoIssuer", "this installation names no gatekeeper: set `ergo_operator.issuer_url`, or auth.gatekeeper to false")
    })?;
    Ok(Some(Issuer {
        introspection_url: format!("{}/introspect", url.as_str().trim_end_matches('/')),
        client_id: credentials::client_id(uid),
        client_secret: credentials::derive(&installation.client_secret, uid, Purpose::Client),
    }))
}

fn database(
    installation: &Installation,
    root: &ErgoNetwork,
    uid: &str,
    has: Has,
) -> Result<Option<(ClusterRef, Database)>, Error> {
    if root.spec.history.backend != HistoryBackend::Postgres {
        return Ok(None);
    }
    if !has.databases {
        return Err(Error::NoKind { kind: operator::kinds::DATABASE.id() });
    }
    let identity = root.status.as_ref().and_then(|status| status.database.clone());
    let identity = identity.ok_or_else(|| Error::Internal("the database has no name yet".to_owned()))?;
    let database = Database {
        host: format!("{}-rw.{}.svc", identity.cluster.name, identity.cluster.namespace),
        name: identity.name.0,
        password: credentials::derive(&installation.client_secret, uid, Purpose::Database),
    };
    Ok(Some((identity.cluster, database)))
}

#[expect(clippy::too_many_arguments, reason = "one file made of everything")]
fn config(
    installation: &Installation,
    spec: &ErgoNetworkSpec,
    uid: &str,
    ergo: &Value,
    release: Release,
    clients: Option<u64>,
    secrets: &Secrets,
    checks: Checks,
) -> Result<Config, Error> {
    let derive = |purpose| sealed(&credentials::derive(&installation.client_secret, uid, purpose));
    let text = yaml::write(ergo);
    let motd = spec.motd.as_ref().map(|motd| motd.0.clone()).unwrap_or_default();
    let hash = crate::sidecar::config_hash(text.as_bytes(), motd.as_bytes());
    let mark = change::restart_mark(ergo);
    let sidecar = SidecarConfig {
        listen: ([0, 0, 0, 0], paths::SIDECAR_PORT).into(),
        config_dir: paths::CONFIG_DIR.into(),
        tls_dir: paths::TLS_DIR.into(),
        data_dir: paths::DATA_DIR.into(),
        door: if release.has_api() {
            let url = format!("http://127.0.0.1:{}", paths::API_PORT);
            Door::Api { url, token: derive(Purpose::Api) }
        } else {
            let name = ergo::render::SIDECAR_OPERATOR.to_owned();
            Door::Operator { port: paths::LOOPBACK_PORT, name, password: derive(Purpose::Operator) }
        },
        clients,
        address_socket: paths::ADDRESS_SOCKET.into(),
        password_socket: paths::PASSWORD_SOCKET.into(),
        introspection: secrets.issuer.as_ref().filter(|_| checks.passwords).map(|issuer| Introspection {
            url: issuer.introspection_url.clone(),
            client_id: issuer.client_id.clone(),
            client_secret: sealed(&issuer.client_secret),
        }),
        restart_mark: mark.clone(),
    };
    let sidecar = serde_json::to_string_pretty(&sidecar).map_err(|error| {
        Error::Internal(format!("the sidecar's configuration cannot be written: {error}"))
    })?;
    Ok(Config { ergo: Sealed::new(text), sidecar: Sealed::new(sidecar), motd, hash, mark })
}

fn sealed(secret: &SecretString) -> Sealed {
    Sealed::new(secret.expose_secret())
}

fn snapshots(root: &ErgoNetwork, names: &Names, facts: &Facts) -> Result<Option<snapshots::Plan>, Error> {
    let Some(backup) = &root.spec.backup else { return Ok(None) };
    let schedule = Schedule::parse(backup.schedule.as_str())
        .map_err(|error| refused("ScheduleInvalid", format!("backup.schedule: {error}")))?;
    let since = root.metadata.creation_timestamp.as_ref().map_or(Timestamp::MIN, |time| time.0);
    Ok(Some(snapshots::plan(backup, &schedule, &names.snapshots, since, facts.now, &facts.snapshots)))
}

fn tls(installation: &Installation, spec: &ErgoNetworkSpec, has: Has) -> Result<TlsFrom, Error> {
    if let Some(name) = &spec.tls.secret_name {
        return Ok(TlsFrom::Given(name.0.clone()));
    }
    let issuer = spec.tls.issuer.clone().or_else(|| installation.certificate_issuer.clone());
    let issuer = issuer.ok_or_else(|| {
        let message =
            "no certificate is named: set spec.tls, or `ergo_operator.certificate_issuer` for the installation";
        refused("NoCertificate", message)
    })?;
    if !has.certificates {
        return Err(Error::NoKind { kind: operator::kinds::CERTIFICATE.id() });
    }
    Ok(TlsFrom::Asked(issuer))
}

fn doors(spec: &ErgoNetworkSpec, has: Has) -> Result<(Irc, Web), Error> {
    let no = |kind: &'static operator::Kind| Err(Error::NoKind { kind: kind.id() });
    let gateway = spec.expose.gateway.is_some();
    let irc = match spec.expose.irc {
        IrcExposure::Auto if gateway && has.tls_routes => Irc::Gateway,
        IrcExposure::Auto | IrcExposure::LoadBalancer => Irc::LoadBalancer,
        IrcExposure::Gateway if !has.tls_routes => return no(&operator::kinds::TLS_ROUTE),
        IrcExposure::Gateway => Irc::Gateway,
        IrcExposure::Route if !has.routes => return no(&operator::kinds::ROUTE),
        IrcExposure::Route => Irc::Route,
        IrcExposure::ClusterIP => Irc::Inside,
    };
    // A name that is passed through to the IRC port as it is cannot be the WebSocket's too.
    let own_name = spec.expose.web_hostname.as_ref().is_some_and(|host| *host != spec.hostname);
    let passed_through = matches!(irc, Irc::Gateway | Irc::Route) && !own_name;
    let web = match spec.expose.web {
        WebExposure::Auto if passed_through => Web::None,
        WebExposure::Auto if has.routes => Web::Route,
        WebExposure::Auto if gateway && has.http_routes => Web::Gateway,
        WebExposure::Auto | WebExposure::Ingress => Web::Ingress,
        WebExposure::Route if !has.routes => return no(&operator::kinds::ROUTE),
        WebExposure::Route => Web::Route,
        WebExposure::Gateway if !has.http_routes => return no(&operator::kinds::HTTP_ROUTE),
        WebExposure::Gateway => Web::Gateway,
        WebExposure::None => Web::None,
    };
    Ok((irc, web))
}

fn ranges(spec: &ErgoNetworkSpec) -> Result<(), Error> {
    let expose = spec.expose.source_ranges.iter().chain(&spec.expose.proxy_ranges);
    let all = expose.chain(spec.egress.allow.iter().map(|rule| &rule.cidr));
    match all.map(|range| range.as_str()).find(|range| !operator::settings::is_range(range)) {
        Some(range) => Err(refused("RangeInvalid", format!("`{range}` is no range of addresses"))),
        None => Ok(()),
    }
}

/// The PostgreSQL cluster a network uses: one the installation allows.
pub fn cluster(installation: &Installation, root: &ErgoNetwork) -> Result<ClusterRef, Error> {
    let wrong = |reason, message: &str| Error::Invalid {
        condition: condition::DATABASE,
        reason,
        message: message.to_owned(),
    };
    match &root.spec.history.cluster {
        None => installation.postgres_clusters.first().cloned().ok_or_else(|| {
            wrong(
                "NoCluster",
                "this installation has no PostgreSQL cluster: set `ergo_operator.postgres_clusters`",
            )
        }),
        Some(named) if installation.postgres_clusters.contains(named) => Ok(named.clone()),
        Some(_) => Err(wrong(
            "ClusterNotAllowed",
            "this PostgreSQL cluster is not one of `ergo_operator.postgres_clusters`",
        )),
    }
}
