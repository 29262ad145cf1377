//! What the manifest allows is what it needs.

use std::collections::BTreeSet;
use std::time::Duration;

use admission::Certificate;
use admission::authority::Terms;
use admission::certificate::Places;
use testkit::cluster::Kinds;
use testkit::cluster::stage::{HOME, Stage};
use testkit::{eventually, part};

use crate::world::{MANIFEST, Webhook};

const NAME: &str = "ircnow-admission";

#[tokio::test]
async fn the_manifest_allows_what_is_used_and_nothing_else() {
    part!(Kubernetes);
    service::tls::install_provider();
    let stage = Stage::start(&crds::all(), Kinds::NONE, MANIFEST, NAME).await.unwrap();
    let client = stage.cluster.as_service_account(HOME, NAME).await.unwrap();
    let certificate = Certificate::OwnMaking {
        places: Places {
            namespace: HOME.to_owned(),
            secret: NAME.to_owned(),
            configuration: NAME.to_owned(),
            names: vec!["127.0.0.1".to_owned()],
        },
        // Short, so that it is renewed while the test looks on.
        terms: Terms::lasting(Duration::from_secs(9)),
        every: Duration::from_millis(100),
    };
    let webhook = Webhook::start(&client, certificate).await;
    webhook.ready().await;
    eventually("its authority is renewed", || async {
        (webhook.figure("admission_authorities_made_total") >= 2.0).then_some(())
    })
    .await;
    // A watch is written down when it ends.
    webhook.stop().await;
    eventually("everything that is allowed was used", || async {
        (stage.unused_rights().await.unwrap() == BTreeSet::new()).then_some(())
    })
    .await;
}
