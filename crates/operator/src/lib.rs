//! What both operators share: the pipeline from a resource to its children, and everything that keeps it honest.
//!
//! An operator implements [`Operator`]; [`run()`] does the rest. One look at one resource is [`driver`]:
//! `dereference -> validate -> build -> apply -> update_status`, where validate and build see no client. What has to be
//! written is decided by [`plan`], a pure function of what is wanted ([`resources`]) and what is seen ([`store`]);
//! every write goes through [`writer`], which looks at the leader lease ([`lease`]) once more. What is due when is
//! [`queue`].
//!
//! Both kinds are a server under a host name, and what they are made of is here too: [`names`], [`claim`] (host names),
//! [`expose`] (Routes, gateways, Ingresses, certificates), [`network_policy`], [`postgres`], [`pod`], [`report`] (their
//! status) and [`deletion`].

pub mod child;
pub mod claim;
pub mod conditions;
pub mod definitions;
pub mod deletion;
pub mod driver;
pub mod error;
pub mod events;
pub mod expose;
pub mod finalizer;
#[doc(hidden)]
pub mod fuzz;
pub mod hash;
pub mod kind;
pub mod kinds;
pub mod lean;
pub mod lease;
pub mod metrics;
pub mod names;
pub mod network_policy;
pub mod plan;
pub mod pod;
pub mod postgres;
pub mod queue;
pub mod report;
pub mod resources;
pub mod run;
pub mod secrets;
pub mod settings;
pub mod sidecar;
pub mod store;
mod watch;
pub mod writer;

pub use child::{ChildKey, Seen};
pub use conditions::Conditions;
pub use driver::{Context, Operator};
pub use error::Error;
pub use kind::{Facts, Kind};
pub use names::Names;
pub use resources::{Applied, Desired, Prepared, Resources};
pub use run::{Settings, run};
pub use store::RootKey;

/// The label every child carries, with the operator's name.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The label with the name of the resource a child belongs to.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// The label with the namespace of the resource a child belongs to.
pub const OWNER_NAMESPACE: &str = "irc.now/owner-namespace";
/// The label with the UID of the resource a child belongs to.
pub const OWNER_UID: &str = "irc.now/owner-uid";
/// The annotation with the hash of what was asked for.
pub const HASH: &str = "irc.now/hash";
