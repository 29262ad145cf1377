//! The wire format of IRC: lines, tags, numerics, casemapping, masks, modes, ISUPPORT, capabilities and SASL payloads.
//!
//! Bytes in, bytes out: no I/O, no clock, no runtime. Start at [`Message::parse`] for reading and at [`line()`] for
//! writing. Everything borrows from the input where it can.

pub mod batch;
pub mod cap;
pub mod casemap;
pub mod ctcp;
#[doc(hidden)]
pub mod fuzz;
pub mod isupport;
pub mod limits;
pub mod mask;
pub mod message;
pub mod mode;
pub mod names;
pub mod numerics;
pub mod reply;
pub mod sasl;
pub mod scram;
pub mod source;
pub mod split;
pub mod tags;
pub mod time;
pub mod write;

pub use cap::{Cap, CapSet};
pub use casemap::{Casemapping, Folded};
pub use isupport::Isupport;
pub use message::{Message, Params, ParseError};
pub use mode::{ChannelModes, Membership, ModeChange, ModeSpec};
pub use numerics::Numeric;
pub use source::{Source, SourceBuf};
pub use tags::Tags;
pub use write::{MessageBuf, line};
