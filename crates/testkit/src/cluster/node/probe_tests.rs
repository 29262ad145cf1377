//! Promises of `probe`.
