//! A paste is changed by its owner, and everybody sees what was changed.

use crate::world::{Asker, world};

async fn edit(who: &Asker<'_>, id: &str, revision: &str, text: &str) -> crate::world::Answer {
    who.multipart_to(
        &format!("/{id}/edit"),
        &[
            ("text", None, text.as_bytes()),
            ("title", None, b"a.rs"),
            ("language", None, b"Rust"),
            ("revision", None, revision.as_bytes()),
        ],
    )
    .await
}

#[tokio::test]
async fn a_change_keeps_its_address_and_what_it_was() {
    let world = world().await;
    let alice = world.signed_in("alice", "free").await;
    let id = world
        .curl_as("alice", "free")
        .multipart(&[("file", Some("a.rs"), b"fn one() {}\nfn same() {}\n")])
        .await
        .id();
    alice
        .get(&format!("/{id}/edit"))
        .await
        .is(200)
        .shows("fn one() {}")
        .shows("name=\"revision\" value=\"1\"");
    edit(&alice, &id, "1", "fn two() {}\r\nfn same() {}\r\n").await.is(303);
    assert_eq!(world.raw(&id).await.body, b"fn two() {}\nfn same() {}\n");
    let page = world.browser().get(&format!("/{id}")).await;
    page.shows("revision 2").shows(&format!("/{id}/revisions")).shows(">two<").hides(">one<");
    for view in ["unified", "side"] {
        let changes = world.browser().get(&format!("/{id}/revisions?view={view}")).await;
        changes
            .is(200)
            .shows("1 added, 1 removed.")
            .shows("fn one() {}")
            .shows("fn two() {}")
            .shows("fn same() {}");
    }
    world.browser().get(&format!("/{id}/revisions?from=2&to=2")).await.shows("There is no difference.");
    world.browser().get(&format!("/{id}/revisions?from=9&to=x")).await.is(200);
}

#[tokio::test]
async fn two_who_change_it_at_once_do_not_overwrite_each_other() {
    let world = world().await;
    let alice = world.signed_in("alice", "free").await;
    let id = world.curl_as("alice", "free").put("one").await.id();
    edit(&alice, &id, "1", "two").await.is(303);
    let late = edit(&alice, &id, "1", "three").await;
    late.is(409).shows("changed elsewhere").shows("three");
    assert_eq!(world.raw(&id).await.body, b"two");
}

#[tokio::test]
async fn nobody_else_changes_it_and_what_is_sealed_is_not_changed_at_all() {
    let world = world().await;
    let id = world.curl_as("alice", "free").put("one").await.id();
    let bob = world.signed_in("bob", "free").await;
    edit(&bob, &id, "1", "two").await.is(404);
    edit(&world.browser().with("cookie", "__Host-mine=x"), &id, "1", "two").await.is(303);
    let alice = world.signed_in("alice", "free").await;
    for seal in [("burn", &b"on"[..]), ("password", b"x")] {
        let sealed = world
            .curl_as("alice", "free")
            .multipart(&[("text", None, b"one"), (seal.0, None, seal.1)])
            .await
            .id();
        edit(&alice, &sealed, "1", "two").await.is(404);
        world.browser().get(&format!("/{sealed}/revisions")).await.is(404);
    }
    edit(&alice, &id, "1", "").await.is(422).shows("There is nothing in it.");
    assert_eq!(world.raw(&id).await.body, b"one");
}

#[tokio::test]
async fn what_is_blocked_does_not_come_back_as_a_change() {
    let world = world().await;
    let bad = world.curl().put("malware").await.id();
    world.browser().post(&format!("/{bad}/report"), "reason=malware").await.is(200);
    let root = world.signed_in("root", "free").await;
    root.post("/moderation", format!("thing={bad}&verdict=block")).await.is(303);
    let alice = world.signed_in("alice", "free").await;
    let id = world.curl_as("alice", "free").put("fine").await.id();
    edit(&alice, &id, "1", "malware").await.is(451);
    assert_eq!(world.raw(&id).await.body, b"fine");
}

#[tokio::test]
async fn a_line_and_a_range_have_addresses_that_work_without_a_script() {
    let world = world().await;
    let id = world.curl().put("a\nb\nc\n").await.id();
    let page = world.browser().get(&format!("/{id}?lines=2-3")).await;
    page.shows("<span class=\"ln\" id=\"L1\">")
        .shows("<span class=\"ln on\" id=\"L2\">")
        .shows("<span class=\"ln on\" id=\"L3\">");
}

#[tokio::test]
async fn a_long_text_is_there_at_once_and_coloured_soon() {
    let world = world().await;
    let line = "let value = compute(\"text\", 12, Some(\"more\")); // and a comment that goes on\n";
    let text = line.repeat(192_000 / line.len());
    let id = world.curl().multipart(&[("file", Some("long.rs"), text.as_bytes())]).await.id();
    testkit::eventually("all its colours", || async {
        let page = world.browser().get(&format!("/{id}")).await;
        let coloured = page.is(200).text().matches("<span class=\"hc\">").count();
        (coloured == text.lines().count() && !page.text().contains("comes with the next load")).then_some(())
    })
    .await;
}
