//! The life of a Pod as a state machine: what its containers do and the time in, what to start and stop out.
//!
//! Init containers run one after the other; a sidecar (an init container that always restarts) is waited for until it
//! has started; then the containers run together. When they are done, or the Pod is deleted, they stop first and the
//! sidecars after them, last first.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// What a container is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs to its end before anything behind it starts.
    Init,
    /// Starts among the init containers and stays.
    Sidecar,
    /// One of the Pod's containers.
    Main,
}

/// The Pod's `restartPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// `Always`.
    Always,
    /// `OnFailure`.
    OnFailure,
    /// `Never`.
    Never,
}

/// How long a container waits before it is started again: not at all, then `first`, doubled each time, at most `most`.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    /// The wait after the second end.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
}

/// A container that ran longer than this starts from the shortest wait again, as with the kubelet.
const FORGIVEN: SignedDuration = SignedDuration::from_mins(10);
/// How long to wait before what could not be started is tried again.
const RETRY: SignedDuration = SignedDuration::from_secs(1);

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its code; 128 and the signal's number if a signal ended it.
    pub code: i32,
    /// `Completed`, `Error`, `OOMKilled`, `StartError`.
    pub reason: String,
    /// What it left in its termination message.
    pub message: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
}

/// Where a container is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not running, and why.
    Waiting {
        /// A word, e.g. `CrashLoopBackOff`.
        reason: String,
        /// A sentence.
        message: String,
    },
    /// Told to start.
    Starting,
    /// Running.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// Ended for good.
    Exited(Exit),
}

/// What to begin with for one container.
#[derive(Clone, Debug)]
pub struct Seed {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Whether it has a startup probe.
    pub startup: bool,
    /// Whether it has a readiness probe.
    pub readiness: bool,
}

/// One container.
#[derive(Clone, Debug)]
pub struct Unit {
    /// What it began with.
    pub seed: Seed,
    /// Where it is.
    pub state: State,
    /// How its run before this one ended.
    pub last: Option<Exit>,
    /// How often it was started again.
    pub restarts: u32,
    /// Runs, and its startup probe has passed.
    pub started: bool,
    /// Its readiness probe says yes (or it has none).
    passed: bool,
    stopping: bool,
    not_before: Option<Timestamp>,
    ends: u32,
}

impl Unit {
    /// Whether something of it runs.
    pub fn alive(&self) -> bool {
        matches!(self.state, State::Running { .. } | State::Starting)
    }

    /// Whether it counts as ready.
    pub fn ready(&self) -> bool {
        match (self.seed.role, &self.state) {
            (Role::Init, State::Exited(exit)) => exit.code == 0,
            (Role::Init, _) => false,
            (_, State::Running { .. }) => self.started && self.passed,
            _ => false,
        }
    }
}

/// What a probe was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Has it started?
    Startup,
    /// Does it live?
    Liveness,
    /// Is it ready?
    Readiness,
}

/// What the shell is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start this container.
    Start(usize),
    /// Stop it: SIGTERM, and after this long SIGKILL.
    Stop(usize, Duration),
}

/// The Pod's `status.phase`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not all init containers are through, or nothing was started yet.
    Pending,
    /// Its containers run, or will again.
    Running,
    /// All ended with 0.
    Succeeded,
    /// All ended, one of them badly.
    Failed,
}

/// A Pod's containers.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Init containers and sidecars in their order, then the others.
    pub units: Vec<Unit>,
    restart: Restart,
    back_off: BackOff,
    grace: Duration,
    initialized: bool,
    ending: bool,
    /// Why the whole Pod failed, if it is not for its containers: reason and message.
    pub failed: Option<(String, String)>,
}

impl Machine {
    /// A Pod before its first start. `grace` is how long a stop may take.
    pub fn new(seeds: Vec<Seed>, restart: Restart, grace: Duration, back_off: BackOff) -> Self {
        let unit = |seed: Seed| Unit {
            passed: !seed.readiness,
            seed,
            state: State::Waiting { reason: "ContainerCreating".into(), message: String::new() },
            last: None,
            restarts: 0,
            started: false,
            stopping: false,
            not_before: None,
            ends: 0,
        };
        let units = seeds.into_iter().map(unit).collect();
        Self { units, restart, back_off, grace, initialized: false, ending: false, failed: None }
    }

    /// Whether every init container has done its part.
    pub fn initialized(&self) -> bool {
        self.initialized
    }

    /// Whether the Pod is being taken down.
    pub fn ending(&self) -> bool {
        self.ending
    }

    /// Whether nothing runs and nothing will.
    pub fn over(&self) -> bool {
        self.ending && !self.units.iter().any(Unit::alive)
    }

    /// The Pod is deleted: everything stops within `grace`. A shorter one hurries what is stopping already.
    pub fn delete(&mut self, grace: Duration) {
        if grace < self.grace {
            self.units.iter_mut().for_each(|unit| unit.stopping = false);
        }
        self.grace = grace;
        self.ending = true;
    }

    /// The Pod fails as a whole: everything stops.
    pub fn fail(&mut self, reason: &str, message: &str) {
        self.failed.get_or_insert_with(|| (reason.into(), message.into()));
        self.ending = true;
    }

    /// A container runs.
    pub fn started(&mut self, index: usize, now: Timestamp) {
        let unit = &mut self.units[index];
        if unit.last.is_some() {
            unit.restarts += 1;
        }
        unit.state = State::Running { since: now };
        unit.started = !unit.seed.startup;
        unit.passed = !unit.seed.readiness;
        unit.stopping = false;
    }

    /// A container could not be made; it is tried again soon.
    pub fn not_started(&mut self, index: usize, reason: &str, message: &str, now: Timestamp) {
        let unit = &mut self.units[index];
        unit.state = State::Waiting { reason: reason.into(), message: message.into() };
        unit.not_before = Some(later(now, RETRY));
    }

    /// A container has ended.
    pub fn exited(&mut self, index: usize, exit: Exit, now: Timestamp) {
        let again = !self.ending && self.starts_again(index, exit.code);
        let back_off = self.back_off;
        let unit = &mut self.units[index];
        unit.started = false;
        unit.stopping = false;
        unit.passed = !unit.seed.readiness;
        if exit.finished.duration_since(exit.started) >= FORGIVEN {
            unit.ends = 0;
        }
        let wait = match unit.ends {
            0 => Duration::ZERO,
            ends => back_off.first.saturating_mul(1 << (ends - 1).min(16)).min(back_off.most),
        };
        unit.ends += 1;
        unit.last = Some(exit.clone());
        if again {
            let message = format!("back-off {wait:?} restarting failed container {}", unit.seed.name);
            unit.state = State::Waiting { reason: "CrashLoopBackOff".into(), message };
            unit.not_before = Some(later(now, wait.try_into().unwrap_or(SignedDuration::MAX)));
        } else {
            unit.state = State::Exited(exit);
        }
    }

    /// A probe changed its answer. What follows from it comes with the next [`Machine::next`], but a stop comes here.
    pub fn probed(&mut self, index: usize, probe: Probe, healthy: bool) -> Option<Action> {
        let grace = self.grace;
        let unit = &mut self.units[index];
        if !matches!(unit.state, State::Running { .. }) {
            return None;
        }
        match (probe, healthy) {
            (Probe::Readiness, passed) => unit.passed = passed,
            (Probe::Startup, true) => unit.started = true,
            (Probe::Liveness, true) => {}
            (Probe::Startup | Probe::Liveness, false) if unit.stopping || self.ending => {}
            (Probe::Startup | Probe::Liveness, false) => {
                unit.stopping = true;
                return Some(Action::Stop(index, grace));
            }
        }
        None
    }

    /// What to do now. Each thing is said once.
    pub fn next(&mut self, now: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        if !self.ending && self.done() {
            self.ending = true;
        }
        if self.ending {
            self.stop(&mut actions);
            return actions;
        }
        for index in 0..self.units.len() {
            let unit = &self.units[index];
            if unit.seed.role == Role::Main && !self.initialized {
                self.initialized = true;
            }
            let unit = &mut self.units[index];
            let waits = matches!(unit.state, State::Waiting { .. });
            if waits && unit.not_before.is_none_or(|time| time <= now) {
                unit.state = State::Starting;
                unit.not_before = None;
                actions.push(Action::Start(index));
            }
            let holds = match unit.seed.role {
                Role::Init => !unit.ready(),
                Role::Sidecar => !unit.started,
                Role::Main => false,
            };
            if holds && !self.initialized {
                break;
            }
        }
        actions
    }

    /// When [`Machine::next`] has something to say again, if nothing happens before.
    pub fn wake(&self) -> Option<Timestamp> {
        self.units.iter().filter_map(|unit| unit.not_before).min().filter(|_| !self.ending)
    }

    /// The Pod's phase.
    pub fn phase(&self) -> Phase {
        if self.failed.is_some() {
            return Phase::Failed;
        }
        let bad = |unit: &Unit| matches!(&unit.state, State::Exited(exit) if exit.code != 0);
        if self.units.iter().any(|unit| unit.seed.role == Role::Init && bad(unit)) {
            return Phase::Failed;
        }
        let mut mains = self.units.iter().filter(|unit| unit.seed.role == Role::Main);
        let untouched = |unit: &Unit| {
            unit.last.is_none() && matches!(unit.state, State::Waiting { .. } | State::Starting)
        };
        if !self.initialized || mains.clone().all(untouched) {
            return Phase::Pending;
        }
        if mains.clone().all(|unit| matches!(unit.state, State::Exited(_))) {
            return if mains.any(bad) { Phase::Failed } else { Phase::Succeeded };
        }
        Phase::Running
    }

    fn starts_again(&self, index: usize, code: i32) -> bool {
        match (self.units[index].seed.role, self.restart) {
            (Role::Sidecar, _) | (Role::Main, Restart::Always) => true,
            (Role::Init, Restart::Always | Restart::OnFailure) | (Role::Main, Restart::OnFailure) => {
                code != 0
            }
            (Role::Init | Role::Main, Restart::Never) => false,
        }
    }

    /// Whether its containers have ended for good, or one before them has.
    fn done(&self) -> bool {
        let mut mains = self.units.iter().filter(|unit| unit.seed.role == Role::Main);
        mains.all(|unit| matches!(unit.state, State::Exited(_))) || self.phase() == Phase::Failed
    }

    fn stop(&mut self, actions: &mut Vec<Action>) {
        let grace = self.grace;
        let mut others = false;
        for (index, unit) in
            self.units.iter_mut().enumerate().filter(|(_, unit)| unit.seed.role != Role::Sidecar)
        {
            // One that is just being started is stopped as soon as it runs.
            others |= unit.alive();
            if matches!(unit.state, State::Running { .. }) && !unit.stopping {
                unit.stopping = true;
                actions.push(Action::Stop(index, grace));
            }
        }
        if others {
            return;
        }
        let last = self.units.iter_mut().enumerate().rev().find(|(_, unit)| unit.alive());
        if let Some((index, unit)) = last
            && matches!(unit.state, State::Running { .. })
            && !unit.stopping
        {
            unit.stopping = true;
            actions.push(Action::Stop(index, grace));
        }
    }
}

fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
