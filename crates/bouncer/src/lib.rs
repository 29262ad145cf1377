//! The shell around bouncer-core: always-on upstream connections for many users, their devices, history and replay.
//!
//! Start with [`Bouncer::open`]. From the outside in:
//! - `door`: devices log in through gatekeeper and become sessions; `calls` and `data`: what other services ask for;
//! - `hub`: all accounts in memory; `feed`: what gatekeeper tells of them;
//! - `user`: one account, owned by one task, which runs the pure rules of `bouncer-core` and carries their effects out:
//!   `devices`, `upstream`, `networks`, `streams` (the log), `requests` (changes from within);
//! - `store`: our rows; `log`: between the core's words and history's; `board`: what the portal sees live.

mod board;
mod bouncer;
mod calls;
mod caps;
mod config;
mod context;
mod data;
mod dial;
mod door;
mod feed;
#[doc(hidden)]
pub mod fuzz;
mod hub;
mod janitor;
mod log;
mod metrics;
mod moves;
mod spec;
mod store;
mod sts;
mod user;
mod well_known;

pub use bouncer::{Addresses, Bouncer, Deps, OpenError};
pub use calls::BouncerCalls;
pub use config::Config;
pub use door::{BouncerBackend, DeviceSession};
pub use store::{MIGRATIONS, StoreError};
pub use well_known::WellKnownError;
