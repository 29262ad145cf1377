//! What the wire format promises, over made-up input, the fuzz corpora and a counting allocator.
#![expect(clippy::unwrap_used, reason = "tests")]

mod allocations;
mod corpus;
mod lines;
mod properties;
