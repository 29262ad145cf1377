//! The operator of bouncers is killed at every step, and does nothing for which its manifest gives it no right.

use operator_testkit::killed::{self, Life};
use serde_json::json;
use testkit::part;

use crate::world::Soju;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_killed_at_any_step_goes_on_and_needs_every_right_it_has() {
    part!(Kubernetes);
    let life = Life {
        first: json!({}),
        second: json!({
            "title": "another",
            "expose": { "web": "Ingress", "irc": "ClusterIP" },
            "monitoring": false,
            "resources": { "memoryLimit": "300Mi" },
        }),
        password: Some("-database"),
        left: &["Backup"],
        deaths: [
            &[
                "finalizers SojuBouncer",
                "status SojuBouncer",
                "create Lease",
                "apply Secret",
                "apply Database",
            ],
            &["create Lease", "apply Deployment", "apply Ingress", "delete Route", "delete Lease"],
            &["delete Deployment", "create Backup", "patch Database", "delete Database"],
        ],
    };
    killed::at_every_step::<Soju>(life, async |_| {}).await;
}
