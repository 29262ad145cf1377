//! A logged line, as the store keeps it and as every device gets it: live, refilled or paged, it is rendered from this.

use smallvec::SmallVec;

use crate::wire::Text;

/// What kind of line an entry is. The numbers are kept on disk: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// PRIVMSG, with CTCP ACTION.
    Privmsg = 1,
    /// NOTICE.
    Notice = 2,
    /// TAGMSG that carries a react.
    Tagmsg = 3,
    /// REDACT.
    Redact = 4,
    /// JOIN.
    Join = 5,
    /// PART.
    Part = 6,
    /// QUIT.
    Quit = 7,
    /// KICK.
    Kick = 8,
    /// NICK.
    Nick = 9,
    /// MODE.
    Mode = 10,
    /// TOPIC.
    Topic = 11,
    /// A hole: what was said here is not kept. Its body is the sentence that devices are shown.
    Gap = 12,
}

impl Kind {
    /// The number kept on disk.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The kind with that number.
    pub fn from_code(code: u8) -> Option<Self> {
        ALL.iter().copied().find(|kind| kind.code() == code)
    }

    /// The IRC command, upper case. A gap is shown as a NOTICE.
    pub fn command(self) -> &'static str {
        match self {
            Self::Privmsg => "PRIVMSG",
            Self::Notice | Self::Gap => "NOTICE",
            Self::Tagmsg => "TAGMSG",
            Self::Redact => "REDACT",
            Self::Join => "JOIN",
            Self::Part => "PART",
            Self::Quit => "QUIT",
            Self::Kick => "KICK",
            Self::Nick => "NICK",
            Self::Mode => "MODE",
            Self::Topic => "TOPIC",
        }
    }

    /// Whether [`crate::Kinds::Messages`] holds it.
    pub fn is_message(self) -> bool {
        matches!(self, Self::Privmsg | Self::Notice | Self::Gap)
    }
}

const ALL: [Kind; 12] = [
    Kind::Privmsg,
    Kind::Notice,
    Kind::Tagmsg,
    Kind::Redact,
    Kind::Join,
    Kind::Part,
    Kind::Quit,
    Kind::Kick,
    Kind::Nick,
    Kind::Mode,
    Kind::Topic,
    Kind::Gap,
];

/// The key of the buffer of lines that belong to no conversation. Never among the targets devices are told.
pub const NO_BUFFER: &[u8] = b"*";

/// A line to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What kind of line it is.
    pub kind: Kind,
    /// Its msgid: the upstream's, or one of ours.
    pub msgid: Box<str>,
    /// When it was said, milliseconds since 1970.
    pub ts_ms: i64,
    /// Who said it: `nick!user@host`, a server, or less where the upstream says less.
    pub from: Box<[u8]>,
    /// Whom it was sent to, as written: a channel, a nick; the new nick for NICK; empty for QUIT.
    pub target: Box<[u8]>,
    /// What a search looks at: the text, topic, reason, or new nick. Bytes, not always UTF-8.
    pub body: Box<[u8]>,
    /// The rest of the line. Opaque to the store; kept and given back as it is.
    pub meta: Box<[u8]>,
    /// The keys (folded names) of the buffers it belongs to: one for most, several for QUIT and NICK,
    /// [`NO_BUFFER`] for what a server says to us alone. At least one. Needed for an append only; empty in what the store gives back.
    pub buffers: SmallVec<[Box<[u8]>; 1]>,
    /// REDACT only: the msgid of the line whose body is to go.
    pub redacts: Option<Box<str>>,
}

/// The rest of a line: what `meta` says. Unknown fields are skipped, so that it can grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    /// What lies between the first parameter and the body (KICK's nick, MODE's changes, REDACT's msgid, JOIN's account
    /// and real name).
    pub extra: SmallVec<[Box<[u8]>; 2]>,
    /// The sender's account.
    pub account: Option<Box<[u8]>>,
    /// Tags that travel with the line: client-only ones and `bot`, values unescaped.
    pub tags: Vec<(Text, Text)>,
    /// The connection it was sent from, for our own lines.
    pub origin: Option<u64>,
    /// Whether it has a body parameter at all (`PART #c` has none).
    pub bodied: bool,
}

const EXTRA: u8 = 2;
const ACCOUNT: u8 = 3;
const TAG_KEY: u8 = 4;
const TAG_VALUE: u8 = 5;
const ORIGIN: u8 = 6;
const BODYLESS: u8 = 7;

impl Meta {
    /// As bytes: fields of number, length (two bytes, big end first) and value.
    pub fn encode(&self) -> Box<[u8]> {
        let mut out = Vec::new();
        let mut field = |number: u8, value: &[u8]| {
            let value = value.get(..value.len().min(usize::from(u16::MAX))).unwrap_or_default();
            out.push(number);
            out.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
            out.extend_from_slice(value);
        };
        for extra in &self.extra {
            field(EXTRA, extra);
        }
        if let Some(account) = &self.account {
            field(ACCOUNT, account);
        }
        for (key, value) in &self.tags {
            field(TAG_KEY, key);
            field(TAG_VALUE, value);
        }
        if let Some(conn) = self.origin {
            field(ORIGIN, &conn.to_be_bytes());
        }
        if !self.bodied {
            field(BODYLESS, &[]);
        }
        out.into_boxed_slice()
    }

    /// From bytes; what cannot be read is left out.
    pub fn decode(mut bytes: &[u8]) -> Self {
        let mut meta = Self { bodied: true, ..Self::default() };
        let mut key: Option<Box<[u8]>> = None;
        while let [number, high, low, rest @ ..] = bytes {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some(value) = rest.get(..length) else { break };
            bytes = rest.get(length..).unwrap_or_default();
            match *number {
                EXTRA => meta.extra.push(value.into()),
                ACCOUNT => meta.account = Some(value.into()),
                TAG_KEY => key = Some(value.into()),
                TAG_VALUE => meta.tags.extend(key.take().map(|key| (key, value.into()))),
                ORIGIN => meta.origin = value.try_into().ok().map(u64::from_be_bytes),
                BODYLESS => meta.bodied = false,
                _ => {}
            }
        }
        meta
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_kept_beside_the_body_comes_back(
            extra in prop::collection::vec("\\PC{0,9}", 0..4), account in prop::option::of("\\PC{0,9}"),
            tags in prop::collection::vec(("[a-z+/]{1,9}", "\\PC{0,9}"), 0..3), origin in prop::option::of(any::<u64>()), bodied: bool,
        ) {
            let boxed = |text: &String| text.as_bytes().into();
            let meta = Meta {
                extra: extra.iter().map(boxed).collect(), account: account.as_ref().map(boxed),
                tags: tags.iter().map(|(k, v)| (boxed(k), boxed(v))).collect(), origin, bodied,
            };
            prop_assert_eq!(Meta::decode(&meta.encode()), meta);
        }

        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            Meta::decode(&bytes);
        }
    }

    #[test]
    fn kinds_keep_their_numbers() {
        for kind in ALL {
            assert_eq!(Kind::from_code(kind.code()), Some(kind));
        }
        assert_eq!(Kind::from_code(0), None);
    }
}
