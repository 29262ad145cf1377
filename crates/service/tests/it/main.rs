//! The promises of `service`, a file a module.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod assets;
mod config;
mod db;
mod dialer;
mod http_client;
mod once;
mod rate;
mod secrets;
mod serve;
mod shutdown;
mod sites;
mod sse;
mod tls;
mod watched;
mod web;
