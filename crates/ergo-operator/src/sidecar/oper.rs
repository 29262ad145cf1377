//! Ergo by an operator's connection, for releases without the HTTP API.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crds::sidecar::Sealed;
use irc_client::{Client, ClientConfig, DirectDial, Environment, Event, Tls};
use tokio::sync::mpsc;

use super::door::{DoorError, Status};

/// Who logs in, and where.
#[derive(Clone, Debug)]
pub struct Login {
    /// The port on loopback.
    pub port: u16,
    /// The operator's name.
    pub name: String,
    /// Its password.
    pub password: Sealed,
}

const DEADLINE: Duration = Duration::from_secs(10);

/// A connection that is registered.
struct Connection {
    client: Client,
    events: mpsc::Receiver<Event>,
}

impl Connection {
    async fn open(login: &Login) -> Result<Self, DoorError> {
        let host = Ipv4Addr::LOCALHOST.to_string();
        let mut config = ClientConfig::new("Ergo", host, login.port, "ircnow-sidecar");
        config.tls = Tls::Off;
        let (tell, mut events) = mpsc::channel(64);
        let client = irc_client::connect(config, Environment::new(Arc::new(DirectDial)), tell);
        loop {
            match events.recv().await {
                Some(Event::Registered(_)) => return Ok(Self { client, events }),
                Some(Event::Down { error, .. }) => return Err(DoorError::Unreachable(error.to_string())),
                Some(Event::Ended) | None => {
                    return Err(DoorError::Unreachable("the connection ended".to_owned()));
                }
                Some(_) => {}
            }
        }
    }

    fn say(&self, line: String) -> Result<(), DoorError> {
        self.client.send(Bytes::from(line)).map_err(|error| DoorError::Unreachable(error.to_string()))
    }

    /// Reads until a line says enough.
    async fn until<T>(&mut self, mut take: impl FnMut(&str, &[&str]) -> Option<T>) -> Result<T, DoorError> {
        loop {
            match self.events.recv().await {
                Some(Event::Lines(lines)) => {
                    for line in &lines {
                        if let Some(taken) = taken(line, &mut take) {
                            return Ok(taken);
                        }
                    }
                }
                Some(Event::Down { error, .. }) => return Err(DoorError::Unreachable(error.to_string())),
                Some(Event::Ended) | None => {
                    return Err(DoorError::Unreachable("the connection ended".to_owned()));
                }
                Some(_) => {}
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.client.quit("done");
    }
}

pub(crate) fn taken<T>(line: &[u8], take: &mut impl FnMut(&str, &[&str]) -> Option<T>) -> Option<T> {
    let message = irc::Message::parse(line).ok()?;
    let command = std::str::from_utf8(message.command).ok()?.to_owned();
    let params: Vec<String> =
        message.params.iter().map(|param| String::from_utf8_lossy(param).into_owned()).collect();
    let params: Vec<&str> = params.iter().map(String::as_str).collect();
    take(&command, &params)
}

async fn within<T>(work: impl Future<Output = Result<T, DoorError>>) -> Result<T, DoorError> {
    tokio::time::timeout(DEADLINE, work)
        .await
        .unwrap_or_else(|_| Err(DoorError::Unreachable("it took too long".to_owned())))
}

/// Asks for LUSERS. The connection that asks is not counted.
pub async fn status(login: &Login) -> Result<Status, DoorError> {
    within(async {
        let mut connection = Connection::open(login).await?;
        connection.say("LUSERS".to_owned())?;
        let mut status = Status::default();
        connection.until(|command, params| note(&mut status, command, params)).await?;
        Ok(status)
    })
    .await
}

/// Notes what a numeric says of the server; the last one says that this was all.
pub(crate) fn note(status: &mut Status, command: &str, params: &[&str]) -> Option<()> {
    let number = |at: usize| params.get(at).and_then(|text| text.parse::<u64>().ok());
    match command {
        "004" => status.version = params.get(2).map(|version| (*version).to_owned()),
        "254" => status.channels = number(1).unwrap_or_default(),
        "265" => {
            status.users = number(1).unwrap_or_default().saturating_sub(1);
            status.max_users = number(2).unwrap_or_default();
        }
        "266" => return Some(()),
        _ => {}
    }
    None
}

/// Becomes an operator and says REHASH.
pub async fn rehash(login: &Login) -> Result<(), DoorError> {
    within(async {
        let mut connection = Connection::open(login).await?;
        connection.say(format!("OPER {} {}", login.name, login.password.expose()))?;
        connection
            .until(|command, params| match command {
                "381" => Some(Ok(())),
                "464" | "491" | "400" | "FAIL" => Some(Err(refused(params))),
                _ => None,
            })
            .await??;
        connection.say("REHASH".to_owned())?;
        connection
            .until(|command, params| match command {
                "382" => Some(Ok(())),
                // What Ergo says instead of the numeric.
                "NOTICE" if params.last().is_some_and(|text| text.contains("ehash complete")) => Some(Ok(())),
                "400" | "481" | "723" | "FAIL" => Some(Err(refused(params))),
                _ => None,
            })
            .await?
    })
    .await
}

fn refused(params: &[&str]) -> DoorError {
    DoorError::Refused(params.last().copied().unwrap_or("it did not say why").to_owned())
}
