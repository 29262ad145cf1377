//! Promises of `hosts`.
