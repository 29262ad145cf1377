//! Operators under test: started as tests say, killed, interfered with, by the thousand. What both promise is shown here
//! once.
//!
//! An operator's tests implement [`Subject`] and name each promise they keep. [`life`] runs the operator in the test's
//! process or in one that can be killed; [`world`] is a namespace with an operator of its own; [`interference`],
//! [`killed`], [`snapshots`] and [`fleet`] are promises on the real API server; [`paper`] and [`fields`] need none.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test harness fails tests, and reports what it measured"
)]

pub mod fields;
pub mod fleet;
pub mod interference;
pub mod killed;
pub mod life;
pub mod paper;
pub mod snapshots;
pub mod world;

use operator::Operator;
use serde_json::Value;
use service::config::Source;
use testkit::cluster::{Kinds, Stage};

pub use life::Running;
pub use world::World;

/// What an image's name ends with.
pub const DIGEST: &str = "@sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// An operator, as tests start it.
pub trait Subject: Send + Sync + 'static {
    /// The operator.
    type Operator: Operator;

    /// The manifest it is installed by. Its ServiceAccount, ClusterRole and Role have the operator's name.
    const MANIFEST: &'static str;
    /// The path of the ignored test that calls [`life::of_parent`].
    const LIFE: &'static str;
    /// The kind that runs its Pods.
    const WORKLOAD: &'static str;
    /// The key of the server's image in the configuration.
    const IMAGE: &'static str;

    /// The least spec, without the host name.
    fn least() -> Value;

    /// The fields by which a resource has a database of its own in PostgreSQL.
    fn stored() -> Value;

    /// The operator by its configuration; claims on host names are in `claims`.
    fn operator(source: &Source, claims: &str) -> Self::Operator;
}

/// The resource a subject keeps.
pub type Root<S> = <<S as Subject>::Operator as Operator>::Root;

/// The name of a subject's kind.
pub fn kind<S: Subject>() -> &'static str {
    S::Operator::KIND.kind
}

/// The name of a subject: field manager, label, lease, ServiceAccount.
pub fn name<S: Subject>() -> &'static str {
    S::Operator::NAME
}

/// A control plane of one's own with the manifest the operator is installed by.
pub async fn stage<S: Subject>(kinds: Kinds) -> Stage {
    life::log();
    Stage::start(&crds::all(), kinds, S::MANIFEST, name::<S>()).await.unwrap()
}
