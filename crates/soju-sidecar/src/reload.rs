//! Has soju read its configuration, and who tells it to.
//!
//! The containers of the Pod do not share their processes, so the sidecar cannot send a signal: it makes a file in the
//! folder of the admin socket, soju's entrypoint removes it and sends SIGHUP. Some directives soju reads only at its
//! start; they are named.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crds::sidecar::hash;

/// What soju reads at its start and never again.
const AT_START: [&str; 4] = ["listen", "db", "message-store", "log"];
/// How much later than the configuration's last change soju's socket must have come for soju surely to have read it:
/// between reading and listening it may ask an issuer, for ten seconds at the most.
const MARGIN: Duration = Duration::from_secs(15);
/// How long the entrypoint may take to see the file.
const PATIENCE: Duration = Duration::from_secs(30);

/// A configuration, as far as we must know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// [`hash`] of the whole text.
    pub hash: String,
    /// [`hash`] of the lines of each directive that soju reads only at its start.
    at_start: BTreeMap<&'static str, String>,
    /// Whether inactive users are put to sleep.
    pub users_may_sleep: bool,
    /// [`hash`] of files read along with it: certificate and message of the day.
    beside: String,
}

impl Facts {
    /// Looks at a text. `beside` is the content of the files it names.
    pub fn of(text: &str, beside: &[u8]) -> Self {
        let mut lines = BTreeMap::<&'static str, String>::new();
        for line in text.lines().map(str::trim) {
            let name = line.split_whitespace().next().unwrap_or_default();
            if let Some(name) = AT_START.iter().find(|known| **known == name) {
                let all = lines.entry(name).or_default();
                all.push_str(line);
                all.push('\n');
            }
        }
        Self {
            hash: hash(text.as_bytes()),
            at_start: lines.into_iter().map(|(name, lines)| (name, hash(lines.as_bytes()))).collect(),
            users_may_sleep: text
                .lines()
                .any(|line| line.split_whitespace().next() == Some("disable-inactive-user")),
            beside: hash(beside),
        }
    }

    /// Reads the file, and the files it names with `tls` and `motd`.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let mut beside = Vec::new();
        for file in named_files(&text) {
            // One that cannot be read counts as empty: soju says what it thinks of that.
            beside.extend(std::fs::read(file).unwrap_or_default());
        }
        Ok(Self::of(&text, &beside))
    }

    /// Directives that differ and that soju reads only at its start.
    fn restart_for(&self, newer: &Self) -> Vec<String> {
        AT_START
            .iter()
            .filter(|name| self.at_start.get(*name) != newer.at_start.get(*name))
            .map(|name| (*name).to_owned())
            .collect()
    }
}

/// Files named by `tls` and `motd`: plain or quoted words.
fn named_files(text: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if matches!(words.next(), Some("tls" | "motd")) {
            files.extend(words.map(|word| word.trim_matches(['"', '\'']).to_owned()));
        }
    }
    files
}

/// One life of soju, told from others by its socket.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Life {
    inode: u64,
    since: SystemTime,
}

/// Follows what soju has read.
#[derive(Debug)]
pub struct Reload {
    config: PathBuf,
    socket: PathBuf,
    request: PathBuf,
    life: Option<Life>,
    /// What soju had at its start, as far as we know.
    at_start: Option<Facts>,
    /// What soju has read.
    read: Option<Facts>,
    /// What soju is being told to read, and since when.
    told: Option<(Facts, SystemTime)>,
    users_may_sleep: bool,
}

/// How things stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadState {
    /// The hash of what soju has read.
    pub hash: Option<String>,
    /// Why it has not read what is there.
    pub error: Option<String>,
    /// Directives that wait for a restart.
    pub restart_required: Vec<String>,
    /// Whether soju was started since the last look.
    pub restarted: bool,
}

impl Reload {
    /// Follows the configuration of the soju behind `socket`. The request is made beside the socket.
    pub fn new(config: &Path, socket: &Path, request: PathBuf) -> Self {
        Self {
            config: config.to_owned(),
            socket: socket.to_owned(),
            request,
            life: None,
            at_start: None,
            read: None,
            told: None,
            users_may_sleep: false,
        }
    }

    /// Whether soju puts inactive users to sleep.
    pub fn users_may_sleep(&self) -> bool {
        self.users_may_sleep
    }

    /// Looks at the files, asks for a reload where one is due, and says how things stand.
    pub fn look(&mut self, now: SystemTime) -> ReloadState {
        let mut state = ReloadState::default();
        match self.follow(now, &mut state) {
            Ok(()) => {}
            Err(error) => state.error = Some(format!("{} cannot be read: {error}", self.config.display())),
        }
        state.hash = self.read.as_ref().map(|facts| facts.hash.clone());
        state
    }

    fn follow(&mut self, now: SystemTime, state: &mut ReloadState) -> io::Result<()> {
        let facts = Facts::read(&self.config)?;
        self.users_may_sleep = facts.users_may_sleep;
        // Without a socket soju does not run; what it reads when it starts is seen then.
        let Ok(meta) = std::fs::symlink_metadata(&self.socket) else { return Ok(()) };
        let life = Life { inode: meta.ino(), since: meta.modified()? };
        if self.life.as_ref() != Some(&life) {
            state.restarted = true;
            let changed = std::fs::metadata(&self.config)?.modified()?;
            let surely = life.since.duration_since(changed).is_ok_and(|later| later >= MARGIN);
            self.read = surely.then(|| facts.clone());
            self.at_start = Some(facts.clone());
            self.told = None;
            self.life = Some(life);
        }
        if let Some(at_start) = &self.at_start {
            state.restart_required = at_start.restart_for(&facts);
        }
        if let Some((told, since)) = self.told.take() {
            if !self.request.try_exists()? {
                self.read = Some(told);
            } else {
                if now.duration_since(since).is_ok_and(|waited| waited > PATIENCE) {
                    state.error = Some(format!(
                        "soju was not told to read its configuration: its entrypoint has not taken {}",
                        self.request.display()
                    ));
                }
                // Should the text have changed again, the signal that is still to come covers it.
                self.told = Some((facts, since));
                return Ok(());
            }
        }
        if self.read.as_ref() != Some(&facts) {
            std::fs::write(&self.request, b"")?;
            self.told = Some((facts, now));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    struct Pod {
        folder: tempfile::TempDir,
        reload: Reload,
    }

    impl Pod {
        fn new(text: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            std::fs::write(at("conf"), text).unwrap();
            let reload = Reload::new(&at("conf"), &at("admin"), at("reload"));
            Self { folder, reload }
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.folder.path().join(name), text).unwrap();
        }

        fn asked(&self) -> bool {
            self.folder.path().join("reload").exists()
        }

        /// What the entrypoint does.
        fn take(&self) -> bool {
            std::fs::remove_file(self.folder.path().join("reload")).is_ok()
        }

        fn look(&mut self) -> ReloadState {
            self.reload.look(SystemTime::now())
        }
    }

    #[test]
    fn soju_is_asked_once_for_each_change_and_said_to_have_read_it_only_then() {
        let mut pod = Pod::new("hostname a\n");
        assert_eq!(pod.look().hash, None);
        assert!(!pod.asked(), "nobody runs yet");
        pod.write("admin", "");
        assert!(pod.look().restarted);
        // Written a moment before the socket came: soju may have read what was there before.
        assert!(pod.take());
        assert_eq!(pod.look().hash, Some(hash(b"hostname a\n")));
        assert!(!pod.look().restarted && !pod.asked());
        pod.write("conf", "hostname b\n");
        assert_eq!(pod.look().hash, Some(hash(b"hostname a\n")));
        assert!(pod.take());
        assert_eq!(pod.look().hash, Some(hash(b"hostname b\n")));
        assert!(!pod.asked());
    }

    #[test]
    fn a_new_certificate_is_a_reason_to_read_anew() {
        let mut pod = Pod::new("hostname a\n");
        let certificate = pod.folder.path().join("tls.crt").display().to_string();
        pod.write("conf", &format!("tls \"{certificate}\" /nowhere\n"));
        pod.write("admin", "");
        pod.look();
        assert!(pod.take());
        pod.look();
        pod.write("tls.crt", "new");
        pod.look();
        assert!(pod.asked());
    }

    #[test]
    fn what_soju_reads_only_at_its_start_is_named_until_it_starts_again() {
        let mut pod = Pod::new("listen ircs://\ndb sqlite3 a\nhostname a\n");
        pod.write("admin", "");
        pod.look();
        pod.write("conf", "listen ircs://\nlisten ident://\ndb sqlite3 b\nhostname b\n");
        assert_eq!(pod.look().restart_required, ["listen", "db"]);
        std::fs::remove_file(pod.folder.path().join("admin")).unwrap();
        // Another file, so that the inode differs too.
        pod.write("other", "");
        pod.write("admin", "");
        let state = pod.look();
        assert!(state.restarted && state.restart_required.is_empty());
    }

    #[test]
    fn an_entrypoint_that_does_not_listen_is_said() {
        let mut pod = Pod::new("hostname a\n");
        pod.write("admin", "");
        assert_eq!(pod.look().error, None);
        let later = SystemTime::now() + Duration::from_secs(60);
        assert!(pod.reload.look(later).error.is_some_and(|error| error.contains("entrypoint")));
    }
}
