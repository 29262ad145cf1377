//! A program of a test's own that dies by `kill -9` at a step it reaches itself.
//!
//! The program is a test of the same binary that is otherwise ignored: [`Life::start`] runs it in a process of its own,
//! [`Here::of_parent`] finds there what it was told. At the step it must not live through, it stands still, and the
//! parent kills it: nothing it held in memory, and no destructor, does anything any more.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::process::Process;
use crate::wait::PATIENCE;

const TOLD: &str = "TESTKIT_LIFE";
const STANDS: &str = "stands still";

/// What a process was told by the test that started it.
#[derive(Debug)]
pub struct Here {
    /// What the test chose to say.
    pub settings: Value,
    report: PathBuf,
    last: Option<u64>,
    passed: AtomicUsize,
}

impl Here {
    /// What this process was told; `None` if nobody started it by [`Life::start`].
    pub fn of_parent() -> Option<Self> {
        let told: Value = serde_json::from_str(&std::env::var(TOLD).ok()?).ok()?;
        Some(Self {
            settings: told["settings"].clone(),
            report: told["report"].as_str()?.into(),
            last: told["last"].as_u64(),
            passed: AtomicUsize::new(0),
        })
    }

    /// Says what was reached, and stands still for ever if it is the last step of this life.
    pub fn pass(&self, step: &str) {
        self.say(step);
        let passed = self.passed.fetch_add(1, Ordering::SeqCst) + 1;
        if self.last.is_some_and(|last| passed as u64 >= last) {
            self.say(STANDS);
            loop {
                std::thread::park();
            }
        }
    }

    /// Says something that is no step.
    pub fn say(&self, line: &str) {
        let file = OpenOptions::new().append(true).create(true).open(&self.report);
        // One write a line: lines of several threads do not mix.
        let _ = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    }
}

/// A process of the test's own binary. It ends with its handle.
pub struct Life {
    process: Process,
    report: PathBuf,
    _folder: TempDir,
}

impl Life {
    /// Runs the ignored test with this path in a process of its own. It dies at the step `last`, if one is given.
    pub fn start(test: &str, settings: &Value, last: Option<usize>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("life-").tempdir()?;
        crate::watch::folder(folder.path());
        let report = folder.path().join("report");
        let told = json!({ "settings": settings, "report": report, "last": last });
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--ignored", "--exact", "--nocapture", test]).env(TOLD, told.to_string());
        let process = Process::spawn(&mut command, &folder.path().join("log"))?;
        Ok(Self { process, report, _folder: folder })
    }

    /// What it said so far, line by line.
    pub fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(&self.report).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// What it printed so far.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it said this line.
    pub async fn wait_for(&mut self, line: &str) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !self.lines().iter().any(|said| said == line) {
            ensure!(self.process.is_running(), "it ended before it said {line:?}:\n{}", self.output());
            ensure!(Instant::now() < end, "it did not say {line:?} within {PATIENCE:?}:\n{}", self.output());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Waits until it stands still at its last step or `done` says that it got through without coming there; then
    /// `kill -9`. Returns the step it died at, if it did.
    pub async fn end<F: Future<Output = bool>>(mut self, done: impl Fn() -> F) -> Result<Option<String>> {
        let (mut said, mut since) = (0, Instant::now());
        loop {
            let lines = self.lines();
            if lines.len() != said {
                (said, since) = (lines.len(), Instant::now());
            }
            if let [.., step, last] = lines.as_slice()
                && last == STANDS
            {
                self.process.kill()?;
                return Ok(Some(step.clone()));
            }
            ensure!(self.process.is_running(), "it ended by itself:\n{}", self.output());
            if done().await && self.lines() == lines {
                self.process.kill()?;
                return Ok(None);
            }
            ensure!(
                since.elapsed() < PATIENCE * 2,
                "neither dead nor done, and no step for long, after {lines:?}:\n{}",
                self.output()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `kill -9`, now.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill()
    }
}

/// Lives a life that ends at its first step, one that ends at its second, and so on, until one gets through: that one
/// has no more steps. Some at a time. Returns the steps they died at.
pub async fn until_one_gets_through<F>(at_a_time: usize, life: impl Fn(usize) -> F) -> Result<Vec<String>>
where
    F: Future<Output = Result<Option<String>>> + Send + 'static,
{
    let mut steps = Vec::new();
    let mut next = 1;
    loop {
        let mut lives = tokio::task::JoinSet::new();
        for last in next..next + at_a_time {
            let living = life(last);
            lives.spawn(async move { (last, living.await) });
        }
        let mut ended: Vec<_> = lives.join_all().await;
        ended.sort_by_key(|(last, _)| *last);
        let mut through = false;
        for (last, step) in ended {
            match step.with_context(|| format!("the life that ends at step {last}"))? {
                Some(step) => steps.push(step),
                None => through = true,
            }
        }
        if through {
            return Ok(steps);
        }
        next += at_a_time;
    }
}
