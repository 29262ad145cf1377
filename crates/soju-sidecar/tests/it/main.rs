//! The sidecar's promises: those that hold for every input, and those kept beside a real soju.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod history;
mod hostile;
mod moving;
mod properties;
mod seeding;
mod sidecar;
mod soju;
mod world;
