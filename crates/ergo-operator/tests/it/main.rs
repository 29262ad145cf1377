//! What the operator of networks promises.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod faults;
mod fields;
mod fleet;
mod hostile;
mod life;
mod paper;
mod real_ergo;
mod rendering;
mod snapshots;
mod validation;
mod world;
