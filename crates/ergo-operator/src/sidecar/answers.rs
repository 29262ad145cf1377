//! Ergo's questions: may this address connect, is this password right. One JSON object a line, each way.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::http::HttpClient;
use service::shutdown::Shutdown;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::config::{Introspection, SidecarConfig, SidecarState};
use super::{Shared, SidecarError};

/// The longest question.
const LONGEST: u64 = 16 * 1024;

/// How long a question may take to be written.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who knows passwords, where that is not an issuer that is asked over HTTP.
#[async_trait::async_trait]
pub trait Passwords: Send + Sync + 'static {
    /// The account that `passphrase` proves to somebody at `address` who says they are `account`; `None` if it proves
    /// nothing, an error if nobody can say right now.
    async fn whose(
        &self,
        account: &str,
        passphrase: &str,
        address: Option<IpAddr>,
    ) -> Result<Option<String>, String>;
}

/// What the answers are made from.
#[derive(Clone)]
pub struct Live {
    config: Arc<RwLock<SidecarConfig>>,
    shared: Shared,
    http: HttpClient,
    passwords: Option<Arc<dyn Passwords>>,
}

impl Live {
    /// Answers by this configuration.
    pub fn new(config: SidecarConfig, shared: Shared) -> Result<Self, SidecarError> {
        Ok(Self { config: Arc::new(RwLock::new(config)), shared, http: HttpClient::new()?, passwords: None })
    }

    /// Asks these about passwords, and counts clients from loopback like all others: for a server that is no Pod's.
    pub fn beside(self, passwords: Arc<dyn Passwords>) -> Self {
        Self { passwords: Some(passwords), ..self }
    }

    /// From now on by this one.
    pub fn configure(&self, config: SidecarConfig) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// The configuration.
    pub fn config(&self) -> SidecarConfig {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers on both sockets, whether Ergo asks already or not: what it asks later needs no new Pod.
pub fn start(live: &Live, shutdown: &Shutdown) -> Result<(), SidecarError> {
    let config = live.config();
    for (path, kind) in
        [(config.address_socket, Question::Address), (config.password_socket, Question::Password)]
    {
        let listener = listen(&path)?;
        let (live, ending) = (live.clone(), shutdown.clone());
        shutdown.spawn_until("sidecar answers", async move { serve(listener, live, kind, ending).await });
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Question {
    Address,
    Password,
}

fn listen(path: &Path) -> Result<UnixListener, SidecarError> {
    // A socket outlives the process that made it.
    let _ = std::fs::remove_file(path);
    UnixListener::bind(path)
        .map_err(|source| SidecarError::Listen { what: path.display().to_string(), source })
}

async fn serve(listener: UnixListener, live: Live, kind: Question, shutdown: Shutdown) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let live = live.clone();
                let answering = async move {
                    if let Err(error) = answer(stream, &live, kind).await {
                        tracing::debug!(%error, "a question was not finished");
                    }
                };
                shutdown.spawn_until("sidecar answer", answering);
            }
            Err(error) => {
                tracing::warn!(%error, "no question could be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(stream: UnixStream, live: &Live, kind: Question) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read.take(LONGEST));
    let mut line = String::new();
    tokio::time::timeout(PATIENCE, read.read_line(&mut line)).await??;
    let answer = match kind {
        Question::Address => address(live, &line),
        Question::Password => password(live, &line).await,
    };
    write.write_all(format!("{answer}\n").as_bytes()).await?;
    write.shutdown().await
}

/// What Ergo asks about an address.
#[derive(Deserialize)]
struct AddressQuestion {
    ip: String,
}

/// The address Ergo asks about.
pub(crate) fn asked_address(line: &str) -> Option<IpAddr> {
    serde_json::from_str::<AddressQuestion>(line).ok()?.ip.parse().ok()
}

/// What Ergo is told about an address.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AddressAnswer {
    result: u8,
    ban_message: String,
    error: String,
}

const ACCEPTED: u8 = 1;
const BANNED: u8 = 2;

fn address(live: &Live, line: &str) -> Value {
    let limit = live.config().clients;
    // In a Pod, what comes from loopback is the sidecar itself.
    let own = live.passwords.is_none() && asked_address(line).is_some_and(|address| address.is_loopback());
    let mut allowed = true;
    live.shared.change(|state| allowed = own || let_in(state, limit));
    let (result, ban_message) = if allowed {
        (ACCEPTED, String::new())
    } else {
        (
            BANNED,
            format!("This network is full: {} people are on it. Try again later.", limit.unwrap_or_default()),
        )
    };
    json!(AddressAnswer { result, ban_message, error: String::new() })
}

/// Whether one more client may come. Those let in since Ergo was last counted are counted too.
fn let_in(state: &mut SidecarState, limit: Option<u64>) -> bool {
    let room = limit.is_none_or(|limit| state.users.saturating_add(state.admitted) < limit);
    if room {
        state.admitted += 1;
    } else {
        state.turned_away += 1;
    }
    room
}

/// What Ergo asks about a login.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(crate) struct PasswordQuestion {
    pub account_name: String,
    pub passphrase: String,
    ip: String,
}

/// The login Ergo asks about.
pub(crate) fn asked_password(line: &str) -> Option<PasswordQuestion> {
    serde_json::from_str(line).ok()
}

/// What the issuer says about a token.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Introspected {
    active: bool,
    username: String,
}

async fn password(live: &Live, line: &str) -> Value {
    let no = |error: &str| json!({ "success": false, "accountName": "", "error": error });
    let Some(question) = asked_password(line) else {
        return no("the question is not understood");
    };
    if question.passphrase.is_empty() {
        return no("");
    }
    let found = match (&live.passwords, live.config().introspection) {
        (Some(passwords), _) => {
            passwords.whose(&question.account_name, &question.passphrase, question.ip.parse().ok()).await
        }
        (None, Some(issuer)) => introspect(&live.http, &issuer, &question.passphrase)
            .await
            .map(|found| found.active.then_some(found.username)),
        (None, None) => return no("nobody is asked about passwords"),
    };
    match found {
        Ok(Some(found)) if is_account(&found, &question.account_name) => {
            json!({ "success": true, "accountName": found, "error": "" })
        }
        // Not a password of irc.now: Ergo looks at the network's own accounts next.
        Ok(_) => no(""),
        Err(error) => {
            tracing::warn!(%error, "the issuer did not say whether a password is right");
            no("the login service does not answer: try again in a moment")
        }
    }
}

pub(crate) fn is_account(found: &str, asked: &str) -> bool {
    !found.is_empty() && (asked.is_empty() || found.eq_ignore_ascii_case(asked))
}

async fn introspect(http: &HttpClient, issuer: &Introspection, token: &str) -> Result<Introspected, String> {
    let request = http.post(&issuer.url).map_err(|error| error.to_string())?;
    let answer = request
        .basic_auth(&issuer.client_id, Some(issuer.client_secret.expose()))
        .form(&[("token", token)])
        .timeout(Duration::from_secs(4))
        .send()
        .await
        .map_err(|error| error.without_url().to_string())?;
    if !answer.status().is_success() {
        return Err(format!("it answered {}", answer.status()));
    }
    answer.json().await.map_err(|error| error.without_url().to_string())
}

/// Asks a sidecar's socket what stands on `question`: what Ergo starts where it cannot ask a socket itself.
pub async fn ask(socket: &Path, question: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(format!("{}\n", question.trim_end()).as_bytes()).await?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_comes_in_between_two_counts_who_would_be_too_many() {
        let mut state = SidecarState { users: 3, ..SidecarState::default() };
        assert!(let_in(&mut state, Some(5)));
        assert!(let_in(&mut state, Some(5)));
        assert!(!let_in(&mut state, Some(5)));
        assert_eq!((state.admitted, state.turned_away), (2, 1));
        assert!(let_in(&mut state, None));
    }

    #[test]
    fn a_password_of_somebody_else_is_none() {
        assert!(is_account("alice", "Alice"));
        assert!(!is_account("alice", "bob"));
        assert!(!is_account("", ""));
    }
}
