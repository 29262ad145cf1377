//! Promises of `known`.
