//! The operator is killed at every step, and does nothing for which its manifest gives it no right.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use testkit::cluster::deeds::Deeds;
use testkit::cluster::killed::{Plot, Story};
use testkit::cluster::{Kinds, Stage};

use crate::fleet::is_made;
use crate::{Running, Subject, kind, paper, stage};

/// What a subject's resource goes through.
pub struct Life {
    /// What the spec has when it is made, besides the least and a database. The host name is filled in.
    pub first: Value,
    /// What is changed then. The host name becomes another one.
    pub second: Value,
    /// The Secret in its namespace with the database's password.
    pub password: Option<&'static str>,
    /// The kinds of which one each is left in the end.
    pub left: &'static [&'static str],
    /// Steps at which somebody died while it was made, changed, ended.
    pub deaths: [&'static [&'static str]; 3],
}

/// The operator dies at every step of making, changing and ending a resource, and the world becomes what it would have
/// been. On the same stage it does then what else it does in its life, and `more`; in the end there is no right of its
/// manifest that it did not need: one story, because only after all of it is to be seen what is too much.
///
/// # Panics
/// If anything of that is not so.
pub async fn at_every_step<S: Subject>(life: Life, more: impl AsyncFnOnce(&Stage)) {
    let story = Story::begin(stage::<S>(Kinds::ALL | Kinds::BACKUPS).await, plot::<S>(&life)).await.unwrap();
    let again = story.stage().told("again", None);
    let [made, changed, ended] = life.deaths;

    died_at(&story.makes().await.unwrap(), made);
    let running = Running::start::<S>(&again).await;
    story.all_become_alike().await.unwrap();
    running.stop().await;

    died_at(&story.changes().await.unwrap(), changed);
    let running = Running::start::<S>(&again).await;
    story.all_become_alike().await.unwrap();
    running.stop().await;

    died_at(&story.ends().await.unwrap(), ended);
    let running = Running::start::<S>(&again).await;
    story.all_are_gone().await.unwrap();
    running.stop().await;

    let mut leading = again;
    leading["lease_ms"] = 6000.into();
    let leader = Running::start::<S>(&leading).await;
    let mut least = S::least();
    least["suspend"] = true.into();
    let deeds = Deeds { stage: story.stage(), kind: kind::<S>(), least, claim: operator::claim::object_name };
    deeds.are_done().await.unwrap();
    more(story.stage()).await;
    leader.stop().await;
    let unused = story.stage().unused_rights().await.unwrap();
    assert_eq!(unused, asked_elsewhere::<S>(), "the manifest allows what nobody uses");
}

/// Rights that this API server never asks for, because only OpenShift's admission does: a host name of one's own in a
/// Route, and an owner reference that blocks deletion.
fn asked_elsewhere<S: Subject>() -> BTreeSet<String> {
    let plural = format!("{}s", kind::<S>().to_lowercase());
    BTreeSet::from([
        "create route.openshift.io/routes/custom-host".to_owned(),
        "update route.openshift.io/routes/custom-host".to_owned(),
        format!("update irc.now/{plural}/finalizers"),
    ])
}

fn plot<S: Subject>(life: &Life) -> Plot {
    let mut first = S::least();
    for more in [&S::stored(), &json!({ "suspend": true, "deletionPolicy": "Snapshot" }), &life.first] {
        paper::merge(&mut first, more);
    }
    let second = life.second.clone();
    Plot {
        kind: kind::<S>(),
        life: S::LIFE,
        first: named(first, "alice"),
        second: named(second, "other"),
        is_made: is_made::<S>,
        outside: format!("{}-", <S::Operator as operator::Operator>::PREFIX),
        password: life.password,
        left: life.left,
    }
}

/// A spec with a host name of the namespace it is in.
fn named(spec: Value, host: &'static str) -> testkit::cluster::killed::Spec {
    Arc::new(move |space| {
        let mut spec = spec.clone();
        spec["hostname"] = format!("{host}.{space}.example.org").into();
        spec
    })
}

/// Fails unless somebody died at each of these.
fn died_at(steps: &BTreeSet<String>, wanted: &[&str]) {
    println!("died at {steps:?}");
    for step in wanted {
        assert!(steps.contains(&format!("{step} #1")), "nobody died at {step}: {steps:?}");
    }
}
