//! The control plane and its stand-ins keep their promises.

mod certificates;
mod cnpg;
mod plane;

use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use serde_json::Value;
use testkit::cluster::{Cluster, Kinds, Namespace, Standin};
use testkit::eventually;

/// A namespace whose objects the stand-in serves.
struct Stage {
    cluster: &'static Cluster,
    space: Namespace,
    standin: Standin,
}

impl Stage {
    async fn new(prefix: &str) -> Self {
        let cluster = Cluster::shared().await.unwrap();
        cluster.install(Kinds::CERT_MANAGER | Kinds::CLOUDNATIVE_PG).await.unwrap();
        let space = cluster.namespace(prefix).await.unwrap();
        let standin = Standin::start(cluster, &[space.name()]).await.unwrap();
        Self { cluster, space, standin }
    }

    fn namespace(&self) -> &str {
        self.space.name()
    }

    async fn apply(&self, yaml: &str) {
        self.cluster.apply(yaml, Some(self.namespace())).await.unwrap();
    }

    async fn api(&self, kind: &str) -> Api<DynamicObject> {
        let group = match kind {
            "Certificate" | "Issuer" => "cert-manager.io",
            "Secret" | "Service" => "",
            "EndpointSlice" => "discovery.k8s.io",
            "Event" => "events.k8s.io",
            _ => "postgresql.cnpg.io",
        };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        Api::namespaced_with(self.cluster.admin().await.unwrap(), self.namespace(), &resource)
    }

    /// The object, once it is there and as wanted.
    async fn until(&self, kind: &str, name: &str, wanted: impl Fn(&Value) -> bool) -> DynamicObject {
        let api = self.api(kind).await;
        eventually(format!("{kind} {name} as wanted"), || async {
            api.get_opt(name).await.unwrap().filter(|object| wanted(&object.data))
        })
        .await
    }

    /// Waits until the object is no more.
    async fn gone(&self, kind: &str, name: &str) {
        let api = self.api(kind).await;
        eventually(format!("{kind} {name} goes"), || async {
            api.get_opt(name).await.unwrap().is_none().then_some(())
        })
        .await;
    }

    async fn delete(&self, kind: &str, name: &str) {
        self.api(kind).await.delete(name, &Default::default()).await.unwrap();
    }
}

fn applied(data: &Value) -> bool {
    data["status"]["applied"] == true
}

fn refused(data: &Value) -> bool {
    data["status"]["applied"] == false
}

/// Whether a condition is true, or false.
fn condition(data: &Value, kind: &str, status: &str) -> bool {
    let conditions = data["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == kind && condition["status"] == status)
}
