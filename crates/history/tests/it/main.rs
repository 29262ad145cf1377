//! What history promises, shown on both engines.
#![expect(clippy::unwrap_used, reason = "tests")]

mod engines;
mod model;
mod sqlite_file;
mod suite;
