//! Conditions (`metav1.Condition`): what holds, since when, and for which generation.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The condition that sums up all others.
pub const READY: &str = "Ready";
/// The resource can be carried out.
pub const ACCEPTED: &str = "Accepted";
/// The host names belong to the resource.
pub const HOSTNAME: &str = "HostnameClaimed";
/// The database, or the volume with the rows, is there.
pub const DATABASE: &str = "DatabaseReady";
/// The certificate is there.
pub const CERTIFICATE: &str = "CertificateReady";
/// The server runs.
pub const AVAILABLE: &str = "Available";
/// A change is only carried out by a restart, which is under way.
pub const RESTART: &str = "RestartRequired";
/// What stands in front of the server took the host names.
pub const EXPOSED: &str = "Exposed";
/// It was asked to stand still.
pub const SUSPENDED: &str = "Suspended";
/// The data was secured before the end.
pub const SNAPSHOT: &str = "SnapshotReady";

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// Nobody can say yet.
    Unknown,
}

impl Holds {
    fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "True",
            Self::No => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Holds {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// The conditions of a resource while they are being looked at anew.
#[derive(Clone, Debug)]
pub struct Conditions {
    list: Vec<Condition>,
    generation: Option<i64>,
    now: Timestamp,
}

impl Conditions {
    /// Begins from what the status says.
    pub fn from(kept: &[Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Self { list: kept.to_vec(), generation, now }
    }

    /// Says whether a condition holds. Its time changes only when that turns.
    pub fn set(&mut self, type_: &str, holds: impl Into<Holds>, reason: &str, message: impl Into<String>) {
        let status = holds.into().as_str();
        let message = message.into().chars().take(2048).collect();
        match self.list.iter_mut().find(|condition| condition.type_ == type_) {
            Some(condition) => {
                if condition.status != status {
                    condition.last_transition_time = Time(whole_seconds(self.now));
                }
                condition.status = status.to_owned();
                condition.reason = reason.to_owned();
                condition.message = message;
                condition.observed_generation = self.generation;
            }
            None => self.list.push(Condition {
                type_: type_.to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                message,
                observed_generation: self.generation,
                last_transition_time: Time(whole_seconds(self.now)),
            }),
        }
    }

    /// Takes a condition out that has no meaning any more.
    pub fn remove(&mut self, type_: &str) {
        self.list.retain(|condition| condition.type_ != type_);
    }

    /// Whether a condition is there and holds.
    pub fn holds(&self, type_: &str) -> bool {
        self.list.iter().any(|condition| condition.type_ == type_ && condition.status == "True")
    }

    /// Sets `Ready` from the others: the first of `needed` that does not hold says why.
    pub fn sum_up(&mut self, needed: &[&str], ready: &str) {
        let missing = needed.iter().find_map(|type_| {
            let condition = self.list.iter().find(|condition| condition.type_ == *type_)?;
            (condition.status != "True").then(|| (condition.reason.clone(), condition.message.clone()))
        });
        match missing {
            Some((reason, message)) => self.set(READY, false, &reason, message),
            None => self.set(READY, true, READY, ready),
        }
    }

    /// The list, by type.
    pub fn finish(mut self) -> Vec<Condition> {
        self.list.sort_by(|a, b| a.type_.cmp(&b.type_));
        self.list
    }
}

/// The API server keeps whole seconds; what is compared with what it kept must have no more.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_time_changes_only_when_the_status_turns() {
        let mut first = Conditions::from(&[], Some(1), at(100));
        first.set("DatabaseReady", false, "Waiting", "the database is being made");
        let first = first.finish();
        let mut second = Conditions::from(&first, Some(2), at(200));
        second.set("DatabaseReady", false, "Failed", "the role is missing");
        let second = second.finish();
        assert_eq!(second[0].last_transition_time, first[0].last_transition_time);
        assert_eq!((second[0].reason.as_str(), second[0].observed_generation), ("Failed", Some(2)));
        let mut third = Conditions::from(&second, Some(2), at(300));
        third.set("DatabaseReady", true, "Applied", "");
        assert_eq!(third.finish()[0].last_transition_time.0, at(300));
    }

    #[test]
    fn ready_says_why_it_is_not() {
        let mut conditions = Conditions::from(&[], None, at(1));
        conditions.set("A", true, "Fine", "");
        conditions.set("B", Holds::Unknown, "Asking", "nobody answered yet");
        conditions.sum_up(&["A", "B"], "all is well");
        let list = conditions.finish();
        let ready = list.iter().find(|condition| condition.type_ == READY).unwrap();
        assert_eq!((ready.status.as_str(), ready.message.as_str()), ("False", "nobody answered yet"));
    }
}
