//! Values a resource points to in Secrets of its namespace.

use std::collections::BTreeMap;
use std::time::Duration;

use crds::common::{SecretKeyRef, SecretRef};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use secrecy::SecretString;
use serde_json::Value;

use crate::Error;

/// The Secrets of a resource's namespace.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// Where they are read.
    pub api: Api<Secret>,
    /// The condition that says which one is missing.
    pub condition: &'static str,
}

impl Secrets {
    /// One Secret, if it is there.
    pub async fn get(&self, name: &str) -> Result<Option<Secret>, Error> {
        let found = self.api.get_opt(name).await;
        found.map_err(|error| Error::api(format!("reading the Secret {name}"), error))
    }

    /// Every value that is pointed to; each Secret is read once.
    pub async fn values(
        &self,
        pointed_to: impl IntoIterator<Item = &SecretKeyRef>,
    ) -> Result<BTreeMap<SecretKeyRef, SecretString>, Error> {
        let mut read: BTreeMap<&str, Option<Secret>> = BTreeMap::new();
        let mut values = BTreeMap::new();
        for at in pointed_to {
            let name = at.name.0.as_str();
            if !read.contains_key(name) {
                read.insert(name, self.get(name).await?);
            }
            let text = read.get(name).and_then(Option::as_ref).and_then(|secret| text_of(secret, &at.key.0));
            let text = text.ok_or_else(|| self.missing(name, &at.key.0))?;
            values.insert(at.clone(), SecretString::from(text));
        }
        Ok(values)
    }

    /// An OAuth client: the keys `client-id` and `client-secret`.
    pub async fn client(&self, at: &SecretRef) -> Result<(String, SecretString), Error> {
        let found = self.get(&at.name.0).await?;
        let of = |key: &str| {
            let text = found.as_ref().and_then(|secret| text_of(secret, key));
            text.ok_or_else(|| self.missing(&at.name.0, key))
        };
        Ok((of("client-id")?, of("client-secret")?.into()))
    }

    fn missing(&self, name: &str, key: &str) -> Error {
        Error::NotReady {
            condition: self.condition,
            reason: "SecretMissing",
            message: format!("the Secret {name} has no text under `{key}`: make it in this namespace"),
            after: Duration::from_secs(30),
        }
    }
}

/// The text under a key.
pub fn text_of(secret: &Secret, key: &str) -> Option<String> {
    String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok()
}

/// A text as `data` of a Secret holds it. `stringData` would be easier to read, but the API server moves it, and what is
/// owned would not be what is there.
pub fn encoded(text: &str) -> Value {
    serde_json::to_value(ByteString(text.as_bytes().to_vec())).unwrap_or_default()
}

/// A text as part of an address: letters and digits as they are, every other byte as `%xx`, a `%` among them.
pub fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}
