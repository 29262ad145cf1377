//! The commands.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use service::config::Source;

use crate::{admin, admission, ergo, pastes, reference, roles, sidecar, up};

/// Hosted IRC: a bouncer that never sleeps, for many people, in one binary.
#[derive(Debug, Parser)]
#[command(name = "ircnow", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// The configuration file (TOML). The environment goes before it.
    #[arg(long, global = true, value_name = "FILE", env = "IRCNOW_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where rows, keys and certificates are kept.
    #[arg(long, global = true, value_name = "DIR", env = "IRCNOW_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in this one process, on embedded defaults.
    Up {
        /// Serve the pages over TLS with the local authority.
        #[arg(long)]
        https: bool,
    },
    /// Run the role `gatekeeper`: accounts, login, tokens.
    Gatekeeper,
    /// Run the role `bouncer`: upstream connections, devices, history.
    Bouncer,
    /// Run the role `hosting`: hosted networks and dedicated bouncers, as resources of a Kubernetes cluster.
    Hosting,
    /// Run the role `portal`: irc.now and my.irc.now.
    Portal,
    /// Run the role `paste`: txt.irc.now; or put up and read pastes from here.
    Paste {
        #[command(subcommand)]
        instead: Option<pastes::PasteCommand>,
    },
    /// Run the role `pics`: irc.pics.
    Pics,
    /// Decode pictures from standard input with at most so many bytes of memory; the role `pics` starts it.
    #[command(hide = true)]
    PicsWorker {
        /// Bytes.
        memory: u64,
    },
    /// Run the role `ergo-operator`: keeps every ErgoNetwork of a Kubernetes cluster as its resource says.
    ErgoOperator,
    /// Run beside Ergo in its Pod, by the file of `--config`.
    ErgoSidecar(ergo::SidecarArgs),
    /// Run beside soju in its Pod, by the file of `--config`; or move an account in before soju's first start, or out while
    /// it stands still.
    SojuSidecar {
        #[command(subcommand)]
        instead: Option<sidecar::Instead>,
    },
    /// Run the role `soju-operator`: keeps every SojuBouncer of a Kubernetes cluster as its resource says.
    SojuOperator,
    /// Run the role `admission`: a webhook that says early what would come of a SojuBouncer or an ErgoNetwork.
    Admission,
    /// Administer a running installation, or one that stands still.
    Admin(admin::AdminArgs),
    /// Print every configuration key, or check a file.
    Config {
        /// Check this file and say what is wrong with it.
        #[arg(long, value_name = "FILE")]
        check: Option<PathBuf>,
        /// Print as Markdown.
        #[arg(long)]
        markdown: bool,
    },
    /// Print the definitions of the custom resources, for `kubectl apply --server-side -f -`.
    Crds {
        /// Print the reference of every field as Markdown.
        #[arg(long)]
        markdown: bool,
    },
}

impl Cli {
    /// Does what was asked.
    pub fn run(self) -> Result<()> {
        let Self { common, command } = self;
        match command {
            Command::Config { check, markdown } => {
                reference::run(check.as_deref().or(common.config.as_deref()), markdown)
            }
            Command::Crds { markdown } => {
                say(&if markdown { crds::markdown() } else { crds::yaml()? });
                Ok(())
            }
            Command::Up { https } => serving(up::run(common, https)),
            Command::Gatekeeper => serving(roles::gatekeeper(common)),
            Command::Bouncer => serving(roles::bouncer(common)),
            Command::Hosting => serving(roles::hosting(common)),
            Command::Portal => serving(roles::portal(common)),
            Command::Paste { instead: None } => serving(roles::paste(common)),
            Command::Paste { instead: Some(command) } => serving(pastes::run(common, command)),
            Command::Pics => serving(roles::pics(common)),
            Command::PicsWorker { memory } => Ok(pics::worker::child::run(memory)?),
            Command::ErgoOperator => serving(ergo::operator(common)),
            Command::ErgoSidecar(args) => serving(ergo::sidecar(common, args)),
            Command::SojuSidecar { instead: None } => serving(sidecar::soju(common)),
            Command::SojuSidecar { instead: Some(way) } => serving(sidecar::moves(common, way)),
            Command::SojuOperator => serving(roles::soju_operator(common)),
            Command::Admission => serving(admission::run(common)),
            Command::Admin(args) => serving(admin::run(common, args)),
        }
    }
}

impl Common {
    /// The configuration, from the environment and the file.
    pub fn source(&self) -> Result<Source> {
        let source = Source::load(self.config.as_deref())?;
        source.check(&reference::keys())?;
        Ok(source)
    }

    /// The data folder: as asked for, else below the user's own data.
    pub fn data_dir(&self) -> Result<PathBuf> {
        if let Some(folder) = &self.data_dir {
            return Ok(folder.clone());
        }
        let base = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share"));
        base.or_else(home)
            .map(|base| base.join("ircnow"))
            .context("no home folder: say where with --data-dir")
    }
}

/// A runtime with a fixed number of threads, whatever the number of users.
fn serving(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(16).build()?;
    runtime.block_on(work)
}

/// Prints to standard output; a reader that went away is no error.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints to standard error.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "ircnow: {text}");
}
