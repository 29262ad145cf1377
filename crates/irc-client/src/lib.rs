//! An async IRC client session: TCP, TLS and WebSocket; CAP, SASL, reconnection with backoff and jitter.
//!
//! [`connect`] starts a client: a task that keeps one connection to one upstream, registers, and from then on passes
//! raw lines both ways. What the lines mean is somebody else's business. Start with [`ClientConfig`] (what it is
//! told), [`Environment`] (what it needs) and [`Event`] (what it tells). The rules are pure and have no socket in
//! sight: `registration` and [`Backoff`]; everything else is a thin shell.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod backoff;
mod client;
mod config;
mod control;
mod dial;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod limiter;
mod link;
mod pace;
mod registration;
mod session;
mod sts;
mod supervisor;
mod tls;
mod words;

pub use backoff::{Backoff, Severity};
pub use client::{Client, Environment, Event, Events, Registered, SendError};
pub use config::{ClientCertificate, ClientConfig, Manners, Sasl, Tls, Transport};
pub use dial::{Dial, DialError, DirectDial};
pub use error::{ClientError, ErrorKind};
pub use limiter::HostLimiter;
pub use sts::{MemorySts, StsPolicy, StsStore, StsValue};
pub use supervisor::connect;
pub use tls::system_roots;
