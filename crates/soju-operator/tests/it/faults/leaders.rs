//! Two operators, and clocks that are wrong: one leads at a time, and the other takes over.

use std::time::Duration;

use jiff::{Timestamp, ToSpan as _};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use operator_testkit::{Running, Subject as _, life};
use serde_json::{Value, json};
use testkit::cluster::stage::{is_current, make, until};
use testkit::cluster::{Cluster, Kinds, Namespace};
use testkit::lives::Life;
use testkit::{eventually, part};

use crate::world::Soju;

/// A namespace of the shared control plane in which some operators have a lease of three seconds.
struct Election {
    space: Namespace,
    client: Client,
    kubeconfig: String,
}

impl Election {
    async fn new(prefix: &str) -> Self {
        life::log();
        let cluster = Cluster::shared().await.unwrap();
        cluster.define(&crds::all()).await.unwrap();
        cluster.install(Kinds::ALL).await.unwrap();
        let space = cluster.namespace(prefix).await.unwrap();
        let client = cluster.admin().await.unwrap();
        let kubeconfig = cluster.admin_kubeconfig().unwrap().display().to_string();
        Self { space, client, kubeconfig }
    }

    fn told(&self, identity: &str) -> Value {
        let home = self.space.name();
        json!({
            "kubeconfig": self.kubeconfig,
            "claims": home,
            "watch": home,
            "identity": identity,
            "lease_ms": 3000,
        })
    }

    fn lease(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), self.space.name())
    }

    async fn holder(&self) -> Option<String> {
        self.lease().get_opt("soju-operator").await.unwrap()?.spec?.holder_identity
    }

    async fn make(&self, name: &str) {
        let home = self.space.name();
        let spec = json!({ "hostname": format!("{name}.{home}.example.org"), "suspend": true });
        make(&self.client, "SojuBouncer", home, name, &spec).await.unwrap();
    }

    async fn made(&self, name: &str) {
        until(&self.client, "SojuBouncer", self.space.name(), name, "is made", is_current).await;
    }
}

fn steps(life: &Life) -> usize {
    life.lines().iter().filter(|line| *line != "ready").count()
}

#[tokio::test]
async fn of_two_operators_one_writes_and_the_other_takes_over_when_it_is_killed() {
    part!(Kubernetes);
    let election = Election::new("leaders").await;
    let mut first = Life::start(Soju::LIFE, &election.told("first"), None).unwrap();
    first.wait_for("ready").await.unwrap();
    eventually("the first leads", || async {
        (election.holder().await.as_deref() == Some("first")).then_some(())
    })
    .await;
    let second = Running::start::<Soju>(&election.told("second")).await;
    election.make("alice").await;
    election.made("alice").await;
    assert!(steps(&first) > 0 && second.writes() == 0, "only the leader writes");
    first.kill().unwrap();
    election.make("bob").await;
    election.made("bob").await;
    assert!(second.writes() > 0);
    assert_eq!(election.holder().await.as_deref(), Some("second"));
    let lease = election.lease().get("soju-operator").await.unwrap();
    assert_eq!(lease.spec.unwrap().lease_transitions, Some(1));
    // One that ends in good order gives the lease back: nobody waits for its end.
    second.stop().await;
    assert_eq!(election.holder().await.as_deref(), Some(""));
    let third = Running::start::<Soju>(&election.told("third")).await;
    eventually("the third leads", || async {
        (election.holder().await.as_deref() == Some("third")).then_some(())
    })
    .await;
    assert_eq!(third.writes(), 0, "what the others made is as it should be");
    third.stop().await;
}

#[tokio::test]
async fn a_holder_whose_clock_is_wrong_keeps_the_lease_as_long_as_it_renews_it_and_no_longer() {
    part!(Kubernetes);
    for (prefix, years) in [("early", 1), ("late", -1)] {
        let election = Election::new(prefix).await;
        let wrong = Timestamp::now() + (years * 365 * 24).hours();
        let renewed = |second: i64| MicroTime(wrong + second.seconds());
        let lease = json!({
            "metadata": { "name": "soju-operator" },
            "spec": { "holderIdentity": "other", "leaseDurationSeconds": 3, "renewTime": renewed(0) },
        });
        election
            .lease()
            .create(&PostParams::default(), &serde_json::from_value(lease).unwrap())
            .await
            .unwrap();
        let operator = Running::start::<Soju>(&election.told("ours")).await;
        election.make("alice").await;
        for second in 1..=5 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let renew = Patch::Merge(json!({ "spec": { "renewTime": renewed(second) } }));
            election.lease().patch("soju-operator", &PatchParams::default(), &renew).await.unwrap();
        }
        assert_eq!(operator.writes(), 0, "a lease that is renewed is its holder's, whatever its clock says");
        election.made("alice").await;
        assert_eq!(election.holder().await.as_deref(), Some("ours"));
        operator.stop().await;
    }
}
