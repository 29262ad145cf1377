//! The rules of the bouncer: upstream bytes, device bytes, commit results and time in; bytes, appends and timers out.
//!
//! Pure: no I/O, no clock, no tokio, and no knowledge of how the log is stored. Start at [`User`]: one for each account,
//! owned by one task of the shell. [`User::handle`] takes an [`Input`] and the time and leaves [`Effect`]s, which the
//! shell carries out in order; what they ask for (appends, questions, wishes) comes back as inputs.
//!
//! The contract is "How a message travels" of the design: a logged line is an [`Effect::Append`] first and goes to the
//! devices only after its [`Commit`], in the upstream's order; when the store refuses or is silent for half a second,
//! the stream is *not kept* until it answers.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod archive;
mod bouncer_networks;
mod bouncerserv;
mod caps;
mod casemap;
mod chathistory;
mod cx;
mod device;
mod effect;
mod encode;
mod entry;
#[doc(hidden)]
pub mod fuzz;
mod ids;
mod input;
mod network;
pub mod plain;
mod query;
mod text;
mod user;
mod wire;

pub use caps::{OFFERED_ALWAYS, PASSED_THROUGH, WANTED_UPSTREAM};
pub use effect::{Effect, NetworkChange, Request, SaslChange, SavedChannel, UpstreamState};
pub use entry::{Entry, Kind, NO_BUFFER};
pub use ids::{ConnId, Cursor, DeviceId, NetworkId, Position, QueryId, RequestId, Ticket};
pub use input::{Attach, Commit, Input, NetworkSetup, Profile};
pub use irc::cap::{Cap, CapSet};
pub use network::backfill::missing_since;
pub use query::{Answer, Bound, Kinds, Page, Query, Stored};
pub use user::User;
