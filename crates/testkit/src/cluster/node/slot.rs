//! A node's place on this machine: a number that is free, and from it the names of everything it makes outside its
//! process. A lock on a file says that the node lives; what a dead one left is removed by whoever finds the lock free.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};

/// Where all nodes of this machine keep their files, for root alone.
const HOME: &str = "/run/ircnow-node";
/// How many nodes one machine has room for: `10.231.0.0/16` in networks of 256 addresses.
const SLOTS: u8 = 250;

/// A place that is ours until it is dropped; then everything in it is removed.
#[derive(Debug)]
pub struct Slot {
    number: u8,
    folder: PathBuf,
    _lock: File,
}

impl Slot {
    /// Takes a free place, and cleans those whose nodes have died.
    pub fn take() -> Result<Self> {
        fs::create_dir_all(HOME).context("making the folder for nodes: this needs root")?;
        let mut own = None;
        for number in 0..SLOTS {
            let folder = Path::new(HOME).join(number.to_string());
            // Behind the last place that was ever used there is nothing to clean.
            if own.is_some() && !folder.exists() {
                break;
            }
            fs::create_dir_all(&folder)?;
            let lock = File::create(folder.join("lock"))?;
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
                continue;
            }
            let slot = Self { number, folder, _lock: lock };
            slot.clean().with_context(|| format!("removing what a dead node left in place {number}"))?;
            own = own.or(Some(slot));
        }
        let own = own.context("every place for a node on this machine is taken")?;
        crate::watch::command(&own.last_will());
        Ok(own)
    }

    /// What a shell does when this process has died without cleaning: as [`Slot::clean`], unless somebody else has taken
    /// the place since.
    fn last_will(&self) -> String {
        let (number, folder, state) = (self.number, self.folder.display(), self.containers());
        let state = state.display();
        format!(
            "flock -n {folder}/lock sh -c '\
             for id in $(ls {state}); do runc --root {state} delete --force $id; done; \
             for name in $(ls /run/netns | grep ^ircnow{number}-); do ip netns delete $name; done; \
             ip link delete ircnow{number}; \
             for place in $(cut -d\" \" -f2 /proc/mounts | grep ^{folder}/); do umount -l $place; done; \
             find {folder} -mindepth 1 ! -name lock -delete'"
        )
    }

    /// The folder for its files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The node's name.
    pub fn name(&self) -> String {
        format!("testkit-{}", self.number)
    }

    /// The bridge its Pods are on.
    pub fn bridge(&self) -> String {
        format!("ircnow{}", self.number)
    }

    /// The host's address on the bridge.
    pub fn host(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 231, self.number, 1)
    }

    /// The address of Pod `index` (0 to 252).
    pub fn address(&self, index: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 231, self.number, index.saturating_add(2))
    }

    /// The network namespace of Pod `index`.
    pub fn namespace(&self, index: u8) -> String {
        format!("ircnow{}-{index}", self.number)
    }

    /// The host's end of the cable of Pod `index`.
    pub fn cable(&self, index: u8) -> String {
        format!("irv{}-{index}", self.number)
    }

    /// The control group of everything in it.
    pub fn cgroup(&self) -> String {
        format!("/ircnow-node-{}", self.number)
    }

    /// What runc keeps of its containers.
    pub fn containers(&self) -> PathBuf {
        self.folder.join("runc")
    }

    /// Ends every container and removes every namespace, interface, mount and file.
    fn clean(&self) -> Result<()> {
        let state = self.containers();
        if state.exists() {
            for entry in fs::read_dir(&state)? {
                let id = entry?.file_name();
                run(Command::new("runc").arg("--root").arg(&state).args(["delete", "--force"]).arg(id))?;
            }
        }
        let own = format!("ircnow{}-", self.number);
        for entry in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(&own) {
                ip(&["netns", "delete", &name])?;
            }
        }
        if Path::new("/sys/class/net").join(self.bridge()).exists() {
            ip(&["link", "delete", &self.bridge()])?;
        }
        for mount in mounts_below(&self.folder)? {
            run(Command::new("umount").arg("--lazy").arg(mount))?;
        }
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name() == "lock" {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        self.remove_cgroups();
        Ok(())
    }

    /// Control groups outlive their processes by moments, and an empty one costs nothing: what stays is taken next time.
    fn remove_cgroups(&self) {
        let name = self.cgroup();
        let name = name.trim_start_matches('/');
        for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            for group in [hierarchy.path().join(name), Path::new("/sys/fs/cgroup").join(name)] {
                for child in fs::read_dir(&group).into_iter().flatten().flatten() {
                    if child.path().is_dir() {
                        let _ = fs::remove_dir(child.path());
                    }
                }
                let _ = fs::remove_dir(group);
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Err(error) = self.clean() {
            // A drop cannot fail; the next node on this machine cleans up.
            println!("the node in place {} left something behind: {error:#}", self.number);
        }
    }
}

/// Everything that is mounted below a folder.
pub fn mounts_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mounts")?;
    let places = table.lines().filter_map(|line| line.split(' ').nth(1)).map(PathBuf::from);
    Ok(places.filter(|place| place.starts_with(folder)).collect())
}

/// Runs `ip` with these words.
pub fn ip(words: &[&str]) -> Result<()> {
    run(Command::new("ip").args(words))
}

/// Runs a program to its end; an error tells what it said.
pub fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("starting {command:?}: is it installed?"))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Whether a node can be started here, and if not, why.
pub fn able() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("a node makes network namespaces and mounts: this needs root");
    }
    for program in ["runc", "ip"] {
        let found = ["/usr/sbin", "/usr/bin", "/sbin", "/usr/local/bin", "/usr/local/sbin"]
            .iter()
            .any(|folder| Path::new(folder).join(program).exists());
        ensure!(found, "{program} is missing: run tools/parts test");
    }
    Ok(())
}
