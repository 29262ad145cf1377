//! An account's networks, messages and read markers on their way into a soju that was never started, and out of one that
//! stands still. It is the trait [`Moves`], as every bouncer offers it; what soju cannot keep stays behind.
//!
//! soju makes its tables itself, with its own tool. Beside them stand three of ours, which soju never looks at: which of
//! its networks is which of ours (`ircnow_network`), which of its messages came with the account (`ircnow_message`), and
//! whether the account has moved in (`ircnow_move`). They make each step repeatable, and say at the end what is new.
//!
//! Start with [`SojuMoves`]; [`networks`] and [`messages`] translate, `tables` writes and reads.

pub mod messages;
pub mod networks;
mod tables;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use contracts::parcel::{Content, Line, unreadable};
use contracts::{
    Call, CallError, CallResult, Checked, Counted, Hold, Moves, NetworkId, NetworkTally, Packed, Parcel, Sub,
    Tally,
};
use crds::sidecar::MovesConfig;
use serde::{Deserialize, Serialize};
use service::db::sqlx;
use uuid::Uuid;

use tables::{Kept, Tables};

use crate::RunError;

/// The most messages of a parcel.
const PIECE: i64 = 250;

/// Networks and the msgids that were given of each.
type Given = HashSet<(i64, String)>;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into a soju that was never started.
    In,
    /// Out of one that stands still.
    Out,
}

/// soju's rows, as whoever moves accounts sees them.
pub struct SojuMoves {
    tables: Tables,
    direction: Direction,
    account: Sub,
    username: String,
    /// The bouncer's UID: what is made here is named after it, so that it has the same name whenever it is asked for.
    bouncer: String,
    /// What was given since the beginning was asked for.
    given: Mutex<Given>,
}

/// Where the next parcel begins.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum At {
    Log { network: i64, after: i64 },
    Seen { network: i64 },
}

fn silent(error: &sqlx::Error) -> CallError {
    tracing::error!(%error, "soju's tables cannot be asked");
    CallError::unavailable("The rows of soju cannot be read or written right now. Nothing was changed.")
}

fn wrong_way() -> CallError {
    CallError::Conflict { message: "This bouncer is not moved in this direction.".to_owned() }
}

/// Reads the configuration.
pub fn read_config(path: &Path) -> Result<MovesConfig, RunError> {
    crate::run::read(path)
}

impl SojuMoves {
    /// Rows are opened at the first question.
    pub fn open(config: &MovesConfig, direction: Direction) -> Result<Self, sqlx::Error> {
        Ok(Self {
            tables: Tables::open(&config.database)?,
            direction,
            account: Sub(Uuid::parse_str(&config.account).unwrap_or_default()),
            username: config.username.clone(),
            bouncer: config.bouncer.clone(),
            given: Mutex::default(),
        })
    }

    fn is_for(&self, call: &Call, direction: Direction) -> CallResult<()> {
        if call.account != self.account {
            return Err(CallError::Forbidden { reason: "This bouncer is another account's.".to_owned() });
        }
        if direction == self.direction { Ok(()) } else { Err(wrong_way()) }
    }

    /// Whether soju's rows can be used: its tables are there, and its user.
    pub async fn look(&self) -> CallResult<()> {
        self.user().await.map(drop)
    }

    /// soju's number of the user, whose row its own tool has made.
    async fn user(&self) -> CallResult<i64> {
        match self.tables.user(&self.username).await {
            Ok(Some(user)) => Ok(user),
            Ok(None) => {
                Err(CallError::unavailable("soju has no user yet: its own tool has not made the rows."))
            }
            Err(error) => Err(silent(&error)),
        }
    }

    /// Only what has not moved in can be written.
    async fn must_be_new(&self) -> CallResult<()> {
        match self.tables.has_moved_in().await {
            Ok(false) => Ok(()),
            Ok(true) => Err(CallError::Conflict { message: "The account has moved in already.".to_owned() }),
            Err(error) => Err(silent(&error)),
        }
    }

    /// The id of a network that was made at soju.
    fn network_id(&self, network: i64) -> NetworkId {
        let name = format!("soju network {network} of bouncer {}", self.bouncer);
        let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(digest.as_ref()).for_each(|(byte, from)| *byte = *from);
        NetworkId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// The networks that stand in soju's rows, in their order, with their ids.
    async fn networks(&self) -> CallResult<Vec<(i64, NetworkId)>> {
        let (there, known) = async { Ok((self.tables.network_numbers().await?, self.tables.ids().await?)) }
            .await
            .map_err(|error| silent(&error))?;
        let id = |number: &i64| known.iter().find(|(_, is)| is == number).map(|(id, _)| *id);
        Ok(there
            .into_iter()
            .map(|number| (number, id(&number).unwrap_or_else(|| self.network_id(number))))
            .collect())
    }

    async fn pack_networks(&self) -> CallResult<Packed> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let ids = self.networks().await?;
        let rows = self.tables.networks(&self.username).await.map_err(|error| silent(&error))?;
        let known = self.tables.ids().await.map_err(|error| silent(&error))?;
        let gone = known.into_iter().filter(|(_, number)| ids.iter().all(|(is, _)| is != number));
        let mut networks = Vec::with_capacity(rows.len());
        for (number, row) in rows {
            let Some((_, id)) = ids.iter().find(|(is, _)| *is == number) else { continue };
            let channels = self.tables.channels(number).await.map_err(|error| silent(&error))?;
            networks.push(networks::from_soju(*id, row, channels, &self.username));
        }
        let content = Content::Returned { networks, gone: gone.map(|(id, _)| id).collect() };
        packed(&content, ids.first().map(|(network, _)| At::Log { network: *network, after: 0 }))
    }

    /// The lines of kept messages, each under an id that it has alone.
    fn lines(&self, network: i64, messages: Vec<Kept>, given: &mut Given) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::with_capacity(messages.len());
        for message in messages {
            let ours = format!("soju-{}-{}", self.bouncer, message.id);
            let Some(mut line) = messages::from_soju(&message.raw, &message.target, message.ts_ms) else {
                tracing::warn!(message = message.id, "soju kept a line that is none");
                continue;
            };
            // One QUIT stands in each channel it was seen in.
            if let Some(last) = lines.last_mut().filter(|last| messages::is_another_buffer_of(last, &line)) {
                last.buffers.append(&mut line.buffers);
                continue;
            }
            // What soju was told twice has one id twice; in several buffers only ours is sure to be alone.
            let theirs = Some(line.msgid).filter(|id| !id.is_empty() && !messages::spans_buffers(line.kind));
            let theirs = theirs.filter(|id| given.insert((network, id.clone())));
            line.msgid = theirs.unwrap_or(ours);
            lines.push(line);
        }
        lines
    }

    async fn pack_log(&self, network: i64, after: i64) -> CallResult<Packed> {
        let id = self.id_of(network).await?;
        let messages =
            self.tables.new_messages(network, after, PIECE).await.map_err(|error| silent(&error))?;
        let next = match messages.last() {
            Some(last) => At::Log { network, after: last.id },
            None => At::Seen { network },
        };
        let entries = {
            let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
            self.lines(network, messages, &mut given)
        };
        packed(&Content::Log { network: id, entries }, Some(next))
    }

    async fn count_new(&self, network: i64) -> Result<u64, sqlx::Error> {
        let (mut count, mut after, mut given) = (0, 0, Given::default());
        loop {
            let messages = self.tables.new_messages(network, after, PIECE).await?;
            let Some(last) = messages.last() else { return Ok(count) };
            after = last.id;
            count += self.lines(network, messages, &mut given).len() as u64;
        }
    }

    async fn pack_seen(&self, network: i64) -> CallResult<Packed> {
        let id = self.id_of(network).await?;
        let markers = self.tables.markers(network).await.map_err(|error| silent(&error))?;
        let markers = markers
            .into_iter()
            .map(|(target, ts_ms)| (contracts::parcel::Text(messages::key_of(&target).into()), ts_ms))
            .collect();
        let following = self.networks().await?.into_iter().find(|(number, _)| *number > network);
        packed(
            &Content::Seen { network: id, markers, cursors: Vec::new() },
            following.map(|(network, _)| At::Log { network, after: 0 }),
        )
    }

    async fn id_of(&self, network: i64) -> CallResult<NetworkId> {
        let found = self.networks().await?.into_iter().find(|(number, _)| *number == network);
        found.map(|(_, id)| id).ok_or_else(|| CallError::not_found("network"))
    }

    async fn number_of(&self, network: NetworkId) -> CallResult<i64> {
        let known = self.tables.ids().await.map_err(|error| silent(&error))?;
        let found = known.into_iter().find(|(id, _)| *id == network);
        found.map(|(_, number)| number).ok_or_else(|| CallError::not_found("network"))
    }
}

fn packed(content: &Content, next: Option<At>) -> CallResult<Packed> {
    let next = next.map(|next| serde_json::to_string(&next)).transpose();
    Ok(Packed {
        parcel: content.packed()?,
        lines: content.lines(),
        next: next.map_err(|error| unreadable(&error))?,
    })
}

#[async_trait]
impl Moves for SojuMoves {
    /// soju does not run: there is nothing to disconnect. Says whether its rows can be used.
    async fn hold(&self, call: &Call, _: Hold) -> CallResult<()> {
        self.is_for(call, self.direction)?;
        let user = self.user().await?;
        if self.direction == Direction::Out {
            return Ok(());
        }
        match self.tables.begin(user).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(CallError::Conflict {
                message: "This bouncer was used before: nothing can move in.".to_owned(),
            }),
            Err(error) => Err(silent(&error)),
        }
    }

    /// Says that everything has moved in: from now on nothing more can.
    async fn let_go(&self, call: &Call) -> CallResult<()> {
        self.is_for(call, self.direction)?;
        if self.direction == Direction::Out {
            return Ok(());
        }
        self.tables.moved_in().await.map_err(|error| silent(&error))
    }

    async fn pack(&self, call: &Call, after: Option<String>) -> CallResult<Packed> {
        self.is_for(call, Direction::Out)?;
        let Some(after) = after else { return self.pack_networks().await };
        match serde_json::from_str(&after).map_err(|error| unreadable(&error))? {
            At::Log { network, after } => self.pack_log(network, after).await,
            At::Seen { network } => self.pack_seen(network).await,
        }
    }

    async fn unpack(&self, call: &Call, parcel: Parcel) -> CallResult<()> {
        self.is_for(call, Direction::In)?;
        self.must_be_new().await?;
        let user = self.user().await?;
        let done = match Content::of(&parcel)? {
            Content::Rows { networks, .. } => self.tables.put_networks(user, &networks).await,
            Content::Log { network, entries } => {
                self.tables.put_messages(self.number_of(network).await?, &entries).await
            }
            Content::Seen { network, markers, .. } => {
                self.tables.put_markers(self.number_of(network).await?, &markers).await
            }
            Content::Returned { .. } => return Err(wrong_way()),
        };
        done.map_err(|error| silent(&error))
    }

    async fn check(&self, call: &Call, parcel: Parcel) -> CallResult<Checked> {
        self.is_for(call, Direction::In)?;
        let checked = match Content::of(&parcel)? {
            Content::Rows { .. } | Content::Returned { .. } => Ok(Checked::default()),
            Content::Log { network, entries } => {
                self.tables.check_messages(self.number_of(network).await?, &entries).await
            }
            Content::Seen { network, markers, .. } => {
                self.tables.check_markers(self.number_of(network).await?, &markers).await
            }
        };
        checked.map_err(|error| silent(&error))
    }

    /// Moving in: messages that came. Moving out: those that are to go.
    async fn count(&self, call: &Call, _: Option<String>) -> CallResult<Counted> {
        self.is_for(call, self.direction)?;
        let mut tally = Tally::default();
        for (number, id) in self.networks().await? {
            let counted = match self.direction {
                Direction::In => self.tables.count_moved(number).await,
                Direction::Out => self.count_new(number).await,
            };
            let markers = self.tables.markers(number).await.map_err(|error| silent(&error))?.len() as u64;
            let entries = counted.map_err(|error| silent(&error))?;
            tally.networks.push(NetworkTally { id, entries, digest: String::new(), markers });
        }
        Ok(Counted { tally, next: None })
    }

    async fn about(&self, call: &Call) -> CallResult<u64> {
        let networks = self.tally(call).await?.networks;
        Ok(networks.iter().map(|network| network.entries).sum())
    }

    async fn clear(&self, call: &Call) -> CallResult<bool> {
        self.is_for(call, Direction::In)?;
        self.must_be_new().await?;
        self.tables.clear().await.map_err(|error| silent(&error))?;
        Ok(true)
    }
}
