//! What history promises, shown on both engines.
#![expect(clippy::unwrap_used, reason = "tests")]

#[macro_use]
mod engines;
mod keeping;
mod model;
mod postgres_tables;
mod searching;
mod sqlite_file;
mod suite;
