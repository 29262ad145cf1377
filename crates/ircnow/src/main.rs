//! The one binary: every role of the platform, all of them at once, and the administrator's commands.
//!
//! `ircnow up` runs everything in one process on SQLite; `ircnow <role>` runs one role and finds the others over HTTP.
//! Both build the same services in [`wiring`]; only what they hand each other differs. Start with [`cli`], which is
//! the list of commands, then [`up`] and [`roles`].

mod admin;
mod admission;
mod banner;
mod cli;
mod ergo;
mod hosted;
mod local_tls;
mod localnet;
mod pastes;
mod reference;
mod roles;
mod server;
mod settings;
mod sidecar;
mod up;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // Whatever is written is for the user who runs this, and for nobody else.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    service::tls::install_provider();
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Every cause on one line: what happened, and why, and why that.
            let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
            cli::complain(&causes.join(": "));
            ExitCode::FAILURE
        }
    }
}
