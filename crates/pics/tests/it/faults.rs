//! What breaks while pictures come in.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use contracts::Call;
use futures_util::{StreamExt as _, stream};
use http::{Method, Request};
use pics_core::samples;

use crate::gate::sub;
use crate::world::{Who, jpeg, png, world, world_with};

#[tokio::test]
async fn an_upload_that_stops_halfway_leaves_nothing() {
    let at = world().await;
    let file = jpeg(900, 600);
    let half = Bytes::from(file[..file.len() / 2].to_vec());
    let pieces = stream::iter([Ok(half), Err(std::io::Error::other("the phone lost its network"))]);
    let headers = [("content-length", "9000000"), ("accept", "application/json")];
    let answer =
        at.send(Who::App("alice"), Method::POST, "/upload", &headers, Body::from_stream(pieces)).await;
    answer.is(400).shows("did not come whole");
    assert!(at.files("uploads").is_empty() && at.files("objects").is_empty());
    testkit::eventually("its room to be given back", || async {
        at.room("alice").await.starts_with("0 bytes").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let at = world().await;
    let never = stream::iter([Ok::<_, std::io::Error>(Bytes::from(png(40, 40, 1)))]).chain(stream::pending());
    let request = Request::post("http://pics.localhost:8080/upload")
        .header("authorization", "Bearer alice")
        .header("content-length", "1000000")
        .body(Body::from_stream(never))
        .unwrap();
    let site = at.site.clone();
    let asking = tokio::spawn(tower::ServiceExt::oneshot(site, request));
    testkit::eventually("its room to be taken", || async {
        at.room("alice").await.starts_with("1 MB").then_some(())
    })
    .await;
    asking.abort();
    testkit::eventually("nothing to be left", || async {
        let room = at.room("alice").await.starts_with("0 bytes");
        (room && at.files("uploads").is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_is_killed_is_not_noticed() {
    let at = world().await;
    at.put("alice", &jpeg(500, 400)).await;
    for round in 0..3 {
        let idle = at.pics.idle_workers();
        assert!(!idle.is_empty());
        for pid in idle {
            let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        at.put("alice", &png(50, 50, round)).await;
    }
}

#[tokio::test]
async fn a_picture_that_takes_too_much_memory_is_refused_and_the_next_one_is_taken() {
    let at = world_with(&[("IRCNOW_PICS_WORKER_MEMORY", "24MiB")]).await;
    // Interlaced, so that all of it must be there at once: 6,000 by 4,000 in RGB are 72 MB.
    let mut huge = samples::png(6_000, 4_000, &[]);
    huge[28] = 1;
    let header = samples::chunk(b"IHDR", &huge[16..29]);
    huge.splice(8..33, header);
    at.upload(Who::App("alice"), &huge).await.is(422);
    at.put("alice", &png(50, 50, 1)).await;
}

#[tokio::test]
async fn rows_and_objects_are_compared_both_ways() {
    let at = world().await;
    let kept = at.put("alice", &png(30, 30, 1)).await;
    let lost = at.put("alice", &png(30, 30, 2)).await;
    let objects = at.folder.path().join("pics/objects");
    let folders =
        || std::fs::read_dir(&objects).unwrap().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    // An upload whose process was killed between its objects and its row.
    let orphan = objects.join(uuid::Uuid::now_v7().simple().to_string());
    std::fs::create_dir(&orphan).unwrap();
    std::fs::write(orphan.join("clean"), b"left behind").unwrap();
    // A disk that lost a file.
    let bytes = at.get(Who::Nobody, lost["url"].as_str().unwrap()).await.body;
    let of_lost =
        folders().into_iter().find(|folder| std::fs::read(folder.join("clean")).unwrap() == bytes).unwrap();
    std::fs::remove_file(of_lost.join("clean")).unwrap();
    at.get(Who::Nobody, lost["url"].as_str().unwrap()).await.is(404);
    at.pics.sweep_for_tests().await.unwrap();
    assert!(!orphan.join("clean").exists());
    at.get(Who::Nobody, kept["url"].as_str().unwrap()).await.is(200);
    let gallery = at.get(Who::App("alice"), "/").await.text();
    assert!(
        gallery.contains(kept["id"].as_str().unwrap()) && !gallery.contains(lost["id"].as_str().unwrap())
    );
}

#[tokio::test]
async fn what_is_over_is_gone_from_rows_and_objects() {
    let at = world().await;
    let path = "/upload?expires=1s";
    let sent = at
        .send(
            Who::App("alice"),
            Method::POST,
            path,
            &[("accept", "application/json")],
            Body::from(png(9, 9, 1)),
        )
        .await;
    let told = sent.is(201).json();
    testkit::eventually("its time to be over", || async {
        let answer = at.get(Who::Nobody, told["url"].as_str().unwrap()).await;
        (answer.status == 404).then_some(())
    })
    .await;
    at.pics.sweep_for_tests().await.unwrap();
    assert!(at.files("objects").is_empty());
    assert!(at.room("alice").await.starts_with("0 bytes"));
}

#[tokio::test]
async fn an_export_holds_every_picture_and_a_deletion_leaves_none() {
    let at = world().await;
    let mine = at.put("alice", &png(30, 30, 1)).await;
    let yours = at.put("bob", &png(30, 30, 2)).await;
    let call = Call::new(sub("alice"), "test");
    let chunks: Vec<_> = at.data().export(&call).await.unwrap().collect().await;
    let files: Vec<_> = chunks.into_iter().map(|chunk| chunk.unwrap()).collect();
    let name = format!("{}.png", mine["id"].as_str().unwrap());
    assert!(files.iter().any(|file| file.path == name && pics_core::sniff(&file.bytes).is_ok()));
    let list = files.iter().find(|file| file.path == "pictures.json").unwrap();
    assert!(!String::from_utf8_lossy(&list.bytes).contains(yours["id"].as_str().unwrap()));
    for _ in 0..2 {
        at.data().delete(&call).await.unwrap();
    }
    at.get(Who::Nobody, mine["url"].as_str().unwrap()).await.is(404);
    at.get(Who::Nobody, yours["url"].as_str().unwrap()).await.is(200);
    assert_eq!(at.files("objects"), ["clean"]);
}

#[tokio::test]
async fn the_service_says_when_it_is_ready() {
    let at = world().await;
    testkit::eventually("readiness", || async { at.readiness.is_ready().then_some(()) }).await;
    at.shutdown.trigger();
    at.shutdown.finished(Duration::from_secs(5)).await.unwrap();
}
