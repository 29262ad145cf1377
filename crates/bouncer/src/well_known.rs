//! The networks on offer before the user types anything: data, not code.

use std::path::Path;

use contracts::{Tls, WellKnownNetwork};
use serde::Deserialize;

const COMPILED_IN: &str = include_str!("well_known.toml");

/// Why a list of networks cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WellKnownError {
    /// The file cannot be read.
    #[error("the list of well-known networks {path} cannot be read")]
    Read {
        /// Where it was looked for.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it must be.
    #[error("the list of well-known networks does not hold what it must: {0}")]
    Parse(#[from] toml::de::Error),
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    network: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    about: String,
    host: String,
    port: u16,
    tls: Word,
    fingerprint: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Verified,
    Unverified,
    Pinned,
    Off,
}

/// The list: `local` first where there is one, then the operator's file, or the compiled-in list without one.
pub fn list(
    local: Option<WellKnownNetwork>,
    file: Option<&Path>,
) -> Result<Vec<WellKnownNetwork>, WellKnownError> {
    let text = match file {
        None => COMPILED_IN.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|source| WellKnownError::Read { path: path.display().to_string(), source })?,
    };
    let mut all: Vec<WellKnownNetwork> = local.into_iter().collect();
    all.extend(parse(&text)?);
    Ok(all)
}

pub(crate) fn parse(text: &str) -> Result<Vec<WellKnownNetwork>, WellKnownError> {
    let file: File = toml::from_str(text)?;
    Ok(file.network.into_iter().map(Entry::offered).collect())
}

impl Entry {
    fn offered(self) -> WellKnownNetwork {
        let tls = match (self.tls, self.fingerprint) {
            (Word::Verified, _) => Tls::Verified,
            (Word::Pinned, Some(fingerprint)) => Tls::Pinned { fingerprint },
            (Word::Unverified | Word::Pinned, _) => Tls::Unverified,
            (Word::Off, _) => Tls::Off,
        };
        WellKnownNetwork {
            name: self.name,
            about: self.about,
            host: self.host,
            port: self.port,
            tls,
            local: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_on_offer_can_be_added_as_it_stands() -> Result<(), WellKnownError> {
        for network in list(None, None)? {
            let spec = contracts::NetworkSpec {
                name: network.name.clone(),
                host: network.host,
                port: network.port,
                tls: network.tls,
                nick: "alice".into(),
                realname: String::new(),
                server_password: None,
                sasl: contracts::Sasl::None,
                channels: Vec::new(),
                on_connect: Vec::new(),
                enabled: true,
            };
            assert_eq!(crate::spec::checked(spec, |_, _| false).err(), None, "{}", network.name);
        }
        Ok(())
    }

    #[test]
    fn the_local_network_comes_first() -> Result<(), WellKnownError> {
        let local = WellKnownNetwork {
            name: "localnet".into(),
            about: "On this machine.".into(),
            host: "127.0.0.1".into(),
            port: 6668,
            tls: Tls::Off,
            local: true,
        };
        assert!(list(Some(local), None)?.first().is_some_and(|n| n.local));
        Ok(())
    }
}
