//! Promises of `env`.
