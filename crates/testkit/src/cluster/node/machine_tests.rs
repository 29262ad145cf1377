//! Promises of `machine`.
