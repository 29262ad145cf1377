//! What is over is gone, and what is asked for is kept.

use service::db::Database;

use crate::world::world_with;

async fn rows(world: &crate::world::World) -> i64 {
    use service::db::sqlx::Row as _;
    let file = world.folder.path().join("data/paste/paste.db");
    let db = Database::open(&format!("sqlite:{}", file.display())).await.unwrap();
    let row = service::db::sqlx::query("SELECT COUNT(*) FROM paste").fetch_one(db.pool()).await.unwrap();
    row.try_get(0).unwrap()
}

#[tokio::test]
async fn what_expired_is_gone_from_page_database_and_memory() {
    let world = world_with("sweep_every = '50ms'").await;
    let id = world.curl().post("/?expires=1s", "short").await.id();
    let stays = world.curl().post("/?expires=1h", "long").await.id();
    world.browser().get(&format!("/{id}")).await.is(200).shows("short");
    testkit::eventually("the paste to be over", || async {
        (world.browser().get(&format!("/{id}")).await.status == 404).then_some(())
    })
    .await;
    world.raw(&id).await.is(404);
    testkit::eventually("its row to be swept", || async { (rows(&world).await == 1).then_some(()) }).await;
    world.browser().get(&format!("/{stays}")).await.is(200);
    testkit::eventually("the figures to say so", || async {
        world.metrics.encode().contains("ircnow_paste_live 1\n").then_some(())
    })
    .await;
    assert!(world.metrics.encode().contains("ircnow_paste_swept_total 1"));
    assert!(world.readiness.is_ready());
}

#[tokio::test]
async fn an_account_takes_its_pastes_with_it_and_leaves_none() {
    use contracts::Call;
    use futures_util::StreamExt as _;

    let world = world_with("").await;
    let id = world.curl_as("alice", "free").multipart(&[("file", Some("a.rs"), b"fn a() {}")]).await.id();
    let bobs = world.curl_as("bob", "free").put("bob's").await.id();
    world.browser().get(&format!("/{id}")).await.is(200);
    let call = Call::new(world.gate.account("alice", "free").sub, "test");
    let data = world.paste.data();
    let chunks: Vec<_> = data.export(&call).await.unwrap().map(Result::unwrap).collect().await;
    let paths: Vec<&str> = chunks.iter().map(|chunk| chunk.path.as_str()).collect();
    assert_eq!(paths, ["pastes.json", &format!("pastes/{id}/a.rs")]);
    assert_eq!(chunks[1].bytes, b"fn a() {}");
    for _ in 0..2 {
        data.delete(&call).await.unwrap();
    }
    world.browser().get(&format!("/{id}")).await.is(404);
    world.browser().get(&format!("/{bobs}")).await.is(200);
}
