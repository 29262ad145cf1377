//! Promises of `volumes`.
