//! The operator of bouncers is killed at every step, and does nothing for which its manifest gives it no right.

use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams};
use operator_testkit::killed::{self, Life};
use serde_json::json;
use testkit::cluster::Stage;
use testkit::cluster::stage::{change, make};
use testkit::{eventually, part};

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
    killed::at_every_step::<Soju>(life, an_account_moves).await;
}

/// Into a bouncer that was never started, which is started then. There is no node: nobody runs the job.
async fn an_account_moves(stage: &Stage) {
    let space = stage.cluster.namespace("moves").await.unwrap();
    let home = space.name();
    let spec = json!({
        "hostname": format!("carol.{home}.example.org"),
        "owner": { "sub": "0192f0c1-7b1e-7c7a-9d5e-1f2a3b4c5d6e", "username": "carol" },
        "expose": { "irc": "ClusterIP", "web": "None" },
        "moving": "In",
    });
    make(&stage.client, "SojuBouncer", home, "carol", &spec).await.unwrap();
    let names = async |kind: &str| {
        let all = stage.objects(kind, home).list(&ListParams::default()).await.unwrap();
        all.items.iter().map(|object| object.name_any()).collect::<Vec<_>>()
    };
    eventually("a job has its rows", || async {
        let jobs = names("Job").await;
        (jobs.len() == 1 && jobs[0].starts_with("carol-move-")).then_some(())
    })
    .await;
    assert_eq!(
        names("Deployment").await,
        Vec::<String>::new(),
        "soju was started before the account was there"
    );
    assert!(names("NetworkPolicy").await.contains(&"carol-move".to_owned()));
    change(&stage.client, "SojuBouncer", home, "carol", &json!({ "moving": null })).await.unwrap();
    eventually("soju is started, and nobody else has its rows", || async {
        let (jobs, servers) = (names("Job").await, names("Deployment").await);
        let policies = names("NetworkPolicy").await;
        (jobs.is_empty() && servers == ["carol"] && policies == ["carol"]).then_some(())
    })
    .await;
    stage.objects("SojuBouncer", home).delete("carol", &DeleteParams::default()).await.unwrap();
}
