//! soju's administrator's socket: commands in words, answers in lines.

mod client;
mod codec;
pub mod status;

pub use client::{Admin, AdminError};
pub use codec::{Answer, Command, Unspeakable, parse_line};
