//! Where pictures are decoded: in a process of its own, with little memory and no files, that may be killed at any time.
//!
//! The service writes a picture into the process's standard input and reads from its standard output what the picture is,
//! the picture without metadata, and its smaller views ([`frames`]). [`child`] is that process (`ircnow pics-worker`),
//! [`pool`] is the service's side: it keeps a few of them, kills the slow, and starts new ones for the dead. [`views`]
//! decodes and scales; nothing outside the process calls it but tests and benchmarks.

pub mod child;
pub mod frames;
pub mod pool;
pub mod views;
