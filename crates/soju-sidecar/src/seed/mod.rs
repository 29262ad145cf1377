//! Users and networks as the operator wants them: look, plan, do, and say how it went.
//!
//! The plan is a pure function of what is wanted, what is seen and what was sent before ([`plan()`]); everything that talks
//! to soju is in [`look()`] and [`carry_out`].

mod apply;
mod look;
mod model;
mod plan;
mod step;

pub use apply::{Outcome, Report, carry_out};
pub use look::look;
pub use model::{Memory, NetworkRow, Seen, SeenNetwork, SeenUser, UserRow};
pub use plan::{Plan, Rules, plan};
pub use step::{NetworkChange, Step, UserChange};

/// What a network is called until it is whole. A crash in the middle of making it leaves only something with such a
/// name behind, which is never connected and is removed by the next pass.
pub const UNFINISHED: &str = "ircnow-unfinished-";
