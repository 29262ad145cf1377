//! One network of this machine: its server kept running as it is wanted, its state told.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use contracts::{HostedAddress, HostedId, HostedPhase, HostedState};
use crds::sidecar::Sealed;
use ergo_operator::ergo::{Change, yaml};
use ergo_operator::sidecar::answers::{self, Live};
use ergo_operator::sidecar::door::Server;
use ergo_operator::sidecar::{Door, Shared, SidecarConfig};
use hosting::{States, Wanted};
use serde_json::Value;
use service::clock::now_s;
use service::dialer::Guarded;
use service::shutdown::Shutdown;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::Machine;
use super::config::{self, Place, Program};
use super::doorkeeper::Doorkeeper;
use super::members::Members;
use crate::localnet::Pauses;
use crate::server::{self, ServerProcess};

/// How often the server is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long the doorkeeper may take to come in before people are told to.
const DOORKEEPER: Duration = Duration::from_secs(10);

/// What a network is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Be like this.
    Keep(Box<Wanted>),
    /// Stop for good.
    Stop,
}

/// What runs, while it does.
struct Up {
    process: ServerProcess,
    since: Instant,
    config: Value,
    motd: String,
    /// The certificate it serves, by its fingerprint; nothing where that is not known.
    certificate: String,
    api: Server,
    door: Option<Doorkeeper>,
    _reach: Reach,
}

/// Bouncers of this machine reach a network for as long as its server runs: afterwards its ports may be anybody's.
struct Reach {
    dialer: Guarded,
    doors: [SocketAddr; 2],
}

impl Reach {
    fn new(dialer: &Guarded, place: &Place) -> Self {
        let doors = place.doors();
        doors.into_iter().for_each(|door| dialer.allow_own(door));
        Self { dialer: dialer.clone(), doors }
    }
}

impl Drop for Reach {
    fn drop(&mut self) {
        self.doors.into_iter().for_each(|door| self.dialer.forget_own(door));
    }
}

/// One network.
pub struct Network {
    id: HostedId,
    machine: Arc<Machine>,
    program: Program,
    folder: PathBuf,
    states: States<HostedId, HostedState>,
    up: Option<Up>,
    questions: Option<(Live, Shutdown)>,
    shared: Shared,
    pauses: Pauses,
    not_before: Instant,
    /// Rung when there is something to look at.
    bell: Arc<Notify>,
}

impl Network {
    /// Nothing runs yet.
    pub fn new(
        id: HostedId,
        machine: Arc<Machine>,
        program: Program,
        folder: PathBuf,
        states: States<HostedId, HostedState>,
    ) -> Self {
        let now = Instant::now();
        Self {
            id,
            machine,
            program,
            folder,
            states,
            up: None,
            questions: None,
            shared: Shared::default(),
            pauses: Pauses::new(now),
            not_before: now,
            bell: Arc::default(),
        }
    }

    /// Keeps the server as it is wanted until it is to stop, or the process ends.
    pub async fn run(mut self, mut orders: watch::Receiver<Order>) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shutdown = self.machine.shutdown.clone();
        let bell = Arc::clone(&self.bell);
        loop {
            let order = orders.borrow_and_update().clone();
            let Order::Keep(wanted) = order else { break };
            self.look(&wanted).await;
            tokio::select! {
                () = shutdown.cancelled() => break,
                changed = orders.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    // What is told now is tried now.
                    self.not_before = Instant::now();
                }
                () = bell.notified() => {}
                _ = look.tick() => {}
            }
        }
        self.stop().await;
        if let Some((_, shutdown)) = self.questions.take() {
            shutdown.trigger();
        }
    }

    async fn look(&mut self, wanted: &Wanted) {
        if wanted.stopped {
            self.stop().await;
            return self.tell(HostedPhase::Suspended, None, None);
        }
        if self.up.as_mut().is_some_and(|up| !up.process.is_alive()) {
            tracing::warn!(network = %self.id, "the server of a hosted network died");
            self.up = None;
            self.wait_a_moment();
        }
        if self.up.is_none() && Instant::now() < self.not_before {
            return;
        }
        if let Err(error) = self.keep(wanted).await {
            tracing::warn!(network = %self.id, error = format!("{error:#}"), "a hosted network does not run");
            self.wait_a_moment();
            let seconds = self.not_before.saturating_duration_since(Instant::now()).as_secs().max(1);
            let detail = format!("Its server does not start: {error:#}. It is tried again in {seconds} s.");
            return self.tell(HostedPhase::Failing, Some(detail), None);
        }
        if let Err(error) = self.observe(wanted).await {
            tracing::debug!(network = %self.id, error = format!("{error:#}"), "a hosted network does not say how it is");
            self.tell(HostedPhase::Starting, None, Place::of(&self.folder).ok().as_ref());
        }
    }

    /// Has the server run with the configuration that is wanted.
    async fn keep(&mut self, wanted: &Wanted) -> Result<()> {
        let place = Place::of(&self.folder)?;
        let config = config::rendered(&self.machine, &self.program, &self.folder, &place, wanted)?;
        self.answer(&place, wanted)?;
        if self.up.is_none() {
            self.up = self.adopted(&place).await?;
        }
        let certificate = self.machine.certificate.fingerprint();
        if let Some(up) = &mut self.up {
            match Change::between(&up.config, &config) {
                Change::None if up.motd == wanted.motd && up.certificate == certificate => return Ok(()),
                Change::None | Change::Rehash => {
                    write(&self.folder, &config, &wanted.motd)?;
                    up.api.rehash().await.context("telling Ergo of the change")?;
                    (up.config, up.motd, up.certificate) = (config, wanted.motd.clone(), certificate);
                    return Ok(());
                }
                Change::Restart(because) => {
                    tracing::info!(network = %self.id, ?because, "a hosted network is started anew");
                    self.stop().await;
                }
            }
        }
        self.tell(HostedPhase::Starting, None, Some(&place));
        let (folder, program) = (self.folder.clone(), self.program.path.clone());
        let (text, motd) = (config.clone(), wanted.motd.clone());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, place.plain));
        let started = tokio::task::spawn_blocking(move || {
            ensure!(!server::listens(address), "something else listens on {address}");
            write(&folder, &text, &motd)?;
            let mut process =
                ServerProcess::start(&folder, address, &mut server::ergo_command(&program, &folder)?)?;
            process.wait_until_it_listens("Ergo")?;
            Ok::<_, anyhow::Error>(process)
        });
        let process = started.await??;
        self.pauses.is_up(Instant::now());
        self.up = Some(self.runs(&place, process, config, wanted.motd.clone(), certificate)?);
        Ok(())
    }

    /// A server that runs.
    fn runs(
        &self,
        place: &Place,
        process: ServerProcess,
        config: Value,
        motd: String,
        certificate: String,
    ) -> Result<Up> {
        let (api, reach) = (api(place)?, Reach::new(&self.machine.dialer, place));
        Ok(Up { process, since: Instant::now(), config, motd, certificate, api, door: None, _reach: reach })
    }

    /// The server that outlived a killed `up`, with what it was told.
    async fn adopted(&self, place: &Place) -> Result<Option<Up>> {
        let Some(process) = left(&self.folder).await else { return Ok(None) };
        let config = fs::read(self.folder.join("config.json")).ok();
        let config = config.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let motd = fs::read_to_string(config::motd(&self.folder)).unwrap_or_default();
        tracing::info!(network = %self.id, "adopted a hosted network that outlived us");
        // Which certificate it serves only it knows: it is told of ours.
        self.runs(place, process, config, motd, String::new()).map(Some)
    }

    /// Answers Ergo's questions by what is wanted.
    fn answer(&mut self, place: &Place, wanted: &Wanted) -> Result<()> {
        let asked = SidecarConfig {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            config_dir: self.folder.clone(),
            tls_dir: self.folder.clone(),
            data_dir: self.folder.clone(),
            door: door(place),
            clients: wanted.clients,
            address_socket: config::address_socket(&self.folder),
            password_socket: config::password_socket(&self.folder),
            introspection: None,
            restart_mark: String::new(),
        };
        if let Some((live, _)) = &self.questions {
            live.configure(asked);
            return Ok(());
        }
        let members =
            Arc::new(Members { accounts: Arc::clone(&self.machine.accounts), door: place.door.clone() });
        let live = Live::new(asked, self.shared.clone())?.beside(members);
        let shutdown = self.machine.shutdown.child();
        answers::start(&live, &shutdown)?;
        self.questions = Some((live, shutdown));
        Ok(())
    }

    /// Has somebody at the door where not everybody may come in.
    fn attend(&mut self, place: &Place, wanted: &Wanted) {
        let Some(up) = &mut self.up else { return };
        match (wanted.clients, &up.door) {
            (None, _) => up.door = None,
            (Some(most), Some(door)) => door.let_in(most),
            (Some(most), None) => {
                let (bell, shutdown) = (Arc::clone(&self.bell), &self.machine.shutdown);
                let server = &wanted.hostname;
                up.door = Some(Doorkeeper::start(place.plain, server, &place.door, most, bell, shutdown));
            }
        }
    }

    /// Asks the server how it is, and tells it.
    async fn observe(&mut self, wanted: &Wanted) -> Result<()> {
        let place = Place::of(&self.folder)?;
        self.attend(&place, wanted);
        let Some(up) = &self.up else { return Ok(()) };
        let doorkeeper = up.door.as_ref().map(Doorkeeper::watches);
        if doorkeeper == Some(false) && up.since.elapsed() < DOORKEEPER {
            self.tell(HostedPhase::Starting, None, Some(&place));
            return Ok(());
        }
        let status = up.api.status(false).await?;
        if up.door.as_ref().map(Doorkeeper::watches) != doorkeeper {
            // It rang: the next look knows whether it was counted.
            return Ok(());
        }
        let users = status.users.saturating_sub(u64::from(doorkeeper == Some(true)));
        self.shared.change(|state| {
            state.users = users;
            state.admitted = 0;
        });
        let full = wanted.clients.is_some_and(|most| users >= most);
        let detail =
            full.then(|| format!("It is full: {users} people are on it, as many as the plan allows."));
        let software = status
            .version
            .as_deref()
            .map(|version| format!("Ergo {}", version.trim_start_matches("ergo-").trim_start_matches('v')));
        self.tell_all(HostedState {
            users,
            channels: status.channels,
            software,
            ..self.state(HostedPhase::Ready, detail, Some(&place))
        });
        Ok(())
    }

    fn wait_a_moment(&mut self) {
        let now = Instant::now();
        self.not_before = now + self.pauses.next(now);
    }

    async fn stop(&mut self) {
        // One that outlived us is stopped too.
        let process = match self.up.take() {
            Some(up) => Some(up.process),
            None => left(&self.folder).await,
        };
        let Some(mut process) = process else { return };
        let _ = tokio::task::spawn_blocking(move || process.stop()).await;
    }

    fn state(&self, phase: HostedPhase, detail: Option<String>, place: Option<&Place>) -> HostedState {
        let address = |port, tls| HostedAddress { host: self.machine.host.clone(), port, tls };
        HostedState {
            phase,
            since: now_s(),
            detail,
            addresses: place
                .map(|place| vec![address(place.tls, true), address(place.plain, false)])
                .unwrap_or_default(),
            websocket: place.map(|place| format!("wss://{}:{}/", self.machine.host, place.web)),
            users: 0,
            channels: 0,
            software: None,
            keeps_history: Some(self.program.keeps_history),
        }
    }

    fn tell(&self, phase: HostedPhase, detail: Option<String>, place: Option<&Place>) {
        self.tell_all(self.state(phase, detail, place));
    }

    /// Says nothing where nothing changed but the time.
    fn tell_all(&self, state: HostedState) {
        self.states.tell(self.id, state, HostedState::says_the_same);
    }
}

/// The server in `folder` that outlived whoever started it.
async fn left(folder: &Path) -> Option<ServerProcess> {
    let folder = folder.to_owned();
    let found = tokio::task::spawn_blocking(move || ServerProcess::adopt(&folder)).await;
    found.ok().flatten().map(|(process, _)| process)
}

fn door(place: &Place) -> Door {
    Door::Api { url: format!("http://127.0.0.1:{}", place.api), token: Sealed::new(place.token.clone()) }
}

fn api(place: &Place) -> Result<Server> {
    Ok(Server::of(&door(place))?)
}

/// Writes what Ergo reads, and beside it what we compare the next one with.
pub fn write(folder: &Path, config: &Value, motd: &str) -> Result<()> {
    service::paths::write_private(&folder.join("config"), yaml::write(config).as_bytes())?;
    service::paths::write_private(&folder.join("config.json"), &serde_json::to_vec(config)?)?;
    service::paths::write_private(&config::motd(folder), motd.as_bytes())?;
    Ok(())
}
