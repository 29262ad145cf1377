//! Questions to the store and their answers.

use crate::{Cursor, Entry, NetworkId, Position};

/// Which kinds of entries an answer may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kinds {
    /// Everything.
    All,
    /// PRIVMSG and NOTICE (with ACTION), and gap markers.
    Messages,
}

/// A place in a buffer as a client names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// By time, milliseconds since 1970.
    Time(i64),
    /// By msgid.
    Msgid(Box<str>),
}

/// Which part of a buffer is wanted. Bounds are always exclusive; answers are always ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// The newest, down to but without the bound.
    Latest(Option<Bound>),
    /// What comes directly before.
    Before(Bound),
    /// What comes directly after.
    After(Bound),
    /// What lies around, the named one included.
    Around(Bound),
    /// Between the two, counted from the first (which may be the later one).
    Between(Bound, Bound),
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// What follows in stream order, for refills and for replay on attach. Answered by [`Answer::Entries`].
    Since {
        /// Whose stream.
        network: NetworkId,
        /// After this; `None` is the beginning of what is kept.
        after: Option<Cursor>,
        /// At most this many.
        limit: u32,
        /// Which.
        kinds: Kinds,
    },
    /// A page of a buffer, in time order. Answered by [`Answer::Entries`].
    Page {
        /// Whose stream.
        network: NetworkId,
        /// The buffer's key (folded).
        buffer: Box<[u8]>,
        /// Which part.
        page: Page,
        /// At most this many.
        limit: u32,
        /// Which.
        kinds: Kinds,
    },
    /// Buffers with their newest message, between two times (exclusive), counted from the first. Answered by
    /// [`Answer::Targets`].
    Targets {
        /// Whose stream.
        network: NetworkId,
        /// From, milliseconds since 1970.
        from_ms: i64,
        /// To.
        to_ms: i64,
        /// At most this many.
        limit: u32,
    },
    /// Move a read marker forward, never back; durable before it is answered by [`Answer::Marker`] with what it is now.
    SetMarker {
        /// Whose stream.
        network: NetworkId,
        /// The buffer's key (folded).
        buffer: Box<[u8]>,
        /// To, milliseconds since 1970.
        ts_ms: i64,
    },
    /// Search. Answered by [`Answer::Entries`], ascending.
    Search {
        /// Whose stream.
        network: NetworkId,
        /// Only in this buffer (key).
        buffer: Option<Box<[u8]>>,
        /// Only by this nick, as typed.
        from: Option<Box<[u8]>>,
        /// Words.
        text: Option<String>,
        /// At or after.
        after_ms: Option<i64>,
        /// At or before.
        before_ms: Option<i64>,
        /// At most this many, the newest.
        limit: u32,
    },
}

/// An entry as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it lies.
    pub position: Position,
    /// What it is; `ts_ms` and `msgid` as kept.
    pub entry: Entry,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To `Since`, `Page` and `Search`.
    Entries {
        /// In the order asked for.
        entries: Vec<Stored>,
        /// `Since`: whether more follows what is here; `Search`: whether others may fit too. (An answer may be empty and still have more, when kinds were
        /// left out: then `reached` says how far it looked.)
        more: bool,
        /// `Since` only: how far the store has looked, if further than the last entry here.
        reached: Option<Cursor>,
        /// `Since` only: the cursor's epoch is unknown or pruned, so this was answered by time: some may come twice or be
        /// missing.
        inexact: bool,
    },
    /// To `Targets`: buffer keys and the time of their newest message, in the order asked for.
    Targets(Vec<(Box<[u8]>, i64)>),
    /// To `SetMarker`.
    Marker(i64),
    /// To [`crate::Effect::Begin`]: it is kept.
    Begun,
    /// A bound's msgid is not known in that buffer.
    UnknownMsgid,
    /// The store cannot answer.
    Failed,
}
