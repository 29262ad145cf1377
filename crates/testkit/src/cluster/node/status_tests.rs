//! Promises of `status`.
