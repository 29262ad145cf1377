//! What both kinds report in the same words.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::database::DatabaseIdentity;
use crate::text::{HostName, Line};

/// What the shared half of the operators reads and writes in either status.
pub trait Status: Serialize {
    /// What holds and what does not.
    fn conditions(&self) -> &[Condition];
    /// The host names the resource holds.
    fn hostnames(&self) -> &[HostName];
    /// What the operator made.
    fn children(&self) -> &[ChildState];
    /// The database that belongs to the resource.
    fn database(&self) -> Option<&DatabaseIdentity>;
    /// Where that is written down.
    fn database_mut(&mut self) -> &mut Option<DatabaseIdentity>;
}

/// A status with what both kinds report, and the fields that are the kind's own.
macro_rules! server_status {
    ($(#[$about:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            /// The generation that was last looked at.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub observed_generation: Option<i64>,
            /// What holds and what does not.
            #[schemars(schema_with = "crate::schema::conditions")]
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub conditions: Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>,
            /// Where clients connect.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub endpoints: Option<crate::status::Endpoints>,
            /// The version the server says it has.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub version: Option<crate::text::Line<64>>,
            /// The hash of the configuration that was rendered.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub config_hash: Option<crate::text::Line<32>>,
            /// The database that belongs to this resource.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub database: Option<crate::database::DatabaseIdentity>,
            /// The host names this resource holds.
            #[schemars(length(max = 4))]
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub hostnames: Vec<crate::text::HostName>,
            /// The last snapshot or backup.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub last_backup: Option<crate::status::BackupState>,
            /// How often the server's containers were started again.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub restarts: Option<i32>,
            /// What the operator made.
            #[schemars(length(max = 48))]
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub children: Vec<crate::status::ChildState>,
            $($own)*
        }

        impl crate::status::Status for $name {
            fn conditions(&self) -> &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition] {
                &self.conditions
            }

            fn hostnames(&self) -> &[crate::text::HostName] {
                &self.hostnames
            }

            fn children(&self) -> &[crate::status::ChildState] {
                &self.children
            }

            fn database(&self) -> Option<&crate::database::DatabaseIdentity> {
                self.database.as_ref()
            }

            fn database_mut(&mut self) -> &mut Option<crate::database::DatabaseIdentity> {
                &mut self.database
            }
        }
    };
}

pub(crate) use server_status;

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
