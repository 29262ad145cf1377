//! Keycloak with the realm of `deploy/keycloak`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::parts::{self, Part};
use crate::{Process, net};

/// A running Keycloak in its development mode.
pub struct Keycloak {
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl Keycloak {
    /// Starts it with the realm file's text imported, after `environment` is set for its `${…}` placeholders.
    pub fn start(realm: &str, environment: &[(&str, &str)]) -> Result<Self> {
        let script = Part::Keycloak.find().context("Keycloak is missing: run tools/parts test")?;
        let home = script.parent().and_then(Path::parent).context("an odd path")?;
        let folder = tempfile::tempdir()?;
        for part in ["bin", "conf", "lib", "providers", "themes"] {
            let from = home.join(part);
            if from.exists() {
                // Keycloak writes below its home while it starts: each run gets a copy, hard-linked where it may.
                let to = folder.path().join(part);
                let copied = Command::new("cp").arg("-al").arg(&from).arg(&to).status()?.success()
                    || Command::new("cp").arg("-a").arg(&from).arg(&to).status()?.success();
                anyhow::ensure!(copied, "copying {}", from.display());
            }
        }
        let import = folder.path().join("data/import");
        std::fs::create_dir_all(&import)?;
        std::fs::write(import.join("realm.json"), realm)?;
        let hosts = folder.path().join("hosts");
        // Java resolves `auth.localhost` as little as glibc does, and Keycloak calls us back there.
        std::fs::write(&hosts, "127.0.0.1 localhost localhost.localdomain auth.localhost\n")?;
        let port = net::free_port()?;
        let mut command = Command::new(folder.path().join("bin/kc.sh"));
        command
            .args(["start-dev", "--http-host=127.0.0.1", "--import-realm", "--health-enabled=false"])
            .arg(format!("--http-port={port}"))
            .env("KC_BOOTSTRAP_ADMIN_USERNAME", "admin")
            .env("KC_BOOTSTRAP_ADMIN_PASSWORD", "admin")
            .env("JAVA_OPTS_KC_HEAP", "-Xms128m -Xmx512m")
            .env("JAVA_OPTS_APPEND", format!("-Djdk.net.hosts.file={}", hosts.display()))
            .envs(environment.iter().copied());
        let log = parts::cache().join(format!("keycloak-{port}.log"));
        let mut process = Process::spawn(&mut command, &log)?;
        process.wait_for_line("Listening on:", Duration::from_secs(240))?;
        Ok(Self { process, port, _folder: folder })
    }

    /// `http://localhost:port`.
    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// What it printed.
    pub fn output(&self) -> String {
        self.process.output()
    }
}
