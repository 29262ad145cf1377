//! Having Ergo read its files anew when they changed. The kubelet swaps the folder as a whole, so the configuration and
//! what the sidecar is told always belong together.

use std::path::{Path, PathBuf};

use super::Shared;
use super::answers::Live;
use super::config::{self, Rehash, SidecarConfig, config_hash};
use super::door::{DoorError, Server};
use crate::paths;

/// What was read, and what Ergo was told.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    mark: String,
    config: Option<SidecarConfig>,
    told: Option<String>,
}

impl Watch {
    /// Watches the folder of this configuration; `mark` is what Ergo was started with.
    pub fn new(path: PathBuf, mark: String) -> Self {
        Self { path, mark, config: None, told: None }
    }

    /// The configuration as it is now. One that cannot be read leaves the last one.
    pub fn config(&mut self, live: &Live) -> SidecarConfig {
        match config::read(&self.path) {
            Ok(config) if self.config.as_ref() != Some(&config) => {
                live.configure(config.clone());
                self.config = Some(config);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the configuration stays as it was"),
        }
        self.config.clone().unwrap_or_else(|| live.config())
    }

    /// Tells Ergo, if its files changed since it was last told. What it refuses is told again only when it changes.
    pub async fn reload(&mut self, server: &Server, shared: &Shared) {
        let Some(config) = self.config.as_ref().filter(|config| config.restart_mark == self.mark) else {
            return;
        };
        if !shared.get().answering {
            return;
        }
        let Some(files) = Files::read(config) else { return };
        let now = files.fingerprint();
        if self.told.as_ref() == Some(&now) {
            return;
        }
        let hash = config_hash(&files.ergo, &files.motd);
        let error = match server.rehash().await {
            Ok(()) => None,
            Err(DoorError::Refused(error)) => Some(error),
            Err(DoorError::Unreachable(error)) => {
                tracing::warn!(%error, "ergo could not be told of its new configuration");
                return;
            }
        };
        match &error {
            None => tracing::info!(%hash, "ergo read its configuration anew"),
            Some(error) => tracing::warn!(%hash, %error, "ergo refused its configuration"),
        }
        self.told = Some(now);
        shared.change(|state| {
            if error.is_none() {
                state.config_hash = Some(hash.clone());
            }
            state.rehash = Some(Rehash { hash, at: service::clock::now_s(), error });
        });
    }
}

/// What Ergo reads.
struct Files {
    ergo: Vec<u8>,
    motd: Vec<u8>,
    certificate: Vec<u8>,
}

impl Files {
    fn read(config: &SidecarConfig) -> Option<Self> {
        Some(Self {
            ergo: std::fs::read(config.config_dir.join(paths::CONFIG_FILE)).ok()?,
            motd: std::fs::read(config.config_dir.join(paths::MOTD_FILE)).unwrap_or_default(),
            certificate: std::fs::read(config.tls_dir.join("tls.crt")).unwrap_or_default(),
        })
    }

    fn fingerprint(&self) -> String {
        format!("{} {}", config_hash(&self.ergo, &self.motd), crds::sidecar::hash(&self.certificate))
    }
}

/// How many bytes the files of a folder take.
pub fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => folder_bytes(&entry.path()),
            Ok(meta) if meta.is_file() => meta.len(),
            _ => 0,
        })
        .sum()
}
