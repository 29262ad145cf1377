//! What people put up for others to see, whatever it is: ids nobody guesses, expiry, whose it is, how fast, and what is
//! done about abuse.
//!
//! `paste` and `pics` stand on it. [`ShortId`] and [`Lifetime`] are pure; [`Whose`] says for whom a request speaks
//! (a session, an app password, a token, or nobody but an address); [`Pace`] says how often; [`Abuse`] keeps reports,
//! the moderators' queue and the hashes of what may not come back.

mod abuse;
mod id;
mod lifetime;
mod pace;
mod whose;

pub use abuse::{Abuse, Blocked, Case, MIGRATIONS, NewReport, Reason, Report, Verdict};
pub use id::{NoId, ShortId};
pub use lifetime::{Lifetime, NoLifetime};
pub use pace::{Pace, Rate, TooOften};
pub use whose::{Owner, Whose, place_of, shown};
