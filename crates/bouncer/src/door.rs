//! What stands behind the IRC door: SASL through gatekeeper, and each client's session as messages to its account.

use std::sync::Arc;
use std::time::Duration;

use bouncer_core::{Attach, ConnId, DeviceId};
use bytes::Bytes;
use contracts::{Call, CallError, DoorLogin, SaslPeer, Status};
use irc_server::{
    Backend, CapSet, Closed, NewClient, Offer, Outbox, Peer, Refusal, SaslAnswer, SaslStep, Session,
};
use tokio::sync::{mpsc, watch};

use crate::hub::Hub;
use crate::user::{Attaching, Msg};

/// How long gatekeeper may take for one step of SASL.
const PATIENCE: Duration = Duration::from_secs(10);

/// The bouncer, as its door sees it.
pub struct BouncerBackend {
    pub(crate) hub: Arc<Hub>,
    /// Whether everything that happened at gatekeeper while we were away is known.
    pub(crate) gate: watch::Receiver<bool>,
}

/// One device's connection.
pub struct DeviceSession {
    conn: ConnId,
    mailbox: mpsc::Sender<Msg>,
    outbox: Outbox,
}

const AWAY: &str = "Logging in is not possible right now. Try again in a moment.";

impl Backend for BouncerBackend {
    type Login = DoorLogin;
    type Session = DeviceSession;

    fn offer(&self, _peer: &Peer) -> Offer {
        crate::caps::offer(bouncer_core::OFFERED_ALWAYS)
    }

    async fn sasl(&self, step: SaslStep) -> SaslAnswer<DoorLogin> {
        let unavailable = || SaslAnswer::Unavailable { text: AWAY.to_owned() };
        if !*self.gate.borrow() {
            return unavailable();
        }
        let step = contracts::SaslStep {
            mechanism: step.mechanism.name().to_owned(),
            continuation: step.continuation,
            payload: step.payload,
            peer: SaslPeer {
                address: step.peer.address.ip(),
                tls: step.peer.tls,
                certificate: step.peer.certificate.clone(),
            },
        };
        match tokio::time::timeout(PATIENCE, self.hub.context().accounts.sasl(step)).await {
            Ok(Ok(contracts::SaslAnswer::Challenge { payload, continuation })) => {
                SaslAnswer::Challenge { payload, continuation }
            }
            Ok(Ok(contracts::SaslAnswer::Success { login })) => {
                match self.hub.context().serves(login.account.sub) {
                    Ok(()) => SaslAnswer::Success { account: login.account.username.clone(), login: *login },
                    // Clients stop for ever where they are refused: who moves is to come again.
                    Err(CallError::Unavailable { reason }) => SaslAnswer::Unavailable { text: reason },
                    Err(error) => SaslAnswer::Refused { text: error.to_string() },
                }
            }
            Ok(Ok(contracts::SaslAnswer::Refused { text })) => SaslAnswer::Refused { text },
            Ok(Err(error)) => {
                tracing::warn!(%error, "gatekeeper did not answer a login");
                unavailable()
            }
            Err(_) => unavailable(),
        }
    }

    fn early(&self, command: &[u8]) -> bool {
        command == b"BOUNCER"
    }

    async fn open(&self, client: NewClient<DoorLogin>, outbox: Outbox) -> Result<DeviceSession, Refusal> {
        self.admit(client, outbox).await.map_err(|error| match error {
            CallError::Unavailable { .. } => Refusal::new(AWAY),
            other => Refusal::new(other.to_string()),
        })
    }
}

impl BouncerBackend {
    async fn admit(&self, client: NewClient<DoorLogin>, outbox: Outbox) -> Result<DeviceSession, CallError> {
        let context = self.hub.context();
        let login =
            client.login.ok_or_else(|| CallError::Forbidden { reason: "You have to log in.".into() })?;
        let resident = self.hub.resident_of(&login.account).await?;
        // Between the login and now the account or the credential may have come to its end.
        let account = resident.last_known();
        if account.status != Status::Active {
            return Err(CallError::Forbidden {
                reason: "This account is suspended. Write to whoever runs this service.".into(),
            });
        }
        if self.hub.is_revoked(login.credential) {
            return Err(CallError::Forbidden {
                reason: "This app password was revoked. Log in with another one.".into(),
            });
        }
        let mut device =
            context.store.device_attached(&account, login.credential, login.client.as_deref()).await?;
        let software = client.realname.trim();
        if !software.is_empty() && device.software.as_deref() != Some(software) {
            context.store.device_seen(account.sub, device.id, Some(software)).await?;
            device.software = Some(software.to_owned());
        }
        let cursors = context.store.cursors(device.id).await?;
        let conn = context.conn_id();
        let attaching = Attaching {
            conn,
            attach: Attach {
                device: DeviceId(device.id),
                network: login.network,
                bind: client.early.iter().rev().find_map(bound_network),
                client: login.client.clone(),
                nick: client.nick.into_bytes(),
                caps: crate::caps::inward(client.caps),
                cursors: cursors
                    .into_iter()
                    .map(|(network, cursor)| (bouncer_core::NetworkId(network.0), cursor))
                    .collect(),
            },
            device,
            outbox: outbox.clone(),
        };
        resident.tell(Msg::Attach(Box::new(attaching))).await?;
        self.note_use(account.sub, login.credential, login.client);
        Ok(DeviceSession { conn, mailbox: resident.mailbox(), outbox })
    }

    /// Tells gatekeeper which client used the credential. Nobody waits for it.
    fn note_use(&self, sub: contracts::Sub, credential: uuid::Uuid, client: Option<String>) {
        let accounts = Arc::clone(&self.hub.context().accounts);
        tokio::spawn(async move {
            let call = Call::new(sub, "bouncer").changing();
            if let Err(error) = accounts.credential_used(&call, credential, client).await {
                tracing::debug!(%error, "the use of a credential was not noted");
            }
        });
    }
}

/// The `netid` of a `BOUNCER BIND <netid>` that came before registration ended.
pub(crate) fn bound_network(line: &Bytes) -> Option<String> {
    let message = irc::Message::parse(line).ok()?;
    let is_bind = message.command.eq_ignore_ascii_case(b"BOUNCER")
        && message.param(0).is_some_and(|word| word.eq_ignore_ascii_case(b"BIND"));
    let netid = message.param(1).filter(|_| is_bind)?;
    Some(String::from_utf8_lossy(netid).into_owned())
}

impl DeviceSession {
    async fn tell(&self, msg: Msg) {
        if self.mailbox.send(msg).await.is_err() {
            self.outbox.close("The bouncer is being restarted. Your client can connect again in a moment.");
        }
    }
}

impl Session for DeviceSession {
    async fn lines(&mut self, lines: Vec<Bytes>) {
        self.tell(Msg::Lines(self.conn, lines)).await;
    }

    async fn caps_changed(&mut self, caps: CapSet) {
        self.tell(Msg::Caps(self.conn, caps)).await;
    }

    async fn drained(&mut self) {
        self.tell(Msg::Drained(self.conn)).await;
    }

    async fn closed(self, _why: Closed) {
        self.tell(Msg::Closed(self.conn)).await;
    }
}
