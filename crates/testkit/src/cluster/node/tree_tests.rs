//! Promises of `tree`.
