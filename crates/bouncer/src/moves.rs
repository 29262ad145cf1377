//! The trait `Moves`: an account packed for another bouncer, or taken from one.
//!
//! A parcel is JSON that only a bouncer reads: rows first, then each network's log in its order, then its markers and how
//! far devices have seen it. Positions are this store's own, so they do not travel: a cursor is named by the line that
//! comes after it.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bouncer_core::Cursor;
use bytes::Bytes;
use contracts::{
    Call, CallError, CallResult, Hold, Moves, NetworkId, NetworkTally, Packed, Parcel, Sub, Tally,
};
use history::{AccountId, Buffer, Entry, Kind, NewEntry, Position, Since, StreamId};
use ring::digest::{Context as Digest, SHA256};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::calls::{BouncerCalls, within};
use crate::hub::Hub;
use crate::log;
use crate::store::moves::{MovedDevice, MovedNetwork};

/// The most entries of a parcel.
const PIECE: usize = 250;
/// A parcel is closed once it holds this many bytes.
const FULL: usize = 512 * 1024;

/// What is in a parcel.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Content {
    Rows { networks: Vec<MovedNetwork>, devices: Vec<MovedDevice>, sts: Vec<(String, u16, i64)> },
    Log { network: NetworkId, entries: Vec<Line> },
    Seen { network: NetworkId, markers: Vec<(Text, i64)>, cursors: Vec<Seen> },
}

/// An entry of the log.
#[derive(Serialize, Deserialize)]
struct Line {
    ts_ms: i64,
    source: Text,
    kind: Kind,
    target: Text,
    buffers: Vec<Text>,
    body: Text,
    meta: Text,
    msgid: String,
    redacted: bool,
}

/// How far a device has seen a network: up to the line with this msgid, or everything.
#[derive(Serialize, Deserialize)]
struct Seen {
    device: Uuid,
    before: Option<String>,
    ts_ms: i64,
}

/// Bytes as base64.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct Text(Bytes);

impl From<Text> for String {
    fn from(text: Text) -> Self {
        STANDARD.encode(text.0)
    }
}

impl TryFrom<String> for Text {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<Self, base64::DecodeError> {
        Ok(Self(STANDARD.decode(text)?.into()))
    }
}

/// Where the next parcel begins.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum At {
    Log { network: NetworkId, after: Option<String> },
    Seen { network: NetworkId },
}

fn unreadable(error: &dyn std::fmt::Display) -> CallError {
    tracing::error!(%error, "a parcel cannot be read");
    CallError::unavailable("What one bouncer packed, the other cannot read. Both must be of one release.")
}

fn silent(error: &history::Error) -> CallError {
    CallError::unavailable(format!("The history does not answer right now: {error}."))
}

fn packed(content: &Content, next: Option<At>) -> CallResult<Packed> {
    let json = |error: serde_json::Error| unreadable(&error);
    Ok(Packed {
        parcel: Parcel(serde_json::to_string(content).map_err(json)?),
        next: next.map(|next| serde_json::to_string(&next)).transpose().map_err(json)?,
    })
}

impl BouncerCalls {
    async fn networks_of(&self, sub: Sub) -> CallResult<Vec<NetworkId>> {
        let rows = self.hub.context().store.networks(sub).await?;
        let mut ids: Vec<NetworkId> = rows.into_iter().map(|row| row.id).collect();
        ids.sort();
        Ok(ids)
    }

    /// Only what stands still can be packed or cleared.
    fn must_be_held(&self, sub: Sub) -> CallResult<()> {
        self.hub.context().is_for(sub)?;
        if self.hub.context().is_held(sub) {
            return Ok(());
        }
        Err(CallError::Conflict { message: "This account is not held.".to_owned() })
    }

    async fn rows(&self, sub: Sub) -> CallResult<Packed> {
        let store = &self.hub.context().store;
        let networks = store.networks(sub).await?.into_iter().map(MovedNetwork::from).collect();
        let devices = store.devices(sub).await?.into_iter().map(|device| MovedDevice {
            id: device.id,
            credential: device.credential,
            client: device.client,
            software: device.software,
            last_seen_us: device.last_seen_us,
        });
        let sts = store.sts_policies(sub).await?;
        let sts = sts.into_iter().map(|(host, policy)| (host, policy.port, policy.until)).collect();
        let first = self.networks_of(sub).await?.first().copied();
        packed(
            &Content::Rows { networks, devices: devices.collect(), sts },
            first.map(|network| At::Log { network, after: None }),
        )
    }

    async fn log(&self, sub: Sub, network: NetworkId, after: Option<Position>) -> CallResult<Packed> {
        let history = &self.hub.context().history;
        let found = history.entries(AccountId(sub.0), StreamId(network.0), after, PIECE).await;
        let (mut entries, mut bytes, mut last) = (Vec::new(), 0, None);
        for (entry, buffers) in found.map_err(|error| silent(&error))? {
            bytes += entry.body.len() + entry.meta.len() + entry.source.len();
            last = Some(entry.position.to_string());
            entries.push(Line::of(entry, buffers));
            if bytes > FULL {
                break;
            }
        }
        let next = match last {
            Some(after) => At::Log { network, after: Some(after) },
            None => At::Seen { network },
        };
        packed(&Content::Log { network, entries }, Some(next))
    }

    async fn seen(&self, sub: Sub, network: NetworkId) -> CallResult<Packed> {
        let context = self.hub.context();
        let (account, stream) = (AccountId(sub.0), StreamId(network.0));
        let markers = context.history.read_markers(account, stream).await.map_err(|error| silent(&error))?;
        let mut cursors = Vec::new();
        for (device, cursor) in context.store.cursors_of(sub, network).await? {
            let since = Since::Position(log::history_position(cursor.position));
            let page = context.history.since(account, stream, since, history::Kinds::ALL, 1).await;
            let next = page.map_err(|error| silent(&error))?.entries.into_iter().next();
            cursors.push(Seen { device, before: next.map(|entry| entry.msgid), ts_ms: cursor.ts_ms });
        }
        let following = self.networks_of(sub).await?.into_iter().find(|id| *id > network);
        packed(
            &Content::Seen {
                network,
                markers: markers.into_iter().map(|(buffer, ts)| (Text(buffer.0), ts)).collect(),
                cursors,
            },
            following.map(|network| At::Log { network, after: None }),
        )
    }

    async fn take_log(&self, sub: Sub, network: NetworkId, lines: Vec<Line>) -> CallResult<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let history = &self.hub.context().history;
        let (account, stream) = (AccountId(sub.0), StreamId(network.0));
        let writer = history.open_stream(account, stream).await.map_err(|error| silent(&error))?;
        let redacted: Vec<String> =
            lines.iter().filter(|line| line.redacted).map(|line| line.msgid.clone()).collect();
        let entries = lines.into_iter().map(NewEntry::from).collect();
        for stored in history.append(&writer, entries).await.map_err(|error| silent(&error))? {
            stored.map_err(|refused| {
                CallError::unavailable(format!("A message could not be carried over: {refused}."))
            })?;
        }
        for msgid in redacted {
            history.redact(account, stream, &msgid).await.map_err(|error| silent(&error))?;
        }
        Ok(())
    }

    async fn take_seen(
        &self,
        sub: Sub,
        network: NetworkId,
        markers: Vec<(Text, i64)>,
        cursors: Vec<Seen>,
    ) -> CallResult<()> {
        let context = self.hub.context();
        let (account, stream) = (AccountId(sub.0), StreamId(network.0));
        for (buffer, ts_ms) in markers {
            let set = context.history.set_read_marker(account, stream, &Buffer(buffer.0), ts_ms).await;
            set.map_err(|error| silent(&error))?;
        }
        let mut kept = Vec::with_capacity(cursors.len());
        for seen in cursors {
            let position = match &seen.before {
                Some(msgid) => {
                    let next = context.history.by_msgid(account, stream, msgid).await;
                    next.map_err(|error| silent(&error))?.map(|entry| {
                        let at = entry.position;
                        Position { offset: at.offset.saturating_sub(1), ..at }
                    })
                }
                None => {
                    let last = context.history.latest_position(account, stream).await;
                    last.map_err(|error| silent(&error))?
                }
            };
            if let Some(position) = position {
                let position = log::position(position);
                kept.push((seen.device, network, Cursor { position, ts_ms: seen.ts_ms }));
            }
        }
        Ok(context.store.keep_cursors(kept).await?)
    }

    async fn tally_of(&self, sub: Sub, network: NetworkId) -> CallResult<NetworkTally> {
        let history = &self.hub.context().history;
        let (account, stream) = (AccountId(sub.0), StreamId(network.0));
        let (mut after, mut count, mut digest) = (None, 0, Digest::new(&SHA256));
        loop {
            let found = history.entries(account, stream, after, history::MAX_PAGE).await;
            let found = found.map_err(|error| silent(&error))?;
            let Some((last, _)) = found.last() else { break };
            after = Some(last.position);
            for (entry, buffers) in &found {
                count += 1;
                entry_into(&mut digest, entry, buffers);
            }
        }
        let mut markers = history.read_markers(account, stream).await.map_err(|error| silent(&error))?;
        markers.sort();
        for (buffer, ts_ms) in &markers {
            into(&mut digest, &buffer.0);
            digest.update(&ts_ms.to_be_bytes());
        }
        let digest = digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(NetworkTally { id: network, entries: count, digest, markers: markers.len() as u64 })
    }
}

impl Line {
    fn of(entry: Entry, buffers: Vec<Buffer>) -> Self {
        Self {
            ts_ms: entry.ts_ms,
            source: Text(entry.source),
            kind: entry.kind,
            target: Text(entry.target),
            buffers: buffers.into_iter().map(|buffer| Text(buffer.0)).collect(),
            body: Text(entry.body),
            meta: Text(entry.meta),
            msgid: entry.msgid,
            redacted: entry.redacted,
        }
    }
}

impl From<Line> for NewEntry {
    fn from(line: Line) -> Self {
        Self {
            ts_ms: Some(line.ts_ms),
            source: line.source.0,
            kind: line.kind,
            target: line.target.0,
            buffers: line.buffers.into_iter().map(|buffer| Buffer(buffer.0)).collect(),
            body: line.body.0,
            meta: line.meta.0,
            msgid: Some(line.msgid),
        }
    }
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

/// Ends what runs of an account that is held now, and waits until all of it is on disk.
async fn stand_still(hub: &Hub, sub: Sub, why: Hold) -> CallResult<()> {
    let context = hub.context();
    context.hold(sub, why.clone()).await?;
    hub.leave(sub, &crate::context::held_words(&why)).await?;
    Ok(context.seen.write(&context.store).await?)
}

#[async_trait]
impl Moves for BouncerCalls {
    async fn hold(&self, call: &Call, why: Hold) -> CallResult<()> {
        let hub = Arc::clone(&self.hub);
        let sub = call.account;
        hub.context().is_for(sub)?;
        within(call, async move { stand_still(&hub, sub, why).await }).await
    }

    async fn let_go(&self, call: &Call) -> CallResult<()> {
        let hub = Arc::clone(&self.hub);
        let sub = call.account;
        hub.context().is_for(sub)?;
        within(call, async move {
            hub.context().let_go(sub).await?;
            if !hub.context().store.networks(sub).await?.is_empty() {
                hub.resident(sub).await?;
            }
            Ok(())
        })
        .await
    }

    async fn pack(&self, call: &Call, after: Option<String>) -> CallResult<Packed> {
        let sub = call.account;
        self.must_be_held(sub)?;
        let Some(after) = after else { return self.rows(sub).await };
        match serde_json::from_str(&after).map_err(|error| unreadable(&error))? {
            At::Log { network, after } => {
                let after = after.map(|text| text.parse::<Position>());
                let after = after.transpose().map_err(|()| unreadable(&"no position"))?;
                self.log(sub, network, after).await
            }
            At::Seen { network } => self.seen(sub, network).await,
        }
    }

    async fn unpack(&self, call: &Call, parcel: Parcel) -> CallResult<()> {
        let this = self.clone();
        let sub = call.account;
        self.must_be_held(sub)?;
        within(call, async move {
            let context = this.hub.context();
            match serde_json::from_str(&parcel.0).map_err(|error| unreadable(&error))? {
                Content::Rows { networks, devices, sts } => {
                    let account = context.accounts.account(&Call::new(sub, "bouncer")).await?;
                    context.store.keep_account(&account).await?;
                    context.store.put_networks(sub, &networks).await?;
                    context.store.put_devices(sub, &devices).await?;
                    Ok(context.store.put_sts(sub, &sts).await?)
                }
                Content::Log { network, entries } => {
                    context.store.network(sub, network).await?;
                    this.take_log(sub, network, entries).await
                }
                Content::Seen { network, markers, cursors } => {
                    context.store.network(sub, network).await?;
                    this.take_seen(sub, network, markers, cursors).await
                }
            }
        })
        .await
    }

    async fn tally(&self, call: &Call) -> CallResult<Tally> {
        let this = self.clone();
        let sub = call.account;
        self.hub.context().is_for(sub)?;
        within(call, async move {
            let mut networks = Vec::new();
            for network in this.networks_of(sub).await? {
                networks.push(this.tally_of(sub, network).await?);
            }
            let devices = this.hub.context().store.devices(sub).await?.len() as u64;
            Ok(Tally { networks, devices })
        })
        .await
    }

    async fn clear(&self, call: &Call) -> CallResult<()> {
        let hub = Arc::clone(&self.hub);
        let sub = call.account;
        self.must_be_held(sub)?;
        within(call, async move {
            let context = hub.context();
            context.history.delete_account(AccountId(sub.0)).await.map_err(|error| silent(&error))?;
            Ok(context.store.forget(sub).await?)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn bytes_that_are_no_text_arrive_as_they_left() {
        let all: Vec<u8> = (0..=255).collect();
        let line = Line {
            ts_ms: 7,
            source: Text(Bytes::from_static(b"alice!a@h")),
            kind: Kind::Privmsg,
            target: Text(Bytes::from_static(b"#tea")),
            buffers: vec![Text(Bytes::from(all.clone()))],
            body: Text(Bytes::from(all.clone())),
            meta: Text(Bytes::new()),
            msgid: "id".to_owned(),
            redacted: false,
        };
        let json = serde_json::to_string(&line).unwrap();
        let entry = NewEntry::from(serde_json::from_str::<Line>(&json).unwrap());
        assert_eq!((entry.body.to_vec(), entry.buffers[0].0.to_vec()), (all.clone(), all));
        assert_eq!((entry.ts_ms, entry.msgid.as_deref()), (Some(7), Some("id")));
    }

    #[test]
    fn no_two_lists_of_fields_have_one_digest() {
        let digest = |fields: &[&[u8]]| {
            let mut digest = Digest::new(&SHA256);
            fields.iter().for_each(|field| into(&mut digest, field));
            digest.finish().as_ref().to_vec()
        };
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
        assert_ne!(digest(&[b"", b"a"]), digest(&[b"a", b""]));
    }
}
