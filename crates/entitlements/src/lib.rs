//! The types and rules of plans and add-ons, and the table of limits every quota check asks.

use serde::{Deserialize, Serialize};

/// A plan. What it allows is data: see [`Limits`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Plan(pub String);

/// What a plan allows. `None` means no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Networks a bouncer keeps.
    pub networks: Option<u32>,
    /// Devices seen in the last 30 days.
    pub devices: Option<u32>,
    /// Days of history kept.
    pub history_days: Option<u32>,
}
