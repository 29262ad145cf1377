//! Everything there is with a label, of whatever kind: so that a test finds what nobody thought of.

use anyhow::Result;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::TypeMeta;
use kube::discovery::{Discovery, verbs};

use super::Cluster;

/// The kinds that can be listed, as they were when it was made.
pub struct Inventory {
    client: Client,
    kinds: Vec<ApiResource>,
}

impl Cluster {
    /// Asks which kinds there are.
    pub async fn inventory(&self) -> Result<Inventory> {
        let client = self.admin().await?;
        let found = Discovery::new(client.clone()).run().await?;
        let kinds = found.groups().flat_map(|group| group.recommended_resources());
        let kinds = kinds.filter(|(_, can)| can.supports_operation(verbs::LIST)).map(|(kind, _)| kind);
        Ok(Inventory { kinds: kinds.collect(), client })
    }
}

impl Inventory {
    /// Every object with these labels, of every kind, in every namespace.
    pub async fn labelled(&self, selector: &str) -> Result<Vec<DynamicObject>> {
        let params = ListParams::default().labels(selector);
        let mut all = Vec::new();
        for kind in &self.kinds {
            let api: Api<DynamicObject> = Api::all_with(self.client.clone(), kind);
            let types = TypeMeta { api_version: kind.api_version.clone(), kind: kind.kind.clone() };
            all.extend(api.list(&params).await?.items.into_iter().map(|mut object| {
                object.types = Some(types.clone());
                object
            }));
        }
        Ok(all)
    }
}
