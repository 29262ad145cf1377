//! Others write where the operator writes, or want what it wants.

use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PropagationPolicy};
use serde_json::{Value, json};
use testkit::proxy::{Mood, Proxy};
use testkit::{eventually, part};

use crate::world::{World, holds, is_seen, names, reason};
use crate::{Root, Subject, name};

/// A finalizer of somebody else's.
const HELD: &str = "example.org/held";

/// Suspended resources stand still: nobody starts their Pods, and nothing changes by itself.
fn still() -> Value {
    json!({ "suspend": true })
}

/// A conflicting field manager: applying takes back what is ours, once, and leaves what was added.
///
/// # Panics
/// If not.
pub async fn what_another_manager_takes_is_taken_back_and_what_it_adds_is_left<S: Subject>() {
    part!(Kubernetes);
    let world = World::<S>::new("managers").await;
    world.make("alice", still()).await;
    world.reconciled("alice").await;
    world.quiet().await;
    let services = world.objects("Service");
    let ours = services.get("alice").await.unwrap().data["spec"]["selector"].clone();
    let mut taken = ours.clone();
    taken[first_key(&ours)] = "theirs".into();
    let of_theirs = |more: Value| {
        let mut object = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "alice" } });
        crate::paper::merge(&mut object, &more);
        Patch::Apply(object)
    };
    let theirs = of_theirs(json!({ "spec": { "selector": taken } }));
    let polite = PatchParams::apply("somebody");
    let refused = services.patch("alice", &polite, &theirs).await.unwrap_err();
    assert!(refused.to_string().contains(&format!("conflict with \"{}\"", name::<S>())), "{refused}");
    services.patch("alice", &polite.clone().force(), &theirs).await.unwrap();
    eventually("the selector is ours again", || async {
        (services.get("alice").await.unwrap().data["spec"]["selector"] == ours).then_some(())
    })
    .await;
    // They do not fight over it: applying took it from them, and what they add is theirs.
    let settled = world.quiet().await;
    let more = json!({
        "metadata": { "annotations": { "example.org/more": "theirs" } },
        "spec": { "sessionAffinity": "ClientIP" },
    });
    services.patch("alice", &polite, &of_theirs(more)).await.unwrap();
    assert_eq!(world.quiet().await, settled);
    let service = services.get("alice").await.unwrap();
    assert_eq!(service.annotations()["example.org/more"], "theirs");
    assert_eq!(service.data["spec"]["sessionAffinity"], "ClientIP");
}

/// What somebody edits or deletes by hand is repaired.
///
/// # Panics
/// If not.
pub async fn what_others_edit_or_delete_is_put_back<S: Subject>() {
    part!(Kubernetes);
    let world = World::<S>::new("edits").await;
    world.make("alice", still()).await;
    world.reconciled("alice").await;
    let each = [
        ("Secret", "alice-config", "/data"),
        ("Service", "alice", "/spec/selector"),
        ("NetworkPolicy", "alice", "/spec/egress"),
        (S::WORKLOAD, "alice", "/spec/replicas"),
    ];
    for (kind, name, field) in each {
        let api = world.objects(kind);
        let before = api.get(name).await.unwrap().data.pointer(field).cloned().unwrap();
        let edit = match &before {
            Value::Object(_) => json!({ first_key(&before): "Zm9v" }),
            Value::Array(_) => json!([{}]),
            _ => json!(3),
        };
        let edit = field[1..].rsplit('/').fold(edit, |inner, name| json!({ name: inner }));
        api.patch(name, &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
        eventually(format!("{kind} is repaired"), || async {
            (api.get(name).await.unwrap().data.pointer(field) == Some(&before)).then_some(())
        })
        .await;
    }
    for (kind, name, _) in each {
        let api = world.objects(kind);
        let uid = api.get(name).await.unwrap().uid();
        api.delete(name, &DeleteParams::default()).await.unwrap();
        eventually(format!("{kind} is made again"), || async {
            let found = api.get_opt(name).await.unwrap()?;
            (found.uid() != uid && found.metadata.deletion_timestamp.is_none()).then_some(())
        })
        .await;
    }
}

/// Foreground deletion: the resource goes after its children, and nothing is made anew meanwhile.
///
/// # Panics
/// If not.
pub async fn what_is_deleted_in_the_foreground_goes_after_its_children<S: Subject>() {
    part!(Kubernetes);
    let world = World::<S>::new("foreground").await;
    world.make("alice", still()).await;
    world.reconciled("alice").await;
    world.quiet().await;
    // As long as something of it is held, it is not gone.
    held(&world, "Service", "alice", &[HELD]).await;
    let params =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    world.roots().delete("alice", &params).await.unwrap();
    eventually("everything else goes", || async { (there(&world).await == ["Service"]).then_some(()) }).await;
    eventually("the operator has done its part", || async {
        (world.roots().get("alice").await.unwrap().finalizers() == ["foregroundDeletion"]).then_some(())
    })
    .await;
    world.quiet().await;
    let service = world.child("Service", "alice").await.unwrap();
    assert!(service.metadata.deletion_timestamp.is_some());
    assert_eq!(there(&world).await, ["Service"], "nothing is made anew");
    held(&world, "Service", "alice", &[]).await;
    world.gone("alice").await;
}

/// A watch that is lost, and every request with it: what happened meanwhile is seen afterwards.
///
/// # Panics
/// If not.
pub async fn a_lost_watch_misses_nothing<S: Subject>() {
    part!(Kubernetes);
    let mut world = World::<S>::new("watches").await;
    world.stop().await;
    let proxy = Proxy::start(world.cluster.address()).await.unwrap();
    let client = world.cluster.as_admin_through(proxy.address()).await.unwrap();
    world.begin(client);
    world.make("alice", still()).await;
    world.make("bob", still()).await;
    world.reconciled("alice").await;
    world.reconciled("bob").await;
    let services = world.objects("Service");
    let ours = services.get("alice").await.unwrap().data["spec"]["selector"].clone();
    proxy.set(Mood::Cut);
    let edit = json!({ "spec": { "selector": { first_key(&ours): "evil" } } });
    services.patch("alice", &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
    let workload = world.child(S::WORKLOAD, "alice").await.unwrap().uid();
    world.objects(S::WORKLOAD).delete("alice", &DeleteParams::default()).await.unwrap();
    world.change("alice", json!({ "motd": "meanwhile" })).await;
    world.delete("bob").await;
    world.make("carol", still()).await;
    proxy.set(Mood::Through);
    world.reconciled("alice").await;
    world.reconciled("carol").await;
    world.gone("bob").await;
    eventually("what was edited and deleted meanwhile is as it was", || async {
        let service = services.get("alice").await.unwrap();
        let again = world.child(S::WORKLOAD, "alice").await?;
        (service.data["spec"]["selector"] == ours && again.uid() != workload).then_some(())
    })
    .await;
    world.stop().await;
}

/// Two that name one database: what belongs to whom is said by the UID, so a status that was copied, as a careless
/// restore does it, gives nobody the rows of another, and the end of who copied it takes nothing along.
///
/// # Panics
/// If not.
pub async fn of_two_that_name_one_database_only_its_owner_has_it<S: Subject>() {
    part!(Kubernetes, Postgres);
    let (mut world, rows) = World::<S>::with_rows("one-database").await;
    let mut spec = S::stored();
    crate::paper::merge(&mut spec, &json!({ "suspend": true, "deletionPolicy": "Delete" }));
    let owner = world.make("owner", spec.clone()).await;
    world.until("owner", "has a database", |root| holds(root, "DatabaseReady", "True")).await;
    eventually("the owner's server is made", || world.child(S::WORKLOAD, "owner")).await;
    let database = names::<S>(&owner).postgres;
    rows.sql(&database, "create table kept (word text)").await;
    let password = "select rolpassword from pg_authid where rolname = ";
    let password = format!("{password}'{database}'");
    let before = rows.sql("postgres", &password).await;
    world.stop().await;

    world.make("thief", spec).await;
    let status = serde_json::to_value(world.roots().get("owner").await.unwrap()).unwrap()["status"].clone();
    let copied = Patch::Merge(json!({ "status": {
        "conditions": [], "database": status["database"], "hostnames": status["hostnames"],
    } }));
    world.roots().patch_status("thief", &PatchParams::default(), &copied).await.unwrap();
    world.start().await;
    let refused = |root: &Root<S>| reason(root, "DatabaseReady") == "DatabaseOfAnother";
    let thief = world.until("thief", "is refused", refused).await;
    assert!(!holds(&thief, "Ready", "True"));
    let outside = names::<S>(&thief).outside;
    for kind in ["Secret", "Database", "DatabaseRole"] {
        let made = testkit::cluster::stage::objects(&world.client, kind, rows.space.name());
        assert!(made.get_opt(&outside).await.unwrap().is_none(), "a {kind} for somebody else's rows");
    }
    assert!(world.child(S::WORKLOAD, "thief").await.is_none(), "a server on somebody else's rows");
    world.delete("thief").await;
    world.gone("thief").await;

    let tables = "select count(*) from pg_tables where tablename = 'kept'";
    assert_eq!(rows.sql(&database, tables).await, "1");
    assert_eq!(rows.sql("postgres", &password).await, before, "nobody locked the owner out");
    world.reconciled("owner").await;
    assert!(world.child(S::WORKLOAD, "owner").await.is_some());
    world.delete("owner").await;
    world.gone("owner").await;
    assert!(!rows.databases().await.contains(&database));
    assert!(!rows.roles().await.contains(&database));
    world.stop().await;
}

/// Two that name one host: who holds it by its claim has it, whatever a status that was copied says, and whoever is older.
///
/// # Panics
/// If not.
pub async fn of_two_that_name_one_host_only_its_holder_has_it<S: Subject>() {
    part!(Kubernetes);
    let mut world = World::<S>::new("one-host").await;
    world.make("older", still()).await;
    world.reconciled("older").await;
    world.make("holder", still()).await;
    world.reconciled("holder").await;
    let host = world.host("holder");
    let taken = |root: &Root<S>| reason(root, "HostnameClaimed") == "HostnameTaken";
    world.change("older", json!({ "hostname": host })).await;
    world.until("older", "comes too late, although it is older", taken).await;
    world.stop().await;

    world.make("thief", json!({ "suspend": true, "hostname": host })).await;
    let copied = Patch::Merge(json!({ "status": { "conditions": [], "hostnames": [host] } }));
    world.roots().patch_status("thief", &PatchParams::default(), &copied).await.unwrap();
    world.start().await;
    world.until("thief", "is refused", taken).await;
    assert!(world.child("Service", "thief").await.is_none(), "the loser makes nothing");
    world.change("holder", json!({ "motd": "still here" })).await;
    world.reconciled("holder").await;
    world.delete("thief").await;
    world.gone("thief").await;
    world.change("older", json!({ "motd": "still waiting" })).await;
    world.until("older", "waits", |root| taken(root) && is_seen(root)).await;

    // It looks again by itself within a minute; a change wakes it at once.
    world.delete("holder").await;
    world.gone("holder").await;
    world.change("older", json!({ "motd": "it is free" })).await;
    world.until("older", "has it", |root| holds(root, "HostnameClaimed", "True")).await;
    world.stop().await;
}

/// A namespace that goes: nothing is made in it, and no resource holds it up.
///
/// # Panics
/// If not.
pub async fn in_a_namespace_that_goes_nothing_is_made_and_nothing_stays<S: Subject>() {
    part!(Kubernetes);
    let mut world = World::<S>::new("going").await;
    let alice = world.make("alice", json!({ "suspend": true, "deletionPolicy": "Snapshot" })).await;
    world.reconciled("alice").await;
    world.make("bob", still()).await;
    let bob = world.reconciled("bob").await;
    world.quiet().await;
    world.free_volume(&alice).await;
    world.free_volume(&bob).await;
    // Bob is held by somebody else, so that the operator looks at one whose namespace goes for as long as it likes.
    let ours = operator::finalizer::name(name::<S>());
    let hold = |finalizers: &[&str]| Patch::Merge(json!({ "metadata": { "finalizers": finalizers } }));
    world.roots().patch("bob", &PatchParams::default(), &hold(&[&ours, HELD])).await.unwrap();
    world.quiet().await;
    let before = world.writes.each();

    let spare = world.cluster.namespace("after").await.unwrap();
    let home = std::mem::replace(&mut world.space, spare);
    let api = kube::Api::<Root<S>>::namespaced(world.client.clone(), home.name());
    let spaces = kube::Api::<k8s_openapi::api::core::v1::Namespace>::all(world.client.clone());
    spaces.delete(home.name(), &DeleteParams::default()).await.unwrap();
    eventually("alice goes with it", || async {
        api.get_opt("alice").await.unwrap().is_none().then_some(())
    })
    .await;
    eventually("the operator lets go of bob", || async {
        (api.get("bob").await.unwrap().finalizers() == [HELD]).then_some(())
    })
    .await;
    // One that is asked to change now, while everything of it goes, is a wait and no failure.
    let change = Patch::Merge(json!({ "spec": { "motd": "too late" } }));
    api.patch("bob", &PatchParams::default(), &change).await.unwrap();
    world.quiet().await;
    for (write, count) in world.writes.each() {
        if write.starts_with("apply ") || write.starts_with("create ") {
            assert_eq!(before.get(&write), Some(&count), "{write}: something was made in it");
        }
    }
    api.patch("bob", &PatchParams::default(), &hold(&[])).await.unwrap();
    eventually("the namespace is gone", || async {
        spaces.get_opt(home.name()).await.unwrap().is_none().then_some(())
    })
    .await;
    world.stop().await;
}

fn first_key(object: &Value) -> String {
    object.as_object().unwrap().keys().next().unwrap().clone()
}

/// Says who holds an object.
async fn held<S: Subject>(world: &World<S>, kind: &str, name: &str, by: &[&str]) {
    let patch = Patch::Merge(json!({ "metadata": { "finalizers": by } }));
    world.objects(kind).patch(name, &PatchParams::default(), &patch).await.unwrap();
}

/// The kinds of which there is a child.
async fn there<S: Subject>(world: &World<S>) -> Vec<&'static str> {
    let kinds = ["Secret", "Service", "Deployment", "StatefulSet", "NetworkPolicy", "PodDisruptionBudget"];
    let mut found = Vec::new();
    for kind in kinds {
        let all: Vec<DynamicObject> = world.objects(kind).list(&Default::default()).await.unwrap().items;
        if all.iter().any(|is| is.labels().contains_key(operator::OWNER_UID)) {
            found.push(kind);
        }
    }
    found
}
