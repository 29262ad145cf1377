//! What an operator does in its life besides making, changing and ending one resource: so that whatever its manifest
//! allows was needed by somebody.

use anyhow::{Context as _, Result};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::stage::{HOME, Stage, change, condition, is_current, make, until};
use crate::wait::eventually;

/// The resources of one operator, which runs.
pub struct Deeds<'a> {
    /// Where.
    pub stage: &'a Stage,
    /// The resource's kind.
    pub kind: &'static str,
    /// A spec without a host name that is taken everywhere.
    pub least: Value,
    /// The name of the claim on a host name.
    pub claim: fn(&str) -> String,
}

impl Deeds<'_> {
    /// All of it, in a namespace of its own.
    ///
    /// # Panics
    /// If the operator does not do its part.
    pub async fn are_done(&self) -> Result<()> {
        let space = self.stage.cluster.namespace("deeds").await?;
        self.every_kind_of_exposure(space.name()).await?;
        self.claims_of_those_that_are_gone(space.name()).await?;
        self.the_same_event_twice(space.name()).await
    }

    fn spec(&self, home: &str, name: &str) -> Value {
        let mut spec = self.least.clone();
        spec["hostname"] = format!("{name}.{home}.example.org").into();
        spec
    }

    async fn change(&self, home: &str, name: &str, spec: Value) -> Result<()> {
        change(&self.stage.client, self.kind, home, name, &spec).await
    }

    async fn until(&self, home: &str, name: &str, what: &str, wanted: impl Fn(&DynamicObject) -> bool) {
        until(&self.stage.client, self.kind, home, name, what, wanted).await;
    }

    async fn every_kind_of_exposure(&self, home: &str) -> Result<()> {
        let mut spec = self.spec(home, "bob");
        spec["deletionPolicy"] = "Snapshot".into();
        spec["expose"] =
            json!({ "irc": "Route", "web": "Route", "webHostname": format!("web.{home}.example.org") });
        make(&self.stage.client, self.kind, home, "bob", &spec).await?;
        let gateway = json!({ "irc": "Gateway", "web": "Gateway", "gateway": { "name": "front" } });
        let ingress = json!({ "irc": "ClusterIP", "web": "Ingress", "gateway": null });
        for (expose, there) in [
            (json!({}), vec!["Route bob", "Route bob-web"]),
            (gateway, vec!["HTTPRoute bob-web", "TLSRoute bob"]),
            (ingress, vec!["Ingress bob-web"]),
            (json!({ "web": "None" }), vec![]),
        ] {
            self.change(home, "bob", json!({ "expose": expose })).await?;
            self.until(home, "bob", "is exposed anew", is_current).await;
            eventually(format!("{there:?} stand before it"), || async {
                (self.exposures(home).await.ok()? == there).then_some(())
            })
            .await;
        }
        self.change(home, "bob", json!({ "tls": { "secretName": "own" }, "monitoring": false })).await?;
        eventually("certificate and monitor are gone", || async {
            let certificates = list(&self.stage.objects("Certificate", home)).await.ok()?;
            let monitors = list(&self.stage.objects("PodMonitor", home)).await.ok()?;
            (certificates.is_empty() && monitors.is_empty()).then_some(())
        })
        .await;
        let volumes = self.stage.objects("PersistentVolumeClaim", home);
        let volume = list(&volumes).await?.pop().context("it has no volume")?;
        // There is no controller here that lets go of a volume nobody uses.
        let free = Patch::Merge(json!({ "metadata": { "finalizers": [] } }));
        volumes.patch(&volume.name_any(), &PatchParams::default(), &free).await?;
        let api = self.stage.objects(self.kind, home);
        api.delete("bob", &DeleteParams::default()).await?;
        eventually("bob is gone, with its volume, after a last snapshot", || async {
            let left = api.get_opt("bob").await.ok()?.is_none() && list(&volumes).await.ok()?.is_empty();
            let snapshots = list(&self.stage.objects("VolumeSnapshot", home)).await.ok()?;
            (left && snapshots.len() == 1).then_some(())
        })
        .await;
        Ok(())
    }

    /// What stands before a server.
    async fn exposures(&self, home: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for kind in ["HTTPRoute", "Ingress", "Route", "TLSRoute"] {
            let all = list(&self.stage.objects(kind, home)).await?;
            found.extend(all.iter().map(|object| format!("{kind} {}", object.name_any())));
        }
        Ok(found)
    }

    async fn claims_of_those_that_are_gone(&self, home: &str) -> Result<()> {
        let leases = self.stage.objects("Lease", HOME);
        for (name, holder) in [("carol", "ErgoNetwork/gone/gone/1"), ("dave", "SojuBouncer/gone/gone/2")] {
            let spec = self.spec(home, name);
            let host = spec["hostname"].as_str().unwrap_or_default();
            let claim = json!({
                "metadata": { "name": (self.claim)(host), "annotations": { "irc.now/hostname": host } },
                "spec": { "holderIdentity": holder },
            });
            leases.create(&PostParams::default(), &serde_json::from_value(claim)?).await?;
            make(&self.stage.client, self.kind, home, name, &spec).await?;
            self.until(home, name, "has the name of one that is gone", is_current).await;
        }
        Ok(())
    }

    async fn the_same_event_twice(&self, home: &str) -> Result<()> {
        for _ in 0..2 {
            self.change(home, "carol", json!({ "version": "0.1.0" })).await?;
            let refused =
                |carol: &DynamicObject| condition(carol, "Ready", "reason") == "VersionNotSupported";
            self.until(home, "carol", "is refused", refused).await;
            self.change(home, "carol", json!({ "version": null })).await?;
            self.until(home, "carol", "is well again", is_current).await;
        }
        Ok(())
    }
}

async fn list(api: &Api<DynamicObject>) -> Result<Vec<DynamicObject>> {
    Ok(api.list(&ListParams::default()).await?.items)
}
