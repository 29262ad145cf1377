//! The way to Ergo: its HTTP API where it has one, an operator's connection where not.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use service::http::HttpClient;

use super::config::Door;
use super::oper;

/// How Ergo is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Its version.
    pub version: Option<String>,
    /// When it started, in seconds since 1970.
    pub started_at: Option<i64>,
    /// Clients now.
    pub users: u64,
    /// The most clients at once.
    pub max_users: u64,
    /// Channels now.
    pub channels: u64,
    /// Accounts.
    pub accounts: Option<u64>,
}

/// Why Ergo did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// It did not answer.
    #[error("ergo does not answer: {0}")]
    Unreachable(String),
    /// It refused.
    #[error("{0}")]
    Refused(String),
}

/// Ergo, as it is reached.
#[derive(Debug)]
pub enum Server {
    /// By its API.
    Api {
        /// Asks.
        http: HttpClient,
        /// Where.
        url: String,
        /// The bearer token.
        token: crds::sidecar::Sealed,
    },
    /// By an operator's connection.
    Operator(oper::Login),
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct ApiStatus {
    version: Option<String>,
    start_time: Option<String>,
    users: ApiUsers,
    channels: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ApiUsers {
    total: u64,
    max: u64,
}

const DEADLINE: Duration = Duration::from_secs(5);

impl Server {
    /// The way a configuration names.
    pub fn of(door: &Door) -> Result<Self, service::http::HttpError> {
        Ok(match door {
            Door::Api { url, token } => {
                Self::Api { http: HttpClient::new()?, url: url.clone(), token: token.clone() }
            }
            Door::Operator { port, name, password } => {
                Self::Operator(oper::Login { port: *port, name: name.clone(), password: password.clone() })
            }
        })
    }

    /// Asks how it is. Accounts are only counted if that is asked for: Ergo lists them all.
    pub async fn status(&self, count_accounts: bool) -> Result<Status, DoorError> {
        if let Self::Operator(login) = self {
            return oper::status(login).await;
        }
        let status = self.call("status").await?;
        let status: ApiStatus = serde_json::from_value(status)
            .map_err(|error| DoorError::Unreachable(format!("it says what we do not know: {error}")))?;
        let accounts = if count_accounts { self.call("ns/list").await.ok() } else { None };
        Ok(Status {
            version: status.version,
            started_at: status
                .start_time
                .and_then(|text| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)),
            users: status.users.total,
            max_users: status.users.max,
            channels: status.channels,
            accounts: accounts.as_ref().and_then(count),
        })
    }

    /// Has it read its configuration anew.
    pub async fn rehash(&self) -> Result<(), DoorError> {
        if let Self::Operator(login) = self {
            return oper::rehash(login).await;
        }
        let answer = self.call("rehash").await?;
        if answer["success"] == true {
            return Ok(());
        }
        let said = ["error", "errorCode"].into_iter().find_map(|field| answer[field].as_str());
        Err(DoorError::Refused(said.unwrap_or("it did not say why").to_owned()))
    }

    async fn call(&self, method: &str) -> Result<Value, DoorError> {
        let Self::Api { http, url, token } = self else {
            return Err(DoorError::Unreachable("there is no API".to_owned()));
        };
        let lost = |error: &dyn std::fmt::Display| DoorError::Unreachable(error.to_string());
        let request = http.post(&format!("{url}/v1/{method}")).map_err(|error| lost(&error))?;
        let request = request.bearer_auth(token.expose()).json(&json!({})).timeout(DEADLINE);
        let answer = request.send().await.map_err(|error| lost(&error.without_url()))?;
        let status = answer.status();
        if !status.is_success() {
            return Err(DoorError::Unreachable(format!("it answered {status}")));
        }
        answer.json().await.map_err(|error| lost(&error.without_url()))
    }
}

/// How many accounts a list names.
fn count(list: &Value) -> Option<u64> {
    let total = list["totalCount"].as_u64();
    total.or_else(|| u64::try_from(list["accounts"].as_array()?.len()).ok())
}
