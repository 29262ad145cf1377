//! Its certificate: made, shared, renewed; or somebody else's.

use std::path::Path;
use std::time::Duration;

use admission::Certificate;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use serde_json::json;
use testkit::cluster::pki::Authority;
use testkit::{eventually, part};
use tokio::time::Instant;

use crate::world::{Webhook, World};

fn bundles(world: &World) -> Api<ValidatingWebhookConfiguration> {
    Api::all(world.client.clone())
}

async fn bundle(world: &World) -> String {
    let configuration = bundles(world).get(world.namespace()).await.unwrap();
    let webhook = configuration.webhooks.unwrap().remove(0);
    String::from_utf8(webhook.client_config.ca_bundle.unwrap_or_default().0).unwrap()
}

async fn secret(world: &World) -> Option<Secret> {
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), world.namespace());
    secrets.get_opt("ircnow-admission").await.unwrap()
}

/// Says whether the API server hears a refusal now.
async fn is_heard(world: &World) -> bool {
    world.try_apply("SojuBouncer", "probe", &json!({ "plan": "nobody-knows" }), true).await.is_err()
}

#[tokio::test]
async fn a_renewed_certificate_keeps_it_answering() {
    part!(Kubernetes);
    let world = World::new("renewed").await;
    // Six authorities a minute: each is good for 15 seconds, and made anew after ten.
    let webhook = Webhook::start(&world.client, world.own_making(Duration::from_secs(15))).await;
    world.configure(webhook.port, None).await;
    webhook.ready().await;
    world.heard("probe").await;
    let first = bundle(&world).await;
    let end = Instant::now() + Duration::from_secs(90);
    let mut asked = 0;
    while webhook.figure("admission_authorities_made_total") < 4.0 {
        assert!(is_heard(&world).await, "question {asked} was not answered");
        asked += 1;
        assert!(Instant::now() < end, "it was never renewed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let last = bundle(&world).await;
    assert!(first.lines().nth(1) != last.lines().nth(1), "the first authority is known no more");
    assert_eq!(last.matches("BEGIN CERTIFICATE").count(), 2, "the one before is still known");
    assert!(asked > 100, "only {asked} questions were asked");
}

#[tokio::test]
async fn replicas_share_one_authority_and_mend_what_is_damaged() {
    part!(Kubernetes);
    let world = World::new("replicas").await;
    world.configure(1, None).await;
    let day = Duration::from_secs(86_400);
    let (one, other) = tokio::join!(
        Webhook::start(&world.client, world.own_making(day)),
        Webhook::start(&world.client, world.own_making(day)),
    );
    one.ready().await;
    other.ready().await;
    let shared = bundle(&world).await;
    assert_eq!(shared.matches("BEGIN CERTIFICATE").count(), 1);
    for webhook in [&one, &other] {
        world.configure(webhook.port, None).await;
        // What is applied again without it does not take the authority away.
        assert_eq!(bundle(&world).await, shared);
        world.heard("probe").await;
        let before = webhook.answers();
        eventually("this very replica is asked", || async {
            is_heard(&world).await;
            (webhook.answers() > before).then_some(())
        })
        .await;
    }
    // A Secret that is damaged is made anew, and everybody goes on with the new one.
    let mut damaged = secret(&world).await.unwrap();
    damaged.data.as_mut().unwrap().remove("authority.key");
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), world.namespace());
    secrets.replace("ircnow-admission", &kube::api::PostParams::default(), &damaged).await.unwrap();
    eventually("there is a new authority", || async { (bundle(&world).await != shared).then_some(()) }).await;
    world.heard("probe").await;
}

fn put(folder: &Path, authority: &Authority) {
    authority.server("webhook", &["127.0.0.1".to_owned()]).unwrap().write(folder, "tls").unwrap();
}

#[tokio::test]
async fn a_certificate_in_files_is_used_and_nothing_is_made() {
    part!(Kubernetes);
    let world = World::new("files").await;
    let folder = tempfile::tempdir().unwrap();
    let first = Authority::new("first", folder.path()).unwrap();
    put(folder.path(), &first);
    let files =
        Certificate::Files { chain: folder.path().join("tls.crt"), key: folder.path().join("tls.key") };
    let webhook = Webhook::start(&world.client, files).await;
    webhook.ready().await;
    // As cert-manager's injector writes it.
    world.configure(webhook.port, Some(first.pem())).await;
    world.heard("probe").await;
    // It is renewed under another authority, which the injector tells of beside the first.
    let second = Authority::new("second", folder.path()).unwrap();
    let both = format!("{}{}", first.pem(), second.pem());
    world.configure(webhook.port, Some(&both)).await;
    put(folder.path(), &second);
    world.configure(webhook.port, Some(second.pem())).await;
    world.heard("probe").await;
    assert_eq!(bundle(&world).await, second.pem(), "the configuration is the injector's");
    assert!(secret(&world).await.is_none(), "there is no authority of its own");
}
