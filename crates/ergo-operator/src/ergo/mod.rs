//! Ergo's configuration: what a release knows, how it is rendered, and what a change of it needs.

pub mod change;
pub mod release;
pub mod render;
pub mod yaml;

pub use change::Change;
pub use release::Release;
pub use render::{Checks, Issuer, Key, Secrets, Wanted, render};
