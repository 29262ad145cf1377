//! Speaks early: a validating webhook that says at once what an operator would only say later, or never.
//!
//! It is help and no wall. Nothing depends on it: the API server goes on without it (`failurePolicy: Ignore`), deletions
//! are never asked about, and what it lets through the operators check all the same. [`review`] reads a question and writes
//! the answer, [`rules`] decides by what is [`known`]; none of these touches a socket. `watch` keeps what is known up to
//! date, [`authority`] says when a certificate is due and [`certificate`] keeps it, [`mod@serve`] answers.

pub mod authority;
pub mod certificate;
pub mod config;
#[doc(hidden)]
pub mod fuzz;
pub mod known;
pub mod metrics;
pub mod quantity;
pub mod review;
pub mod rules;
mod run;
pub mod serve;
mod watch;

pub use config::Config;
pub use run::{Certificate, Settings, StartError, run, serve};
