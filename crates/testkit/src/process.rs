//! Programs in a process group of their own, with their output in a file. The group ends with its handle, and with the
//! test process at the latest.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::watch;

/// A running program. Its whole process group is killed when the handle goes.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with standard output and error in `log`.
    pub fn spawn(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        watch::group(child.id());
        Ok(Self { child, log: log.to_owned() })
    }

    /// What it printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The TCP ports it listens on: the process itself, not its children.
    pub fn listens(&self) -> BTreeSet<u16> {
        let of_process = |name: &str| PathBuf::from(format!("/proc/{}/{name}", self.child.id()));
        let links = std::fs::read_dir(of_process("fd")).into_iter().flatten().flatten();
        let links = links.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        let inode =
            |link: PathBuf| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
        let sockets: BTreeSet<String> = links.filter_map(inode).collect();
        let port = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let listens = words.get(3) == Some(&"0A") && sockets.contains(*words.get(9)?);
            let (_, port) = words.get(1)?.rsplit_once(':')?;
            u16::from_str_radix(port, 16).ok().filter(|_| listens)
        };
        let tables = ["net/tcp", "net/tcp6"]
            .map(|table| std::fs::read_to_string(of_process(table)).unwrap_or_default());
        tables.iter().flat_map(|table| table.lines()).filter_map(port).collect()
    }

    /// Waits until it has printed a line that contains `text`, and gives that line.
    pub fn wait_for_line(&mut self, text: &str, limit: Duration) -> Result<String> {
        let end = Instant::now() + limit;
        loop {
            let output = self.output();
            if let Some(line) = output.lines().find(|line| line.contains(text)) {
                return Ok(line.to_owned());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status} before it said {text:?}:\n{output}");
            }
            if Instant::now() > end {
                bail!("it did not say {text:?} within {limit:?}:\n{output}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.signal_group(Signal::KILL);
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    pub fn stop(&mut self, limit: Duration) -> Result<ExitStatus> {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            kill_process(pid, Signal::TERM).context("sending SIGTERM")?;
        }
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > end {
                bail!("it did not stop within {limit:?}:\n{}", self.output());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            // It may be gone already; then there is nothing to do.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal_group(Signal::KILL);
        let _ = self.child.wait();
        watch::forget_group(self.child.id());
    }
}
