//! The service's side of the workers: a few processes, each with one picture at a time and a time limit.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ring::digest::{Context, SHA256};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::frames::{HEAD, Tag, Told, View};

/// JSON in a frame is a line, refusals are a sentence.
const MOST_WORDS: u32 = 4096;
/// After so many pictures a worker makes room for a fresh one: its memory is as full as its largest picture made it.
const PICTURES: u32 = 100;

/// How a worker is started.
#[derive(Clone, Debug)]
pub struct WorkerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// What became of a picture. Its files lie in the folder that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// What it is.
    pub told: Told,
    /// The picture without metadata: the file `clean`.
    pub length: u64,
    /// SHA-256 of that.
    pub hash: [u8; 32],
    /// Smaller views, with their lengths: files named after their side.
    pub views: Vec<(View, u64)>,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The picture is not taken, in words for whoever sent it.
    #[error("{0}")]
    Refused(String),
    /// Every worker is busy, and was for long.
    #[error("Too many pictures are being looked at right now. Try again in a minute.")]
    Busy,
    /// The worker died of it, or took too long.
    #[error("This picture takes more memory or time than one may take. Make it smaller and send it again.")]
    TooHard,
    /// Files or pipes of ours.
    #[error("the picture's files cannot be worked with")]
    Io(#[from] io::Error),
}

/// What ended a worker's work early.
enum Broken {
    /// The picture's fault, or ours; the worker goes on.
    Answer(MakeError),
    /// The worker is gone, or has lost its way.
    Worker(io::Error),
}

/// The workers.
#[derive(Debug)]
pub struct Workers {
    command: WorkerCommand,
    turns: Semaphore,
    idle: Mutex<Vec<Worker>>,
    patience: Duration,
    limit: Duration,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    pictures: u32,
}

impl Workers {
    /// At most `count` processes at once. A picture waits `patience` for its turn and may then take `limit`.
    pub fn new(command: WorkerCommand, count: usize, patience: Duration, limit: Duration) -> Self {
        let turns = Semaphore::new(count.max(1));
        Self { command, turns, idle: Mutex::default(), patience, limit }
    }

    /// Makes of the file `source` what is shown of it, as files in `folder`. What is left there after an error is the
    /// caller's to take away.
    pub async fn make(&self, source: &Path, folder: &Path) -> Result<Made, MakeError> {
        let turn = timeout(self.patience, self.turns.acquire()).await;
        let _turn = turn.map_err(|_| MakeError::Busy)?.map_err(|_| MakeError::Busy)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let mut worker = match self.idle().pop() {
                Some(worker) => worker,
                None => Worker::start(&self.command)?,
            };
            let done = timeout(self.limit, worker.make(source, folder)).await;
            match done {
                Ok(Ok(made)) => {
                    self.put_back(worker);
                    return Ok(made);
                }
                Ok(Err(Broken::Answer(error))) => {
                    if matches!(error, MakeError::Refused(_)) {
                        self.put_back(worker);
                    }
                    return Err(error);
                }
                // It may have been killed for another reason: what kills two of them is the picture.
                Ok(Err(Broken::Worker(error))) if tries < 2 => {
                    tracing::warn!(%error, "a worker ended with a picture; another tries");
                }
                Ok(Err(Broken::Worker(error))) => {
                    tracing::warn!(%error, "a picture ended two workers");
                    return Err(MakeError::TooHard);
                }
                Err(_) => {
                    tracing::warn!("a picture took too long and its worker is killed");
                    return Err(MakeError::TooHard);
                }
            }
        }
    }

    /// The processes of workers that wait for work: for tests that kill them.
    #[doc(hidden)]
    pub fn idle_processes(&self) -> Vec<u32> {
        self.idle().iter().filter_map(|worker| worker.child.id()).collect()
    }

    fn put_back(&self, mut worker: Worker) {
        worker.pictures += 1;
        if worker.pictures < PICTURES {
            self.idle().push(worker);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    fn start(command: &WorkerCommand) -> io::Result<Self> {
        let mut child = Command::new(&command.program)
            .args(&command.args)
            // It needs nothing of ours, least of all our secrets.
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Self { child, input, output, pictures: 0 }),
            _ => Err(io::Error::other("a worker has no pipes")),
        }
    }

    async fn make(&mut self, source: &Path, folder: &Path) -> Result<Made, Broken> {
        self.send(source).await?;
        let (mut told, mut clean, mut view, mut views) = (None, None, None, Vec::new());
        loop {
            let (tag, length) = self.head().await?;
            match tag {
                Tag::Refused => return Err(Broken::Answer(MakeError::Refused(self.words(length).await?))),
                Tag::Told => told = Some(self.json::<Told>(length).await?),
                Tag::Clean => clean = Some((length, self.file(length, &folder.join("clean")).await?)),
                Tag::View => view = Some(self.json::<View>(length).await?),
                Tag::Pixels => {
                    let view: View = view.take().ok_or_else(|| lost("pixels of no view"))?;
                    self.file(length, &folder.join(view.side.to_string())).await?;
                    views.push((view, length.into()));
                }
                Tag::End => break,
                Tag::File => return Err(lost("a file came back")),
            }
        }
        match (told, clean) {
            (Some(told), Some((length, hash))) => Ok(Made { told, length: length.into(), hash, views }),
            _ => Err(lost("an answer without a picture")),
        }
    }

    async fn send(&mut self, source: &Path) -> Result<(), Broken> {
        let mut file = File::open(source).await.map_err(ours)?;
        let length = file.metadata().await.map_err(ours)?.len();
        let head = Tag::File.head(usize::try_from(length).unwrap_or(usize::MAX)).map_err(ours)?;
        self.input.write_all(&head).await.map_err(Broken::Worker)?;
        copy((&mut file, ours), (&mut self.input, Broken::Worker), length, None).await
    }

    async fn head(&mut self) -> Result<(Tag, u32), Broken> {
        let mut head = [0; HEAD];
        self.output.read_exact(&mut head).await.map_err(Broken::Worker)?;
        Tag::read(head).map_err(Broken::Worker)
    }

    async fn words(&mut self, length: u32) -> Result<String, Broken> {
        if length > MOST_WORDS {
            return Err(lost("too many words"));
        }
        let mut words = vec![0; length as usize];
        self.output.read_exact(&mut words).await.map_err(Broken::Worker)?;
        String::from_utf8(words).map_err(|_| lost("words that are none"))
    }

    async fn json<T: serde::de::DeserializeOwned>(&mut self, length: u32) -> Result<T, Broken> {
        serde_json::from_str(&self.words(length).await?).map_err(|error| Broken::Worker(error.into()))
    }

    /// Takes so many bytes into a file and gives their SHA-256.
    async fn file(&mut self, length: u32, path: &Path) -> Result<[u8; 32], Broken> {
        let mut file = File::create(path).await.map_err(ours)?;
        let mut digest = Context::new(&SHA256);
        copy((&mut self.output, Broken::Worker), (&mut file, ours), length.into(), Some(&mut digest)).await?;
        file.flush().await.map_err(ours)?;
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.finish().as_ref());
        Ok(hash)
    }
}

/// Copies exactly `length` bytes, a piece at a time. `reading` and `writing` say whose fault it is if that fails.
async fn copy(
    (from, reading): (&mut (impl AsyncRead + Unpin), Fault),
    (to, writing): (&mut (impl AsyncWrite + Unpin), Fault),
    length: u64,
    mut digest: Option<&mut Context>,
) -> Result<(), Broken> {
    let mut piece = vec![0; 64 << 10];
    let mut left = length;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        let came = from.read(&mut piece[..most]).await.map_err(reading)?;
        if came == 0 {
            return Err(reading(io::ErrorKind::UnexpectedEof.into()));
        }
        if let Some(digest) = digest.as_mut() {
            digest.update(&piece[..came]);
        }
        to.write_all(&piece[..came]).await.map_err(writing)?;
        left -= came as u64;
    }
    Ok(())
}

/// Makes of an error whose it is.
type Fault = fn(io::Error) -> Broken;

fn ours(error: io::Error) -> Broken {
    Broken::Answer(MakeError::Io(error))
}

fn lost(what: &'static str) -> Broken {
    Broken::Worker(io::Error::new(io::ErrorKind::InvalidData, what))
}
