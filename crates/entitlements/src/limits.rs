//! Limits, the check against them, and overrides.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Something a plan counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Networks a bouncer keeps.
    Networks,
    /// Devices seen in the last 30 days.
    Devices,
    /// Days of history kept.
    HistoryDays,
    /// Pastes live at once.
    Pastes,
    /// Hours a paste lives at the most.
    PasteHours,
    /// Bytes of pictures.
    PictureBytes,
    /// Bots.
    Bots,
    /// Dedicated bouncers with a host name of their own.
    DedicatedBouncers,
    /// IRC networks hosted.
    HostedNetworks,
    /// Users on a hosted network at once.
    HostedNetworkUsers,
}

/// What a limit is counted in, for words such as "31 of 50 MB".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things of this name (one, many).
    Things(&'static str, &'static str),
    /// Bytes.
    Bytes,
}

impl Limit {
    /// Every limit there is.
    pub const ALL: [Self; 10] = [
        Self::Networks,
        Self::Devices,
        Self::HistoryDays,
        Self::Pastes,
        Self::PasteHours,
        Self::PictureBytes,
        Self::Bots,
        Self::DedicatedBouncers,
        Self::HostedNetworks,
        Self::HostedNetworkUsers,
    ];

    /// What it is counted in.
    pub const fn unit(self) -> Unit {
        match self {
            Self::Networks => Unit::Things("network", "networks"),
            Self::Devices => Unit::Things("device", "devices"),
            Self::HistoryDays => Unit::Things("day of history", "days of history"),
            Self::Pastes => Unit::Things("paste", "pastes"),
            Self::PasteHours => Unit::Things("hour", "hours"),
            Self::PictureBytes => Unit::Bytes,
            Self::Bots => Unit::Things("bot", "bots"),
            Self::DedicatedBouncers => Unit::Things("dedicated bouncer", "dedicated bouncers"),
            Self::HostedNetworks => Unit::Things("hosted network", "hosted networks"),
            Self::HostedNetworkUsers => Unit::Things("user", "users"),
        }
    }

    /// Its name in `plans.toml`, in errors and in overrides.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Networks => "networks",
            Self::Devices => "devices",
            Self::HistoryDays => "history_days",
            Self::Pastes => "pastes",
            Self::PasteHours => "paste_hours",
            Self::PictureBytes => "picture_bytes",
            Self::Bots => "bots",
            Self::DedicatedBouncers => "dedicated_bouncers",
            Self::HostedNetworks => "hosted_networks",
            Self::HostedNetworkUsers => "hosted_network_users",
        }
    }

    /// The limit of this name.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|limit| limit.key() == key)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// How much a limit allows. In TOML and JSON: a number, or `"unlimited"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// This much.
    AtMost(u64),
    /// As much as anybody likes.
    Unlimited,
}

impl Amount {
    /// The number, where there is one.
    pub const fn number(self) -> Option<u64> {
        match self {
            Self::AtMost(n) => Some(n),
            Self::Unlimited => None,
        }
    }

    /// Whether `used` fits.
    pub const fn allows(self, used: u64) -> bool {
        match self {
            Self::AtMost(n) => used <= n,
            Self::Unlimited => true,
        }
    }

    /// In words, with its unit: "5 networks", "50 MB", "no limit".
    pub fn words(self, unit: Unit) -> String {
        match (self, unit) {
            (Self::Unlimited, _) => "no limit".to_owned(),
            (Self::AtMost(1), Unit::Things(one, _)) => format!("1 {one}"),
            (Self::AtMost(0), Unit::Things(_, many)) => format!("no {many}"),
            (Self::AtMost(n), Unit::Things(_, many)) => format!("{n} {many}"),
            (Self::AtMost(n), Unit::Bytes) => bytes_in_words(n),
        }
    }
}

fn bytes_in_words(n: u64) -> String {
    const MB: u64 = 1_000_000;
    const GB: u64 = 1_000 * MB;
    match n {
        n if n >= GB && n.is_multiple_of(GB) => format!("{} GB", n / GB),
        n if n >= MB => format!("{} MB", n / MB),
        n if n >= 1_000 => format!("{} kB", n / 1_000),
        n => format!("{n} bytes"),
    }
}

impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::AtMost(n) => serializer.serialize_u64(*n),
            Self::Unlimited => serializer.serialize_str("unlimited"),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Number(u64),
            Word(String),
        }
        match Raw::deserialize(deserializer) {
            Ok(Raw::Number(n)) => Ok(Self::AtMost(n)),
            Ok(Raw::Word(word)) if word == "unlimited" => Ok(Self::Unlimited),
            _ => Err(serde::de::Error::custom("a limit is a whole number from 0 on, or \"unlimited\"")),
        }
    }
}

/// What an account may use: a plan's limits with the account's overrides over them. A limit that is not named
/// allows nothing: deny by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Limits(pub(crate) BTreeMap<Limit, Amount>);

/// Limits of one account that differ from its plan's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Override(pub BTreeMap<Limit, Amount>);

/// A quota is reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Your plan allows {}. Remove one, or change your plan.", allowed.words(limit.unit()))]
pub struct OverLimit {
    /// Which.
    pub limit: Limit,
    /// What the plan allows.
    pub allowed: Amount,
}

impl Limits {
    /// No limit of any kind: what the plan `own` and most tests use.
    pub fn unlimited() -> Self {
        Self(Limit::ALL.into_iter().map(|limit| (limit, Amount::Unlimited)).collect())
    }

    /// What `limit` allows.
    pub fn get(&self, limit: Limit) -> Amount {
        self.0.get(&limit).copied().unwrap_or(Amount::AtMost(0))
    }

    /// The same limits with `amount` for `limit`.
    pub fn with(mut self, limit: Limit, amount: Amount) -> Self {
        self.0.insert(limit, amount);
        self
    }

    /// The same limits with those of `over` in place of them.
    pub fn overridden(mut self, over: &Override) -> Self {
        self.0.extend(over.0.iter().map(|(limit, amount)| (*limit, *amount)));
        self
    }

    /// Whether `adding` more of `limit` fits beside the `used` there are. The one quota check of the platform.
    pub fn check(&self, limit: Limit, used: u64, adding: u64) -> Result<(), OverLimit> {
        let allowed = self.get(limit);
        if adding == 0 || allowed.allows(used.saturating_add(adding)) {
            return Ok(());
        }
        Err(OverLimit { limit, allowed })
    }

    /// Whether `self` allows less than `before` of anything: then a grace of [`crate::GRACE_SECONDS`] begins.
    pub fn is_downgrade_from(&self, before: &Self) -> bool {
        Limit::ALL.into_iter().any(|limit| match (before.get(limit), self.get(limit)) {
            (_, Amount::Unlimited) => false,
            (Amount::Unlimited, Amount::AtMost(_)) => true,
            (Amount::AtMost(was), Amount::AtMost(is)) => is < was,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_nobody_named_allows_nothing() {
        assert!(Limits::default().check(Limit::Networks, 0, 1).is_err());
    }

    #[test]
    fn the_last_one_fits_and_the_next_does_not() {
        let limits = Limits::default().with(Limit::Networks, Amount::AtMost(5));
        assert!(limits.check(Limit::Networks, 4, 1).is_ok());
        let refused = limits.check(Limit::Networks, 5, 1).map_err(|e| e.to_string());
        assert_eq!(refused, Err("Your plan allows 5 networks. Remove one, or change your plan.".to_owned()));
    }

    #[test]
    fn what_is_over_after_a_downgrade_may_stay_but_not_grow() {
        let limits = Limits::default().with(Limit::Networks, Amount::AtMost(5));
        assert!(limits.check(Limit::Networks, 50, 0).is_ok());
        assert!(limits.check(Limit::Networks, 50, 1).is_err());
    }

    #[test]
    fn an_override_wins_over_the_plan() {
        let over = Override([(Limit::Bots, Amount::Unlimited)].into());
        let limits = Limits::default().with(Limit::Bots, Amount::AtMost(1)).overridden(&over);
        assert!(limits.check(Limit::Bots, 1_000, 1).is_ok());
    }

    #[test]
    fn less_of_anything_is_a_downgrade() {
        let five = Limits::unlimited().with(Limit::Devices, Amount::AtMost(5));
        assert!(five.is_downgrade_from(&Limits::unlimited()));
        assert!(!Limits::unlimited().is_downgrade_from(&five));
        assert!(!five.is_downgrade_from(&five));
    }
}
