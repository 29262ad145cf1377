//! What is stored and what is asked: ids, positions, entries, pages, searches.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use uuid::Uuid;

/// The account a stream belongs to. Every call names it; a stream of another account is as good as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub Uuid);

/// What one writer orders: one account's connection to one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamId(pub Uuid);

impl From<Uuid> for AccountId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl From<Uuid> for StreamId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

/// A writer's term over a stream: raised durably at each writer's start and at each restore. The random bits tell
/// apart two terms of the same number, one of which was lost with a restored backup. It is the fencing number too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Epoch {
    /// Rises.
    pub number: u32,
    /// Random, compared for equality only.
    pub token: u32,
}

/// Where an entry lies in its stream. Cursors follow this order; pages follow time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The term it was written in.
    pub epoch: Epoch,
    /// Counts from 1 within the term, without holes.
    pub offset: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:08x}.{}", self.epoch.number, self.epoch.token, self.offset)
    }
}

impl std::str::FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('.');
        let (Some(number), Some(token), Some(offset), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(());
        };
        Ok(Self {
            epoch: Epoch {
                number: number.parse().map_err(drop)?,
                token: u32::from_str_radix(token, 16).map_err(drop)?,
            },
            offset: offset.parse().map_err(drop)?,
        })
    }
}

/// A buffer's key: the channel or nick, already casemapped by the caller. Its first use interns it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Buffer(pub Bytes);

impl<T: AsRef<[u8]> + ?Sized> From<&T> for Buffer {
    fn from(name: &T) -> Self {
        Self(Bytes::copy_from_slice(name.as_ref()))
    }
}

/// What an entry is. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Kind {
    /// PRIVMSG, ACTION included.
    Privmsg = 1,
    /// NOTICE.
    Notice = 2,
    /// TAGMSG that is kept: a react.
    Tagmsg = 3,
    /// REDACT.
    Redact = 4,
    /// JOIN.
    Join = 5,
    /// PART.
    Part = 6,
    /// QUIT, stored once in many buffers.
    Quit = 7,
    /// KICK.
    Kick = 8,
    /// NICK, stored once in many buffers.
    Nick = 9,
    /// MODE.
    Mode = 10,
    /// TOPIC.
    Topic = 11,
    /// Lines are missing here; see [`Gap`].
    Gap = 12,
}

impl Kind {
    /// Every kind there is.
    pub const ALL: [Self; 12] = [
        Self::Privmsg,
        Self::Notice,
        Self::Tagmsg,
        Self::Redact,
        Self::Join,
        Self::Part,
        Self::Quit,
        Self::Kick,
        Self::Nick,
        Self::Mode,
        Self::Topic,
        Self::Gap,
    ];

    pub(crate) fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i64 == code)
    }

    /// Whether its body is found by a search.
    pub(crate) fn is_searched(self) -> bool {
        matches!(self, Self::Privmsg | Self::Notice | Self::Topic)
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(pub(crate) i64);

impl Kinds {
    /// Every kind: for devices with event-playback.
    pub const ALL: Self = Self(i64::MAX);
    /// PRIVMSG, NOTICE and gap markers: for devices without event-playback.
    pub const MESSAGES: Self =
        Self((1 << Kind::Privmsg as i64) | (1 << Kind::Notice as i64) | (1 << Kind::Gap as i64));

    /// Exactly these.
    pub fn of(kinds: &[Kind]) -> Self {
        Self(kinds.iter().fold(0, |set, kind| set | (1 << *kind as i64)))
    }

    /// Whether `kind` is one of them.
    pub fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as i64) != 0
    }
}

/// A line to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// The upstream's server-time in milliseconds since 1970. `None`, or a time in our future, becomes now.
    pub ts_ms: Option<i64>,
    /// `nick!user@host` or a server's name.
    pub source: Bytes,
    /// What it is.
    pub kind: Kind,
    /// Whom the line was sent to, as written: a channel, a nick; for NICK the new nick, for KICK the channel.
    pub target: Bytes,
    /// Every buffer it belongs to, at least one.
    pub buffers: SmallVec<[Buffer; 1]>,
    /// The text, any bytes.
    pub body: Bytes,
    /// Whatever is needed to write the very line again: tags, further parameters. Opaque here.
    pub meta: Bytes,
    /// The upstream's msgid, or one the caller made before the store answered. `None`: made here.
    pub msgid: Option<String>,
}

impl NewEntry {
    /// A line in one buffer, without meta, msgid and upstream time.
    pub fn new(kind: Kind, buffer: Buffer, source: Bytes, target: Bytes, body: Bytes) -> Self {
        Self {
            ts_ms: None,
            source,
            kind,
            target,
            buffers: SmallVec::from_iter([buffer]),
            body,
            meta: Bytes::new(),
            msgid: None,
        }
    }

    /// A visible sign that lines are missing in these buffers. It lies where the gap ends.
    pub fn gap(buffers: impl IntoIterator<Item = Buffer>, gap: Gap) -> Self {
        Self {
            ts_ms: Some(gap.until_ms),
            source: Bytes::new(),
            kind: Kind::Gap,
            target: Bytes::new(),
            buffers: buffers.into_iter().collect(),
            body: Bytes::from(serde_json::to_vec(&gap).unwrap_or_default()),
            meta: Bytes::new(),
            msgid: None,
        }
    }
}

/// What a gap marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Nothing is missing up to here, milliseconds since 1970.
    pub since_ms: i64,
    /// Nothing is missing from here on.
    pub until_ms: i64,
    /// How many lines are missing, where that is known.
    pub lost: Option<u64>,
}

/// The right to append to a stream, until somebody else opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamWriter {
    /// Whose stream it is.
    pub account: AccountId,
    /// Which.
    pub stream: StreamId,
    /// This writer's term.
    pub epoch: Epoch,
}

/// An entry that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it lies.
    pub position: Position,
    /// Its id, UUIDv7.
    pub id: Uuid,
    /// Its time, unique in each of its buffers.
    pub ts_ms: i64,
    /// The msgid devices see.
    pub msgid: String,
    /// The line was already there: this is the first one's place, and nothing was written.
    pub duplicate: bool,
}

/// Why one entry was not taken. Its neighbours are not touched by it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another writer has opened the stream since: stop, or open it again.
    #[error("another writer has taken over this stream")]
    StaleEpoch,
    /// The stream is not there, was deleted, or belongs to another account.
    #[error("there is no such stream for this account")]
    NoSuchStream,
    /// It names no buffer.
    #[error("the entry belongs to no buffer")]
    NoBuffer,
    /// Body, meta and names together pass [`crate::MAX_ENTRY_BYTES`].
    #[error("the entry is too large")]
    TooLarge,
    /// The engine refused the row itself.
    #[error("the store refused the row: {0}")]
    Row(String),
}

/// A stored entry as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it lies in its stream.
    pub position: Position,
    /// UUIDv7.
    pub id: Uuid,
    /// Milliseconds since 1970, unique in each of its buffers.
    pub ts_ms: i64,
    /// `nick!user@host` or a server's name.
    pub source: Bytes,
    /// What it is.
    pub kind: Kind,
    /// Whom it was sent to.
    pub target: Bytes,
    /// The text; empty once redacted.
    pub body: Bytes,
    /// As it was given; empty once redacted.
    pub meta: Bytes,
    /// The msgid devices see.
    pub msgid: String,
    /// Somebody took it back: only that it was there is known.
    pub redacted: bool,
}

impl Entry {
    /// What a gap marker says; `None` for other kinds.
    pub fn gap(&self) -> Option<Gap> {
        (self.kind == Kind::Gap).then(|| serde_json::from_slice(&self.body).ok()).flatten()
    }
}

/// A point in a buffer's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Milliseconds since 1970.
    Time(i64),
    /// The entry with this msgid.
    Msgid(String),
}

/// Which part of a buffer (ircv3 `chathistory`). Anchors themselves are left out, but for `Around`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Range {
    /// The newest.
    Latest,
    /// The newest that come after the anchor.
    LatestAfter(Anchor),
    /// The last ones before it.
    Before(Anchor),
    /// The first ones after it.
    After(Anchor),
    /// The anchor in the middle.
    Around(Anchor),
    /// Between the two, beginning at the first one, which may be the later.
    Between(Anchor, Anchor),
}

/// How a device's reading goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// From the oldest entry kept.
    Start,
    /// After this position.
    Position(Position),
    /// Everything said after this time, in position order.
    Time(i64),
}

/// A piece of a stream in position order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CursorPage {
    /// The entries, oldest position first.
    pub entries: Vec<Entry>,
    /// Where to read on; `None` when nothing lies behind it at the moment.
    pub next: Option<Position>,
    /// The cursor could not be followed exactly: say so visibly.
    pub hole: Option<Hole>,
}

/// Why a cursor could not be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hole {
    /// Its epoch is not one of this stream's (a restored backup): read again with [`Since::Time`] and show a gap.
    UnknownEpoch,
    /// Retention has removed entries behind it; what is left follows.
    Pruned,
}

/// A buffer and its newest entry's time (ircv3 `chathistory TARGETS`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The buffer.
    pub buffer: Buffer,
    /// Time of its newest entry of the kinds asked for.
    pub latest_ms: i64,
}

/// How far a device has read a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCursor {
    /// Which device: an opaque key of the caller's.
    pub device: Bytes,
    /// The last position it has seen.
    pub position: Position,
    /// When that was noted, milliseconds since 1970.
    pub updated_ms: i64,
}

/// What to look for. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// One stream; `None`: all of the account.
    pub stream: Option<StreamId>,
    /// One buffer of that stream.
    pub buffer: Option<Buffer>,
    /// The sender's nick, compared without regard to ASCII case.
    pub from: Option<Bytes>,
    /// Words that must all occur, in any order and case. `"two words"` is a phrase, `begin*` a prefix; `*inside*` is
    /// found within words too.
    pub text: Option<String>,
    /// Said after this time, milliseconds since 1970.
    pub after_ms: Option<i64>,
    /// Said before this time.
    pub before_ms: Option<i64>,
    /// At most so many, the newest.
    pub limit: usize,
}

/// What a search came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The newest that fit, newest last.
    pub hits: Vec<Hit>,
    /// The search was given up after [`crate::Options::search_looks`] entries; others that fit may be left. A buffer, a
    /// sharper word or a later `after_ms` brings it to an end.
    pub more: bool,
}

/// A found entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Where it was said.
    pub stream: StreamId,
    /// A buffer it belongs to.
    pub buffer: Buffer,
    /// The entry.
    pub entry: Entry,
}

/// How many entries were taken on a day (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCount {
    /// Days since 1970-01-01.
    pub day: i64,
    /// Entries taken that day; pruning does not lower it.
    pub entries: u64,
}

/// How the store feels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// `sqlite` or `postgres`.
    pub engine: &'static str,
    /// The last write went through, and none has been waiting too long.
    pub writable: bool,
    /// What went wrong last, if the last write did.
    pub last_error: Option<String>,
    /// Entries waiting for a commit.
    pub queued: usize,
    /// Commits since the start.
    pub commits: u64,
    /// Entries written since the start.
    pub appended: u64,
}
