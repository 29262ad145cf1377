//! The promises of `auth`, a file a subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod accounts;
mod bearer;
mod browser;
mod cache;
mod issuer;
mod jwt;
mod login;
mod logout;
mod sessions;
