//! A namespace a test.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Namespace as Object;
use kube::api::{Api, DeleteParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use super::{Cluster, access};
use crate::wait::PATIENCE;

/// A namespace that enforces the `restricted` Pod Security Standard. It is deleted when its handle goes.
pub struct Namespace {
    name: String,
    admin: Value,
}

impl Cluster {
    /// A new namespace whose name begins with `prefix`, with the label `pod-security.kubernetes.io/enforce: restricted`.
    pub async fn namespace(&self, prefix: &str) -> Result<Namespace> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{prefix}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let object: Object = serde_json::from_value(json!({
            "metadata": {
                "name": name,
                "labels": {
                    "pod-security.kubernetes.io/enforce": "restricted",
                    "pod-security.kubernetes.io/warn": "restricted",
                },
            },
        }))?;
        let api: Api<Object> = Api::all(self.admin().await?);
        api.create(&PostParams::default(), &object)
            .await
            .with_context(|| format!("creating namespace {name}"))?;
        Ok(Namespace { name, admin: self.admin.clone() })
    }
}

impl Namespace {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Deletes it and waits until everything in it is gone.
    pub async fn delete(self) -> Result<()> {
        let api: Api<Object> = Api::all(access::client(self.admin.clone()).await?);
        api.delete(&self.name, &DeleteParams::default()).await?;
        let end = tokio::time::Instant::now() + PATIENCE;
        while let Some(left) = api.get_opt(&self.name).await? {
            let state = left.status.as_ref().and_then(|status| status.conditions.as_ref());
            anyhow::ensure!(tokio::time::Instant::now() < end, "{} stays: {state:?}", left.name_any());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let (name, admin) = (self.name.clone(), self.admin.clone());
        // A runtime of its own: the test's may be ending. What is left goes with the control plane.
        let ending = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            let removing = async { tokio::time::timeout(Duration::from_secs(5), remove(name, admin)).await };
            runtime.block_on(removing).ok()?.ok()
        });
        let _ = ending.join();
    }
}

async fn remove(name: String, admin: Value) -> Result<()> {
    let client: Client = access::client(admin).await?;
    let namespaces: Api<Object> = Api::all(client);
    namespaces.delete(&name, &DeleteParams::background()).await?;
    Ok(())
}
