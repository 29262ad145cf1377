//! Dedicated bouncers of accounts: one row each, a task that keeps it as the row says, and the move there and back.
//!
//! Start with [`host`] (what runs a bouncer), then `keeper` (what happens in which stage), then `carry` (the move).

mod board;
mod calls;
mod carry;
pub mod host;
mod keeper;
mod store;

pub use calls::DedicatedCalls;
pub use keeper::{Keeper, Parts};
