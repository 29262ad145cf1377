//! The OCI runtime configuration of one container, as runc reads it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::env::expand;
use super::images::{HOST_FOLDERS, Image};
use super::plan::{ContainerPlan, Plan, Rights};

/// A file or folder of the host inside the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// On the host.
    pub host: PathBuf,
    /// In the container.
    pub inside: String,
    /// Whether it takes no writes.
    pub read_only: bool,
}

/// What a container's configuration is made from, beside its plan.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    /// Its image.
    pub image: &'a Image,
    /// Who it runs as.
    pub rights: &'a Rights,
    /// Its environment.
    pub environment: &'a [(String, String)],
    /// Volumes and the files the node writes for it.
    pub mounts: &'a [Mount],
    /// Its root folder.
    pub root: &'a Path,
    /// The Pod's network namespace.
    pub network: &'a Path,
    /// Its control group.
    pub cgroup: &'a str,
}

/// System calls that reach out of a container or into the kernel's own affairs: what `RuntimeDefault` refuses here.
const REFUSED_CALLS: &[&str] = &[
    "acct",
    "add_key",
    "bpf",
    "clock_adjtime",
    "clock_settime",
    "delete_module",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mbind",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "name_to_handle_at",
    "nfsservctl",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pivot_root",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "quotactl",
    "reboot",
    "request_key",
    "setns",
    "settimeofday",
    "swapoff",
    "swapon",
    "syslog",
    "umount2",
    "unshare",
    "userfaultfd",
    "vhangup",
];

/// The configuration of one container.
pub fn config(plan: &Plan, container: &ContainerPlan, inputs: &Inputs<'_>) -> Value {
    let rights = inputs.rights;
    let variables = inputs.environment;
    let environment: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let folder = container.spec.working_dir.clone().unwrap_or_else(|| inputs.image.folder.clone());
    let kept = &rights.capabilities;
    let mut linux = json!({
        "namespaces": [
            {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
            {"type": "network", "path": inputs.network},
        ],
        "cgroupsPath": inputs.cgroup,
        "resources": resources(container),
        "sysctl": plan.sysctls.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "maskedPaths": [
            "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
            "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/firmware",
        ],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    });
    if rights.seccomp {
        linux["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
            "syscalls": [{"names": REFUSED_CALLS, "action": "SCMP_ACT_ERRNO"}],
        });
    }
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": rights.uid, "gid": rights.gid, "additionalGids": rights.groups},
            "args": arguments(container, inputs.image, variables),
            "env": environment,
            "cwd": folder,
            "capabilities": {"bounding": kept, "effective": kept, "permitted": kept},
            "noNewPrivileges": rights.no_new_privileges,
        },
        "root": {"path": inputs.root, "readonly": rights.read_only_root},
        "hostname": plan.hostname,
        "mounts": mounts(inputs),
        "linux": linux,
    })
}

/// The command line: the Pod's `command` replaces the image's entrypoint and arguments, its `args` the arguments.
pub fn arguments(container: &ContainerPlan, image: &Image, variables: &[(String, String)]) -> Vec<String> {
    let own = |words: &Option<Vec<String>>| words.clone().filter(|words| !words.is_empty());
    let expanded =
        |words: Vec<String>| words.into_iter().map(|word| expand(&word, variables)).collect::<Vec<_>>();
    let command = own(&container.spec.command).map(expanded);
    let given = own(&container.spec.args).map(expanded);
    match (command, given) {
        (Some(command), given) => [command, given.unwrap_or_default()].concat(),
        (None, Some(given)) => [image.entrypoint.clone(), given].concat(),
        (None, None) => [image.entrypoint.clone(), image.arguments.clone()].concat(),
    }
}

fn resources(container: &ContainerPlan) -> Value {
    let mut resources = json!({"pids": {"limit": 4096}});
    if let Some(bytes) = container.memory() {
        resources["memory"] = json!({"limit": bytes});
    }
    if let Some(cores) = container.cores() {
        const PERIOD: f64 = 100_000.0;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float saturates, and the kernel has the last word"
        )]
        let quota = (cores * PERIOD).max(1_000.0) as i64;
        resources["cpu"] = json!({"period": 100_000, "quota": quota});
    }
    resources
}

fn mounts(inputs: &Inputs<'_>) -> Vec<Value> {
    let kernel = |inside: &str, kind: &str, options: &[&str]| json!({"destination": inside, "type": kind, "source": kind, "options": options});
    let mut all = vec![
        kernel("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        kernel("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        kernel("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
        kernel("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        kernel("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        kernel("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ];
    let bind = |host: &Path, inside: &str, read_only: bool| {
        let access = if read_only { "ro" } else { "rw" };
        json!({"destination": inside, "type": "bind", "source": host, "options": ["rbind", "rprivate", access]})
    };
    let host = HOST_FOLDERS.iter().filter(|folder| Path::new(folder).exists());
    all.extend(host.map(|folder| bind(Path::new(folder), folder, true)));
    all.extend(inputs.image.files.iter().map(|(host, inside)| bind(host, &inside.to_string_lossy(), true)));
    // A mount inside another one comes after it.
    let mut own: Vec<&Mount> = inputs.mounts.iter().collect();
    own.sort_by_key(|mount| mount.inside.split('/').filter(|part| !part.is_empty()).count());
    all.extend(own.iter().map(|mount| bind(&mount.host, &mount.inside, mount.read_only)));
    all
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;
