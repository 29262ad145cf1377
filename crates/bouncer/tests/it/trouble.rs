//! Trouble in our own house stays where it is.

use testkit::eventually;

use crate::upstreams::Scripted;
use crate::world::{MODERN, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_holds_no_line_up_and_gets_it_later() {
    let world = World::new().await;
    let upstream = Scripted::new().await;
    let network = world.add_network("alice", "net", upstream.port(), &["#tea"]).await;
    let mut connection = upstream.registered("alice").await;
    world.connected("alice", &network).await;
    let mut device = world.device("alice", MODERN).await;
    connection.wait_for("JOIN #tea").await;
    connection.send(":alice!u@h JOIN #tea").await;
    connection.send(":bob!b@h PRIVMSG #tea :before").await;
    device.wait_for("before").await.unwrap();
    let log = world.database("history.db").await;
    let held = log.begin().await.unwrap();
    connection.send(":bob!b@h PRIVMSG #tea :meanwhile").await;
    device.wait_for("The history store does not answer").await.unwrap();
    device.wait_for("meanwhile").await.unwrap();
    drop(held);
    eventually("it is stored late", || async {
        let mut device = world.device("alice@other", MODERN).await;
        device.send("CHATHISTORY LATEST #tea * 10").await.unwrap();
        device.send("PING :all").await.unwrap();
        loop {
            let line = device.wait_for("").await.unwrap();
            if line.contains("PRIVMSG #tea :meanwhile") {
                return Some(());
            }
            if line.contains(" PONG ") {
                return None;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_rows_are_broken_is_nobody_elses_trouble() {
    let mut world = World::new().await;
    let (one, two) = (Scripted::new().await, Scripted::new().await);
    world.add_network("alice", "net", one.port(), &[]).await;
    let theirs = world.add_network("bob", "net", two.port(), &[]).await;
    let first = two.registered("bob").await;
    world.connected("bob", &theirs).await;
    world.stop().await;
    drop(first);
    let rows = world.database("bouncer.db").await;
    let spoiled = sqlx::query("UPDATE network SET sealed = $1 WHERE id <> $2")
        .bind(vec![1_u8; 40])
        .bind(theirs.id.0.as_bytes().to_vec())
        .execute(rows.pool())
        .await
        .unwrap();
    assert_eq!(spoiled.rows_affected(), 1);
    rows.close().await;
    let started = world.start();
    let (mut connection, ()) = tokio::join!(two.registered("bob"), started);
    world.connected("bob", &theirs).await;
    let mut device = world.device("bob", "").await;
    connection.send(":carol!c@h PRIVMSG bob :hello").await;
    device.wait_for("hello").await.unwrap();
}
