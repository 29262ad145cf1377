//! The move of an account from one bouncer to another, a step at a time: everything, or nothing.
//!
//! A step takes seconds, however much there is to carry, and the row keeps how far the move is. So whoever dies on the
//! way, the next one goes on there, and a history of any length arrives.

use contracts::{Call, CallError, CallResult, Checked, Hold, Moves, Tally};
use serde::{Deserialize, Serialize};

/// What the two ends can keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Both the same: what counts is equal at both.
    Whole,
    /// The new place knows less. The old one keeps all of it, and is not emptied.
    IntoLess,
    /// The old place knows less: what is new there is laid to what was kept at the other.
    OutOfLess,
}

/// How far a move is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    at: At,
    /// Lines that were carried.
    lines: u64,
    /// About how many there are.
    of: u64,
}

/// What comes next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum At {
    /// Both ends are held.
    #[default]
    Begun,
    /// What the other has of it, from an attempt that failed, is forgotten: it never was what counts.
    Clearing,
    /// A parcel is carried.
    Carrying { after: Option<String> },
    /// The old place counts some of what it keeps.
    Leaving { after: Option<String> },
    /// The new place does.
    Arriving { left: Tally, after: Option<String> },
    /// Where no two tallies are equal: a parcel is packed once more, and the new place is asked for each of its lines by its
    /// id.
    Checking { left: Tally, after: Option<String>, checked: Checked },
}

/// Takes one step from `course`, and answers with where that led; `None` if everything is there and both ends say so. Each
/// step may be taken again. `Conflict` where only a new beginning helps.
pub async fn step(
    from: &dyn Moves,
    to: &dyn Moves,
    call: &Call,
    course: Course,
    how: How,
) -> CallResult<Option<Course>> {
    let Course { at, mut lines, mut of } = course;
    let at = match at {
        At::Begun => {
            to.hold(call, Hold::Moving).await?;
            from.hold(call, Hold::Moving).await?;
            (lines, of) = (0, from.about(call).await?);
            if how == How::OutOfLess { At::Carrying { after: None } } else { At::Clearing }
        }
        At::Clearing if to.clear(call).await? => At::Carrying { after: None },
        At::Clearing => At::Clearing,
        At::Carrying { after } => {
            let packed = from.pack(call, after).await?;
            to.unpack(call, packed.parcel).await?;
            lines += packed.lines;
            match packed.next {
                Some(next) => At::Carrying { after: Some(next) },
                None => At::Leaving { after: None },
            }
        }
        At::Leaving { after } => {
            let counted = from.count(call, after).await?;
            match counted.next {
                Some(next) => At::Leaving { after: Some(next) },
                None if how == How::Whole => At::Arriving { left: counted.tally, after: None },
                None => At::Checking { left: counted.tally, after: None, checked: Checked::default() },
            }
        }
        At::Checking { left, after, checked } => {
            let packed = from.pack(call, after).await?;
            let checked = checked.and(to.check(call, packed.parcel).await?);
            match packed.next {
                Some(next) => At::Checking { left, after: Some(next), checked },
                None if checked.is_whole() && left.holds(&checked) => return Ok(None),
                None => return Err(not_everything(call, &left, &checked)),
            }
        }
        At::Arriving { left, after } => {
            let counted = to.count(call, after).await?;
            match counted.next {
                Some(next) => At::Arriving { left, after: Some(next) },
                None if left == counted.tally => return Ok(None),
                None => return Err(not_everything(call, &left, &counted.tally)),
            }
        }
    };
    Ok(Some(Course { at, lines, of }))
}

fn not_everything(call: &Call, left: &Tally, came: &dyn std::fmt::Debug) -> CallError {
    tracing::error!(sub = %call.account, ?left, ?came, "what came is not what left");
    CallError::Conflict {
        message: "Not everything arrived, so nothing was changed. It is tried again.".to_owned(),
    }
}

impl Course {
    /// How far it is, in words for the account's owner.
    pub fn words(&self) -> String {
        match self.at {
            At::Begun | At::Clearing => "Everything is disconnected, and room is made.".to_owned(),
            At::Carrying { .. } if self.of == 0 => {
                format!("{} messages are carried over.", grouped(self.lines))
            }
            At::Carrying { .. } => {
                let percent = (self.lines.saturating_mul(100) / self.of).min(99);
                let (lines, of) = (grouped(self.lines), grouped(self.of));
                format!("{lines} of about {of} messages are carried over ({percent} percent).")
            }
            At::Leaving { .. } | At::Arriving { .. } | At::Checking { .. } => {
                format!("All {} messages are carried over. Both ends count them.", grouped(self.lines))
            }
        }
    }
}

/// `12,300`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::Mutex;

    use async_trait::async_trait;
    use contracts::{Counted, NetworkId, NetworkTally, Packed, Parcel, Sub};
    use uuid::Uuid;

    use super::*;

    /// A bouncer that keeps words, and says what it was asked.
    #[derive(Default)]
    struct Fake {
        words: Mutex<Vec<String>>,
        asked: Mutex<Vec<&'static str>>,
        loses: bool,
    }

    impl Fake {
        fn with(words: &[&str]) -> Self {
            Self {
                words: Mutex::new(words.iter().map(|word| (*word).to_owned()).collect()),
                ..Self::default()
            }
        }

        fn note(&self, what: &'static str) {
            self.asked.lock().unwrap().push(what);
        }

        fn kept(&self) -> Vec<String> {
            self.words.lock().unwrap().clone()
        }
    }

    fn place(after: Option<String>) -> usize {
        after.map_or(0, |after| after.parse().unwrap())
    }

    #[async_trait]
    impl Moves for Fake {
        async fn hold(&self, _: &Call, _: Hold) -> CallResult<()> {
            self.note("hold");
            Ok(())
        }

        async fn let_go(&self, _: &Call) -> CallResult<()> {
            self.note("let go");
            Ok(())
        }

        async fn about(&self, _: &Call) -> CallResult<u64> {
            Ok(self.words.lock().unwrap().len() as u64)
        }

        async fn pack(&self, _: &Call, after: Option<String>) -> CallResult<Packed> {
            let at = place(after);
            let words = self.words.lock().unwrap();
            let next = (at + 1 < words.len()).then(|| (at + 1).to_string());
            Ok(Packed { parcel: Parcel(words[at].clone()), lines: 1, next })
        }

        async fn unpack(&self, _: &Call, parcel: Parcel) -> CallResult<()> {
            let mut words = self.words.lock().unwrap();
            let lost = self.loses && words.len() == 1;
            if !lost && !words.contains(&parcel.0) {
                words.push(parcel.0);
            }
            Ok(())
        }

        async fn check(&self, _: &Call, parcel: Parcel) -> CallResult<Checked> {
            let same = u64::from(self.words.lock().unwrap().contains(&parcel.0));
            Ok(Checked { lines: 1, same, ..Checked::default() })
        }

        async fn count(&self, _: &Call, after: Option<String>) -> CallResult<Counted> {
            let at = place(after) + 1;
            let words = self.words.lock().unwrap();
            let counted = &words[..at.min(words.len())];
            let network = NetworkTally {
                id: NetworkId(Uuid::nil()),
                entries: counted.len() as u64,
                digest: counted.join(" "),
                markers: 0,
            };
            let next = (at < words.len()).then(|| at.to_string());
            Ok(Counted { tally: Tally { networks: vec![network], devices: 0 }, next })
        }

        /// One word at a time.
        async fn clear(&self, _: &Call) -> CallResult<bool> {
            self.note("clear");
            let mut words = self.words.lock().unwrap();
            words.pop();
            Ok(words.is_empty())
        }
    }

    fn call() -> Call {
        Call::new(Sub(Uuid::nil()), "test")
    }

    async fn carried(from: &Fake, to: &Fake) -> CallResult<Vec<Course>> {
        moved(from, to, How::Whole).await
    }

    async fn moved(from: &Fake, to: &Fake, how: How) -> CallResult<Vec<Course>> {
        let mut steps = vec![Course::default()];
        while let Some(course) = steps.last().cloned() {
            match step(from, to, &call(), course, how).await? {
                Some(next) => steps.push(next),
                None => break,
            }
        }
        Ok(steps)
    }

    #[tokio::test]
    async fn everything_arrives_once_whatever_an_attempt_left_behind() {
        let (from, to) = (Fake::with(&["a", "b", "c"]), Fake::with(&["left", "over"]));
        carried(&from, &to).await.unwrap();
        assert_eq!(to.kept(), ["a", "b", "c"]);
        // The old place is held before anything is packed, and emptied by nobody here.
        assert_eq!(*from.asked.lock().unwrap(), ["hold"]);
        assert_eq!(*to.asked.lock().unwrap(), ["hold", "clear", "clear"]);
    }

    #[tokio::test]
    async fn a_move_that_lost_something_begins_anew() {
        let (from, to) = (Fake::with(&["a", "b", "c"]), Fake { loses: true, ..Fake::default() });
        assert!(matches!(carried(&from, &to).await, Err(CallError::Conflict { .. })));
        assert_eq!(from.kept().len(), 3);
    }

    #[tokio::test]
    async fn whoever_goes_on_from_any_step_taken_twice_brings_everything_once() {
        let steps = carried(&Fake::with(&["a", "b", "c"]), &Fake::default()).await.unwrap();
        for (stop, stopped) in steps.iter().enumerate() {
            let (from, to) = (Fake::with(&["a", "b", "c"]), Fake::default());
            let mut course = Some(Course::default());
            for at in 0.. {
                let Some(now) = course else { break };
                let next = step(&from, &to, &call(), now.clone(), How::Whole).await.unwrap();
                // It was done, and whoever did it died before that was written down.
                let next =
                    if at == stop { step(&from, &to, &call(), now, How::Whole).await.unwrap() } else { next };
                // What is written down is all the next one knows.
                let json = serde_json::to_string(&next).unwrap();
                course = serde_json::from_str(&json).unwrap();
            }
            assert_eq!(to.kept(), ["a", "b", "c"], "stopped at {stopped:?}");
        }
    }

    #[test]
    fn the_words_say_how_far_it_is() {
        let words = |at, lines, of| Course { at, lines, of }.words();
        let carrying = || At::Carrying { after: None };
        assert_eq!(
            words(carrying(), 12_300, 300_000),
            "12,300 of about 300,000 messages are carried over (4 percent)."
        );
        assert!(
            words(carrying(), 301, 300).contains("(99 percent)"),
            "more than was thought is not more than all"
        );
        assert_eq!(words(carrying(), 1_000_000, 0), "1,000,000 messages are carried over.");
        assert!(words(At::Leaving { after: None }, 999, 0).starts_with("All 999 messages"));
    }

    #[tokio::test]
    async fn what_comes_to_one_that_knows_less_is_asked_for_line_by_line() {
        let (from, to) = (Fake::with(&["a", "b", "c"]), Fake::with(&["left over"]));
        moved(&from, &to, How::IntoLess).await.unwrap();
        assert_eq!((from.kept().len(), to.kept()), (3, ["a", "b", "c"].map(str::to_owned).to_vec()));
        let (from, to) = (Fake::with(&["d", "e"]), Fake::with(&["kept before"]));
        moved(&from, &to, How::OutOfLess).await.unwrap();
        // What was kept there all the time is not forgotten.
        assert_eq!(to.kept(), ["kept before", "d", "e"]);
        assert_eq!(*to.asked.lock().unwrap(), ["hold"]);
        let to = Fake { loses: true, ..Fake::with(&["kept before"]) };
        assert!(matches!(moved(&from, &to, How::OutOfLess).await, Err(CallError::Conflict { .. })));
    }
}
