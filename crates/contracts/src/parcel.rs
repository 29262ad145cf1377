//! What is in a [`Parcel`]: rows first, then each network's log in its order, then its markers and how far devices have
//! seen it. Positions are a store's own, so they do not travel: a cursor is named by the line that comes after it.
//!
//! Bouncers of one release write and read these; whoever carries a parcel looks into none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{CallError, CallResult, NetworkId, NetworkSpec, Parcel};

/// What is in a parcel.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Everything the account has but its logs, as one bouncer of irc.now leaves it to another.
    Rows {
        /// Networks with their secrets.
        networks: Vec<MovedNetwork>,
        /// Devices.
        devices: Vec<MovedDevice>,
        /// What hosts demanded: TLS on this port until then (seconds since 1970).
        sts: Vec<(String, u16, i64)>,
    },
    /// Networks that come back from a bouncer that knows less of them. What it does not know stays as it was.
    Returned {
        /// Those it has.
        networks: Vec<MovedNetwork>,
        /// Those it was given and has not any more.
        gone: Vec<NetworkId>,
    },
    /// Some of a network's log, in its order.
    Log {
        /// Which network.
        network: NetworkId,
        /// The lines.
        entries: Vec<Line>,
    },
    /// How far a network was read.
    Seen {
        /// Which network.
        network: NetworkId,
        /// Read markers: a buffer's key, and up to when it was read (milliseconds since 1970).
        markers: Vec<(Text, i64)>,
        /// What devices have seen.
        cursors: Vec<Seen>,
    },
}

impl Content {
    /// Reads a parcel.
    pub fn of(parcel: &Parcel) -> CallResult<Self> {
        serde_json::from_str(&parcel.0).map_err(|error| unreadable(&error))
    }

    /// How many lines of a log are in it.
    pub fn lines(&self) -> u64 {
        match self {
            Self::Log { entries, .. } => entries.len() as u64,
            Self::Rows { .. } | Self::Returned { .. } | Self::Seen { .. } => 0,
        }
    }

    /// Writes a parcel.
    pub fn packed(&self) -> CallResult<Parcel> {
        serde_json::to_string(self).map(Parcel).map_err(|error| unreadable(&error))
    }
}

/// The other end's parcel, or its place in them, makes no sense here.
pub fn unreadable(error: &dyn std::fmt::Display) -> CallError {
    tracing::error!(%error, "a parcel cannot be read");
    CallError::unavailable("What one bouncer packed, the other cannot read. Both must be of one release.")
}

/// An entry of the log.
#[derive(Serialize, Deserialize)]
pub struct Line {
    /// When it was said, milliseconds since 1970.
    pub ts_ms: i64,
    /// Who said it.
    pub source: Text,
    /// What it is, by its number in the log.
    pub kind: u8,
    /// Whom it was sent to.
    pub target: Text,
    /// The keys of the buffers it belongs to.
    pub buffers: Vec<Text>,
    /// The text.
    pub body: Text,
    /// The rest of the line.
    pub meta: Text,
    /// Its msgid.
    pub msgid: String,
    /// Whether its text was taken back.
    pub redacted: bool,
    /// The msgid of the line whose text it takes back, where that is still to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redacts: Option<String>,
}

/// How far a device has seen a network: up to the line with this msgid, or everything.
#[derive(Serialize, Deserialize)]
pub struct Seen {
    /// Which device.
    pub device: Uuid,
    /// The line it has not seen.
    pub before: Option<String>,
    /// When what it saw last was said, milliseconds since 1970.
    pub ts_ms: i64,
}

/// Bytes as base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Text(pub Bytes);

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

/// A network with its secrets, on its way from one bouncer to another.
#[derive(Serialize, Deserialize)]
pub struct MovedNetwork {
    /// Which.
    pub id: NetworkId,
    /// What the user said, without secrets.
    pub spec: NetworkSpec,
    /// The secrets.
    pub private: Private,
    /// Raised with every change.
    pub version: i64,
    /// Microseconds since 1970.
    pub created_at_us: i64,
}

/// A device on its way.
#[derive(Serialize, Deserialize)]
pub struct MovedDevice {
    /// Which.
    pub id: Uuid,
    /// The app password or certificate it comes with.
    pub credential: Uuid,
    /// What stood after `@` in its login.
    pub client: Option<String>,
    /// What it calls itself.
    pub software: Option<String>,
    /// Microseconds since 1970.
    pub last_seen_us: i64,
}

/// The secret half of a network's row.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Private {
    /// The server password.
    #[serde(default)]
    pub server_password: Option<String>,
    /// The password of the account on the network.
    #[serde(default)]
    pub sasl_password: Option<String>,
    /// For EXTERNAL.
    #[serde(default)]
    pub certificate: Option<ClientCertificate>,
    /// Raw lines sent after registration.
    #[serde(default)]
    pub on_connect: Vec<String>,
}

impl std::fmt::Debug for Private {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Private")
    }
}

/// A client certificate made for one network, for SASL EXTERNAL.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCertificate {
    /// DER.
    pub certificate: Vec<u8>,
    /// PKCS #8 DER.
    pub key: Vec<u8>,
    /// SHA-256 of the certificate, lower-case hex.
    pub fingerprint: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use super::*;

    #[test]
    fn bytes_that_are_no_text_arrive_as_they_left() {
        let all: Vec<u8> = (0..=255).collect();
        let line = Line {
            ts_ms: 7,
            source: Text(Bytes::from_static(b"alice!a@h")),
            kind: 1,
            target: Text(Bytes::from_static(b"#tea")),
            buffers: vec![Text(Bytes::from(all.clone()))],
            body: Text(Bytes::from(all.clone())),
            meta: Text(Bytes::new()),
            msgid: "id".to_owned(),
            redacted: false,
            redacts: None,
        };
        let network = NetworkId(Uuid::nil());
        let parcel = Content::Log { network, entries: vec![line] }.packed().unwrap();
        let Content::Log { entries, .. } = Content::of(&parcel).unwrap() else { panic!("another content") };
        assert_eq!((entries[0].body.0.to_vec(), entries[0].buffers[0].0.to_vec()), (all.clone(), all));
        assert_eq!((entries[0].ts_ms, entries[0].msgid.as_str()), (7, "id"));
        assert!(Content::of(&Parcel("{}".to_owned())).is_err());
    }
}
