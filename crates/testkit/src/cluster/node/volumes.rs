//! What stands in a Pod's volumes: Secrets, ConfigMaps, fields of the Pod, tokens, as files.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, DownwardAPIVolumeFile, KeyToPath, Pod, SecretVolumeSource, Volume,
    VolumeProjection,
};

use super::env::{Addresses, Missing, Objects, field};

/// A file of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its bytes.
    pub content: Vec<u8>,
    /// Its permissions.
    pub mode: u32,
}

/// The files of a volume by their path in it.
pub type Files = BTreeMap<String, File>;

/// Which token a volume wants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenWish {
    /// Whom it is for; `None` is the API server.
    pub audience: Option<String>,
    /// For how long, in seconds.
    pub seconds: i64,
}

/// Tokens that were given.
pub type Tokens = BTreeMap<TokenWish, String>;

/// What a volume is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Files that follow their source, read-only.
    Files(Files),
    /// An empty folder for the Pod's life, with a bound in bytes and in memory or on disk.
    Empty {
        /// `sizeLimit`.
        bytes: Option<u64>,
        /// `medium: Memory`.
        memory: bool,
    },
    /// A claim of that name.
    Claim {
        /// The claim.
        name: String,
        /// Whether it takes no writes.
        read_only: bool,
    },
}

/// What the volume is now.
pub fn read(
    pod: &Pod,
    volume: &Volume,
    addresses: &Addresses,
    tokens: &Tokens,
    objects: &impl Objects,
) -> Result<Kind, Missing> {
    let mut files = Collector { pod, addresses, objects, tokens, files: Files::new() };
    if let Some(secret) = &volume.secret {
        files.secret(secret)?;
    } else if let Some(map) = &volume.config_map {
        files.config_map(map)?;
    } else if let Some(fields) = &volume.downward_api {
        files.fields(fields.items.as_deref(), mode(fields.default_mode, None))?;
    } else if let Some(projected) = &volume.projected {
        for source in projected.sources.iter().flatten() {
            files.projection(source, projected.default_mode)?;
        }
    } else if let Some(empty) = &volume.empty_dir {
        let limit = empty.size_limit.as_ref().and_then(|limit| super::quantity::parse(&limit.0));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float saturates")]
        let bytes = limit.filter(|bytes| *bytes >= 1.0).map(|bytes| bytes as u64);
        return Ok(Kind::Empty { bytes, memory: empty.medium.as_deref() == Some("Memory") });
    } else if let Some(claim) = &volume.persistent_volume_claim {
        return Ok(Kind::Claim { name: claim.claim_name.clone(), read_only: claim.read_only == Some(true) });
    }
    Ok(Kind::Files(files.files))
}

/// The tokens that the Pod's volumes want.
pub fn wishes(pod: &Pod) -> Vec<TokenWish> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let sources = volumes.filter_map(|volume| volume.projected.as_ref()?.sources.as_ref()).flatten();
    let mut wishes: Vec<TokenWish> = sources.filter_map(wish).collect();
    wishes.sort();
    wishes.dedup();
    wishes
}

fn wish(source: &VolumeProjection) -> Option<TokenWish> {
    let token = source.service_account_token.as_ref()?;
    Some(TokenWish { audience: token.audience.clone(), seconds: token.expiration_seconds.unwrap_or(3600) })
}

struct Collector<'a, O> {
    pod: &'a Pod,
    addresses: &'a Addresses,
    objects: &'a O,
    tokens: &'a Tokens,
    files: Files,
}

impl<O: Objects> Collector<'_, O> {
    fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or_default()
    }

    fn secret(&mut self, source: &SecretVolumeSource) -> Result<(), Missing> {
        let name = source.secret_name.as_deref().unwrap_or_default();
        self.secret_named(name, source.items.as_deref(), source.default_mode, source.optional == Some(true))
    }

    fn config_map(&mut self, source: &ConfigMapVolumeSource) -> Result<(), Missing> {
        let optional = source.optional == Some(true);
        self.config_map_named(&source.name, source.items.as_deref(), source.default_mode, optional)
    }

    fn secret_named(
        &mut self,
        name: &str,
        items: Option<&[KeyToPath]>,
        mode: Option<i32>,
        optional: bool,
    ) -> Result<(), Missing> {
        let Some(secret) = self.objects.secret(self.namespace(), name) else {
            let missing = Missing::Object { kind: "secret", name: name.to_owned() };
            return if optional { Ok(()) } else { Err(missing) };
        };
        let data = secret.data.iter().flatten();
        let data = data.map(|(key, value)| (key.clone(), value.0.clone())).collect();
        self.pick("Secret", name, &data, items, mode, optional)
    }

    fn config_map_named(
        &mut self,
        name: &str,
        items: Option<&[KeyToPath]>,
        mode: Option<i32>,
        optional: bool,
    ) -> Result<(), Missing> {
        let Some(map) = self.objects.config_map(self.namespace(), name) else {
            let missing = Missing::Object { kind: "configmap", name: name.to_owned() };
            return if optional { Ok(()) } else { Err(missing) };
        };
        let text = map.data.iter().flatten().map(|(key, value)| (key.clone(), value.clone().into_bytes()));
        let bytes = map.binary_data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()));
        self.pick("ConfigMap", name, &text.chain(bytes).collect(), items, mode, optional)
    }

    fn pick(
        &mut self,
        kind: &'static str,
        name: &str,
        data: &BTreeMap<String, Vec<u8>>,
        items: Option<&[KeyToPath]>,
        default: Option<i32>,
        optional: bool,
    ) -> Result<(), Missing> {
        let Some(items) = items.filter(|items| !items.is_empty()) else {
            for (key, content) in data {
                self.add(key, content.clone(), mode(default, None));
            }
            return Ok(());
        };
        for item in items {
            match data.get(&item.key) {
                Some(content) => self.add(&item.path, content.clone(), mode(default, item.mode)),
                None if optional => {}
                None => {
                    return Err(Missing::Key { kind, name: name.to_owned(), key: item.key.clone() });
                }
            }
        }
        Ok(())
    }

    fn fields(&mut self, items: Option<&[DownwardAPIVolumeFile]>, default: u32) -> Result<(), Missing> {
        for item in items.unwrap_or_default() {
            let Some(wanted) = &item.field_ref else { return Err(Missing::Field(item.path.clone())) };
            let value = field(self.pod, self.addresses, &wanted.field_path)?;
            let mode = item.mode.and_then(|mode| u32::try_from(mode).ok()).unwrap_or(default);
            self.add(&item.path, value.into_bytes(), mode);
        }
        Ok(())
    }

    fn projection(&mut self, source: &VolumeProjection, default: Option<i32>) -> Result<(), Missing> {
        if let Some(secret) = &source.secret {
            let optional = secret.optional == Some(true);
            self.secret_named(&secret.name, secret.items.as_deref(), default, optional)?;
        }
        if let Some(map) = &source.config_map {
            let optional = map.optional == Some(true);
            self.config_map_named(&map.name, map.items.as_deref(), default, optional)?;
        }
        if let Some(fields) = &source.downward_api {
            self.fields(fields.items.as_deref(), mode(default, None))?;
        }
        if let (Some(token), Some(wish)) = (&source.service_account_token, wish(source)) {
            let account = self.pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone());
            let missing = || Missing::Token(account.unwrap_or_else(|| "default".into()));
            let content = self.tokens.get(&wish).cloned().ok_or_else(missing)?;
            self.add(&token.path, content.into_bytes(), mode(default, None));
        }
        Ok(())
    }

    fn add(&mut self, path: &str, content: Vec<u8>, mode: u32) {
        self.files.insert(path.to_owned(), File { content, mode });
    }
}

fn mode(default: Option<i32>, own: Option<i32>) -> u32 {
    own.or(default).and_then(|mode| u32::try_from(mode).ok()).unwrap_or(0o644)
}

#[cfg(test)]
#[path = "volumes_tests.rs"]
mod tests;
