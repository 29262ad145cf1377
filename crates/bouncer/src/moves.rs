//! The trait `Moves`: an account packed for another bouncer, or taken from one.
//!
//! What is in a parcel says [`contracts::parcel`]. From a bouncer that knows less than this one comes only what is new
//! there: it is laid to what was kept here.

mod clear;
mod count;

use std::sync::Arc;

use async_trait::async_trait;
use bouncer_core::Cursor;
use contracts::parcel::{Content, Line, MovedDevice, MovedNetwork, Seen, Text, unreadable};
use contracts::{Call, CallError, CallResult, Checked, Counted, Hold, Moves, NetworkId, Packed, Parcel, Sub};
use history::{AccountId, Buffer, Entry, Kind, NewEntry, Position, Since, StreamId};
use serde::{Deserialize, Serialize};

use crate::calls::{BouncerCalls, within};
use crate::hub::Hub;
use crate::log;
pub use clear::Clearing;

/// The most entries of a parcel.
const PIECE: usize = 250;
/// A parcel is closed once it holds this many bytes.
const FULL: usize = 512 * 1024;

/// Where the next parcel begins.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum At {
    Log { network: NetworkId, after: Option<String> },
    Seen { network: NetworkId },
}

fn silent(error: &history::Error) -> CallError {
    CallError::unavailable(format!("The history does not answer right now: {error}."))
}

fn packed(content: &Content, next: Option<At>) -> CallResult<Packed> {
    let next = next.map(|next| serde_json::to_string(&next)).transpose();
    Ok(Packed {
        parcel: content.packed()?,
        lines: content.lines(),
        next: next.map_err(|error| unreadable(&error))?,
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
            entries.push(line_of(entry, buffers));
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
        let taken_back =
            |line: &Line| if line.redacted { Some(line.msgid.clone()) } else { line.redacts.clone() };
        let redacted: Vec<String> = lines.iter().filter_map(taken_back).collect();
        let entries = lines.into_iter().map(entry_of).collect::<CallResult<_>>()?;
        for stored in history.append(&writer, entries).await.map_err(|error| silent(&error))? {
            stored.map_err(|refused| {
                CallError::unavailable(format!("A message could not be carried over: {refused}."))
            })?;
        }
        for msgid in redacted {
            match history.redact(account, stream, &msgid).await {
                // What was taken back is not always kept here.
                Ok(_) | Err(history::Error::NoSuchMessage) => {}
                Err(error) => return Err(silent(&error)),
            }
        }
        Ok(())
    }

    /// How much of a parcel is kept here.
    async fn checked(&self, sub: Sub, content: Content) -> CallResult<Checked> {
        let history = &self.hub.context().history;
        let mut checked = Checked::default();
        match content {
            // Networks are not counted: they are compared by what is kept of each.
            Content::Rows { .. } | Content::Returned { .. } => {}
            Content::Log { network, entries } => {
                let (account, stream) = (AccountId(sub.0), StreamId(network.0));
                for line in entries {
                    let kept = history.by_msgid(account, stream, &line.msgid).await;
                    let kept = kept.map_err(|error| silent(&error))?;
                    checked.lines += 1;
                    checked.same += u64::from(kept.is_some_and(|entry| says(&entry, &line)));
                }
            }
            Content::Seen { network, markers, .. } => {
                let (account, stream) = (AccountId(sub.0), StreamId(network.0));
                let kept = history.read_markers(account, stream).await.map_err(|error| silent(&error))?;
                checked.markers = markers.len() as u64;
                let read = markers.into_iter().filter(|(key, ts_ms)| {
                    kept.iter().any(|(buffer, read_ms)| buffer.0 == key.0 && read_ms >= ts_ms)
                });
                checked.read = read.count() as u64;
            }
        }
        Ok(checked)
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
}

fn line_of(entry: Entry, buffers: Vec<Buffer>) -> Line {
    Line {
        ts_ms: entry.ts_ms,
        source: Text(entry.source),
        kind: entry.kind as u8,
        target: Text(entry.target),
        buffers: buffers.into_iter().map(|buffer| Text(buffer.0)).collect(),
        body: Text(entry.body),
        meta: Text(entry.meta),
        msgid: entry.msgid,
        redacted: entry.redacted,
        redacts: None,
    }
}

fn entry_of(line: Line) -> CallResult<NewEntry> {
    let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == line.kind);
    Ok(NewEntry {
        ts_ms: Some(line.ts_ms),
        source: line.source.0,
        kind: kind.ok_or_else(|| unreadable(&"a line of an unknown kind"))?,
        target: line.target.0,
        buffers: line.buffers.into_iter().map(|buffer| Buffer(buffer.0)).collect(),
        body: line.body.0,
        meta: line.meta.0,
        msgid: Some(line.msgid),
    })
}

/// Whether an entry is this line. Nothing is left to compare of one that was taken back.
fn says(entry: &Entry, line: &Line) -> bool {
    let same =
        (entry.kind as u8, &entry.source, &entry.target) == (line.kind, &line.source.0, &line.target.0);
    same && (entry.redacted || entry.body == line.body.0 && !line.redacted)
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
            match Content::of(&parcel)? {
                Content::Rows { networks, devices, sts } => {
                    let account = context.accounts.account(&Call::new(sub, "bouncer")).await?;
                    context.store.keep_account(&account).await?;
                    context.store.put_networks(sub, &networks).await?;
                    context.store.put_devices(sub, &devices).await?;
                    Ok(context.store.put_sts(sub, &sts).await?)
                }
                Content::Returned { networks, gone } => {
                    Ok(context.store.take_back(sub, networks, &gone).await?)
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

    async fn check(&self, call: &Call, parcel: Parcel) -> CallResult<Checked> {
        let this = self.clone();
        let sub = call.account;
        self.must_be_held(sub)?;
        within(call, async move { this.checked(sub, Content::of(&parcel)?).await }).await
    }

    async fn about(&self, call: &Call) -> CallResult<u64> {
        self.hub.context().is_for(call.account)?;
        let about = self.hub.context().history.about(AccountId(call.account.0)).await;
        about.map_err(|error| silent(&error))
    }

    async fn count(&self, call: &Call, after: Option<String>) -> CallResult<Counted> {
        let (this, of) = (self.clone(), call.clone());
        self.hub.context().is_for(call.account)?;
        within(call, async move { this.count_some(&of, after).await }).await
    }

    async fn clear(&self, call: &Call) -> CallResult<bool> {
        let (hub, of) = (Arc::clone(&self.hub), call.clone());
        self.must_be_held(call.account)?;
        within(call, async move { hub.context().clearing.go_on(&hub, &of).await }).await
    }
}
