//! Whether a bouncer can be carried out as it is asked for. No client: everything that is needed was read before.

use std::collections::BTreeMap;

use crds::common::SecretKeyRef;
use crds::sidecar::{Sealed, SidecarState};
use crds::soju::{AuthMethod, Engine, Moving};
use crds::{SojuBouncer, SojuBouncerSpec};
use kube::ResourceExt as _;
use operator::expose::{self, Doors, TlsFrom, Web, refused};
use operator::postgres::{Made, PostgresAt};
use operator::{Error, Names, driver};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::SojuOperator;
use super::dereference::{Facts, Movers};
use crate::config::Installation;
use crate::soju::{SojuVersion, oauth2_url};
use crate::{credentials, ircnow};

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
    /// How far the database is.
    pub database: Made,
    /// Whether the server may be made, or was made already.
    pub server: bool,
    /// The issuer with the client's credentials; `None` for the bouncer's own passwords.
    pub oauth2: Option<SecretString>,
    /// The Secret with the certificate, and whether it is ours to ask for.
    pub tls: TlsFrom,
    /// What stands in front of its ports.
    pub doors: Doors,
    /// Whether the WebSocket is served without TLS too, for what ended TLS before.
    pub web_in_the_clear: bool,
    /// Whether a monitor is made.
    pub monitor: bool,
    /// What the running server says.
    pub state: Option<SidecarState>,
    /// The job's Pods, if there are any.
    pub movers: Option<Movers>,
    /// Whether a Pod of soju is there, perhaps on its way out.
    pub serving: bool,
    secrets: BTreeMap<SecretKeyRef, SecretString>,
}

impl Valid {
    /// A value the resource points to. All of them were read.
    pub fn secret(&self, at: &SecretKeyRef) -> Sealed {
        Sealed::new(self.secrets.get(at).map(|secret| secret.expose_secret()).unwrap_or_default())
    }
}

impl Valid {
    /// Whether a job may have soju's rows: nobody else has them, and where they are is there.
    pub fn rows_are_free(&self) -> bool {
        !self.spec.suspend && !self.serving && (self.database.done || self.server)
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

/// Checks everything.
pub fn validate(installation: &Installation, root: &SojuBouncer, facts: Facts) -> Result<Valid, Error> {
    let Facts { uid, secrets, client, postgres, database, server_made, has, state, movers, serving } = facts;
    let spec = root.spec.clone();
    let (image, sidecar_image) = images(installation, &spec)?;
    let version_text = spec.version.clone().unwrap_or_else(|| installation.soju_version.clone()).0;
    let version =
        SojuVersion::parse(&version_text).filter(|version| *version >= SojuVersion::OLDEST).ok_or_else(
            || refused("VersionNotSupported", format!("soju {version_text} is not supported: 0.9 or newer")),
        )?;
    expose::ranges(root)?;
    let doors = expose::doors(root, has)?;
    if spec.engine == Engine::Ircnow {
        ircnow::check(&spec, &doors)?;
    }
    if spec.moving.is_some() && installation.issuer_url.is_none() {
        let message = "an account moves with tokens of gatekeeper: set `soju_operator.issuer_url`";
        return Err(refused("NoIssuer", message));
    }
    let oauth2 = oauth2(installation, &spec, &uid, client)?;
    let installed = installation.certificate_issuer.as_ref();
    let tls = expose::tls(root, installed, has, crate::Config::SECTION)?;
    let rows = match postgres {
        None => Rows::Sqlite,
        Some(at) if has.databases => Rows::Postgres(at),
        Some(_) => {
            return Err(Error::NoKind { kind: operator::kinds::DATABASE.id() });
        }
    };
    Ok(Valid {
        names: driver::names::<SojuOperator>(root),
        namespace: root.namespace().unwrap_or_default(),
        image,
        sidecar_image,
        version,
        version_text,
        // soju starts for the first time when the account is there, and nobody has the rows any more.
        server: server_made || database.done && spec.moving != Some(Moving::In) && movers.is_none(),
        database,
        rows,
        oauth2,
        tls,
        web_in_the_clear: spec.engine == Engine::Soju && matches!(doors.web, Web::Gateway | Web::Ingress),
        doors,
        monitor: spec.monitoring && has.monitors,
        state,
        movers,
        serving,
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
        // soju reads addresses more strictly than we do, and does not start with one it cannot read.
        Some(url) if !has_whole_escapes(url.as_str()) => {
            let message = "auth.issuerUrl is no address: a % stands before two hexadecimal digits";
            return Err(refused("IssuerInvalid", message));
        }
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

fn has_whole_escapes(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}
