//! Promises of `bundle`.
