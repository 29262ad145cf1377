//! What is kept of an account, counted a piece at a time: however much it is, each call ends within seconds.
//!
//! The digest of a network is a chain, an entry a link. So it does not matter where one call ends and the next begins, and
//! two bouncers that count in other pieces come to the same.

use std::time::{Duration, Instant};

use contracts::parcel::unreadable;
use contracts::{Call, CallResult, Counted, NetworkId, NetworkTally, Sub, Tally};
use history::{AccountId, Buffer, Entry, Position, StreamId};
use ring::digest::{Context as Digest, SHA256};
use serde::{Deserialize, Serialize};

use super::silent;
use crate::calls::BouncerCalls;

/// For how long one call counts at the most.
const SLICE: Duration = Duration::from_secs(2);

/// Where to go on.
#[derive(Default, Serialize, Deserialize)]
struct Place {
    /// Networks that are counted.
    done: Vec<NetworkTally>,
    /// The one that is being counted.
    now: Option<Counting>,
}

#[derive(Serialize, Deserialize)]
struct Counting {
    network: NetworkId,
    after: Option<String>,
    entries: u64,
    chain: String,
}

impl BouncerCalls {
    /// Counts for a while, at least a page.
    pub(super) async fn count_some(&self, call: &Call, after: Option<String>) -> CallResult<Counted> {
        let (sub, slice) = (call.account, SLICE.min(call.timeout / 2));
        let read = |after: String| serde_json::from_str(&after).map_err(|error| unreadable(&error));
        let mut place: Place = after.map(read).transpose()?.unwrap_or_default();
        let began = Instant::now();
        loop {
            let counting = match place.now.take() {
                Some(counting) => counting,
                None => {
                    let last = place.done.last().map(|tally| tally.id);
                    let following = self.networks_of(sub).await?.into_iter().find(|id| Some(*id) > last);
                    match following {
                        Some(network) => Counting { network, after: None, entries: 0, chain: String::new() },
                        None => {
                            let devices = self.hub.context().store.devices(sub).await?.len() as u64;
                            return Ok(Counted {
                                tally: Tally { networks: place.done, devices },
                                next: None,
                            });
                        }
                    }
                }
            };
            match self.count_page(sub, counting).await? {
                Page::More(counting) => place.now = Some(counting),
                Page::Done(tally) => place.done.push(tally),
            }
            if began.elapsed() > slice {
                let next = serde_json::to_string(&place).map_err(|error| unreadable(&error))?;
                return Ok(Counted { tally: Tally { networks: place.done, devices: 0 }, next: Some(next) });
            }
        }
    }

    async fn count_page(&self, sub: Sub, mut counting: Counting) -> CallResult<Page> {
        let history = &self.hub.context().history;
        let (account, stream) = (AccountId(sub.0), StreamId(counting.network.0));
        let after = counting.after.take().map(|text| text.parse::<Position>());
        let after = after.transpose().map_err(|()| unreadable(&"no position"))?;
        let found = history.entries(account, stream, after, history::MAX_PAGE).await;
        let found = found.map_err(|error| silent(&error))?;
        for (entry, buffers) in &found {
            counting.entries += 1;
            counting.chain = link(&counting.chain, |digest| entry_into(digest, entry, buffers));
        }
        if let Some((last, _)) = found.last() {
            counting.after = Some(last.position.to_string());
            return Ok(Page::More(counting));
        }
        let mut markers = history.read_markers(account, stream).await.map_err(|error| silent(&error))?;
        markers.sort();
        let digest = link(&counting.chain, |digest| {
            for (buffer, ts_ms) in &markers {
                into(digest, &buffer.0);
                digest.update(&ts_ms.to_be_bytes());
            }
        });
        let Counting { network, entries, .. } = counting;
        Ok(Page::Done(NetworkTally { id: network, entries, digest, markers: markers.len() as u64 }))
    }
}

enum Page {
    More(Counting),
    Done(NetworkTally),
}

/// A link of a chain: the digest of what is added, and of all before it.
fn link(chain: &str, add: impl FnOnce(&mut Digest)) -> String {
    let mut digest = Digest::new(&SHA256);
    into(&mut digest, chain.as_bytes());
    add(&mut digest);
    digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An entry as both ends count it. Its time is left out: a store may move it by milliseconds.
fn entry_into(digest: &mut Digest, entry: &Entry, buffers: &[Buffer]) {
    into(digest, entry.msgid.as_bytes());
    for field in [&entry.source, &entry.target, &entry.body, &entry.meta] {
        into(digest, field);
    }
    digest.update(&[entry.kind as u8, u8::from(entry.redacted)]);
    let mut names: Vec<&Buffer> = buffers.iter().collect();
    names.sort();
    names.into_iter().for_each(|buffer| into(digest, &buffer.0));
}

/// With its length before it, so that no two lists of fields read the same.
fn into(digest: &mut Digest, field: &[u8]) {
    digest.update(&(field.len() as u64).to_be_bytes());
    digest.update(field);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lists_of_fields_have_one_digest() {
        let digest =
            |fields: &[&[u8]]| link("", |digest| fields.iter().for_each(|field| into(digest, field)));
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
        assert_ne!(digest(&[b"", b"a"]), digest(&[b"a", b""]));
    }

    #[test]
    fn a_chain_tells_in_which_order_its_links_came() {
        let of = |words: [&[u8]; 2]| {
            words.into_iter().fold(String::new(), |chain, word| link(&chain, |digest| into(digest, word)))
        };
        assert_ne!(of([b"a", b"b"]), of([b"b", b"a"]));
    }
}
