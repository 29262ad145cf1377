//! What history promises, shown on both engines.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod engines;
mod model;
mod sqlite_file;
mod suite;
