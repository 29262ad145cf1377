//! The IRC door: listeners, TLS, registration, capabilities, SASL, flood control and batched writes, generic over what
//! stands behind it.
//!
//! A [`Door`] opens ports ([`ListenerSpec`]) and turns each client that registers into a [`Session`] of its
//! [`Backend`]. The session gets the client's lines; whatever is pushed to the client's [`Outbox`] reaches it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod accept;
mod backend;
mod caps;
mod config;
mod connection;
mod door;
mod flood;
mod framing;
#[doc(hidden)]
pub mod fuzz;
mod metrics;
mod outbox;
mod proxy;
mod registration;
mod reply;
mod stream;
mod tls;
mod wire;

pub use backend::{
    Backend, Closed, Mechanism, NewClient, Peer, Refusal, SaslAnswer, SaslStep, Session, Transport,
};
pub use caps::{Cap, CapSet, Offer};
pub use config::{DoorConfig, FloodLimits, ListenerSpec, ListenerTls, Network, Origins};
pub use door::{Door, UpgradedPeer};
pub use metrics::DoorMetrics;
pub use outbox::{Outbox, Pushed};
