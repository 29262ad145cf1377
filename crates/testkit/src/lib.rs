//! Real servers, clients and browsers for tests, started and stopped.
//!
//! `tools/parts test` fetches what is needed. A part that is missing skips the test with one loud line
//! ([`part!`]); with `CI` set it fails the test instead, so that nothing is skipped where it counts.
//!
//! Everything started here listens on a free loopback port, keeps its files in a folder of its own, and dies with its
//! handle, the whole process group of it.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    reason = "a test harness fails tests and prints what it skipped"
)]

pub mod browser;
#[cfg(feature = "cluster")]
pub mod cluster;
pub mod fuzz;
pub mod irc;
pub mod keycloak;
pub mod lives;
pub mod net;
pub mod networks;
pub mod parts;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod terminal;
pub mod wait;
pub mod watch;

pub use parts::Part;
pub use process::Process;
pub use wait::eventually;
