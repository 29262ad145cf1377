//! The bouncer end to end: a real door, real upstreams, devices on sockets; only gatekeeper is made up.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking and say what they skipped"
)]

mod accounts;
mod calls;
mod devices;
mod gatekeeper;
mod hosted;
mod moving;
mod trouble;
mod upstreams;
mod world;
