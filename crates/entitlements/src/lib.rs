//! The types and rules of plans and add-ons, and the table of limits every quota check asks.
//!
//! The table is data: a default compiled in (`plans.toml` beside this file), the operator's own `plans.toml` over it,
//! and overrides for one account over both. [`Table`] holds the first two, [`Override`] is the third, and
//! [`Limits::check`] is the one question every quota check in every service asks.

#[doc(hidden)]
pub mod fuzz;
mod limits;
mod table;

pub use limits::{Amount, Limit, Limits, OverLimit, Override, Unit};
pub use table::{AddOn, AddOnDef, Plan, PlanDef, Table, TableError};

/// How long what a downgrade left over the limits is kept, in seconds: 30 days (`seeds/001`, issue "From sign-up to
/// the first message" §5).
pub const GRACE_SECONDS: i64 = 30 * 24 * 60 * 60;
