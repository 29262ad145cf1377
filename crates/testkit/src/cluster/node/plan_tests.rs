//! Promises of `plan`.
