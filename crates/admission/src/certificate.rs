//! Keeps the certificate this webhook makes itself: the authority in its Secret, in the configuration, and in use.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use service::health::Part;
use service::tls::rustls::crypto::ring::sign::any_supported_type;
use service::tls::rustls::pki_types::pem::PemObject as _;
use service::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use service::tls::rustls::server::{ClientHello, ResolvesServerCert};
use service::tls::rustls::sign::CertifiedKey;

use crate::authority::{Authorities, Authority, Due, Leaf, Terms};
use crate::metrics::Metrics;

/// The field manager the authority is written under.
const MANAGER: &str = "ircnow-admission";

/// The certificate in use. There is none at the very beginning: handshakes fail until there is.
#[derive(Debug, Default)]
pub struct InUse(RwLock<Option<Arc<CertifiedKey>>>);

impl InUse {
    fn put(&self, leaf: &Leaf) -> Result<(), Failure> {
        let unusable = |error: &dyn std::fmt::Display| Failure::Unusable(error.to_string());
        let chain = CertificateDer::pem_slice_iter(leaf.certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unusable(&error))?;
        let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).map_err(|error| unusable(&error))?;
        let key = any_supported_type(&key).map_err(|error| unusable(&error))?;
        let certified = Arc::new(CertifiedKey::new(chain, key));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(certified);
        Ok(())
    }
}

impl ResolvesServerCert for InUse {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Where the authority is kept and told.
#[derive(Clone, Debug)]
pub struct Places {
    /// The namespace of the Secret.
    pub namespace: String,
    /// The Secret.
    pub secret: String,
    /// The configuration of the API server.
    pub configuration: String,
    /// The names the server's certificate is for.
    pub names: Vec<String>,
}

/// Why the certificate is not as it should be.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{doing}: {source}")]
    Api { doing: String, source: kube::Error },
    #[error("there is no ValidatingWebhookConfiguration {0}: apply the manifest of the webhook")]
    NoConfiguration(String),
    #[error("another process was faster; it is looked at again")]
    Faster,
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    #[error("the certificate cannot be used: {0}")]
    Unusable(String),
}

fn api(doing: impl Into<String>) -> impl FnOnce(kube::Error) -> Failure {
    let doing = doing.into();
    move |source| Failure::Api { doing, source }
}

/// Keeps the certificate.
pub struct Keeper {
    client: Client,
    places: Places,
    terms: Terms,
    in_use: Arc<InUse>,
    metrics: Metrics,
    part: Part,
    signed_by: Option<Authority>,
}

impl Keeper {
    /// One that has not looked yet.
    pub fn new(
        client: Client,
        places: Places,
        terms: Terms,
        in_use: Arc<InUse>,
        metrics: Metrics,
        part: Part,
    ) -> Self {
        Self { client, places, terms, in_use, metrics, part, signed_by: None }
    }

    /// Looks every so often until the process ends; sooner after something failed.
    pub async fn keep(mut self, every: Duration) {
        loop {
            let pause = match self.look(service::clock::now_s()).await {
                Ok(()) => {
                    self.part.ready();
                    every
                }
                Err(error) => {
                    tracing::warn!(%error, "the certificate could not be looked after");
                    self.part.not_ready(error.to_string());
                    every.min(Duration::from_secs(2))
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// The API server is told of an authority before anything is signed by it.
    async fn look(&mut self, now: i64) -> Result<(), Failure> {
        let authorities = self.authorities(now).await?;
        self.tell(&authorities.bundle()).await?;
        let signer = authorities.signer(now, self.terms);
        if self.signed_by.as_ref() != Some(signer) {
            self.in_use.put(&signer.sign(&self.places.names, self.terms)?)?;
            self.metrics.serves(signer.ends(self.terms));
            tracing::info!("a new certificate is in use");
            self.signed_by = Some(signer.clone());
        }
        Ok(())
    }

    /// What the Secret holds, made or renewed where that is due. Whoever writes first wins.
    async fn authorities(&self, now: i64) -> Result<Authorities, Failure> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.places.namespace);
        let name = &self.places.secret;
        let found = secrets.get_opt(name).await.map_err(api(format!("reading the Secret {name}")))?;
        let kept = found.as_ref().and_then(|secret| Authorities::from_data(secret.data.as_ref()?));
        let due = Authorities::due(kept.as_ref(), now, self.terms);
        let authorities = match (due, kept) {
            (Due::Rest, Some(kept)) => return Ok(kept),
            (Due::Rotate, Some(kept)) => kept.followed_by(Authority::make(now, self.terms)?),
            _ => Authorities::first(Authority::make(now, self.terms)?),
        };
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                resource_version: found.as_ref().and_then(|found| found.metadata.resource_version.clone()),
                ..ObjectMeta::default()
            },
            data: Some(authorities.to_data()),
            ..Secret::default()
        };
        let written = match found {
            None => secrets.create(&PostParams::default(), &secret).await,
            Some(_) => secrets.replace(name, &PostParams::default(), &secret).await,
        };
        match written {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_already_exists() || status.is_conflict() => {
                return Err(Failure::Faster);
            }
            Err(source) => return Err(api(format!("writing the Secret {name}"))(source)),
        }
        self.metrics.made_authority();
        tracing::info!(?due, "made a new authority");
        Ok(authorities)
    }

    /// Writes the authority into every webhook of the configuration, unless it stands there.
    async fn tell(&self, bundle: &str) -> Result<(), Failure> {
        let configurations: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
        let name = &self.places.configuration;
        let found =
            configurations.get_opt(name).await.map_err(api(format!("reading the configuration {name}")))?;
        let found = found.ok_or_else(|| Failure::NoConfiguration(name.clone()))?;
        let bundle = ByteString(bundle.as_bytes().to_vec());
        let webhooks = found.webhooks.unwrap_or_default();
        if webhooks.iter().all(|webhook| webhook.client_config.ca_bundle.as_ref() == Some(&bundle)) {
            return Ok(());
        }
        let told = webhooks
            .iter()
            .map(|webhook| json!({ "name": webhook.name, "clientConfig": { "caBundle": bundle } }));
        let patch = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": { "name": name },
            "webhooks": told.collect::<Vec<_>>(),
        });
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let patched = configurations.patch(name, &params, &Patch::Strategic(&patch)).await;
        patched.map(drop).map_err(api(format!("writing the authority into the configuration {name}")))
    }
}
