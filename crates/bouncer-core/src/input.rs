//! What goes into the core.

use crate::{
    Answer, CapSet, ConnId, Cursor, DeviceId, NetworkId, Position, QueryId, RequestId, SavedChannel, Ticket,
};

/// Something that happened. Every input comes with the time, see [`crate::User::handle`].
#[derive(Clone, Debug, PartialEq)]
pub enum Input<'a> {
    /// The upstream is registered. The shell hands every line from 001 on to [`Input::UpstreamLine`] after it.
    /// PING from the upstream is answered by the client session, not here.
    UpstreamUp {
        /// Which.
        network: NetworkId,
        /// The nick it gave us.
        nick: &'a [u8],
        /// The capabilities that are enabled upstream.
        caps: CapSet,
    },
    /// The upstream's enabled capabilities changed, where the shell learns it otherwise than by the `CAP ACK` and
    /// `CAP DEL` among the lines, which are understood.
    UpstreamCaps {
        /// Which.
        network: NetworkId,
        /// All that are enabled now.
        caps: CapSet,
    },
    /// A line came, without its CR LF.
    UpstreamLine {
        /// From which.
        network: NetworkId,
        /// The line.
        line: &'a [u8],
    },
    /// The upstream is gone, or an attempt to connect failed.
    UpstreamDown {
        /// Which.
        network: NetworkId,
        /// What happened and what follows, in plain words (see [`crate::plain`]).
        reason: &'a str,
        /// Whether only the user can mend it.
        needs_user: bool,
    },
    /// Dialing or registering begins.
    UpstreamConnecting {
        /// Which.
        network: NetworkId,
    },
    /// The upstream takes in less than is sent, and lines were dropped because no more could wait.
    Unsent {
        /// Which.
        network: NetworkId,
        /// How many.
        lines: u64,
    },
    /// The store answered appends of one network, in the order they were made.
    Committed {
        /// Whose.
        network: NetworkId,
        /// Each with what became of it.
        results: &'a [(Ticket, Commit)],
    },
    /// The store answered a question.
    Answer {
        /// Which.
        id: QueryId,
        /// The answer.
        answer: Answer,
    },
    /// The shell answered a wish.
    Reply {
        /// Which.
        id: RequestId,
        /// The network it was about, or why not, in a sentence for the user.
        result: Result<NetworkId, String>,
    },
    /// A connection has registered (SASL, CAP END, NICK, USER done). The core sends 001 and everything after it.
    Attach {
        /// Its number.
        conn: ConnId,
        /// Who it is and what it wants.
        attach: Attach,
    },
    /// A line from a connection, without its CR LF. `CAP` and `AUTHENTICATE` are the door's, all else
    /// comes here (PING, PONG and QUIT too).
    DeviceLine {
        /// Which.
        conn: ConnId,
        /// The line.
        line: &'a [u8],
    },
    /// The connection's enabled capabilities changed after registration.
    Caps {
        /// Which.
        conn: ConnId,
        /// All that are enabled now.
        caps: CapSet,
    },
    /// The connection's queue is over the soft limit: nothing more is pushed until [`Input::Drained`].
    Lagging {
        /// Which.
        conn: ConnId,
    },
    /// The queue of a lagging connection is (nearly) empty again: more may be pushed. Said again after each refill.
    Drained {
        /// Which.
        conn: ConnId,
    },
    /// A connection is gone.
    Detach {
        /// Which.
        conn: ConnId,
    },
    /// A network is new or another.
    Network(Box<NetworkSetup>),
    /// A network is gone.
    NetworkGone {
        /// Which.
        network: NetworkId,
    },
    /// The time asked for by [`crate::Effect::Wake`] has come.
    Tick,
}

/// What became of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// It is on disk.
    Stored {
        /// Where.
        position: Position,
        /// The time it has in the log (a clash within a buffer moves up).
        ts_ms: i64,
        /// The msgid it has in the log, if another than the one it came with.
        msgid: Option<Box<str>>,
    },
    /// The same line (msgid, source, target, body) is there already.
    Duplicate,
    /// The store is in trouble: the entry is not kept. It may be tried again.
    Refused,
    /// The store cannot keep this entry, but others.
    Rejected,
}

/// Who attaches, and what it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attach {
    /// The device.
    pub device: DeviceId,
    /// The `network` of its login name.
    pub network: Option<String>,
    /// The `netid` of its `BOUNCER BIND`.
    pub bind: Option<String>,
    /// The `@client` of its login name.
    pub client: Option<String>,
    /// The nick it registered with.
    pub nick: Vec<u8>,
    /// The capabilities it has enabled.
    pub caps: CapSet,
    /// How far this device has seen each network, as last told by [`crate::Effect::Seen`].
    pub cursors: Vec<(NetworkId, Cursor)>,
}

/// A network as the core needs to know it. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSetup {
    /// Its id.
    pub id: NetworkId,
    /// The user's name for it.
    pub name: String,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether TLS is used.
    pub tls: bool,
    /// The nick wanted.
    pub nick: String,
    /// The real name; empty means the nick.
    pub realname: String,
    /// The account of SASL, where one is set.
    pub sasl_account: Option<String>,
    /// Whether it is to be connected at all.
    pub enabled: bool,
    /// Channels to join on every connection.
    pub channels: Vec<SavedChannel>,
    /// Raw lines to send after registration, without CR LF.
    pub on_connect: Vec<String>,
    /// Read markers by buffer key, milliseconds since 1970. Taken only when the network is new to the core.
    pub markers: Vec<(Vec<u8>, i64)>,
    /// Conversations with one other (buffer keys; channels among them are passed over) and when something was last said.
    /// Taken only when the network is new to the core.
    pub queries: Vec<(Vec<u8>, i64)>,
    /// The newest entry in the log, if any: where a fetch of what was missed begins. Taken only when the network is new to
    /// the core.
    pub newest: Option<Cursor>,
    /// Since when something is missing from the log, where an earlier process did not come to fetch it
    /// ([`crate::missing_since`]).
    pub missing_since_ms: Option<i64>,
}

/// What the core knows of its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The account's user name.
    pub username: String,
    /// The name this server calls itself in lines of its own (`irc.now`).
    pub server: String,
    /// 128 random bits, fresh for each [`crate::User`]: what msgids and tokens are made of.
    pub seed: u128,
    /// The most lines of one history page.
    pub page_limit: u32,
}
