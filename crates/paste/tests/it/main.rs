//! txt.irc.now as its users meet it, asked without a network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod abuse;
mod burn;
mod changes;
mod fakes;
mod hostile;
mod life;
mod locked;
mod owners;
mod put;
mod rights;
mod world;
