//! Services made of memory, for pages without real ones behind them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use contracts::*;
use entitlements::{Amount, Limit, Limits, Override, Plan, Table};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use service::clock::now_s;
use tokio::sync::watch;
use uuid::Uuid;

/// All rows, of all accounts.
#[derive(Default)]
pub struct Rows {
    pub networks: Vec<(Sub, Network)>,
    pub hosted: Vec<(Sub, HostedNetwork)>,
    pub dedicated: Vec<(Sub, DedicatedBouncer)>,
    pub devices: Vec<(Sub, Device)>,
    pub credentials: Vec<(Sub, Credential)>,
    pub mentions: Vec<(Sub, Mention)>,
    pub done: BTreeMap<String, Uuid>,
    pub deleted: Vec<Sub>,
}

pub struct World {
    pub rows: Mutex<Rows>,
    pub limit: Mutex<Amount>,
    pub changed: watch::Sender<u64>,
}

pub fn world() -> Arc<World> {
    Arc::new(World {
        rows: Mutex::default(),
        limit: Mutex::new(Amount::Unlimited),
        changed: watch::Sender::new(0),
    })
}

pub fn sub(name: &str) -> Sub {
    Sub(Uuid::from_bytes(std::array::from_fn(|i| name.as_bytes().get(i).copied().unwrap_or(7))))
}

impl World {
    pub fn account(&self, sub: Sub) -> Account {
        let bytes = sub.0.into_bytes();
        let name =
            ["alice", "bob"].into_iter().find(|name| name.as_bytes()[0] == bytes[0]).unwrap_or("carol");
        let free =
            Table::compiled_in().unwrap().limits(&Plan::from("free"), &BTreeMap::new(), &Override::default());
        let limits: Limits = free
            .with(Limit::Networks, *self.limit.lock().unwrap())
            .with(Limit::DedicatedBouncers, Amount::AtMost(1))
            .with(Limit::HostedNetworks, Amount::AtMost(3))
            .with(Limit::HostedNetworkUsers, Amount::AtMost(200));
        Account {
            sub,
            username: name.into(),
            email: Some(format!("{name}@example.org")),
            email_verified: true,
            may_dial_out: true,
            status: Status::Active,
            plan: Plan::from("free"),
            limits,
            over_limit_until: None,
            roles: Vec::new(),
            version: 1,
            created_at: now_s() - 86_400 * 40,
        }
    }

    pub fn touch(&self) {
        self.changed.send_modify(|n| *n += 1);
    }

    pub fn add(
        &self,
        sub: Sub,
        name: &str,
        host: &str,
        phase: Phase,
        error: Option<&str>,
        needs_user: bool,
    ) -> NetworkId {
        let id = NetworkId(Uuid::now_v7());
        let network = Network {
            id,
            spec: NetworkSpec {
                name: name.into(),
                host: host.into(),
                port: 6697,
                tls: Tls::Verified,
                nick: "alice".into(),
                realname: String::new(),
                server_password: None,
                sasl: Sasl::None,
                channels: Vec::new(),
                on_connect: Vec::new(),
                enabled: true,
            },
            state: NetworkState {
                nick: (phase == Phase::Connected).then(|| "alice".into()),
                channels: 12,
                lag_ms: vec![34, 36, 31, 48, 38, 35, 41, 33, 34],
                since: now_s() - 86_400 * 41,
                phase,
                last_error: error.map(str::to_owned),
                needs_user,
            },
            version: 1,
            created_at: 0,
            deleted_at: None,
        };
        self.rows.lock().unwrap().networks.push((sub, network));
        self.touch();
        id
    }

    fn networks_of(&self, sub: Sub) -> Vec<Network> {
        let rows = self.rows.lock().unwrap();
        let own =
            rows.networks.iter().filter(|(owner, network)| *owner == sub && network.deleted_at.is_none());
        own.map(|(_, network)| network.clone()).collect()
    }

    fn devices_of(&self, sub: Sub) -> Vec<Device> {
        let rows = self.rows.lock().unwrap();
        rows.devices.iter().filter(|(owner, _)| *owner == sub).map(|(_, device)| device.clone()).collect()
    }

    fn find(&self, sub: Sub, id: NetworkId) -> CallResult<Network> {
        let rows = self.rows.lock().unwrap();
        rows.networks
            .iter()
            .find(|(owner, network)| *owner == sub && network.id == id)
            .map(|(_, network)| network.clone())
            .ok_or_else(|| CallError::not_found("network"))
    }

    fn with(&self, sub: Sub, id: NetworkId, change: impl FnOnce(&mut Network)) -> CallResult<Network> {
        self.find(sub, id)?;
        let mut rows = self.rows.lock().unwrap();
        let (_, network) = rows.networks.iter_mut().find(|(_, network)| network.id == id).unwrap();
        change(network);
        let network = network.clone();
        drop(rows);
        self.touch();
        Ok(network)
    }
}

pub struct Fake(pub Arc<World>);

#[async_trait]
impl AccountData for Fake {
    fn service(&self) -> &'static str {
        "bouncer"
    }

    async fn export(&self, call: &Call) -> CallResult<BoxStream<'static, CallResult<ExportChunk>>> {
        let names: Vec<_> =
            self.0.networks_of(call.account).into_iter().map(|network| network.spec.name).collect();
        let chunk = |path: &str, bytes: &[u8]| Ok(ExportChunk { path: path.into(), bytes: bytes.to_vec() });
        let chunks = vec![
            chunk("networks.json", names.join(",").as_bytes()),
            chunk("history.jsonl", &[b'a'; 70_000]),
            chunk("history.jsonl", &[b'b'; 70_000]),
        ];
        Ok(stream::iter(chunks).boxed())
    }

    async fn delete(&self, _: &Call) -> CallResult<()> {
        Ok(())
    }
}

#[async_trait]
impl Bouncers for Fake {
    async fn well_known(&self) -> CallResult<Vec<WellKnownNetwork>> {
        let offer = |name: &str, host: &str, about: &str, local| WellKnownNetwork {
            name: name.into(),
            about: about.into(),
            host: host.into(),
            port: if local { 6668 } else { 6697 },
            tls: if local { Tls::Off } else { Tls::Verified },
            local,
        };
        Ok(vec![
            offer("localnet", "localhost", "Runs beside irc.now, for your first message.", true),
            offer("Libera.Chat", "irc.libera.chat", "Free and open source projects.", false),
            offer("OFTC", "irc.oftc.net", "Debian, Tor and friends.", false),
            offer("hackint", "irc.hackint.org", "The hacker community of Europe.", false),
        ])
    }

    async fn networks(&self, call: &Call) -> CallResult<Vec<Network>> {
        Ok(self.0.networks_of(call.account))
    }

    async fn network(&self, call: &Call, id: NetworkId) -> CallResult<Network> {
        self.0.find(call.account, id)
    }

    async fn add_network(&self, call: &Call, spec: NetworkSpec) -> CallResult<Network> {
        let key = call.idempotency_key.clone().unwrap();
        let again = self.0.rows.lock().unwrap().done.get(&key).copied();
        if let Some(id) = again {
            return self.0.find(call.account, NetworkId(id));
        }
        let account = self.0.account(call.account);
        let used = self.0.networks_of(call.account).len() as u64;
        if let Err(over) = account.limits.check(Limit::Networks, used, 1) {
            return Err(CallError::Quota { limit: over.limit.to_string(), message: over.to_string() });
        }
        let id = self.0.add(call.account, &spec.name, &spec.host, Phase::Connecting, None, false);
        self.0.rows.lock().unwrap().done.insert(key, id.0);
        self.0.with(call.account, id, |network| network.spec = spec)
    }

    async fn change_network(&self, call: &Call, id: NetworkId, spec: NetworkSpec) -> CallResult<Network> {
        let before = self.0.find(call.account, id)?;
        if call.version.is_some_and(|version| version != before.version) {
            return Err(CallError::Conflict { message: "It was changed in the meantime.".into() });
        }
        self.0.with(call.account, id, |network| {
            network.spec = spec;
            network.version += 1;
        })
    }

    async fn delete_network(&self, call: &Call, id: NetworkId) -> CallResult<()> {
        self.0.with(call.account, id, |network| network.deleted_at = Some(now_s())).map(drop)
    }

    async fn restore_network(&self, call: &Call, id: NetworkId) -> CallResult<Network> {
        self.0.with(call.account, id, |network| network.deleted_at = None)
    }

    async fn reconnect(&self, call: &Call, id: NetworkId) -> CallResult<()> {
        self.0.with(call.account, id, |network| network.state.phase = Phase::Connecting).map(drop)
    }

    async fn devices(&self, call: &Call) -> CallResult<Vec<Device>> {
        Ok(self.0.devices_of(call.account))
    }

    async fn mentions(&self, call: &Call, _: u32) -> CallResult<Vec<Mention>> {
        let rows = self.0.rows.lock().unwrap();
        Ok(rows.mentions.iter().filter(|(owner, _)| *owner == call.account).map(|(_, m)| m.clone()).collect())
    }

    async fn usage(&self, call: &Call) -> CallResult<BouncerUsage> {
        let per_day = vec![5, 9, 7, 22, 14, 8, 30, 41, 12, 19, 24, 18, 40, 33, 21, 44, 39, 28, 25, 47];
        Ok(BouncerUsage {
            networks: self.0.networks_of(call.account).len() as u32,
            devices: self.0.devices_of(call.account).len() as u32,
            messages: 1_204_118,
            messages_per_day: per_day,
        })
    }

    async fn watch(
        &self,
        call: &Call,
        _: Option<WatchCursor>,
    ) -> CallResult<BoxStream<'static, BouncerChange>> {
        let (world, sub) = (Arc::clone(&self.0), call.account);
        let mut bell = world.changed.subscribe();
        bell.mark_changed();
        Ok(stream::unfold((world, bell), move |(world, mut bell)| async move {
            bell.changed().await.ok()?;
            let cursor = WatchCursor(*bell.borrow_and_update());
            let what = BouncerChangeKind::Snapshot {
                networks: world.networks_of(sub),
                devices: world.devices_of(sub),
            };
            Some((BouncerChange { cursor, what }, (world, bell)))
        })
        .boxed())
    }
}

#[async_trait]
impl Accounts for Fake {
    async fn account(&self, call: &Call) -> CallResult<Account> {
        Ok(self.0.account(call.account))
    }

    async fn sasl(&self, _: SaslStep) -> CallResult<SaslAnswer> {
        Err(CallError::unavailable("No door here."))
    }

    async fn token(&self, _: ShownToken) -> CallResult<TokenAnswer> {
        Err(CallError::unavailable("No door here."))
    }

    async fn credential_used(&self, _: &Call, _: Uuid, _: Option<String>) -> CallResult<()> {
        Ok(())
    }

    async fn credentials(&self, call: &Call) -> CallResult<Vec<Credential>> {
        let rows = self.0.rows.lock().unwrap();
        Ok(rows
            .credentials
            .iter()
            .filter(|(owner, _)| *owner == call.account)
            .map(|(_, c)| c.clone())
            .collect())
    }

    async fn create_app_password(
        &self,
        call: &Call,
        name: String,
        scopes: Vec<Scope>,
    ) -> CallResult<NewCredential> {
        let credential = Credential {
            id: Uuid::now_v7(),
            name,
            kind: CredentialKind::AppPassword,
            scopes,
            created_at: now_s(),
            last_used_at: None,
            last_used_client: None,
        };
        self.0.rows.lock().unwrap().credentials.push((call.account, credential.clone()));
        Ok(NewCredential { credential, secret: "kq7m-3xvd-91hf-tz0c-ap4w-e6ry".into() })
    }

    async fn add_certificate(
        &self,
        call: &Call,
        name: String,
        fingerprint: String,
    ) -> CallResult<Credential> {
        let mut new = self.create_app_password(call, name, vec![Scope::Irc]).await?.credential;
        new.kind = CredentialKind::Certificate { fingerprint };
        let mut rows = self.0.rows.lock().unwrap();
        rows.credentials.retain(|(_, c)| c.id != new.id);
        rows.credentials.push((call.account, new.clone()));
        Ok(new)
    }

    async fn revoke_credential(&self, call: &Call, credential: Uuid) -> CallResult<()> {
        let mut rows = self.0.rows.lock().unwrap();
        let before = rows.credentials.len();
        rows.credentials.retain(|(owner, c)| !(*owner == call.account && c.id == credential));
        if rows.credentials.len() == before { Err(CallError::not_found("app password")) } else { Ok(()) }
    }

    async fn security_events(&self, _: &Call, _: u32) -> CallResult<Vec<SecurityEvent>> {
        Ok(vec![
            SecurityEvent {
                at: now_s() - 300,
                kind: "app_password_created".into(),
                text: "You made the app password laptop".into(),
                address: Some("192.0.2.7".into()),
            },
            SecurityEvent {
                at: now_s() - 4_000,
                kind: "sign_in".into(),
                text: "You signed in with Firefox on Linux".into(),
                address: Some("192.0.2.7".into()),
            },
        ])
    }

    async fn changes(&self, _: Option<FeedCursor>) -> CallResult<BoxStream<'static, AccountChange>> {
        Ok(stream::pending().boxed())
    }

    async fn feed_cursor(&self) -> CallResult<FeedCursor> {
        Ok(FeedCursor(0))
    }

    async fn delete_account(&self, call: &Call) -> CallResult<()> {
        self.0.rows.lock().unwrap().deleted.push(call.account);
        Ok(())
    }
}
