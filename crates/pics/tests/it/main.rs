//! The site over real workers, a real database and real objects, asked without a network.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "tests fail by panicking")]

mod browser;
mod bytes;
mod faults;
mod gate;
mod hostile;
mod pages;
mod uploads;
mod world;
