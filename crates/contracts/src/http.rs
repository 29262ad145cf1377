//! The HTTP adapters: a client for each trait, and the router that speaks to it.
//!
//! Every method is `POST /internal/<trait>/<method>` with its arguments as JSON; what [`Call`](crate::Call) carries
//! travels in headers, errors come back as a [`CallError`](crate::CallError) in JSON with the status that fits it,
//! streams are server-sent events whose `id` is the cursor to resume from. Routers check nobody: whoever mounts one puts the
//! check of the caller's token in front of it.

mod accounts;
mod bouncers;
mod client;
mod data;
mod dedicated;
mod moves;
mod networks;
mod routed;
pub(crate) mod sse;
mod wire;

pub use accounts::{AccountsClient, accounts_router, irc_servers_router};
pub use bouncers::{BouncersClient, bouncers_router};
pub use client::{Bearer, Client, NoBearer};
pub use data::{AccountDataClient, account_data_router};
pub use dedicated::dedicated_router;
pub use moves::moves_router;
pub use networks::{NetworksClient, networks_router};
pub use routed::{Far, RoutedBouncers};
