//! The steps of one look at one network, a file each. This file only says in which order and with what.

pub mod build;
mod dereference;
mod settle;
pub mod snapshots;
pub mod update_status;
pub mod validate;

use std::sync::Arc;
use std::time::Duration;

use crds::ErgoNetwork;
use crds::database::ClusterRef;
pub use dereference::Facts;
pub use operator::expose::Has;
use operator::resources::Parent;
use operator::{
    Applied, Conditions, Context, Error, Kind, Operator, Prepared, Resources, deletion, driver, kinds,
};
use serde_json::Value;
use validate::Valid;

use crate::config::Installation;

/// The resource's own kind.
pub static NETWORK: Kind = Kind {
    group: crds::GROUP,
    versions: &[crds::VERSION],
    kind: "ErgoNetwork",
    optional: false,
    observed: false,
    precious: true,
    metadata_only: false,
    reduce: operator::Facts::none,
};

static KINDS: [&Kind; 18] = [
    &kinds::SECRET,
    &kinds::CONFIG_MAP,
    &kinds::STATEFUL_SET,
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

/// The conditions of a network, besides `Ready`.
pub mod condition {
    pub use operator::conditions::{
        ACCEPTED, AVAILABLE, CERTIFICATE, DATABASE, EXPOSED, HOSTNAME, RESTART, SNAPSHOT, SUSPENDED,
    };

    /// The sidecar, and through it the server, answers.
    pub const API: &str = "ApiReachable";
    /// The server read the configuration that is wanted.
    pub const REHASH: &str = "RehashSucceeded";
    /// As many clients are connected as may be.
    pub const FULL: &str = "ClientLimitReached";
    /// There is a snapshot of the last time one was due.
    pub const BACKUP: &str = "BackupFresh";
}

/// The operator of networks.
#[derive(Clone, Debug)]
pub struct ErgoOperator {
    installation: Arc<Installation>,
    /// Where claims on host names are.
    claims: String,
    http: reqwest::Client,
}

impl ErgoOperator {
    /// An operator for an installation; claims on host names are kept in `claims`.
    pub fn new(installation: Arc<Installation>, claims: String) -> Self {
        Self { installation, claims, http: operator::sidecar::client() }
    }
}

impl Operator for ErgoOperator {
    type Root = ErgoNetwork;
    type Facts = Facts;
    type Valid = Valid;

    const NAME: &'static str = "ergo-operator";
    const KIND: &'static Kind = &NETWORK;
    const SECTION: &'static str = crate::Config::SECTION;
    const PREFIX: &'static str = "network";

    fn kinds(&self) -> &'static [&'static Kind] {
        &KINDS
    }

    fn clusters(&self) -> &[ClusterRef] {
        &self.installation.postgres_clusters
    }

    async fn dereference(&self, context: &Context<'_, Self>, root: &ErgoNetwork) -> Result<Facts, Error> {
        dereference::dereference(self, context, root).await
    }

    fn validate(&self, root: &ErgoNetwork, facts: Facts) -> Result<Valid, Error> {
        validate::validate(&self.installation, root, facts)
    }

    fn build(&self, parent: &Parent, valid: &Valid) -> Result<Resources<Prepared>, Error> {
        build::build(&self.installation, parent, valid)
    }

    async fn settle(
        &self,
        context: &Context<'_, Self>,
        root: &ErgoNetwork,
        valid: &Valid,
        _applied: &Resources<Applied>,
    ) -> Result<(), Error> {
        settle::settle(self, context, root, valid).await
    }

    fn update_status(
        &self,
        root: &ErgoNetwork,
        valid: &Valid,
        applied: &Resources<Applied>,
        conditions: Conditions,
    ) -> Value {
        let seen = |kind: &'static Kind, name: &str| applied.facts(kind, name).cloned();
        let status = update_status::update_status(root, valid, &seen, conditions);
        serde_json::to_value(&status).unwrap_or_default()
    }

    async fn finalize(&self, context: &Context<'_, Self>, root: &ErgoNetwork) -> Result<(), Error> {
        let class = root.spec.backup.as_ref().and_then(|backup| backup.snapshot_class_name.as_ref());
        let end = deletion::End {
            workload: &kinds::STATEFUL_SET,
            snapshot_class: class.map(|class| class.as_str()),
            claims: &self.claims,
        };
        deletion::settle(context, root, end).await
    }

    /// A network that runs is asked how it is; one that stands still has nothing to say.
    fn period(&self, root: &ErgoNetwork) -> Duration {
        match (root.spec.suspend, driver::is_ready::<Self>(root)) {
            (true, _) => Duration::from_secs(3600),
            (false, true) => Duration::from_secs(60),
            (false, false) => Duration::from_secs(5),
        }
    }
}
