//! Rows of an account that moves: who is held, and networks and devices as another bouncer kept them, the same as this one
//! or one that knows less.

use bouncer_core::Cursor;
use contracts::parcel::{MovedDevice, MovedNetwork, Private};
use contracts::{Hold, NetworkId, NetworkSpec, Sasl, Sub, Tls};
use irc_client::StsPolicy;
use service::db::Migration;
use sqlx::Row;
use uuid::Uuid;

use super::networks::NetworkRow;
use super::{Store, StoreError, StoreResult, bytes, uuid};

const TABLE: &str = "held";

/// Beside the other tables: what is held outlives the account's rows.
pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "accounts that are held",
    sqlite: "CREATE TABLE held (sub BLOB PRIMARY KEY NOT NULL, why TEXT NOT NULL);",
    postgres: "CREATE TABLE held (sub BYTEA PRIMARY KEY, why TEXT NOT NULL);",
}];

impl From<NetworkRow> for MovedNetwork {
    fn from(row: NetworkRow) -> Self {
        let NetworkRow { id, spec, private, version, created_at_us, .. } = row;
        Self { id, spec, private, version, created_at_us }
    }
}

impl Store {
    /// Keeps an account away from this bouncer, whatever is known of it.
    pub async fn hold(&self, sub: Sub, why: &Hold) -> StoreResult<()> {
        let why = serde_json::to_string(why).map_err(|error| unreadable(&error))?;
        sqlx::query(
            "INSERT INTO held (sub, why) VALUES ($1, $2) ON CONFLICT (sub) DO UPDATE SET why = excluded.why",
        )
        .bind(bytes(sub.0))
        .bind(why)
        .execute(self.db.pool())
        .await?;
        Ok(())
    }

    /// Takes it back.
    pub async fn let_go(&self, sub: Sub) -> StoreResult<()> {
        sqlx::query("DELETE FROM held WHERE sub = $1").bind(bytes(sub.0)).execute(self.db.pool()).await?;
        Ok(())
    }

    /// Everybody who is held.
    pub async fn held(&self) -> StoreResult<Vec<(Sub, Hold)>> {
        let rows = sqlx::query("SELECT sub, why FROM held").fetch_all(self.db.pool()).await?;
        rows.iter()
            .map(|row| {
                let why = serde_json::from_str(row.try_get(1)?).map_err(|error| unreadable(&error))?;
                Ok((Sub(uuid(TABLE, row.try_get(0)?)?), why))
            })
            .collect()
    }

    /// Puts networks in place that came from another bouncer.
    pub async fn put_networks(&self, sub: Sub, networks: &[MovedNetwork]) -> StoreResult<()> {
        let mut tx = self.begin_for(sub).await?;
        for network in networks {
            // Another account's network of this id is none of ours: nothing is changed then.
            let put = sqlx::query(
                "INSERT INTO network (id, sub, name, name_key, spec, sealed, enabled, version, created_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name, name_key = excluded.name_key, \
                 spec = excluded.spec, sealed = excluded.sealed, enabled = excluded.enabled, version = excluded.version \
                 WHERE network.sub = excluded.sub",
            )
            .bind(bytes(network.id.0))
            .bind(bytes(sub.0))
            .bind(network.spec.name.clone())
            .bind(super::networks::name_key(&network.spec.name))
            .bind(super::networks::plain_of(&network.spec)?)
            .bind(self.seal_private(network.id, &network.private)?)
            .bind(i64::from(network.spec.enabled))
            .bind(network.version)
            .bind(network.created_at_us)
            .execute(&mut *tx)
            .await?;
            if put.rows_affected() == 0 {
                let reason = format!("network {} belongs to another account", network.id);
                return Err(StoreError::Row { table: "network", reason });
            }
            self.put_channels(&mut tx, network.id, &network.spec.channels).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Takes networks back from a bouncer that knows less of them. Those of `gone` stay, and are not connected.
    pub async fn take_back(
        &self,
        sub: Sub,
        networks: Vec<MovedNetwork>,
        gone: &[NetworkId],
    ) -> StoreResult<()> {
        let mut kept = self.networks(sub).await?;
        let mut back = Vec::with_capacity(networks.len());
        for came in networks {
            let network = match kept.iter().position(|row| row.id == came.id) {
                Some(at) => merged(kept.swap_remove(at), came),
                None => {
                    let names = kept.iter().map(|row| &row.spec).chain(back.iter().map(spec));
                    let names: Vec<String> =
                        names.map(|spec| super::networks::name_key(&spec.name)).collect();
                    new_to_us(came, &names)
                }
            };
            back.push(network);
        }
        for row in kept.into_iter().filter(|row| gone.contains(&row.id)) {
            let mut network = MovedNetwork::from(row);
            network.spec.enabled = false;
            back.push(network);
        }
        self.put_networks(sub, &back).await
    }

    /// Puts devices in place that came from another bouncer.
    pub async fn put_devices(&self, sub: Sub, devices: &[MovedDevice]) -> StoreResult<()> {
        let mut tx = self.begin_for(sub).await?;
        for device in devices {
            sqlx::query(
                "INSERT INTO device (id, sub, credential, client, software, first_seen, last_seen) \
                 VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT DO NOTHING",
            )
            .bind(bytes(device.id))
            .bind(bytes(sub.0))
            .bind(bytes(device.credential))
            .bind(device.client.clone().unwrap_or_default())
            .bind(device.software.clone())
            .bind(device.last_seen_us)
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Puts in place what hosts demanded of the other bouncer.
    pub async fn put_sts(&self, sub: Sub, policies: &[(String, u16, i64)]) -> StoreResult<()> {
        for (host, port, until) in policies {
            self.keep_sts(sub, host, Some(StsPolicy { port: *port, until: *until })).await?;
        }
        Ok(())
    }

    /// How far every device of the account has seen one network.
    pub async fn cursors_of(&self, sub: Sub, network: NetworkId) -> StoreResult<Vec<(Uuid, Cursor)>> {
        let mut found = Vec::new();
        for device in self.devices(sub).await? {
            let cursors = self.cursors(device.id).await?;
            found.extend(
                cursors.into_iter().filter(|(of, _)| *of == network).map(|(_, cursor)| (device.id, cursor)),
            );
        }
        Ok(found)
    }
}

fn spec(network: &MovedNetwork) -> &NetworkSpec {
    &network.spec
}

/// A network as it was kept here, with what may have changed at a bouncer that knows less of it. What cannot be used here
/// changes nothing.
fn merged(kept: NetworkRow, came: MovedNetwork) -> MovedNetwork {
    let mut network = MovedNetwork::from(kept);
    let (old, mut new) = (&network.spec, came.spec);
    new.name.clone_from(&old.name);
    if new.realname.is_empty() {
        new.realname.clone_from(&old.realname);
    }
    if (&new.host, new.port) == (&old.host, old.port) && old.tls == Tls::Unverified {
        // It could not be used there.
        (new.tls, new.enabled) = (old.tls.clone(), old.enabled);
    }
    let mut private = came.private;
    // What was too long for the other bouncer stayed here.
    if network.private.on_connect.starts_with(&private.on_connect) {
        new.on_connect.clone_from(&network.private.on_connect);
    }
    if new.sasl == Sasl::None && matches!(old.sasl, Sasl::Password { .. }) {
        new.sasl.clone_from(&old.sasl);
        private.sasl_password.clone_from(&network.private.sasl_password);
    }
    private.server_password = private.server_password.or_else(|| network.private.server_password.clone());
    let Ok(new) = checked(new) else { return network };
    if matches!(new.sasl, Sasl::External { .. }) && private.certificate.is_none() {
        private.certificate.clone_from(&network.private.certificate);
    }
    let complete = match new.sasl {
        Sasl::None => true,
        Sasl::Password { .. } => private.sasl_password.is_some(),
        Sasl::External { .. } => private.certificate.is_some(),
    };
    if complete {
        private.on_connect.clone_from(&new.on_connect);
        (network.spec, network.private) = (new, private);
        network.version += 1;
    }
    network
}

/// A network that was made elsewhere, under a name that is free here. Its log needs a network to lie in, so one that could
/// not be used here comes as one that is not connected, for its owner to put right.
fn new_to_us(came: MovedNetwork, taken: &[String]) -> MovedNetwork {
    let fits = |c: &char| c.is_ascii_alphanumeric() || ".-_".contains(*c);
    let name: String =
        came.spec.name.chars().filter(fits).skip_while(|c| !c.is_ascii_alphanumeric()).collect();
    let name = if name.is_empty() { "network".to_owned() } else { name };
    let numbered = (2..).map(|n: u32| format!("{}-{n}", name.get(..name.len().min(26)).unwrap_or(&name)));
    let short = name.get(..name.len().min(32)).unwrap_or(&name).to_owned();
    let mut names = std::iter::once(short).chain(numbered);
    let free = names.find(|name| !taken.contains(&super::networks::name_key(name))).unwrap_or(name.clone());
    let spec = NetworkSpec { name: free.clone(), ..came.spec };
    match checked(spec) {
        Ok(spec) => MovedNetwork { spec, ..came },
        Err(_) => MovedNetwork {
            spec: NetworkSpec {
                name: free,
                host: "network.invalid".to_owned(),
                port: 6697,
                tls: Tls::Verified,
                nick: "nick".to_owned(),
                realname: String::new(),
                server_password: None,
                sasl: Sasl::None,
                channels: Vec::new(),
                on_connect: Vec::new(),
                enabled: false,
            },
            private: Private::default(),
            ..came
        },
    }
}

/// A spec as it is kept. The other bouncer sent the same password the same way.
fn checked(spec: NetworkSpec) -> Result<NetworkSpec, contracts::CallError> {
    crate::spec::checked(spec, |_, _| true)
}

fn unreadable(error: &serde_json::Error) -> StoreError {
    StoreError::Row { table: TABLE, reason: error.to_string() }
}
