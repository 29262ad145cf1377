//! What runs beside a soju of one's own: it makes users and networks, counts, prunes history and says how things stand.
//!
//! [`crds::sidecar`] is the contract with the operator. Start with [`run()`]; [`admin`] is the language of soju's admin
//! socket, [`seed`] plans and makes users and networks, [`rows`] reads and prunes soju's tables while soju runs, [`reload`]
//! follows what soju has read of its configuration, [`serve`] answers. [`moves`] is no part of it: it runs where soju does not.

pub mod admin;
#[doc(hidden)]
pub mod fuzz;
pub mod metrics;
pub mod moves;
pub mod reload;
pub mod rows;
mod run;
pub mod seed;
pub mod serve;

pub use run::{Pace, RunError, read_config, run, run_at};
