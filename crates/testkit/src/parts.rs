//! Where the real parts are, and what happens to a test when one is not.

use std::path::{Path, PathBuf};

/// A real server, client or browser that tests talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Ergo, an IRC server with accounts and history.
    Ergo,
    /// InspIRCd, an IRC server without either.
    InspIrcd,
    /// soju, a bouncer.
    Soju,
    /// soju as Debian stable has it.
    SojuTrixie,
    /// Ergo as Debian stable has it.
    ErgoTrixie,
    /// senpai, a modern terminal client.
    Senpai,
    /// irssi.
    Irssi,
    /// WeeChat.
    WeeChat,
    /// tmux, which runs the terminal clients.
    Tmux,
    /// PostgreSQL.
    Postgres,
    /// Keycloak.
    Keycloak,
    /// Chromium with playwright-core.
    Chromium,
    /// strace.
    Strace,
    /// etcd, kube-apiserver, kube-controller-manager and the definitions of other projects.
    Kubernetes,
}

impl Part {
    /// The part's program, if it is to be had.
    pub fn find(self) -> Option<PathBuf> {
        let cached = |path: &str| Some(cache().join("parts").join(path)).filter(|path| path.exists());
        match self {
            Self::Ergo => cached("ergochat/usr/bin/ergochat"),
            Self::Soju => cached("soju/usr/bin/soju"),
            Self::SojuTrixie => cached("soju-trixie/usr/bin/soju"),
            Self::ErgoTrixie => cached("ergochat-trixie/usr/bin/ergochat"),
            Self::Senpai => cached("senpai/usr/bin/senpai"),
            Self::Keycloak => cached("keycloak-26.7.0/bin/kc.sh"),
            Self::InspIrcd => installed("inspircd"),
            Self::Irssi => installed("irssi"),
            Self::WeeChat => installed("weechat"),
            Self::Tmux => installed("tmux"),
            Self::Strace => installed("strace"),
            Self::Postgres => postgres_binaries().map(|folder| folder.join("postgres")),
            Self::Kubernetes => {
                kubernetes_binaries().filter(|_| go().is_some()).map(|folder| folder.join("kube-apiserver"))
            }
            Self::Chromium => installed("chromium").filter(|_| cached("browser/node_modules").is_some()),
        }
    }

    /// The part's program, or `None` after one loud line; a panic where `CI` is set.
    pub fn find_or_skip(self) -> Option<PathBuf> {
        let found = self.find();
        if found.is_none() {
            let line = format!("{self:?} is missing: run tools/parts test");
            assert!(std::env::var_os("CI").is_none(), "{line}");
            println!("SKIPPED: {line}");
        }
        found
    }
}

/// Skips the test (returns from it) unless every part named is to be had.
#[macro_export]
macro_rules! part {
    ($($part:ident),+ $(,)?) => {
        $(if $crate::Part::$part.find_or_skip().is_none() { return; })+
    };
}

/// The cache outside the tree: `${XDG_CACHE_HOME:-~/.cache}/ircnow`.
pub fn cache() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Path::new(&std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".cache");
    base.unwrap_or_else(home).join("ircnow")
}

fn installed(program: &str) -> Option<PathBuf> {
    ["/usr/bin", "/usr/sbin", "/usr/local/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|p| p.exists())
}

pub(crate) fn postgres_binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .max()
}

/// The folder of the control plane's programs, if all of them are there in the version `tools/cluster/go.mod` asks for.
pub(crate) fn kubernetes_binaries() -> Option<PathBuf> {
    let asked = include_str!("../../../tools/cluster/go.mod");
    let version = |module: &str| {
        asked.lines().find_map(|line| line.trim().strip_prefix(module)).map(str::trim).unwrap_or_default()
    };
    let name = format!(
        "kubernetes-{}-etcd-{}",
        version("k8s.io/kubernetes "),
        version("go.etcd.io/etcd/server/v3 ")
    );
    let folder = cache().join("parts").join(name);
    ["etcd", "kube-apiserver", "kube-controller-manager"]
        .iter()
        .all(|program| folder.join(program).exists())
        .then_some(folder)
}

/// Go's program: on the path, or where Go's own installer puts it.
pub(crate) fn go() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/local/go/bin")]);
    folders.map(|folder| folder.join("go")).find(|program| program.exists())
}
