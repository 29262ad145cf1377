//! The steps of one look at one bouncer, a file each. This file only says in which order and with what.

pub mod build;
mod dereference;
pub mod update_status;
pub mod validate;

use std::sync::Arc;
use std::time::Duration;

use crds::SojuBouncer;
use crds::database::ClusterRef;
pub use dereference::{Facts, Movers};
pub use operator::expose::Has;
use operator::resources::Parent;
use operator::{
    Applied, ChildKey, Conditions, Context, Error, Kind, Operator, Prepared, Resources, claim, deletion,
    driver, kinds,
};
use serde_json::Value;
use validate::Valid;

use crate::config::Installation;

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

static KINDS: [&Kind; 18] = [
    &kinds::SECRET,
    &kinds::DEPLOYMENT,
    &kinds::JOB,
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
    pub use operator::conditions::{
        ACCEPTED, AVAILABLE, CERTIFICATE, DATABASE, EXPOSED, HOSTNAME, RESTART, SNAPSHOT, SUSPENDED,
    };

    /// The server runs with this configuration.
    pub const CONFIG: &str = "ConfigApplied";
    /// Users and networks are made.
    pub const SEEDED: &str = "UsersSeeded";
    /// soju stands still, and its rows can be taken in or out.
    pub const MOVING: &str = "Moving";
    /// The messages take more room than the plan gives.
    pub const QUOTA: &str = "QuotaExceeded";
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
        Self { installation, claims, http: operator::sidecar::client() }
    }
}

impl Operator for SojuOperator {
    type Root = SojuBouncer;
    type Facts = Facts;
    type Valid = Valid;

    const NAME: &'static str = "soju-operator";
    const KIND: &'static Kind = &BOUNCER;
    const SECTION: &'static str = crate::Config::SECTION;
    const PREFIX: &'static str = "bouncer";

    fn kinds(&self) -> &'static [&'static Kind] {
        &KINDS
    }

    fn clusters(&self) -> &[ClusterRef] {
        &self.installation.postgres_clusters
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
        _valid: &Valid,
        _applied: &Resources<Applied>,
    ) -> Result<(), Error> {
        claim::release_unused(context, &self.claims, root).await
    }

    fn update_status(
        &self,
        root: &SojuBouncer,
        valid: &Valid,
        applied: &Resources<Applied>,
        conditions: Conditions,
    ) -> Value {
        let seen = |kind: &'static Kind, name: &str| applied.facts(kind, name).cloned();
        let status = update_status::update_status(root, valid, &seen, conditions);
        serde_json::to_value(&status).unwrap_or_default()
    }

    async fn finalize(&self, context: &Context<'_, Self>, root: &SojuBouncer) -> Result<(), Error> {
        // The end waits for every Pod, and that of a job that moves an account ends with its job alone.
        let jobs: Vec<_> = context
            .children_of(&kinds::JOB)
            .filter(|(_, job)| *job.owner_uid == *context.parent.uid && !job.deleting)
            .map(|(name, job)| (ChildKey::new(&kinds::JOB, &context.key.namespace, name), job.uid.clone()))
            .collect();
        for (job, uid) in jobs {
            context.writer.delete(&job, &uid).await?;
        }
        let end = deletion::End { workload: &kinds::DEPLOYMENT, snapshot_class: None, claims: &self.claims };
        deletion::settle(context, root, end).await
    }

    /// A bouncer that runs is asked how it is; one that stands still has nothing to say.
    fn period(&self, root: &SojuBouncer) -> Duration {
        match (root.spec.suspend, driver::is_ready::<Self>(root)) {
            (true, _) => Duration::from_secs(3600),
            (false, true) => Duration::from_secs(600),
            (false, false) => Duration::from_secs(5),
        }
    }
}
