//! Definitions of kinds: ours, and those of the projects an operator finds in a cluster, or does not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, DeleteParams};
use kube::core::GroupVersionKind;
use kube::discovery::pinned_kind;
use serde_json::Value;

use super::{Cluster, apply};
use crate::parts;
use crate::wait::PATIENCE;

/// Between two looks at what is waited for.
const PAUSE: Duration = Duration::from_millis(50);

/// Kinds of other projects, to be put together with `|`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// cert-manager's Certificate, CertificateRequest, Issuer and ClusterIssuer.
    pub const CERT_MANAGER: Self = Self(1);
    /// OpenShift's Route.
    pub const OPENSHIFT_ROUTE: Self = Self(2);
    /// The Gateway API with its TCP and TLS routes.
    pub const GATEWAY_API: Self = Self(4);
    /// The Prometheus operator's PodMonitor, ServiceMonitor and PrometheusRule.
    pub const PROMETHEUS_OPERATOR: Self = Self(8);
    /// CloudNativePG's Cluster, Database and DatabaseRole, with the fields the operators use.
    pub const CLOUDNATIVE_PG: Self = Self(16);
    /// CloudNativePG's Backup and the snapshot controller's VolumeSnapshot, with the fields the operators use.
    pub const BACKUPS: Self = Self(32);
    /// All of them but [`Kinds::BACKUPS`]: clusters without them are usual.
    pub const ALL: Self = Self(31);

    /// None of them.
    pub const NONE: Self = Self(0);

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The definitions, as their projects wrote them.
    fn documents(self) -> Result<Vec<Value>> {
        let mut texts = Vec::new();
        for source in &SOURCES {
            if self.has(source.kinds) {
                let folder = module_folder(source.module)?;
                for file in source.files {
                    texts.push(read(&folder.join(source.folder).join(file))?);
                }
            }
        }
        if self.has(Self::CLOUDNATIVE_PG) {
            texts.push(include_str!("definitions/cloudnative-pg.yaml").to_owned());
        }
        if self.has(Self::BACKUPS) {
            texts.push(include_str!("definitions/backups.yaml").to_owned());
        }
        let mut documents = Vec::new();
        for text in &texts {
            documents.extend(apply::documents(text)?);
        }
        documents.retain(|document| document["kind"] == "CustomResourceDefinition");
        Ok(documents)
    }
}

impl std::ops::BitOr for Kinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Where a Go module keeps its definitions.
struct Source {
    kinds: Kinds,
    module: &'static str,
    folder: &'static str,
    files: &'static [&'static str],
}

const SOURCES: [Source; 4] = [
    Source {
        kinds: Kinds::CERT_MANAGER,
        module: "github.com/cert-manager/cert-manager",
        folder: "deploy/crds",
        files: &[
            "cert-manager.io_certificates.yaml",
            "cert-manager.io_certificaterequests.yaml",
            "cert-manager.io_issuers.yaml",
            "cert-manager.io_clusterissuers.yaml",
        ],
    },
    Source {
        kinds: Kinds::OPENSHIFT_ROUTE,
        module: "github.com/openshift/api",
        folder: "route/v1/zz_generated.crd-manifests",
        files: &["routes.crd.yaml"],
    },
    Source {
        kinds: Kinds::GATEWAY_API,
        module: "sigs.k8s.io/gateway-api",
        folder: "config/crd/experimental",
        files: &[
            "gateway.networking.k8s.io_gatewayclasses.yaml",
            "gateway.networking.k8s.io_gateways.yaml",
            "gateway.networking.k8s.io_httproutes.yaml",
            "gateway.networking.k8s.io_tcproutes.yaml",
            "gateway.networking.k8s.io_tlsroutes.yaml",
            "gateway.networking.k8s.io_referencegrants.yaml",
        ],
    },
    Source {
        kinds: Kinds::PROMETHEUS_OPERATOR,
        module: "github.com/prometheus-operator/prometheus-operator",
        folder: "example/prometheus-operator-crd",
        files: &[
            "monitoring.coreos.com_podmonitors.yaml",
            "monitoring.coreos.com_servicemonitors.yaml",
            "monitoring.coreos.com_prometheusrules.yaml",
        ],
    },
];

impl Cluster {
    /// Installs definitions of other projects and waits until their kinds are served. Twice is as good as once. A test
    /// that needs a kind to be missing starts a cluster of its own.
    pub async fn install(&self, kinds: Kinds) -> Result<()> {
        let mut installed = self.installed.lock().await;
        let missing = kinds.without(*installed);
        let documents = tokio::task::spawn_blocking(move || missing.documents()).await??;
        self.serve(&documents).await?;
        *installed = *installed | missing;
        Ok(())
    }

    /// Installs definitions of ours and waits until their kinds are served.
    pub async fn define(&self, definitions: &[CustomResourceDefinition]) -> Result<()> {
        let _turn = self.installed.lock().await;
        let documents = definitions.iter().map(apply::with_types).collect::<Result<Vec<_>>>()?;
        self.serve(&documents).await
    }

    /// Takes definitions of other projects away again, with every object of their kinds.
    pub async fn uninstall(&mut self, kinds: Kinds) -> Result<()> {
        let api: Api<CustomResourceDefinition> = Api::all(self.admin().await?);
        let documents = tokio::task::spawn_blocking(move || kinds.documents()).await??;
        let names: BTreeSet<_> =
            documents.iter().filter_map(|document| document["metadata"]["name"].as_str()).collect();
        for name in &names {
            api.delete(name, &DeleteParams::default()).await?;
        }
        let end = tokio::time::Instant::now() + PATIENCE;
        for name in names {
            while api.get_metadata_opt(name).await?.is_some() {
                ensure!(tokio::time::Instant::now() < end, "the definition {name} stays");
                tokio::time::sleep(PAUSE).await;
            }
        }
        wait_for_discovery(api.into_client(), &documents, false).await?;
        let installed = self.installed.get_mut();
        *installed = installed.without(kinds);
        Ok(())
    }

    /// Applies definitions and waits until everybody knows their kinds.
    async fn serve(&self, documents: &[Value]) -> Result<()> {
        let api: Api<CustomResourceDefinition> = Api::all(self.admin().await?);
        let names: Vec<_> =
            documents.iter().filter_map(|document| document["metadata"]["name"].as_str()).collect();
        let mut new = false;
        for name in &names {
            new |= api.get_metadata_opt(name).await?.is_none();
        }
        self.apply_documents(documents, None).await?;
        for name in names {
            let established = kube::runtime::conditions::is_crd_established();
            let waiting = kube::runtime::wait::await_condition(api.clone(), name, established);
            let served = tokio::time::timeout(PATIENCE, waiting).await;
            served.with_context(|| {
                format!("the definition {name} was not established within {PATIENCE:?}")
            })??;
        }
        wait_for_discovery(api.into_client(), documents, true).await?;
        if new { self.plane.restart_manager() } else { Ok(()) }
    }
}

/// An established kind is not in the discovery documents yet, and one that was taken away is there for a moment more.
async fn wait_for_discovery(client: Client, definitions: &[Value], there: bool) -> Result<()> {
    let end = tokio::time::Instant::now() + PATIENCE;
    for definition in definitions {
        let text = |field: &Value| field.as_str().unwrap_or_default().to_owned();
        let (group, kind) = (text(&definition["spec"]["group"]), text(&definition["spec"]["names"]["kind"]));
        let versions = definition["spec"]["versions"].as_array().into_iter().flatten();
        for version in versions.filter(|version| version["served"] == true) {
            let wanted = GroupVersionKind::gvk(&group, &text(&version["name"]), &kind);
            while pinned_kind(&client, &wanted).await.is_ok() != there {
                ensure!(
                    tokio::time::Instant::now() < end,
                    "discovery is not up to date about {wanted:?} after {PATIENCE:?}"
                );
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    Ok(())
}

/// Where a module of `tools/definitions/go.mod` lies in Go's cache.
fn module_folder(module: &str) -> Result<PathBuf> {
    let go =
        parts::go().context("Go is missing, which says where the definitions are: install it (go.dev/dl)")?;
    let output = Command::new(go)
        .args(["list", "-m", "-f", "{{.Dir}}", module])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tools/definitions"))
        .output()
        .context("asking Go where a module is")?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(
        output.status.success() && !folder.is_empty(),
        "{module} is not in Go's module cache: run tools/parts test ({})",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(folder.into())
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}
