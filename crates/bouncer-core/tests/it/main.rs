//! What the bouncer promises, seen from outside: lines in, lines out, with a store that can be slow, dead or picky.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod attach;
mod bouncer;
mod gate;
mod history;
mod leaving;
mod random;
mod replay;
mod upstream;
mod world;
