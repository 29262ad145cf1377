//! The wire format of IRC: lines, tags, numerics, casemapping, masks, modes, ISUPPORT, capabilities and SASL payloads.
//!
//! Bytes in, bytes out: no I/O, no clock, no runtime. Start at [`Message::parse`] for reading and at [`line`] for
//! writing. Everything borrows from the input where it can.

pub mod cap;
pub mod casemap;
pub mod limits;
pub mod message;
pub mod names;
pub mod numerics;
pub mod source;
pub mod tags;
pub mod time;
pub mod write;

pub use cap::{Cap, CapSet};
pub use casemap::{Casemapping, Folded};
pub use message::{Message, Params, ParseError};
pub use numerics::Numeric;
pub use source::{Source, SourceBuf};
pub use tags::Tags;
pub use write::{MessageBuf, line};
