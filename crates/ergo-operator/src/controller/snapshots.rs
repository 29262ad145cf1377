//! Which snapshot is made and which go: a pure function of the schedule, the time and what is there. A snapshot's name
//! holds the minute it was due in, so an operator that dies half-way makes no second one.

use crds::ergo::Backup;
use jiff::Timestamp;
use operator::Seen;

use crate::schedule::Schedule;

/// A snapshot that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// When it was due.
    pub due: Timestamp,
    /// Whether it can be used.
    pub ready: bool,
    /// What is wrong with it.
    pub message: Option<String>,
}

impl Snapshot {
    /// Reads one that was made by schedule; `None` for any other.
    pub fn seen(prefix: &str, name: &str, seen: &Seen) -> Option<Self> {
        Some(Self {
            due: due_of(prefix, name)?,
            name: name.to_owned(),
            uid: seen.uid.to_string(),
            ready: seen.facts.holds("ready"),
            message: seen.facts.get("message").map(str::to_owned),
        })
    }
}

/// The name of the snapshot that was due then.
pub fn name(prefix: &str, due: Timestamp) -> String {
    format!("{prefix}{}", due.as_second() / 60)
}

fn due_of(prefix: &str, name: &str) -> Option<Timestamp> {
    let minute: i64 = name.strip_prefix(prefix)?.parse().ok()?;
    Timestamp::from_second(minute.checked_mul(60)?).ok()
}

/// What has to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The snapshot to make.
    pub make: Option<String>,
    /// Snapshots that are more than are kept, with their UIDs.
    pub delete: Vec<(String, String)>,
    /// When the last one was due, if one ever was.
    pub due: Option<Timestamp>,
}

/// Decides. `since` is when the network was made: what was due before is not made up for.
pub fn plan(
    backup: &Backup,
    schedule: &Schedule,
    prefix: &str,
    since: Timestamp,
    now: Timestamp,
    there: &[Snapshot],
) -> Plan {
    let due = schedule.last(now).filter(|due| *due >= since);
    let make = due.map(|due| name(prefix, due)).filter(|name| !there.iter().any(|is| is.name == *name));
    let mut ready: Vec<_> = there.iter().filter(|is| is.ready).collect();
    ready.sort_by_key(|is| std::cmp::Reverse(is.due));
    // Only what can be used counts, so that failing snapshots never push out good ones.
    let keep = usize::try_from(backup.keep).unwrap_or(1).max(1);
    let delete = ready.into_iter().skip(keep).map(|is| (is.name.clone(), is.uid.clone())).collect();
    Plan { make, delete, due }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const PREFIX: &str = "net-5a0dd2a4-";

    fn backup(keep: i32) -> (Backup, Schedule) {
        let schedule = Schedule::parse("0 3 * * *").unwrap();
        (Backup { schedule: "0 3 * * *".into(), keep, snapshot_class_name: None }, schedule)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn there(due: &str, ready: bool) -> Snapshot {
        let due = at(due);
        let name = name(PREFIX, due);
        assert_eq!(due_of(PREFIX, &name), Some(due));
        Snapshot { uid: name.clone(), name, due, ready, message: None }
    }

    #[test]
    fn each_due_snapshot_is_made_once() {
        let (backup, schedule) = backup(7);
        let (since, now) = (at("2026-11-01T00:00:00Z"), at("2026-11-21T14:00:00Z"));
        let first = plan(&backup, &schedule, PREFIX, since, now, &[]);
        let made = there("2026-11-21T03:00:00Z", false);
        assert_eq!(first.make.as_ref(), Some(&made.name));
        assert_eq!(plan(&backup, &schedule, PREFIX, since, now, &[made]).make, None);
        let young = plan(&backup, &schedule, PREFIX, at("2026-11-21T10:00:00Z"), now, &[]);
        assert_eq!(young, Plan::default());
    }

    #[test]
    fn only_what_is_more_than_kept_goes_and_what_failed_pushes_nothing_out() {
        let (backup, schedule) = backup(2);
        let all = [
            there("2026-11-18T03:00:00Z", true),
            there("2026-11-19T03:00:00Z", true),
            there("2026-11-20T03:00:00Z", true),
            there("2026-11-21T03:00:00Z", false),
        ];
        let plan =
            plan(&backup, &schedule, PREFIX, at("2026-11-01T00:00:00Z"), at("2026-11-21T14:00:00Z"), &all);
        assert_eq!(plan.make, None);
        assert_eq!(plan.delete, [(all[0].name.clone(), all[0].uid.clone())]);
    }
}
