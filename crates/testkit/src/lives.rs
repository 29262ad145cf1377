//! A program of a test's own that dies by `kill -9` at a step it reaches itself.
//!
//! The program is a test of the same binary that is otherwise ignored: [`Life::start`] runs it in a process of its own,
//! [`Here::of_parent`] finds there what it was told. At the step it must not live through, it stands still, and the
//! parent kills it: nothing it held in memory, and no destructor, does anything any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::process::Process;
use crate::wait::PATIENCE;

const TOLD: &str = "TESTKIT_LIFE";
const STANDS: &str = "stands still at ";
/// A step that is taken more often than this is no new one.
const ALIKE: usize = 3;

/// Where a life ends: at a step at which none of the others ended.
#[derive(Clone, Debug, Default)]
pub struct Fate {
    /// Where others ended.
    pub others: BTreeSet<String>,
    /// How many more steps that are new it lives through.
    pub spared: usize,
}

/// What a process was told by the test that started it.
#[derive(Debug)]
pub struct Here {
    /// What the test chose to say.
    pub settings: Value,
    report: PathBuf,
    fate: Option<Fate>,
    passed: Mutex<Passed>,
}

/// How often each step was taken, and which steps were new.
#[derive(Debug, Default)]
struct Passed {
    steps: BTreeMap<String, usize>,
    new: BTreeSet<String>,
}

impl Here {
    /// What this process was told; `None` if nobody started it by [`Life::start`].
    pub fn of_parent() -> Option<Self> {
        let told: Value = serde_json::from_str(&std::env::var(TOLD).ok()?).ok()?;
        let fate = told["others"].as_array().map(|others| Fate {
            others: others.iter().filter_map(|step| step.as_str().map(str::to_owned)).collect(),
            spared: told["spared"].as_u64().and_then(|spared| spared.try_into().ok()).unwrap_or_default(),
        });
        Some(Self {
            settings: told["settings"].clone(),
            report: told["report"].as_str()?.into(),
            fate,
            passed: Mutex::default(),
        })
    }

    /// Says what was reached, and stands still for ever if this life ends here.
    pub fn pass(&self, step: &str) {
        self.say(step);
        let Some(fate) = &self.fate else { return };
        // Held for ever where it stands still: so does every other thread that comes to a step.
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let times = passed.steps.entry(step.to_owned()).or_default();
        *times += 1;
        let step = format!("{step} #{}", (*times).min(ALIKE));
        if fate.others.contains(&step) || !passed.new.insert(step.clone()) || passed.new.len() <= fate.spared
        {
            return;
        }
        self.say(&format!("{STANDS}{step}"));
        loop {
            std::thread::park();
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
    /// Runs the ignored test with this path in a process of its own. It lives for ever if it has no fate.
    pub fn start(test: &str, settings: &Value, fate: Option<&Fate>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("life-").tempdir()?;
        crate::watch::folder(folder.path());
        let report = folder.path().join("report");
        let told = json!({
            "settings": settings,
            "report": report,
            "others": fate.map(|fate| &fate.others),
            "spared": fate.map(|fate| fate.spared),
        });
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
            if let Some(step) = lines.last().and_then(|last| last.strip_prefix(STANDS)) {
                self.process.kill()?;
                return Ok(Some(step.to_owned()));
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

/// Lives lives that end at a step at which none ended before, some at a time, until one gets through: then somebody
/// ended at each step there is. Returns those steps: the step, ` #`, and the how manieth time it was taken.
pub async fn until_one_gets_through<F>(
    at_a_time: usize,
    life: impl Fn(usize, Fate) -> F,
) -> Result<BTreeSet<String>>
where
    F: Future<Output = Result<Option<String>>> + Send + 'static,
{
    let mut steps = BTreeSet::new();
    let mut next = 1;
    loop {
        let mut lives = tokio::task::JoinSet::new();
        for spared in 0..at_a_time {
            let number = next + spared;
            let living = life(number, Fate { others: steps.clone(), spared });
            lives.spawn(async move { (number, living.await) });
        }
        let mut through = false;
        for (number, ended) in lives.join_all().await {
            match ended.with_context(|| format!("life {number}"))? {
                Some(step) => drop(steps.insert(step)),
                // One that was spared may get through because nothing new was left for it.
                None => through |= number == next,
            }
        }
        if through {
            return Ok(steps);
        }
        next += at_a_time;
    }
}
