//! The IRC servers of customers: whose each is, and who may use it.

use contracts::{IrcServer, ServerAccess, ServerId, Sub};

use super::{Columns as _, Result, Store, StoreError, Tx, key};

/// A server as gatekeeper was told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerRow {
    pub owner: Sub,
    pub access: ServerAccess,
}

const BY_ID: &str = "SELECT owner, access FROM irc_servers WHERE id = $1";
const PUT: &str = "INSERT INTO irc_servers (id, owner, access, created_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (id) DO UPDATE SET access = excluded.access";
const DROP: &str = "DELETE FROM irc_servers WHERE id = $1 AND owner = $2";
const DROP_MEMBERS: &str = "DELETE FROM irc_server_members WHERE server = $1";
const ADD_MEMBER: &str =
    "INSERT INTO irc_server_members (server, sub) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const IS_MEMBER: &str = "SELECT COUNT(*) AS n FROM irc_server_members WHERE server = $1 AND sub = $2";
const OF_OWNER: &str = "SELECT id, access FROM irc_servers WHERE owner = $1 ORDER BY id";
const COUNT_OF_OWNER: &str = "SELECT COUNT(*) AS n FROM irc_servers WHERE owner = $1";
const MEMBERS: &str = "SELECT username FROM accounts
    WHERE sub IN (SELECT sub FROM irc_server_members WHERE server = $1) ORDER BY username";

impl Store {
    pub async fn irc_server(&self, id: ServerId) -> Result<Option<ServerRow>> {
        let row = sqlx::query(BY_ID).bind(id.to_string()).fetch_optional(self.pool()).await?;
        row.as_ref().map(row_of).transpose()
    }

    pub async fn irc_server_in(&self, tx: &mut Tx, id: ServerId) -> Result<Option<ServerRow>> {
        let row = sqlx::query(BY_ID).bind(id.to_string()).fetch_optional(&mut **tx).await?;
        row.as_ref().map(row_of).transpose()
    }

    /// Keeps a server with exactly these members. Whose it is never changes here.
    pub async fn put_irc_server(
        &self,
        tx: &mut Tx,
        id: ServerId,
        row: ServerRow,
        members: &[Sub],
        now: i64,
    ) -> Result<()> {
        sqlx::query(PUT)
            .bind(id.to_string())
            .bind(key(row.owner))
            .bind(text(row.access).to_owned())
            .bind(now)
            .execute(&mut **tx)
            .await?;
        sqlx::query(DROP_MEMBERS).bind(id.to_string()).execute(&mut **tx).await?;
        for member in members {
            sqlx::query(ADD_MEMBER).bind(id.to_string()).bind(key(*member)).execute(&mut **tx).await?;
        }
        Ok(())
    }

    pub async fn drop_irc_server(&self, tx: &mut Tx, id: ServerId, owner: Sub) -> Result<()> {
        sqlx::query(DROP_MEMBERS).bind(id.to_string()).execute(&mut **tx).await?;
        sqlx::query(DROP).bind(id.to_string()).bind(key(owner)).execute(&mut **tx).await?;
        Ok(())
    }

    pub async fn is_member(&self, id: ServerId, sub: Sub) -> Result<bool> {
        let row = sqlx::query(IS_MEMBER).bind(id.to_string()).bind(key(sub)).fetch_one(self.pool()).await?;
        Ok(row.int("n")? > 0)
    }

    pub async fn count_irc_servers_in(&self, tx: &mut Tx, owner: Sub) -> Result<i64> {
        sqlx::query(COUNT_OF_OWNER).bind(key(owner)).fetch_one(&mut **tx).await?.int("n")
    }

    /// The servers of an account, by name.
    pub async fn irc_servers(&self, owner: Sub) -> Result<Vec<IrcServer>> {
        let rows = sqlx::query(OF_OWNER).bind(key(owner)).fetch_all(self.pool()).await?;
        let mut servers = Vec::with_capacity(rows.len());
        for row in &rows {
            let id = row.text("id")?;
            let members = sqlx::query(MEMBERS).bind(id.clone()).fetch_all(self.pool()).await?;
            servers.push(IrcServer {
                id: ServerId::parse(&id).ok_or(StoreError::Damaged("a server without a name"))?,
                access: access(&row.text("access")?)?,
                members: members.iter().map(|row| row.text("username")).collect::<Result<_>>()?,
            });
        }
        Ok(servers)
    }
}

fn row_of(row: &sqlx::any::AnyRow) -> Result<ServerRow> {
    Ok(ServerRow { owner: row.sub("owner")?, access: access(&row.text("access")?)? })
}

fn text(access: ServerAccess) -> &'static str {
    match access {
        ServerAccess::Owner => "owner",
        ServerAccess::Members => "members",
        ServerAccess::Accounts => "accounts",
    }
}

fn access(text: &str) -> Result<ServerAccess> {
    match text {
        "owner" => Ok(ServerAccess::Owner),
        "members" => Ok(ServerAccess::Members),
        "accounts" => Ok(ServerAccess::Accounts),
        _ => Err(StoreError::Damaged("an unknown access to a server")),
    }
}
