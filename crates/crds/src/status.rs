//! What both kinds report in the same words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::Line;

/// One object the operator made, as it was when the operator last wrote it. What arrives from the watch is compared
/// with this: `uid` and `fields` differ when somebody else replaced or edited it, `hash` when we want something else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChildState {
    /// `group/Kind`, or `Kind` of the core group.
    pub kind: Line<128>,
    /// Its namespace; empty means the resource's own.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub namespace: Line<63>,
    /// Its name.
    pub name: Line<253>,
    /// Its UID.
    pub uid: Line<64>,
    /// A hash of what was asked for.
    pub hash: Line<32>,
    /// A hash of the fields the API server says are ours.
    pub fields: Line<32>,
}

fn is_empty(line: &Line<63>) -> bool {
    line.0.is_empty()
}

/// Where clients connect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoints {
    /// IRC with TLS: `ircs://host:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub irc: Option<Line<300>>,
    /// The WebSocket: `wss://host/path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub websocket: Option<Line<512>>,
    /// Uploads, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uploads: Option<Line<512>>,
}

/// A snapshot or backup that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BackupState {
    /// The object that holds it.
    pub name: Line<253>,
    /// When it was finished, in seconds since 1970.
    pub finished_at: i64,
}
