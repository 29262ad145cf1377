//! The leader lease: one process writes, the others watch.
//!
//! The rules are in [`Elector`], which is pure: it never compares its own clock with another's. A lease may be taken
//! when *we* have seen it unchanged for its whole duration (so skewed clocks do no harm), and we trust our own only for
//! a part of it, counted from before the renewing call was sent. Between the two lies room for a slow call.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use service::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::Instant;

/// How a lease is held.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How long a lease that is not renewed stays its holder's.
    pub duration: Duration,
    /// For how much of that the holder itself trusts it.
    pub trust: Duration,
    /// How often it is renewed, and how often others look.
    pub retry: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            trust: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// What the record of a lease says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; empty for nobody.
    pub holder: String,
    /// When they renewed it, by their clock. Only ever compared with itself.
    pub renewed: Option<Timestamp>,
    /// How often it changed hands.
    pub transitions: i32,
    /// For how long it is theirs.
    pub duration: Duration,
}

/// What to do about a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// It is ours: renew it.
    Renew,
    /// It is nobody's, or was left: take it.
    Take,
    /// It is somebody else's.
    Leave,
}

/// The rules. Time is ours alone.
#[derive(Debug)]
pub struct Elector {
    me: String,
    seen: Option<(Record, Duration)>,
}

impl Elector {
    /// A process that takes part.
    pub fn new(me: impl Into<String>) -> Self {
        Self { me: me.into(), seen: None }
    }

    /// Decides about a record that was read at `now` (time since anything).
    pub fn decide(&mut self, record: &Record, now: Duration) -> Move {
        let since = match &self.seen {
            Some((seen, since)) if seen == record => *since,
            _ => {
                self.seen = Some((record.clone(), now));
                now
            }
        };
        if record.holder == self.me {
            Move::Renew
        } else if record.holder.is_empty() || now.saturating_sub(since) >= record.duration {
            Move::Take
        } else {
            Move::Leave
        }
    }
}

/// Whether this process leads. Cheap to clone; looked at before every write.
#[derive(Clone, Debug)]
pub struct Leadership {
    until: Arc<Mutex<Option<Instant>>>,
    changes: watch::Sender<bool>,
}

impl Leadership {
    /// Not leading.
    pub fn none() -> Self {
        Self { until: Arc::default(), changes: watch::Sender::new(false) }
    }

    /// Leading for ever: for one process alone, and for tests.
    pub fn alone() -> Self {
        let leadership = Self::none();
        leadership.set(Some(Instant::now() + Duration::from_secs(100 * 365 * 24 * 3600)));
        leadership
    }

    /// Whether we lead, now.
    pub fn holds(&self) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Waits until we lead.
    pub async fn won(&self) {
        let mut changes = self.changes.subscribe();
        while !self.holds() {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Hears of every change.
    pub fn changes(&self) -> watch::Receiver<bool> {
        self.changes.subscribe()
    }

    fn set(&self, until: Option<Instant>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        // Only a turn is news: a renewal must wake nobody.
        self.changes.send_if_modified(|leads| std::mem::replace(leads, until.is_some()) != until.is_some());
    }
}

/// Takes part in the election until the process ends; then gives the lease back, so that the next one need not wait.
pub async fn run(
    api: Api<Lease>,
    name: String,
    me: String,
    terms: Terms,
    leadership: Leadership,
    shutdown: Shutdown,
) {
    let mut elector = Elector::new(&me);
    let start = Instant::now();
    loop {
        let asked = Instant::now();
        let round = one_round(&api, &name, &me, terms, &mut elector, start);
        match tokio::time::timeout(terms.trust, round).await {
            Ok(Ok(true)) => {
                if !leadership.holds() {
                    tracing::info!(lease = name, holder = me, "this process leads");
                }
                leadership.set(Some(asked + terms.trust));
            }
            Ok(Ok(false)) => {
                if leadership.holds() {
                    tracing::warn!(lease = name, "another process leads");
                }
                leadership.set(None);
            }
            Ok(Err(error)) => tracing::warn!(lease = name, %error, "the lease could not be looked at"),
            Err(_) => tracing::warn!(lease = name, "the lease could not be looked at in time"),
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(terms.retry) => {}
        }
    }
    let held = leadership.holds();
    leadership.set(None);
    if held
        && let Err(error) =
            tokio::time::timeout(terms.retry, give_back(&api, &name, &me)).await.unwrap_or(Ok(()))
    {
        tracing::warn!(lease = name, %error, "the lease could not be given back: the next leader waits for its end");
    }
}

async fn one_round(
    api: &Api<Lease>,
    name: &str,
    me: &str,
    terms: Terms,
    elector: &mut Elector,
    start: Instant,
) -> Result<bool, kube::Error> {
    let now = MicroTime(Timestamp::now());
    let Some(mut lease) = api.get_opt(name).await? else {
        let lease = Lease {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec {
                holder_identity: Some(me.to_owned()),
                lease_duration_seconds: Some(seconds(terms.duration)),
                acquire_time: Some(now.clone()),
                renew_time: Some(now),
                lease_transitions: Some(0),
                ..LeaseSpec::default()
            }),
        };
        return won(api.create(&PostParams::default(), &lease).await);
    };
    let spec = lease.spec.get_or_insert_default();
    let record = Record {
        holder: spec.holder_identity.clone().unwrap_or_default(),
        renewed: spec.renew_time.as_ref().map(|time| time.0),
        transitions: spec.lease_transitions.unwrap_or_default(),
        duration: Duration::from_secs(
            u64::try_from(spec.lease_duration_seconds.unwrap_or_default()).unwrap_or_default(),
        ),
    };
    match elector.decide(&record, start.elapsed()) {
        Move::Leave => return Ok(false),
        Move::Renew => {}
        Move::Take => {
            spec.holder_identity = Some(me.to_owned());
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(record.transitions.saturating_add(1));
        }
    }
    spec.lease_duration_seconds = Some(seconds(terms.duration));
    spec.renew_time = Some(now);
    // The resource version that was read goes along: whoever writes first wins.
    won(api.replace(name, &PostParams::default(), &lease).await)
}

/// Losing the race is no error.
fn won(answer: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match answer {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(false),
        Err(error) => Err(error),
    }
}

async fn give_back(api: &Api<Lease>, name: &str, me: &str) -> Result<(), kube::Error> {
    let Some(mut lease) = api.get_opt(name).await? else { return Ok(()) };
    let spec = lease.spec.get_or_insert_default();
    if spec.holder_identity.as_deref() != Some(me) {
        return Ok(());
    }
    spec.holder_identity = Some(String::new());
    won(api.replace(name, &PostParams::default(), &lease).await).map(drop)
}

fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    const TERMS: Duration = Duration::from_secs(15);

    fn held_by(holder: &str, renewed: i64) -> Record {
        Record {
            holder: holder.into(),
            renewed: Some(Timestamp::from_second(renewed).unwrap()),
            transitions: 0,
            duration: TERMS,
        }
    }

    #[test]
    fn a_lease_is_taken_only_after_it_stood_still_for_its_duration() {
        let mut elector = Elector::new("me");
        // The holder's clock is a year behind, or a year ahead: it does not matter.
        for renewed in [-31_536_000, 31_536_000] {
            let record = held_by("other", renewed);
            let now = Duration::from_secs(1000);
            assert_eq!(elector.decide(&record, now), Move::Leave);
            assert_eq!(elector.decide(&record, now + TERMS - Duration::from_millis(1)), Move::Leave);
            assert_eq!(elector.decide(&record, now + TERMS), Move::Take);
        }
    }

    #[test]
    fn a_lease_that_was_given_back_is_taken_at_once() {
        let mut elector = Elector::new("me");
        assert_eq!(elector.decide(&Record::default(), Duration::ZERO), Move::Take);
    }

    #[test]
    fn a_renewal_wakes_nobody() {
        let leadership = Leadership::none();
        let mut changes = leadership.changes();
        leadership.set(Some(Instant::now() + TERMS));
        assert!(changes.has_changed().unwrap());
        assert!(*changes.borrow_and_update());
        leadership.set(Some(Instant::now() + TERMS));
        assert!(!changes.has_changed().unwrap());
    }

    proptest! {
        /// Two processes, any clocks, any delays: never both trust the lease.
        #[test]
        fn never_do_two_lead_at_once(steps in prop::collection::vec((0..2_usize, 0..6_000_u64, 0..4_000_u64), 1..200)) {
            let terms = Terms::default();
            let mut electors = [Elector::new("a"), Elector::new("b")];
            let names = ["a", "b"];
            let mut trusted = [Duration::ZERO; 2];
            let mut record = Record { duration: terms.duration, ..Record::default() };
            let mut now = Duration::from_secs(1);
            let mut stamp = 0;
            for (who, wait, call) in steps {
                now += Duration::from_millis(wait);
                let asked = now;
                let decision = electors[who].decide(&record, now);
                now += Duration::from_millis(call);
                if decision != Move::Leave {
                    stamp += 1;
                    record = Record { holder: names[who].into(), renewed: Some(Timestamp::from_second(stamp).unwrap()), ..record };
                    trusted[who] = asked + terms.trust;
                    prop_assert!(trusted[1 - who] <= now || trusted[who] <= now, "both lead");
                }
            }
        }
    }
}
