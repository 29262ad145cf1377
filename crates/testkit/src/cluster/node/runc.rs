//! Running a bundle with runc, and talking to what runs.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::images::{HOST_FOLDERS, Image};
use super::plan::Rights;

/// runc with this node's containers.
#[derive(Clone, Debug)]
pub struct Runc {
    state: PathBuf,
}

/// A container that was started: the runc that waits for it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    bundle: PathBuf,
}

/// runc writes it once the container's own program runs.
const PID_FILE: &str = "pid";

/// How a container ended.
#[derive(Debug)]
pub struct Ended {
    /// Its code; 128 and the signal's number if a signal ended it.
    pub code: i32,
    /// What runc said if it could not start it.
    pub refused: Option<String>,
}

impl Runc {
    /// runc that keeps its state in this folder.
    pub fn new(state: PathBuf) -> Self {
        Self { state }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("runc");
        command.arg("--root").arg(&self.state).stdin(Stdio::null());
        command
    }

    /// Starts the bundle's container with its output at the end of `log`.
    pub fn start(&self, id: &str, bundle: &Path, config: &Value, log: &Path) -> Result<Running> {
        fs::write(bundle.join("config.json"), serde_json::to_vec(config)?)?;
        let out = OpenOptions::new().create(true).append(true).open(log)?;
        let child = self
            .command()
            .args(["--log-format", "json", "--log"])
            .arg(bundle.join("runc.log"))
            .args(["run", "--pid-file"])
            .arg(bundle.join(PID_FILE))
            .arg("--bundle")
            .arg(bundle)
            .arg(id)
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .context("starting runc")?;
        Ok(Running { child, bundle: bundle.to_owned() })
    }

    /// Sends a signal to the container's first process. One that has ended is no error.
    pub async fn signal(&self, id: &str, signal: &str) -> Result<()> {
        self.command()
            .args(["kill", id, signal])
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .await?;
        Ok(())
    }

    /// Runs a command in the container, as the container's user and with its environment. Past `limit` it is killed.
    pub async fn exec(&self, id: &str, words: &[String], limit: Duration) -> Result<Output> {
        let folder = self.state.with_file_name("exec");
        fs::create_dir_all(&folder)?;
        let file = tempfile::NamedTempFile::new_in(folder)?;
        let mut command = self.command();
        command.args(["exec", "--pid-file"]).arg(file.path()).arg(id).args(words);
        let mut output = std::pin::pin!(command.output());
        match tokio::time::timeout(limit, &mut output).await {
            Ok(output) => output.context("starting runc"),
            Err(_) => {
                let pid = fs::read_to_string(file.path()).unwrap_or_default();
                if let Some(pid) = pid.trim().parse().ok().and_then(rustix::process::Pid::from_raw) {
                    // It may have ended this moment.
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
                bail!("{words:?} did not end within {limit:?}")
            }
        }
    }

    /// Removes what is left of the container; whatever still runs in it is killed.
    pub async fn delete(&self, id: &str) -> Result<()> {
        let output = self.command().args(["delete", "--force", id]).output().await?;
        ensure!(output.status.success(), "removing {id}: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }
}

impl Running {
    /// Whether the container's own program has been started.
    pub fn is_up(&self) -> bool {
        self.bundle.join(PID_FILE).exists()
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> Result<Ended> {
        use std::os::unix::process::ExitStatusExt as _;
        let status = self.child.wait().await?;
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255);
        let log = fs::read_to_string(self.bundle.join("runc.log")).unwrap_or_default();
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let error = lines.rfind(|line| line["level"] == "error");
        let refused = error.and_then(|line| line["msg"].as_str().map(str::to_owned)).filter(|_| code != 0);
        Ok(Ended { code, refused })
    }
}

/// Makes the root folder of a container: the folders every Linux has, links as the host has them, users.
pub fn make_root(root: &Path, image: &Image, rights: &Rights) -> Result<()> {
    for folder in [
        "dev",
        "etc",
        "home",
        "opt",
        "proc",
        "root",
        "run",
        "sys",
        "tmp",
        "usr/local/bin",
        "var/tmp",
        "var/lib",
    ] {
        fs::create_dir_all(root.join(folder))?;
    }
    for folder in ["tmp", "var/tmp"] {
        fs::set_permissions(root.join(folder), fs::Permissions::from_mode(0o1777))?;
    }
    fs::set_permissions(root.join("root"), fs::Permissions::from_mode(0o700))?;
    for folder in HOST_FOLDERS.iter().filter(|folder| Path::new(folder).exists()) {
        fs::create_dir_all(root.join(folder.trim_start_matches('/')))?;
    }
    // Relative, so that it stays in here when the host follows it.
    symlink("../run", root.join("var/run"))?;
    for name in ["bin", "sbin", "lib", "lib32", "lib64"] {
        if let Ok(target) = fs::read_link(Path::new("/").join(name)) {
            symlink(target, root.join(name))?;
        }
    }
    let uids = [rights.uid, image.user.0];
    let mut passwd =
        String::from("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n");
    let mut group = String::from("root:x:0:\nnogroup:x:65534:\n");
    for uid in
        uids.into_iter().filter(|uid| *uid != 0 && *uid != 65534).collect::<std::collections::BTreeSet<_>>()
    {
        passwd.push_str(&format!("app{uid}:x:{uid}:{}:app:/:/bin/sh\n", rights.gid));
    }
    if rights.gid != 0 && rights.gid != 65534 {
        group.push_str(&format!("app:x:{}:\n", rights.gid));
    }
    fs::write(root.join("etc/passwd"), passwd)?;
    fs::write(root.join("etc/group"), group)?;
    fs::write(root.join("etc/nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files\n")?;
    fs::write(root.join("etc/resolv.conf"), "")?;
    for file in ["/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/localtime"] {
        if Path::new(file).exists() {
            fs::copy(file, root.join(file.trim_start_matches('/')))?;
        }
    }
    fs::create_dir_all(root.join("etc/ssl/certs"))?;
    let bundle = Path::new("/etc/ssl/certs/ca-certificates.crt");
    if bundle.exists() {
        fs::copy(bundle, root.join("etc/ssl/certs/ca-certificates.crt"))?;
    }
    // What runc mounts needs a place even where the root takes no writes.
    for (host, inside) in &image.files {
        let place = root.join(inside.strip_prefix("/").unwrap_or(inside));
        make_place(&place, host.is_dir())?;
    }
    Ok(())
}

/// Makes the place that a file or folder is mounted on.
pub fn make_place(place: &Path, is_folder: bool) -> Result<()> {
    if is_folder {
        return Ok(fs::create_dir_all(place)?);
    }
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    OpenOptions::new().create(true).append(true).open(place).map(drop)?;
    Ok(())
}
