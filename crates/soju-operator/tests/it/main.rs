//! The operator on a real API server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod children;
mod definitions;
mod engine;
mod faults;
mod fields;
mod fleet;
mod hostile;
mod leftovers;
mod life;
mod moving;
mod paper;
mod rereading;
mod snapshots;
mod world;
