//! The steps of one look at one bouncer, a file each. This file only says in which order and with what.

pub mod build;
mod dereference;
mod finalize;
mod settle;
mod update_status;
pub mod validate;

use std::sync::Arc;
use std::time::Duration;

use crds::database::DatabaseEngine;
use crds::status::ChildState;
use crds::{SojuBouncer, SojuBouncerStatus};
pub use dereference::{Facts, PostgresAt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use operator::claim::Holder;
use operator::kinds;
use operator::resources::Parent;
use operator::{Applied, Conditions, Context, Error, Kind, Operator, Prepared, Resources};
use serde_json::Value;
use validate::Valid;

use crate::config::Installation;
use crate::names::Names;

/// The resource's own kind.
pub static BOUNCER: Kind = Kind {
    group: crds::GROUP,
    versions: &[crds::VERSION],
    kind: "SojuBouncer",
    optional: false,
    observed: false,
    precious: true,
    metadata_only: false,
    reduce: operator::Facts::none,
};

static KINDS: [&Kind; 17] = [
    &kinds::SECRET,
    &kinds::DEPLOYMENT,
    &kinds::SERVICE,
    &kinds::VOLUME_CLAIM,
    &kinds::NETWORK_POLICY,
    &kinds::DISRUPTION_BUDGET,
    &kinds::POD,
    &kinds::INGRESS,
    &kinds::CERTIFICATE,
    &kinds::ROUTE,
    &kinds::HTTP_ROUTE,
    &kinds::TLS_ROUTE,
    &kinds::POD_MONITOR,
    &kinds::DATABASE,
    &kinds::DATABASE_ROLE,
    &kinds::BACKUP,
    &kinds::VOLUME_SNAPSHOT,
];

/// The conditions of a bouncer, besides `Ready`.
pub mod condition {
    /// The host names are ours.
    pub const HOSTNAME: &str = "HostnameClaimed";
    /// The resource can be carried out.
    pub const ACCEPTED: &str = "Accepted";
    /// The database is there.
    pub const DATABASE: &str = "DatabaseReady";
    /// The certificate is there.
    pub const CERTIFICATE: &str = "CertificateReady";
    /// The server runs.
    pub const AVAILABLE: &str = "Available";
    /// The server runs with this configuration.
    pub const CONFIG: &str = "ConfigApplied";
    /// A change is only carried out by a restart, which is under way.
    pub const RESTART: &str = "RestartRequired";
    /// Users and networks are made.
    pub const SEEDED: &str = "UsersSeeded";
    /// What stands in front of the server took the host names.
    pub const EXPOSED: &str = "Exposed";
    /// The messages take more room than the plan gives.
    pub const QUOTA: &str = "QuotaExceeded";
    /// It was asked to stand still.
    pub const SUSPENDED: &str = "Suspended";
    /// The data was secured before the end.
    pub const SNAPSHOT: &str = "SnapshotReady";
}

/// The operator of bouncers.
#[derive(Clone, Debug)]
pub struct SojuOperator {
    installation: Arc<Installation>,
    /// Where claims on host names are.
    claims: String,
    http: reqwest::Client,
}

impl SojuOperator {
    /// An operator for an installation; claims on host names are kept in `claims`.
    pub fn new(installation: Arc<Installation>, claims: String) -> Self {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(2))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap_or_default();
        Self { installation, claims, http }
    }
}

/// Who a bouncer is where it claims something.
fn holder(root: &SojuBouncer) -> Holder {
    Holder {
        kind: BOUNCER.kind.to_owned(),
        namespace: root.namespace().unwrap_or_default(),
        name: root.name_any(),
        uid: root.uid().unwrap_or_default(),
    }
}

fn names(root: &SojuBouncer) -> Names {
    Names::of(&root.name_any(), &root.uid().unwrap_or_default())
}

impl Operator for SojuOperator {
    type Root = SojuBouncer;
    type Facts = Facts;
    type Valid = Valid;

    const NAME: &'static str = "soju-operator";
    const KIND: &'static Kind = &BOUNCER;

    fn kinds(&self) -> &'static [&'static Kind] {
        &KINDS
    }

    fn conditions(root: &SojuBouncer) -> &[Condition] {
        root.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
    }

    fn remembered(root: &SojuBouncer) -> &[ChildState] {
        root.status.as_ref().map(|status| status.children.as_slice()).unwrap_or_default()
    }

    fn status(root: &SojuBouncer) -> Value {
        serde_json::to_value(&root.status).unwrap_or_default()
    }

    /// The database's name is written down before anything is made: what the status does not name is not ours.
    fn identify(&self, root: &SojuBouncer) -> Result<Option<Value>, Error> {
        let mut status = root.status.clone().unwrap_or_default();
        if root.spec.database.engine != DatabaseEngine::Postgres || status.database.is_some() {
            return Ok(None);
        }
        let cluster = validate::cluster(&self.installation, root)?;
        let names = names(root);
        status.database = Some(crds::database::DatabaseIdentity {
            cluster,
            name: names.postgres.as_str().into(),
            role: names.postgres.as_str().into(),
        });
        to_value(&status).map(Some)
    }

    async fn dereference(&self, context: &Context<'_, Self>, root: &SojuBouncer) -> Result<Facts, Error> {
        dereference::dereference(self, context, root).await
    }

    fn validate(&self, root: &SojuBouncer, facts: Facts) -> Result<Valid, Error> {
        validate::validate(&self.installation, root, facts)
    }

    fn build(&self, parent: &Parent, valid: &Valid) -> Result<Resources<Prepared>, Error> {
        build::build(&self.installation, parent, valid)
    }

    async fn settle(
        &self,
        context: &Context<'_, Self>,
        root: &SojuBouncer,
        valid: &Valid,
        _applied: &Resources<Applied>,
    ) -> Result<(), Error> {
        settle::settle(self, context, root, valid).await
    }

    fn update_status(
        &self,
        root: &SojuBouncer,
        valid: &Valid,
        applied: &Resources<Applied>,
        conditions: Conditions,
    ) -> Value {
        let status = update_status::update_status(root, valid, applied, conditions);
        serde_json::to_value(&status).unwrap_or_default()
    }

    async fn finalize(&self, context: &Context<'_, Self>, root: &SojuBouncer) -> Result<(), Error> {
        finalize::finalize(self, context, root).await
    }

    /// A bouncer that runs is asked how it is; one that stands still has nothing to say.
    fn period(&self, root: &SojuBouncer) -> Duration {
        let ready = Self::conditions(root).iter().any(|is| is.type_ == "Ready" && is.status == "True");
        match (root.spec.suspend, ready) {
            (true, _) => Duration::from_secs(3600),
            (false, true) => Duration::from_secs(600),
            (false, false) => Duration::from_secs(5),
        }
    }
}

fn to_value(status: &SojuBouncerStatus) -> Result<Value, Error> {
    serde_json::to_value(status)
        .map_err(|error| Error::Internal(format!("the status cannot be written: {error}")))
}
