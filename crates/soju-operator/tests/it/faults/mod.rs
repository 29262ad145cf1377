//! What happens when the operator dies, the API server goes away, or somebody else interferes.

mod leaders;
mod life;
mod outage;

pub use life::LIFE;
use testkit::cluster::{Kinds, Stage};

/// The ServiceAccount of the manifest.
pub const ACCOUNT: &str = "soju-operator";

/// A control plane with the manifest the operator is installed by.
pub async fn stage(kinds: Kinds) -> Stage {
    crate::world::log();
    let manifest = include_str!("../../../../../deploy/operators/soju-operator.yaml");
    Stage::start(&crds::all(), kinds, manifest, ACCOUNT).await.unwrap()
}
