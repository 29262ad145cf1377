//! `ircnow admin`: what an administrator does from the command line.
//!
//! The command goes to the running process over `<data>/admin.sock` (0600: only the user who runs it may speak there).
//! If nothing runs, this process opens the files itself, which their locks allow to one process at a time.

pub mod act;
mod backup;
pub mod socket;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use crate::cli::{Common, say};
use crate::wiring::{self, Base};

/// `ircnow admin …`
#[derive(Debug, Args)]
pub struct AdminArgs {
    #[command(subcommand)]
    command: AdminCommand,
}

/// What an administrator may ask for. Travels as JSON over the socket.
#[derive(Debug, Subcommand, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminCommand {
    /// List accounts whose name or address holds a text.
    Users {
        /// The text; everybody without one.
        #[arg(default_value = "")]
        part: String,
    },
    /// Show one account.
    Show {
        /// Whose.
        username: String,
    },
    /// Put an account on a plan.
    Plan {
        /// Whose.
        username: String,
        /// Which plan.
        plan: String,
    },
    /// Give an account limits of its own: `networks=7 devices=unlimited`; none takes them away.
    Limits {
        /// Whose.
        username: String,
        /// `limit=amount` each.
        limits: Vec<String>,
    },
    /// Stop an account at once. Everything is kept.
    Suspend {
        /// Whose.
        username: String,
        /// Why, for its user.
        #[arg(default_value = "")]
        reason: String,
    },
    /// Let a suspended account go on.
    Resume {
        /// Whose.
        username: String,
    },
    /// Make an account an administrator, or no longer one.
    Role {
        /// Whose.
        username: String,
        /// `admin` or `none`.
        role: String,
    },
    /// Make an invitation link.
    Invite {
        /// How many accounts it is good for.
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// For how many days.
        #[arg(long, default_value_t = 14)]
        days: u32,
    },
    /// Make a link with which the account's user sets a new password.
    ResetLink {
        /// Whose.
        username: String,
    },
    /// Delete an account everywhere.
    Delete {
        /// Whose.
        username: String,
        /// The name once more, to be sure.
        #[arg(long)]
        yes: String,
    },
    /// Say who may use a bouncer or network of a cluster, or list those of an account. What nobody said lets nobody in.
    Server {
        /// Whose it is.
        username: String,
        /// Which: `bouncer-<uid>` or `network-<uid>`, with the UID of its resource. All of the account without one.
        server: Option<String>,
        /// Who may use it: `owner`, `members`, `accounts` (everybody with an account), or `none` to forget it.
        #[arg(long, default_value = "owner")]
        access: String,
        /// A member, for `members`; may be given several times.
        #[arg(long)]
        member: Vec<String>,
    },
    /// Write everything into one archive.
    Backup {
        /// The archive to write (`.tar.gz`).
        file: PathBuf,
        /// Put the key that opens sealed secrets into it, too. Keep such an archive like the key itself.
        #[arg(long)]
        with_key: bool,
    },
    /// Unpack a backup into an empty data folder.
    Restore {
        /// The archive.
        file: PathBuf,
    },
    /// Seal every secret under a new key.
    RotateKey,
}

/// Does one command.
pub async fn run(common: Common, args: AdminArgs) -> Result<()> {
    let text = match args.command {
        AdminCommand::Restore { file } => backup::restore(&file, &common.data_dir()?).await?,
        command => match socket::ask(&common.data_dir()?.join("admin.sock"), &command).await? {
            Some(answer) => answer,
            None => standing_still(&common, command).await?,
        },
    };
    say(text.trim_end());
    Ok(())
}

/// Nothing runs: opens the files and does it here.
async fn standing_still(common: &Common, command: AdminCommand) -> Result<String> {
    let base = Base::open(common)?;
    if let AdminCommand::Backup { file, with_key } = &command {
        return backup::write(base.data.path(), file, *with_key).await;
    }
    let http = service::http::HttpClient::new()?;
    let gatekeeper = wiring::gatekeeper(&base, &http, Some("own")).await?;
    let done = act::act(&act::Context::of(&base), &gatekeeper.admin(), command).await;
    base.shutdown.trigger();
    base.until_the_end().await?;
    done
}
