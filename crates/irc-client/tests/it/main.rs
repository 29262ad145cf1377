//! The client against our own door, against scripted upstreams, and against real networks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod doors;
#[path = "../../../irc-server/tests/it/hall.rs"]
mod hall;
mod networks;
mod support;
mod trouble;
