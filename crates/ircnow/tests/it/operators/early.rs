//! The webhook in Pods, by its manifest: the API server asks it through its Service.

use std::path::PathBuf;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::world::{SYSTEM, World, image, until};

const NAME: &str = "ircnow-admission";

/// Asks for a host name, without taking it.
async fn ask(world: &World, host: &str) -> Result<(), String> {
    let spec = json!({ "hostname": host, "suspend": true });
    world.try_make("SojuBouncer", "second", &spec, true).await
}

#[tokio::test]
async fn the_webhook_speaks_early_by_its_manifest_and_nobody_misses_it_when_it_is_gone() {
    let Some(world) = World::new("early").await else { return };
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/operators/admission.yaml");
    // It speaks of this test's resources alone.
    let selected = format!(
        "    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {}}}}}\n    matchConditions:\n",
        world.namespace()
    );
    let text = std::fs::read_to_string(file).unwrap();
    let text = text.replace("    matchConditions:\n", &selected).replace("IMAGE-OF-IRCNOW", &image("ircnow"));
    world.all.cluster.apply(&text, None).await.unwrap();
    let deployments: Api<Deployment> = Api::namespaced(world.client.clone(), SYSTEM);
    until("both replicas are ready", || async {
        let status = deployments.get(NAME).await.unwrap().status.unwrap_or_default();
        if status.ready_replicas == Some(2) { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;

    let host = world.host();
    world.make("SojuBouncer", "first", &json!({ "hostname": host, "suspend": true })).await;
    let words = until("the second hears that the name is taken", || async {
        ask(&world, &host).await.err().ok_or_else(|| "it was taken".to_owned())
    })
    .await;
    assert!(words.contains("early.irc.now") && words.contains("choose another host name"), "{words}");

    let none = Patch::Merge(json!({ "spec": { "replicas": 0 } }));
    deployments.patch(NAME, &PatchParams::default(), &none).await.unwrap();
    until("everything passes without it", || ask(&world, &host)).await;
    world.delete("SojuBouncer", "first").await;
    let configurations: Api<ValidatingWebhookConfiguration> = Api::all(world.client.clone());
    configurations.delete(NAME, &DeleteParams::default()).await.unwrap();
}
