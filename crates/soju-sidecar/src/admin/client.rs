//! The socket's client. soju sets itself no deadline for an administrator, so every question here has one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::codec::{Answer, Command, Unspeakable, parse_line};

/// How long soju may take for one command. Making a network waits for nobody; a password costs bcrypt.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most an answer may hold: a guard, not a limit anybody meets.
const LONGEST_ANSWER: usize = 4 << 20;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The socket is not there, or nobody listens.
    #[error("soju's admin socket {} cannot be reached: {source}", .path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The connection broke in the middle.
    #[error("soju closed its admin socket: {0}")]
    Closed(io::Error),
    /// No answer in time.
    #[error("soju did not answer `{0}` in time")]
    TimedOut(String),
    /// soju says no.
    #[error("soju said: {0}")]
    Refused(String),
    /// Not what soju says on this socket.
    #[error("soju said on its admin socket what nobody asked for: {0}")]
    Strange(String),
    /// A value that cannot be sent.
    #[error(transparent)]
    Unspeakable(#[from] Unspeakable),
}

impl AdminError {
    /// Whether soju understood and refused; anything else is a connection that must be made anew.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Unspeakable(_))
    }
}

/// A connection to the socket. After an error that is no refusal it is of no more use.
#[derive(Debug)]
pub struct Admin {
    lines: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    patience: Duration,
}

impl Admin {
    /// Connects.
    pub async fn connect(path: &Path) -> Result<Self, AdminError> {
        Self::connect_with(path, PATIENCE).await
    }

    /// Connects, and gives soju this long for each command.
    pub async fn connect_with(path: &Path, patience: Duration) -> Result<Self, AdminError> {
        let unreachable = |source| AdminError::Unreachable { path: path.to_owned(), source };
        let stream = match timeout(patience, UnixStream::connect(path)).await {
            Ok(connected) => connected.map_err(unreachable)?,
            Err(_) => return Err(unreachable(io::ErrorKind::TimedOut.into())),
        };
        let (reader, writer) = stream.into_split();
        Ok(Self { lines: BufReader::new(reader), writer, patience })
    }

    /// Has soju do something, and gives the lines it said.
    pub async fn run(&mut self, command: &Command) -> Result<Vec<String>, AdminError> {
        let patience = self.patience;
        match timeout(patience, self.ask(command)).await {
            Ok(answer) => answer,
            Err(_) => Err(AdminError::TimedOut(command.to_string())),
        }
    }

    async fn ask(&mut self, command: &Command) -> Result<Vec<String>, AdminError> {
        self.writer.write_all(&command.line()).await.map_err(AdminError::Closed)?;
        let (mut said, mut left) = (Vec::new(), LONGEST_ANSWER);
        loop {
            let mut line = Vec::new();
            let limit = u64::try_from(left).unwrap_or(u64::MAX);
            let read = (&mut self.lines)
                .take(limit)
                .read_until(b'\n', &mut line)
                .await
                .map_err(AdminError::Closed)?;
            if !line.ends_with(b"\n") {
                let why = if read < left { "in the middle of a line" } else { "the answer has no end" };
                return Err(AdminError::Closed(io::Error::new(io::ErrorKind::UnexpectedEof, why)));
            }
            left -= read;
            match parse_line(&line) {
                Answer::Text(text) => said.push(text),
                Answer::Done => return Ok(said),
                Answer::Refused(why) => return Err(AdminError::Refused(why)),
                Answer::Strange(line) => return Err(AdminError::Strange(line)),
            }
        }
    }
}
