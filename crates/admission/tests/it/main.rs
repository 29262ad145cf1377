//! The webhook as a real API server asks it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod certificates;
mod rights;
mod words;
mod world;
