//! From a Pod to what its containers are to be: role, user, rights, bounds, probes with their ports found by name.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Capabilities, Container, Pod, PodSpec, Probe as ProbeSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::images::Image;
use super::machine::{Probe, Restart, Role, Seed};
use super::quantity;

/// A Pod's name, everywhere it matters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// A Pod, read.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who it is.
    pub key: PodKey,
    /// Its host name.
    pub hostname: String,
    /// `spec.subdomain`.
    pub subdomain: Option<String>,
    /// What becomes of containers that end.
    pub restart: Restart,
    /// How long its containers have to stop.
    pub grace: Duration,
    /// The group of its volumes.
    pub fs_group: Option<u32>,
    /// Whether a volume whose root already has the group is left as it is.
    pub fs_group_on_mismatch: bool,
    /// `net.*` settings of its network namespace.
    pub sysctls: Vec<(String, String)>,
    /// Init containers and sidecars in their order, then the others.
    pub containers: Vec<ContainerPlan>,
}

/// One container, read.
#[derive(Clone, Debug)]
pub struct ContainerPlan {
    /// What it is for.
    pub role: Role,
    /// As the Pod says it.
    pub spec: Container,
    /// Its probes.
    pub probes: Vec<ProbePlan>,
    rights: PodRights,
}

/// What the Pod says for all its containers.
#[derive(Clone, Debug, Default)]
struct PodRights {
    uid: Option<i64>,
    gid: Option<i64>,
    non_root: bool,
    groups: Vec<i64>,
    seccomp: bool,
}

/// Who a container runs as and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// More groups, `fsGroup` among them.
    pub groups: Vec<u32>,
    /// Its root folder takes no writes.
    pub read_only_root: bool,
    /// No program it starts gains rights.
    pub no_new_privileges: bool,
    /// What is left of root's rights, e.g. `CAP_CHOWN`.
    pub capabilities: Vec<String>,
    /// System calls that reach out of a container are refused.
    pub seccomp: bool,
}

/// A probe with its numbers filled in.
#[derive(Clone, Debug)]
pub struct ProbePlan {
    /// What it is for.
    pub kind: Probe,
    /// What it does.
    pub check: Check,
    /// Before the first.
    pub delay: Duration,
    /// Between two.
    pub period: Duration,
    /// For one.
    pub timeout: Duration,
    /// So many in a row make it healthy.
    pub successes: u32,
    /// So many in a row make it unhealthy.
    pub failures: u32,
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Runs a command in the container: 0 is healthy.
    Exec(Vec<String>),
    /// Connects.
    Tcp {
        /// Instead of the Pod's address.
        host: Option<String>,
        /// The port.
        port: u16,
    },
    /// Asks for a page: 200 to 399 is healthy.
    Http {
        /// Instead of the Pod's address.
        host: Option<String>,
        /// The port.
        port: u16,
        /// The path.
        path: String,
        /// Over TLS, with any certificate.
        tls: bool,
        /// More headers.
        headers: Vec<(String, String)>,
    },
}

/// A Pod that cannot be read as one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    /// Something the API server puts into every Pod is not there.
    #[error("the Pod has no {0}")]
    Missing(&'static str),
    /// A probe names a port that no container port has.
    #[error("container {container}: the probe's port {port:?} is none of its ports")]
    UnknownPort {
        /// The container.
        container: String,
        /// The name.
        port: String,
    },
    /// A probe does nothing.
    #[error("container {0}: a probe says neither exec, httpGet nor tcpSocket")]
    EmptyProbe(String),
    /// Only the network's settings are the Pod's own.
    #[error("sysctl {0} is not of the Pod's network: only net.* can be set")]
    Sysctl(String),
}

/// Why a container may not run as it stands.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RightsError {
    /// `runAsNonRoot`, and yet root.
    #[error("container has runAsNonRoot and would run as root (set runAsUser, or give the image a user)")]
    Root,
    /// A user or group that Linux does not have.
    #[error("{0} is no user or group id")]
    Id(i64),
}

impl Plan {
    /// Reads a Pod.
    pub fn of(pod: &Pod) -> Result<Self, PlanError> {
        let metadata = &pod.metadata;
        let spec = pod.spec.as_ref().ok_or(PlanError::Missing("spec"))?;
        let key = PodKey {
            namespace: metadata.namespace.clone().ok_or(PlanError::Missing("namespace"))?,
            name: metadata.name.clone().ok_or(PlanError::Missing("name"))?,
            uid: metadata.uid.clone().ok_or(PlanError::Missing("uid"))?,
        };
        let security = spec.security_context.as_ref();
        let mut sysctls = Vec::new();
        for sysctl in security.and_then(|s| s.sysctls.as_ref()).into_iter().flatten() {
            if !sysctl.name.starts_with("net.") {
                return Err(PlanError::Sysctl(sysctl.name.clone()));
            }
            sysctls.push((sysctl.name.clone(), sysctl.value.clone()));
        }
        let policy = security.and_then(|s| s.fs_group_change_policy.as_deref());
        let fs_group = security.and_then(|s| s.fs_group).and_then(|group| u32::try_from(group).ok());
        Ok(Self {
            hostname: spec.hostname.clone().unwrap_or_else(|| key.name.chars().take(63).collect()),
            key,
            subdomain: spec.subdomain.clone(),
            restart: match spec.restart_policy.as_deref() {
                Some("Never") => Restart::Never,
                Some("OnFailure") => Restart::OnFailure,
                _ => Restart::Always,
            },
            grace: seconds(spec.termination_grace_period_seconds, 30),
            fs_group,
            fs_group_on_mismatch: policy == Some("OnRootMismatch"),
            sysctls,
            containers: containers(spec)?,
        })
    }

    /// What the state machine begins with.
    pub fn seeds(&self) -> Vec<Seed> {
        let has = |container: &ContainerPlan, kind| container.probes.iter().any(|probe| probe.kind == kind);
        let seed = |container: &ContainerPlan| Seed {
            name: container.spec.name.clone(),
            role: container.role,
            startup: has(container, Probe::Startup),
            readiness: has(container, Probe::Readiness),
        };
        self.containers.iter().map(seed).collect()
    }
}

fn containers(spec: &PodSpec) -> Result<Vec<ContainerPlan>, PlanError> {
    let security = spec.security_context.as_ref();
    let mut groups: Vec<i64> = security.and_then(|s| s.supplemental_groups.clone()).unwrap_or_default();
    groups.extend(security.and_then(|s| s.fs_group));
    let rights = PodRights {
        uid: security.and_then(|s| s.run_as_user),
        gid: security.and_then(|s| s.run_as_group),
        non_root: security.and_then(|s| s.run_as_non_root).unwrap_or(false),
        groups,
        seccomp: security
            .and_then(|s| s.seccomp_profile.as_ref())
            .is_some_and(|p| p.type_ == "RuntimeDefault"),
    };
    let inits = spec.init_containers.iter().flatten().map(|container| {
        let sidecar = container.restart_policy.as_deref() == Some("Always");
        (if sidecar { Role::Sidecar } else { Role::Init }, container)
    });
    let mains = spec.containers.iter().map(|container| (Role::Main, container));
    inits
        .chain(mains)
        .map(|(role, container)| {
            let probes = probes(container)?;
            Ok(ContainerPlan { role, spec: container.clone(), probes, rights: rights.clone() })
        })
        .collect()
}

fn probes(container: &Container) -> Result<Vec<ProbePlan>, PlanError> {
    let all = [
        (Probe::Startup, &container.startup_probe),
        (Probe::Liveness, &container.liveness_probe),
        (Probe::Readiness, &container.readiness_probe),
    ];
    all.into_iter()
        .filter_map(|(kind, spec)| spec.as_ref().map(|spec| probe(container, kind, spec)))
        .collect()
}

fn probe(container: &Container, kind: Probe, spec: &ProbeSpec) -> Result<ProbePlan, PlanError> {
    let check = if let Some(exec) = &spec.exec {
        Check::Exec(exec.command.clone().unwrap_or_default())
    } else if let Some(tcp) = &spec.tcp_socket {
        Check::Tcp { host: tcp.host.clone(), port: port(container, &tcp.port)? }
    } else if let Some(http) = &spec.http_get {
        let headers = http.http_headers.iter().flatten().map(|h| (h.name.clone(), h.value.clone()));
        Check::Http {
            host: http.host.clone(),
            port: port(container, &http.port)?,
            path: http.path.clone().unwrap_or_else(|| "/".into()),
            tls: http.scheme.as_deref() == Some("HTTPS"),
            headers: headers.collect(),
        }
    } else {
        return Err(PlanError::EmptyProbe(container.name.clone()));
    };
    Ok(ProbePlan {
        kind,
        check,
        delay: seconds(spec.initial_delay_seconds.map(Into::into), 0),
        period: seconds(spec.period_seconds.map(Into::into), 10).max(Duration::from_secs(1)),
        timeout: seconds(spec.timeout_seconds.map(Into::into), 1).max(Duration::from_secs(1)),
        successes: spec.success_threshold.and_then(|n| u32::try_from(n).ok()).unwrap_or(1).max(1),
        failures: spec.failure_threshold.and_then(|n| u32::try_from(n).ok()).unwrap_or(3).max(1),
    })
}

fn port(container: &Container, port: &IntOrString) -> Result<u16, PlanError> {
    let unknown = |port: String| PlanError::UnknownPort { container: container.name.clone(), port };
    match port {
        IntOrString::Int(number) => u16::try_from(*number).map_err(|_| unknown(number.to_string())),
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            let found = ports.find(|port| port.name.as_deref() == Some(name)).map(|port| port.container_port);
            let number = found.or_else(|| name.parse().ok());
            number.and_then(|number| u16::try_from(number).ok()).ok_or_else(|| unknown(name.clone()))
        }
    }
}

impl ContainerPlan {
    /// Who it runs as and what it may do.
    pub fn rights(&self, image: &Image) -> Result<Rights, RightsError> {
        let own = self.spec.security_context.as_ref();
        let uid =
            own.and_then(|s| s.run_as_user).or(self.rights.uid).map(id).transpose()?.unwrap_or(image.user.0);
        let gid =
            own.and_then(|s| s.run_as_group).or(self.rights.gid).map(id).transpose()?.unwrap_or(image.user.1);
        if own.and_then(|s| s.run_as_non_root).unwrap_or(self.rights.non_root) && uid == 0 {
            return Err(RightsError::Root);
        }
        let profile =
            own.and_then(|s| s.seccomp_profile.as_ref()).map(|profile| profile.type_ == "RuntimeDefault");
        Ok(Rights {
            uid,
            gid,
            groups: self.rights.groups.iter().copied().map(id).collect::<Result<_, _>>()?,
            read_only_root: own.and_then(|s| s.read_only_root_filesystem).unwrap_or(false),
            no_new_privileges: own.and_then(|s| s.allow_privilege_escalation) == Some(false),
            capabilities: capabilities(own.and_then(|s| s.capabilities.as_ref())),
            seccomp: profile.unwrap_or(self.rights.seccomp),
        })
    }

    /// Its bound on memory, in bytes.
    pub fn memory(&self) -> Option<i64> {
        let bytes = quantity::parse(&self.limit("memory")?)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float saturates, and a bound that large is none"
        )]
        Some(bytes as i64)
    }

    /// Its bound on processor time, in cores.
    pub fn cores(&self) -> Option<f64> {
        quantity::parse(&self.limit("cpu")?)
    }

    fn limit(&self, resource: &str) -> Option<String> {
        let limits = self.spec.resources.as_ref()?.limits.as_ref()?;
        Some(limits.get(resource)?.0.clone())
    }
}

fn id(id: i64) -> Result<u32, RightsError> {
    u32::try_from(id).map_err(|_| RightsError::Id(id))
}

fn seconds(value: Option<i64>, otherwise: u64) -> Duration {
    Duration::from_secs(value.map_or(otherwise, |value| u64::try_from(value).unwrap_or(0)))
}

/// What containers of root have without asking, as with every container runtime.
const USUAL: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

fn capabilities(spec: Option<&Capabilities>) -> Vec<String> {
    let mut kept: Vec<String> = USUAL.iter().map(|name| (*name).to_owned()).collect();
    let bare = |name: &String| name.strip_prefix("CAP_").unwrap_or(name).to_ascii_uppercase();
    let dropped: Vec<String> = spec.and_then(|s| s.drop.as_ref()).into_iter().flatten().map(bare).collect();
    kept.retain(|name| !dropped.contains(name) && !dropped.iter().any(|name| name == "ALL"));
    for name in spec.and_then(|s| s.add.as_ref()).into_iter().flatten().map(bare) {
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    kept.sort();
    kept.into_iter().map(|name| format!("CAP_{name}")).collect()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
pub mod tests;
