//! The door as its clients see it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod corpus;
mod entrance;
mod hall;
mod manners;
mod memory;
mod sessions;
mod support;
mod websocket;
