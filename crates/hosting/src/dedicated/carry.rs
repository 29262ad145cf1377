//! The move of an account from one bouncer to another: everything, or nothing.

use contracts::{Call, CallError, CallResult, Hold, Moves, Tally};

/// Carries everything the account has from one bouncer to the other. Both are held then. What the other had of it before,
/// from an attempt that failed, is forgotten first: it never was what counts.
pub async fn carry(from: &dyn Moves, to: &dyn Moves, call: &Call) -> CallResult<Tally> {
    to.hold(call, Hold::Moving).await?;
    from.hold(call, Hold::Moving).await?;
    to.clear(call).await?;
    let mut after = None;
    loop {
        let packed = from.pack(call, after).await?;
        to.unpack(call, packed.parcel).await?;
        match packed.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let (left, came) = (from.tally(call).await?, to.tally(call).await?);
    if left == came {
        return Ok(came);
    }
    tracing::error!(sub = %call.account, ?left, ?came, "what came is not what left");
    Err(CallError::unavailable("Not everything arrived, so nothing was changed. It is tried again."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::Mutex;

    use async_trait::async_trait;
    use contracts::{NetworkId, NetworkTally, Packed, Parcel, Sub};
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

        async fn pack(&self, _: &Call, after: Option<String>) -> CallResult<Packed> {
            let at: usize = after.map_or(0, |after| after.parse().unwrap());
            let words = self.words.lock().unwrap();
            let next = (at + 1 < words.len()).then(|| (at + 1).to_string());
            Ok(Packed { parcel: Parcel(words[at].clone()), next })
        }

        async fn unpack(&self, _: &Call, parcel: Parcel) -> CallResult<()> {
            let mut words = self.words.lock().unwrap();
            if !(self.loses && words.len() == 1) {
                words.push(parcel.0);
            }
            Ok(())
        }

        async fn tally(&self, _: &Call) -> CallResult<Tally> {
            let words = self.words.lock().unwrap();
            let network = NetworkTally {
                id: NetworkId(Uuid::nil()),
                entries: words.len() as u64,
                digest: words.join(" "),
                markers: 0,
            };
            Ok(Tally { networks: vec![network], devices: 0 })
        }

        async fn clear(&self, _: &Call) -> CallResult<()> {
            self.note("clear");
            self.words.lock().unwrap().clear();
            Ok(())
        }
    }

    fn call() -> Call {
        Call::new(Sub(Uuid::nil()), "test")
    }

    #[tokio::test]
    async fn everything_arrives_once_whatever_an_attempt_left_behind() {
        let (from, to) = (Fake::with(&["a", "b", "c"]), Fake::with(&["left", "over"]));
        let tally = carry(&from, &to, &call()).await.unwrap();
        assert_eq!((tally.networks[0].entries, tally.networks[0].digest.as_str()), (3, "a b c"));
        // The old place is held before anything is packed, and emptied by nobody here.
        assert_eq!(*from.asked.lock().unwrap(), ["hold"]);
        assert_eq!(*to.asked.lock().unwrap(), ["hold", "clear"]);
    }

    #[tokio::test]
    async fn a_move_that_lost_something_is_none() {
        let (from, to) = (Fake::with(&["a", "b", "c"]), Fake { loses: true, ..Fake::default() });
        assert!(carry(&from, &to, &call()).await.is_err());
        assert_eq!(from.words.lock().unwrap().len(), 3);
    }
}
