//! Whether a network can be carried out as it is asked for. No client: everything that is needed was read before.

use std::collections::BTreeSet;

use crds::ergo::{HistoryBackend, JwtAlgorithm};
use crds::sidecar::Sealed;
use crds::{ErgoNetwork, ErgoNetworkSpec};
use entitlements::{Limit, Plan};
use jiff::Timestamp;
use kube::ResourceExt as _;
use operator::expose::{self, Doors, Has, TlsFrom, Web, refused};
use operator::postgres::{self, PostgresAt};
use operator::{Error, Names, driver};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::dereference::Facts;
use super::{ErgoOperator, snapshots};
use crate::config::Installation;
use crate::credentials::{self, Purpose};
use crate::ergo::{self, Checks, Issuer, Key, Release, Secrets, Wanted, change, render, yaml};
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
    pub database: Option<PostgresAt>,
    /// Whether the server may be made, or was made already.
    pub server: bool,
    /// Where the certificate comes from.
    pub tls: TlsFrom,
    /// What stands in front of its ports.
    pub doors: Doors,
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
    expose::ranges(root)?;
    people(&spec, &facts)?;
    let doors = expose::doors(root, facts.has)?;
    let installed = installation.certificate_issuer.as_ref();
    let tls = expose::tls(root, installed, facts.has, crate::Config::SECTION)?;
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
        database: database.as_ref(),
        api_token: &credentials::derive(&installation.client_secret, &uid, Purpose::Api),
        operator_hash: &credentials::operator_hash(&installation.client_secret, &uid)
            .map_err(|error| Error::Internal(format!("hashing the operator's password: {error}")))?,
        checks,
        websocket: doors.web != Web::None,
        places: &paths::Places::pod(),
    });
    let config = config(installation, &spec, &uid, &ergo, release, clients, &secrets, checks)?;
    let names = driver::names::<ErgoOperator>(root);
    let snapshots = snapshots(root, &names, &facts)?;
    Ok(Valid {
        namespace: root.namespace().unwrap_or_default(),
        server: facts.database.done || facts.server_made,
        monitor: spec.monitoring && facts.has.monitors,
        image,
        sidecar_image,
        release,
        config,
        checks,
        database,
        tls,
        doors,
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
) -> Result<Option<PostgresAt>, Error> {
    let Some(identity) = postgres::identity::<ErgoOperator>(root)? else { return Ok(None) };
    if !has.databases {
        return Err(Error::NoKind { kind: operator::kinds::DATABASE.id() });
    }
    let password = credentials::derive(&installation.client_secret, uid, Purpose::Database);
    Ok(Some(PostgresAt::new(identity, password)))
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
