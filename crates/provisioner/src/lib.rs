//! Hosted networks and dedicated bouncers as resources of a Kubernetes cluster: what hosting runs them with at scale.
//!
//! This is the one place outside the operators that speaks to an API server. A wish becomes a resource ([`spec`], pure),
//! the operators make it so, and what they say of it becomes words for its owner ([`state`], pure). [`Cluster`] carries
//! both: [`Cluster::networks`] is hosting's `Host`, [`Cluster::bouncers`] its `BouncerHost`. Gatekeeper is told of every
//! server once its UID is known, so that it answers for those people alone.

mod bouncers;
mod cluster;
mod config;
mod networks;
mod resources;
pub mod spec;
pub mod state;

pub use cluster::{Cluster, StartError};
pub use config::{Config, Installation};
