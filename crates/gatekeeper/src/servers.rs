//! The IRC servers of customers (dedicated bouncers, hosted networks) as clients of ours.
//!
//! Nothing is registered for them: the operators of the cluster derive a secret for each from the installation's, and so do
//! we. A server that proved itself may still ask only about accounts that may use it, and what we were not told of lets
//! nobody in.

use async_trait::async_trait;
use contracts::{
    Account, Call, CallError, CallResult, IrcServer, IrcServers, ServerAccess, ServerId, ServerKind, Status,
    Sub,
};
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use service::clock::now_s;
use service::secrets::same;

use crate::Gatekeeper;
use crate::error::{Error, Result, forbidden, invalid};
use crate::sasl::not_active;
use crate::store::ServerRow;
use crate::text::hex;

/// Members one server may have: enough for a network of the largest plan, and a bound on what a call may write.
const MOST_MEMBERS: usize = 5_000;
/// Servers of one account, far above every plan: a bound, not a quota.
const MOST_SERVERS: i64 = 1_000;

/// The client secret of a server: `HMAC-SHA-256(secret, "ircnow <kind> client " || id)` in hexadecimal digits, as the
/// operators derive it.
fn client_secret(secret: &SecretString, id: ServerId) -> SecretString {
    let kind = match id.kind {
        ServerKind::Bouncer => "bouncer",
        ServerKind::Network => "network",
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    hex(hmac::sign(&key, format!("ircnow {kind} client {id}").as_bytes()).as_ref()).into()
}

impl Gatekeeper {
    /// The server a client id names, proven by its secret. `None` for all other clients, for a wrong secret, and where the
    /// installation has no secret to derive from.
    pub(crate) fn proven_server(&self, id: &str, given: &str) -> Option<ServerId> {
        let id = ServerId::parse(id)?;
        let secret = client_secret(self.0.config.client_secret.as_ref()?, id);
        same(secret.expose_secret().as_bytes(), given.as_bytes()).then_some(id)
    }

    /// Whether an account may use a server: the one place that decides it.
    pub(crate) async fn may_use(&self, id: ServerId, sub: Sub, status: Status) -> Result<bool> {
        if status != Status::Active {
            return Ok(false);
        }
        let Some(server) = self.0.store.irc_server(id).await? else { return Ok(false) };
        Ok(match server.access {
            _ if server.owner == sub => true,
            ServerAccess::Owner => false,
            ServerAccess::Members => self.0.store.is_member(id, sub).await?,
            ServerAccess::Accounts => true,
        })
    }

    /// The account a dedicated bouncer is for.
    pub(crate) async fn owner_of_bouncer(&self, id: ServerId) -> Result<Option<Sub>> {
        if id.kind != ServerKind::Bouncer {
            return Ok(None);
        }
        let server = self.0.store.irc_server(id).await?;
        Ok(server.filter(|server| server.access == ServerAccess::Owner).map(|server| server.owner))
    }

    async fn put_server(&self, call: &Call, server: &IrcServer) -> Result<()> {
        if server.members.len() > MOST_MEMBERS {
            return Err(invalid("members", format!("A server has at most {MOST_MEMBERS} members.")));
        }
        let mut tx = self.0.store.begin().await?;
        let owner = self.0.store.account_in(&mut tx, call.account).await?;
        let owner = owner.ok_or_else(|| Error::from(CallError::not_found("account")))?;
        let known = self.0.store.irc_server_in(&mut tx, server.id).await?;
        if owner.status != Status::Active {
            // Who asks again after a restart is not told that a bouncer is none: it lets nobody in meanwhile all the same.
            let row = ServerRow { owner: owner.sub, access: ServerAccess::Owner };
            let is_known = server.access == ServerAccess::Owner && known == Some(row);
            return if is_known { Ok(()) } else { Err(forbidden(not_active(owner.status))) };
        }
        match known {
            Some(known) if known.owner != owner.sub => {
                let message = "This server belongs to another account.".to_owned();
                return Err(CallError::Conflict { message }.into());
            }
            Some(_) => {}
            None => {
                if self.0.store.count_irc_servers_in(&mut tx, owner.sub).await? >= MOST_SERVERS {
                    return Err(forbidden("This account has too many servers."));
                }
            }
        }
        let mut members = Vec::with_capacity(server.members.len());
        for name in &server.members {
            let found = self.0.store.account_by_name_in(&mut tx, &name.trim().to_ascii_lowercase()).await?;
            let found = found.filter(|account| account.status != Status::Deleting);
            let found = found.ok_or_else(|| invalid("members", format!("There is no account {name}.")))?;
            members.push(found.sub);
        }
        let row = ServerRow { owner: owner.sub, access: server.access };
        self.0.store.put_irc_server(&mut tx, server.id, row, &members, now_s()).await?;
        self.0.store.commit(tx).await?;
        tracing::info!(sub = %owner.sub, server = %server.id, "a server may ask who comes in");
        Ok(())
    }

    async fn drop_server(&self, call: &Call, id: ServerId) -> Result<()> {
        let mut tx = self.0.store.begin().await?;
        match self.0.store.irc_server_in(&mut tx, id).await? {
            Some(known) if known.owner == call.account => {
                self.0.store.drop_irc_server(&mut tx, id, call.account).await?;
                self.0.store.commit(tx).await?;
                tracing::info!(sub = %call.account, server = %id, "a server lets nobody in any more");
                Ok(())
            }
            // Somebody else's is nothing this account has to know of.
            Some(_) | None => Ok(()),
        }
    }
}

#[async_trait]
impl IrcServers for Gatekeeper {
    async fn put_irc_server(&self, call: &Call, server: IrcServer) -> CallResult<()> {
        Ok(self.put_server(call, &server).await?)
    }

    async fn drop_irc_server(&self, call: &Call, id: ServerId) -> CallResult<()> {
        Ok(self.drop_server(call, id).await?)
    }

    async fn irc_servers(&self, call: &Call) -> CallResult<Vec<IrcServer>> {
        Ok(self.0.store.irc_servers(call.account).await.map_err(Error::from)?)
    }
}

impl crate::admin::Admin {
    /// Keeps a server of `owner` as it is said here.
    pub async fn put_server(&self, owner: &str, server: IrcServer) -> Result<Account> {
        let account = self.account(owner).await?;
        self.gate().put_server(&Call::new(account.sub, "admin"), &server).await?;
        Ok(account)
    }

    /// Forgets a server of `owner`: it lets nobody in any more.
    pub async fn drop_server(&self, owner: &str, id: ServerId) -> Result<Account> {
        let account = self.account(owner).await?;
        self.gate().drop_server(&Call::new(account.sub, "admin"), id).await?;
        Ok(account)
    }

    /// The servers of `owner`.
    pub async fn servers(&self, owner: &str) -> Result<Vec<IrcServer>> {
        let account = self.account(owner).await?;
        Ok(self.gate().0.store.irc_servers(account.sub).await?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn secret_of(master: &str, id: &str) -> String {
        let secret = client_secret(&SecretString::from(master), ServerId::parse(id).unwrap());
        secret.expose_secret().to_owned()
    }

    const UID: &str = "5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11";

    #[test]
    fn the_secret_is_the_one_the_operators_derive() {
        // Worked out beside this program: HMAC-SHA-256 with the key "s".
        assert_eq!(
            secret_of("s", &format!("bouncer-{UID}")),
            "d2651ae3fb287ab26675d9ff54cb4dc0d7de2330d1b1096b1512d7df22f3e85e"
        );
        assert_eq!(
            secret_of("s", &format!("network-{UID}")),
            "04bc02865d065165410796039ccd29271a3166d2cffd9e4df9edc8a3d5e12b03"
        );
    }

    proptest! {
        #[test]
        fn every_server_and_every_installation_has_a_secret_of_its_own(a in any::<u128>(), b in any::<u128>(), kinds in any::<(bool, bool)>()) {
            let id = |uid: u128, bouncer: bool| {
                let kind = if bouncer { ServerKind::Bouncer } else { ServerKind::Network };
                ServerId { kind, uid: uuid::Uuid::from_u128(uid) }
            };
            let (one, other) = (id(a, kinds.0), id(b, kinds.1));
            let of = |master: &str, id| client_secret(&SecretString::from(master), id).expose_secret().to_owned();
            prop_assert_eq!(of("s", one) == of("s", other), one == other);
            prop_assert_ne!(of("s", one), of("t", one));
        }

        #[test]
        fn whatever_is_read_as_a_server_is_written_the_same_way(text in "(bouncer|network)?-?[0-9a-fA-F{}:-]{0,40}|\\PC{0,60}") {
            if let Some(id) = ServerId::parse(&text) {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
