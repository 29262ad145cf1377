//! The traits between services, their types, HTTP clients and routers. No rules.
//!
//! A service knows another only through a trait here. Each trait has two adapters: the service itself, handed over
//! in process, and the HTTP client of this crate, which speaks to the router of this crate mounted on the other
//! service's admin listener. One suite (`tests/it`) runs over both.
//!
//! Start with [`Call`] (what every call carries) and [`CallError`] (what it may answer), then [`Bouncers`],
//! [`Networks`] and [`Accounts`].

mod accounts;
mod bouncers;
mod call;
mod dedicated;
#[doc(hidden)]
pub mod fuzz;
pub mod http;
mod login;
mod moves;
mod networks;
pub mod parcel;

pub use accounts::*;
pub use bouncers::*;
pub use call::*;
pub use dedicated::*;
pub use login::*;
pub use moves::*;
pub use networks::*;
