//! Terminal clients in tmux: type into them, read their screen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::parts::Part;
use crate::wait::PATIENCE;

/// A program in a tmux window of its own server, 200 by 50.
pub struct Terminal {
    socket: PathBuf,
    /// The program's home folder.
    pub home: TempDir,
}

impl Terminal {
    /// Starts `command` (a shell line) with an empty home folder.
    pub fn start(command: &str) -> Result<Self> {
        Self::start_with(command, &BTreeMap::new())
    }

    /// Starts `command` with the given files (path below the home folder -> text) in place.
    pub fn start_with(command: &str, files: &BTreeMap<&str, String>) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let home = tempfile::tempdir()?;
        for (path, text) in files {
            let path = home.path().join(path);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(path, text)?;
        }
        let name = format!("tmux-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let socket = std::env::temp_dir().join(name);
        let terminal = Self { socket, home };
        let line = format!(
            "env HOME={home} XDG_CONFIG_HOME={home}/.config LANG=C.UTF-8 TERM=screen-256color {command}; echo ENDED; sleep 3600",
            home = terminal.home.path().display()
        );
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "200", "-y", "50", &line])?;
        Ok(terminal)
    }

    /// irssi, ready for commands.
    pub fn irssi() -> Result<Self> {
        let program = Part::Irssi.find().context("irssi is missing")?;
        Self::start(&program.display().to_string())
    }

    /// WeeChat, ready for commands.
    pub fn weechat() -> Result<Self> {
        let program = Part::WeeChat.find().context("WeeChat is missing")?;
        Self::start(&program.display().to_string())
    }

    /// A shell for lines that are typed into one. `~` is the empty home folder, `senpai` is to be found.
    pub fn shell() -> Result<Self> {
        let senpai = Part::Senpai.find();
        let folder = senpai.as_deref().and_then(Path::parent).context("senpai is missing")?;
        Self::start(&format!("PATH={}:$PATH sh", folder.display()))
    }

    /// senpai with this configuration.
    pub fn senpai(config: String) -> Result<Self> {
        let program = Part::Senpai.find().context("senpai is missing")?;
        let files = BTreeMap::from([(".config/senpai/senpai.scfg", config)]);
        Self::start_with(&program.display().to_string(), &files)
    }

    /// Types `text` and Enter.
    pub fn line(&self, text: &str) -> Result<()> {
        self.type_text(text)?;
        self.key("Enter")
    }

    /// Types `text` and nothing more.
    pub fn type_text(&self, text: &str) -> Result<()> {
        self.tmux(&["send-keys", "-l", text]).map(drop)
    }

    /// Presses one key by tmux's name for it (`Enter`, `PageUp`, `M-1`, `C-n`).
    pub fn key(&self, key: &str) -> Result<()> {
        self.tmux(&["send-keys", key]).map(drop)
    }

    /// What the screen shows.
    pub fn screen(&self) -> Result<String> {
        self.tmux(&["capture-pane", "-p"])
    }

    /// What the screen shows, with the sequences that give it colour and weight.
    pub fn styled_screen(&self) -> Result<String> {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// The screen and everything that scrolled off it.
    pub fn scrollback(&self) -> Result<String> {
        self.tmux(&["capture-pane", "-p", "-S", "-"])
    }

    /// Waits until the screen shows `text`, and gives the screen.
    pub fn wait_for(&self, text: &str) -> Result<String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen()?;
            // A long line is folded on the screen; the fold must not hide it.
            if screen.contains(text) || screen.replace('\n', "").contains(text) {
                return Ok(screen);
            }
            if Instant::now() > end {
                bail!("the screen does not show {text:?}:\n{screen}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn tmux(&self, args: &[&str]) -> Result<String> {
        let output =
            Command::new("tmux").arg("-S").arg(&self.socket).args(args).output().context("running tmux")?;
        ensure!(output.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
        let _ = std::fs::remove_file(&self.socket);
    }
}
