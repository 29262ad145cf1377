//! What every service needs: config, tracing, metrics and health, databases, the guarded dialer, shutdown, error pages.
//!
//! Start with [`config!`] (how a service is told what to do), [`db`] (where it keeps rows), [`web`] (what every page
//! and every answer has in common) and [`shutdown`] (how it ends). Nothing here knows a user, a plan or a channel.

pub mod admin;
pub mod assets;
pub mod clock;
pub mod config;
pub mod db;
pub mod dialer;
#[doc(hidden)]
pub mod fuzz;
pub mod health;
pub mod hosts;
pub mod http;
pub mod metrics;
pub mod once;
pub mod paths;
pub mod rate;
pub mod secrets;
pub mod serve;
pub mod shutdown;
pub mod sites;
pub mod sse;
pub mod telemetry;
pub mod tls;
pub mod view;
pub mod watched;
pub mod web;

/// What [`config!`] expands to needs.
#[doc(hidden)]
pub use secrecy;
