//! What each command does.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use bouncer::Bouncer;
use contracts::{Account, IrcServer, Role, ServerAccess, ServerId, Status};
use entitlements::{Amount, Limit, Override, Plan};
use gatekeeper::admin::Admin;
use paste::Paste;
use pics::Pics;
use portal::Portal;
use service::secrets::Keyring;
use service::sites::Sites;

use super::{AdminCommand, backup};
use crate::wiring::Base;

/// How many accounts one answer lists.
const PAGE: u32 = 500;

/// What commands need besides gatekeeper.
#[derive(Clone)]
pub struct Context {
    data: PathBuf,
    sites: Sites,
    keyring: Keyring,
    key_file: bool,
    others: Option<(Bouncer, Portal, Paste, Pics)>,
}

impl Context {
    /// Of this process.
    pub fn of(base: &Base) -> Self {
        let key_file = base.source.variable("IRCNOW_SECRET_KEY").ok().flatten().is_none();
        Self {
            data: base.data.path().to_owned(),
            sites: base.sites.clone(),
            keyring: base.keyring.clone(),
            key_file,
            others: None,
        }
    }

    /// The services that run in this process beside gatekeeper.
    #[must_use]
    pub fn beside(self, bouncer: &Bouncer, portal: &Portal, paste: &Paste, pics: &Pics) -> Self {
        Self { others: Some((bouncer.clone(), portal.clone(), paste.clone(), pics.clone())), ..self }
    }
}

/// Does it, and says what was done.
pub async fn act(context: &Context, admin: &Admin, command: AdminCommand) -> Result<String> {
    match command {
        AdminCommand::Users { part } => users(admin, &part).await,
        AdminCommand::Show { username } => Ok(shown(&admin.account(&username).await?)),
        AdminCommand::Plan { username, plan } => {
            let account = admin.set_plan(&username, &Plan(plan)).await?;
            Ok(format!("{} is on the plan {}.", account.username, account.plan))
        }
        AdminCommand::Limits { username, limits } => {
            Ok(shown(&admin.set_override(&username, &parse_limits(&limits)?).await?))
        }
        AdminCommand::Suspend { username, reason } => {
            let account = admin.suspend(&username, &reason).await?;
            Ok(format!("{} is suspended. Its connections are closed; everything is kept.", account.username))
        }
        AdminCommand::Resume { username } => {
            Ok(format!("{} goes on.", admin.resume(&username).await?.username))
        }
        AdminCommand::Role { username, role } => {
            let admins = match role.as_str() {
                "admin" => true,
                "none" => false,
                other => bail!("there is no role {other}: say admin or none"),
            };
            let account = admin.set_admin(&username, admins).await?;
            Ok(format!("{} is {}an administrator.", account.username, if admins { "" } else { "not " }))
        }
        AdminCommand::Invite { uses, days } => {
            let token = admin.invite(uses, days).await?;
            Ok(if token.starts_with("http") {
                token
            } else {
                context.sites.auth.url(&format!("/sign-up?invitation={token}"))
            })
        }
        AdminCommand::ResetLink { username } => Ok(admin.reset_link(&username).await?),
        AdminCommand::Delete { username, yes } => {
            ensure!(username == yes, "to delete {username}, say --yes {username}");
            admin.delete(&username).await?;
            Ok(format!("{username} is being deleted everywhere."))
        }
        AdminCommand::Server { username, server, access, member } => match server {
            None => servers(admin, &username).await,
            Some(server) => server_said(admin, &username, &server, &access, member).await,
        },
        AdminCommand::Backup { file, with_key } => backup::write(&context.data, &file, with_key).await,
        AdminCommand::Restore { .. } => {
            bail!("a backup is restored into an empty folder, never into a running one")
        }
        AdminCommand::RotateKey => {
            ensure!(
                context.key_file,
                "the key comes from IRCNOW_SECRET_KEY: put a new one in front of it there, then restart"
            );
            rotate_key(context, admin).await
        }
    }
}

/// Whatever breaks off here is done at the next start: every service moves its secrets over before it serves.
async fn rotate_key(context: &Context, admin: &Admin) -> Result<String> {
    let path = context.data.join("secret.key");
    context.keyring.rotate(&path)?;
    admin.reseal().await?;
    let done = match &context.others {
        Some((bouncer, portal, paste, pics)) => {
            bouncer.reseal().await?;
            portal.reseal().await?;
            paste.reseal().await?;
            pics.reseal().await?;
            "Every stored secret is sealed under a new key, and nothing has to be restarted."
        }
        None => {
            "Gatekeeper's secrets are sealed under a new key. The bouncer, the portal, the pastes and the pictures, where they run as \
             processes of their own, seal theirs within seconds or when they start. Nothing has to be restarted."
        }
    };
    Ok(format!(
        "{done}\nThe new key is the first line of {}. The lines below it still open older backups.",
        path.display()
    ))
}

async fn servers(admin: &Admin, username: &str) -> Result<String> {
    let mut text = String::new();
    for server in admin.servers(username).await? {
        let access = match server.access {
            ServerAccess::Owner => "owner",
            ServerAccess::Members => "members",
            ServerAccess::Accounts => "accounts",
        };
        text.push_str(&format!("{} {access:<8} {}\n", server.id, server.members.join(" ")));
    }
    Ok(if text.is_empty() { format!("{username} has no server.") } else { text })
}

async fn server_said(
    admin: &Admin,
    username: &str,
    server: &str,
    access: &str,
    members: Vec<String>,
) -> Result<String> {
    let id: ServerId = server.parse().with_context(|| format!("`{server}` is no server"))?;
    let (access, words) = match access {
        "owner" => (ServerAccess::Owner, "its owner alone"),
        "members" => (ServerAccess::Members, "its owner and its members"),
        "accounts" => (ServerAccess::Accounts, "everybody with an account"),
        "none" => {
            admin.drop_server(username, id).await?;
            return Ok(format!("{id} lets nobody in any more."));
        }
        other => bail!("there is no access {other}: say owner, members, accounts or none"),
    };
    admin.put_server(username, IrcServer { id, access, members }).await?;
    Ok(format!("{id} belongs to {username} and lets in {words}."))
}

async fn users(admin: &Admin, part: &str) -> Result<String> {
    let (mut text, mut after) = (String::new(), String::new());
    loop {
        let page = admin.find(part, &after, PAGE).await?;
        for account in &page {
            let email = account.email.as_deref().unwrap_or("");
            text.push_str(&format!(
                "{:<32} {:<10} {:<10} {email}\n",
                account.username,
                account.plan.0,
                status(account)
            ));
        }
        match page.last() {
            Some(last) if page.len() == PAGE as usize => after.clone_from(&last.username),
            _ => break,
        }
    }
    Ok(if text.is_empty() { "There is no such account.".to_owned() } else { text })
}

fn status(account: &Account) -> &'static str {
    match account.status {
        Status::Active => "active",
        Status::Suspended => "suspended",
        Status::Deleting => "deleting",
    }
}

fn shown(account: &Account) -> String {
    let roles = if account.roles.contains(&Role::Admin) { "administrator" } else { "none" };
    let mut text = format!(
        "name     {}\nid       {}\nplan     {}\nstatus   {}\nroles    {roles}\ne-mail   {}\n",
        account.username,
        account.sub,
        account.plan,
        status(account),
        account.email.as_deref().unwrap_or("none")
    );
    for limit in Limit::ALL {
        text.push_str(&format!("{:<24} {}\n", limit.key(), account.limits.get(limit).words(limit.unit())));
    }
    text
}

fn parse_limits(limits: &[String]) -> Result<Override> {
    let mut over = Override::default();
    for text in limits {
        let (key, amount) = text.split_once('=').with_context(|| format!("`{text}` is not limit=amount"))?;
        let limit = Limit::from_key(key).with_context(|| {
            format!("there is no limit {key}; there are {}", Limit::ALL.map(Limit::key).join(", "))
        })?;
        let amount = match amount {
            "unlimited" => Amount::Unlimited,
            number => Amount::AtMost(number.parse().with_context(|| format!("`{number}` is no number"))?),
        };
        over.0.insert(limit, amount);
    }
    Ok(over)
}
