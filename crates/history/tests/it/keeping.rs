//! Finding, exporting and taking away, on every engine.

use futures_util::TryStreamExt;
use history::{Buffer, Error, Hole, Kind, Kinds, NewEntry, Range, Refused, Search, Since};
use uuid::Uuid;

use crate::engines::{Fixture, START, bodies, found, hits, message, said_in};

on_every_engine!(
    retention_takes_what_is_old_and_cursors_hear_of_it,
    a_redacted_body_is_gone_from_the_page_and_the_search,
    a_redacted_line_does_not_return,
    a_search_finds_words_phrases_and_beginnings,
    a_search_sees_what_the_index_has_not_reached,
    a_search_is_confined_to_what_it_names,
    a_foreign_account_sees_nothing,
    the_export_holds_everything,
    counts_are_kept_by_day,
    how_much_there_is_about_is_known_without_a_look_at_it,
    a_deleted_stream_is_gone_and_can_begin_anew,
    a_deleted_account_is_gone_and_its_neighbour_is_not,
);

const ALL: Range = Range::Latest;

async fn retention_takes_what_is_old_and_cursors_hear_of_it(f: Fixture) {
    let w = f.writer().await;
    let first = f.put(&w, message("old one")).await;
    let mut quit = message("old quit");
    quit.kind = Kind::Quit;
    quit.buffers = ["#a", "#b"].into_iter().map(Buffer::from).collect();
    f.put(&w, quit).await;
    f.pass(10_000);
    let kept = f.put(&w, message("young")).await;
    assert_eq!(f.history.prune(f.account, START + 5_000).await.unwrap(), 2);
    assert_eq!(f.history.prune(f.account, START + 5_000).await.unwrap(), 0);
    assert_eq!(bodies(&f, "#a", ALL, 9).await, ["young"]);
    assert_eq!(bodies(&f, "#b", ALL, 9).await, Vec::<String>::new());
    assert_eq!(found(&f, "old").await, Vec::<String>::new());
    let page =
        f.history.since(f.account, f.stream, Since::Position(first.position), Kinds::ALL, 9).await.unwrap();
    assert_eq!((page.hole, page.entries.len()), (Some(Hole::Pruned), 1));
    let page =
        f.history.since(f.account, f.stream, Since::Position(kept.position), Kinds::ALL, 9).await.unwrap();
    assert_eq!(page.hole, None);
    f.history.prune(f.account, START + 50_000).await.unwrap();
    f.pass(50_000);
    let next = f.put(&w, message("next")).await;
    assert_eq!(next.position.offset, 4, "a pruned place is never given again");
}

async fn a_redacted_body_is_gone_from_the_page_and_the_search(f: Fixture) {
    let w = f.writer().await;
    let indexed = f.put(&w, message("regrettable indexed")).await;
    f.history.settle().await.unwrap();
    let fresh = f.put(&w, message("regrettable fresh")).await;
    assert_eq!(found(&f, "regrettable").await.len(), 2);
    for stored in [indexed, fresh] {
        assert_eq!(f.history.redact(f.account, f.stream, &stored.msgid).await.unwrap(), stored.position);
    }
    assert_eq!(found(&f, "regrettable").await, Vec::<String>::new());
    f.history.settle().await.unwrap();
    assert_eq!(found(&f, "regrettable").await, Vec::<String>::new());
    let read = f.history.page(f.account, f.stream, &Buffer::from("#a"), ALL, Kinds::ALL, 9).await.unwrap();
    assert!(read.len() == 2 && read.iter().all(|e| e.redacted && e.body.is_empty() && e.meta.is_empty()));
    let nothing = f.history.redact(f.account, f.stream, "nothing").await;
    assert_eq!(nothing, Err(Error::NoSuchMessage));
}

async fn a_redacted_line_does_not_return(f: Fixture) {
    let w = f.writer().await;
    let mut entry = message("oops");
    entry.msgid = Some("m1".into());
    f.put(&w, entry.clone()).await;
    f.history.redact(f.account, f.stream, "m1").await.unwrap();
    assert!(f.put(&w, entry).await.duplicate);
    assert_eq!(bodies(&f, "#a", ALL, 9).await, [""]);
}

async fn a_search_finds_words_phrases_and_beginnings(f: Fixture) {
    let w = f.writer().await;
    for body in [
        "The quick brown fox",
        "brown and quick",
        "Ünïcode Größe",
        "\u{2}bold\u{f} move",
        "今日は東京です",
        "it's",
    ] {
        f.put(&w, message(body)).await;
    }
    f.put(&w, NewEntry { body: b"caf\xe9 latte"[..].into(), ..message("") }).await;
    for indexed in [false, true] {
        assert_eq!(found(&f, "QUICK brown").await.len(), 2, "{indexed}");
        assert_eq!(found(&f, "\"quick brown\"").await, ["The quick brown fox"]);
        assert_eq!(found(&f, "qui*").await.len(), 2);
        assert_eq!(found(&f, "qui").await.len(), 0);
        assert_eq!(found(&f, "größe ünïcode").await.len(), 1);
        assert_eq!(found(&f, "bold").await.len(), 1);
        assert_eq!(found(&f, "東京").await.len(), 1);
        assert_eq!(found(&f, "京東").await.len(), 0);
        assert_eq!(found(&f, "café").await.len(), 1);
        assert_eq!(found(&f, "it's").await.len(), 1);
        assert_eq!(found(&f, "s1").await.len(), 0, "the scope is not text");
        assert_eq!(found(&f, "\" OR * NEAR( AND").await.len(), 0);
        assert_eq!(found(&f, "!!").await.len(), 0);
        f.history.settle().await.unwrap();
    }
}

async fn a_search_sees_what_the_index_has_not_reached(f: Fixture) {
    let w = f.writer().await;
    f.put(&w, message("needle one")).await;
    f.history.settle().await.unwrap();
    f.put(&w, message("needle two")).await;
    assert_eq!(found(&f, "needle").await, ["needle one", "needle two"]);
}

async fn a_search_is_confined_to_what_it_names(f: Fixture) {
    let w = f.writer().await;
    f.put(&w, said_in("#a", "word in a")).await;
    f.pass(1_000);
    f.put(&w, said_in("#b", "word in b")).await;
    f.pass(1_000);
    f.put(&w, NewEntry { source: "Bob!b@h".into(), ..said_in("#b", "word of bob") }).await;
    let other = Uuid::new_v4().into();
    let ow = f.history.open_stream(f.account, other).await.unwrap();
    f.put(&ow, said_in("#a", "word elsewhere")).await;
    for _ in 0..2 {
        let text = Some("word".to_owned());
        let base = Search { text: text.clone(), limit: 10, ..Search::default() };
        let in_stream = Search { stream: Some(f.stream), ..base.clone() };
        assert_eq!(hits(&f, base.clone()).await.len(), 4);
        assert_eq!(hits(&f, in_stream.clone()).await, ["word in a", "word in b", "word of bob"]);
        let in_b = Search { buffer: Some(Buffer::from("#b")), ..in_stream.clone() };
        assert_eq!(hits(&f, in_b.clone()).await, ["word in b", "word of bob"]);
        assert_eq!(hits(&f, Search { limit: 1, ..in_b.clone() }).await, ["word of bob"]);
        assert_eq!(hits(&f, Search { from: Some("bOB".into()), ..base.clone() }).await, ["word of bob"]);
        assert_eq!(
            hits(&f, Search { text: None, from: Some("bob".into()), ..base.clone() }).await,
            ["word of bob"]
        );
        assert_eq!(hits(&f, Search { text: None, ..in_b }).await.len(), 2);
        assert_eq!(
            hits(&f, Search { after_ms: Some(START), before_ms: Some(START + 2_000), ..in_stream.clone() })
                .await,
            ["word in b"]
        );
        let of_bob = Search { from: Some("bob".into()), ..base };
        let hit = f.history.search(f.account, of_bob).await.unwrap().hits.remove(0);
        assert_eq!((hit.stream, hit.buffer), (f.stream, Buffer::from("#b")));
        f.history.settle().await.unwrap();
    }
    let nonsense = Search { buffer: Some(Buffer::from("#b")), limit: 1, ..Search::default() };
    assert!(matches!(f.history.search(f.account, nonsense).await, Err(Error::Invalid(_))));
}

async fn a_foreign_account_sees_nothing(f: Fixture) {
    let w = f.writer().await;
    let stored = f.put(&w, message("secret")).await;
    f.history.set_read_marker(f.account, f.stream, &Buffer::from("#a"), 5).await.unwrap();
    f.history.set_device_cursor(f.account, f.stream, b"d", stored.position).await.unwrap();
    let eve = Uuid::new_v4().into();
    for eve_has_a_stream in [false, true] {
        if eve_has_a_stream {
            f.history.open_stream(eve, Uuid::new_v4().into()).await.unwrap();
        }
        let h = &f.history;
        let a = Buffer::from("#a");
        assert_eq!(h.page(eve, f.stream, &a, ALL, Kinds::ALL, 9).await.unwrap(), []);
        assert_eq!(h.since(eve, f.stream, Since::Start, Kinds::ALL, 9).await.unwrap().entries, []);
        assert_eq!(h.targets(eve, f.stream, (0, i64::MAX), Kinds::ALL, 9).await.unwrap(), []);
        assert_eq!(h.by_msgid(eve, f.stream, &stored.msgid).await.unwrap(), None);
        assert_eq!(h.latest_position(eve, f.stream).await.unwrap(), None);
        assert_eq!(h.read_markers(eve, f.stream).await.unwrap(), []);
        assert_eq!(h.device_cursors(eve, f.stream).await.unwrap(), []);
        assert_eq!(h.set_read_marker(eve, f.stream, &a, 9).await, Err(Error::NoSuchStream));
        assert_eq!(h.set_device_cursor(eve, f.stream, b"d", stored.position).await, Err(Error::NoSuchStream));
        assert_eq!(h.redact(eve, f.stream, &stored.msgid).await, Err(Error::NoSuchStream));
        assert_eq!(h.open_stream(eve, f.stream).await, Err(Error::NoSuchStream));
        let search = Search { text: Some("secret".into()), limit: 9, ..Search::default() };
        assert_eq!(h.search(eve, search.clone()).await.unwrap().hits, []);
        assert_eq!(h.search(eve, Search { stream: Some(f.stream), ..search }).await.unwrap().hits, []);
        assert_eq!(h.prune(eve, i64::MAX).await.unwrap(), 0);
        h.delete_stream(eve, f.stream).await.unwrap();
        h.delete_account(eve).await.unwrap();
        let mut forged = w;
        forged.account = eve;
        assert_eq!(h.append(&forged, vec![message("x")]).await.unwrap(), [Err(Refused::NoSuchStream)]);
        assert_eq!(h.export(eve).try_collect::<Vec<_>>().await.unwrap(), Vec::<bytes::Bytes>::new());
    }
    assert_eq!(bodies(&f, "#a", ALL, 9).await, ["secret"]);
}

async fn the_export_holds_everything(f: Fixture) {
    let w = f.writer().await;
    for n in 0..1_200 {
        if n % 400 == 0 {
            let batch = (0..400).map(|m| said_in("#a", &format!("line {}", n + m))).collect();
            f.history.append(&w, batch).await.unwrap();
        }
    }
    let other = f.history.open_stream(f.account, Uuid::new_v4().into()).await.unwrap();
    f.put(&other, NewEntry { body: b"\xff"[..].into(), ..said_in("#b", "") }).await;
    let pieces: Vec<bytes::Bytes> = f.history.export(f.account).try_collect().await.unwrap();
    let text = String::from_utf8(pieces.concat()).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 1_201);
    assert!(lines.iter().any(|l| l["text"] == "line 1199" && l["buffers"][0] == "#a"));
    assert!(lines.iter().any(|l| l["text_base64"] == "/w=="));
}

async fn counts_are_kept_by_day(f: Fixture) {
    let w = f.writer().await;
    let day = START / 86_400_000;
    f.history.append(&w, vec![message("1"), message("2")]).await.unwrap();
    f.pass(3 * 86_400_000);
    f.put(&w, message("3")).await;
    let counts = f.history.counts(f.account, 0).await.unwrap();
    let counts: Vec<_> = counts.into_iter().map(|c| (c.day - day, c.entries)).collect();
    assert_eq!(counts, [(0, 2), (3, 1)]);
    assert_eq!(f.history.counts(f.account, day + 1).await.unwrap().len(), 1);
}

async fn how_much_there_is_about_is_known_without_a_look_at_it(f: Fixture) {
    assert_eq!(f.history.about(f.account).await.unwrap(), 0);
    let w = f.writer().await;
    f.history.append(&w, vec![message("1"), message("2")]).await.unwrap();
    // A writer's epoch of its own, and another stream; an epoch in which nobody said anything.
    let again = f.writer().await;
    f.put(&again, message("3")).await;
    let other = f.history.open_stream(f.account, Uuid::new_v4().into()).await.unwrap();
    f.put(&other, said_in("#b", "4")).await;
    f.writer().await;
    assert_eq!(f.history.about(f.account).await.unwrap(), 4);
    assert_eq!(f.history.about(history::AccountId(Uuid::new_v4())).await.unwrap(), 0);
    f.history.delete_account(f.account).await.unwrap();
    assert_eq!(f.history.about(f.account).await.unwrap(), 0);
}

async fn a_deleted_stream_is_gone_and_can_begin_anew(f: Fixture) {
    let w = f.writer().await;
    let batch = (0..500).map(|n| said_in(&format!("#{}", n % 7), &format!("word {n}"))).collect();
    f.history.append(&w, batch).await.unwrap();
    f.history.settle().await.unwrap();
    f.history.set_read_marker(f.account, f.stream, &Buffer::from("#1"), 5).await.unwrap();
    f.history.delete_stream(f.account, f.stream).await.unwrap();
    f.history.delete_stream(f.account, f.stream).await.unwrap();
    assert_eq!(f.history.append(&w, vec![message("x")]).await.unwrap(), [Err(Refused::NoSuchStream)]);
    assert_eq!(f.history.streams(f.account).await.unwrap(), []);
    assert_eq!(found(&f, "word").await.len(), 0);
    let w = f.writer().await;
    f.put(&w, said_in("#1", "anew")).await;
    assert_eq!(bodies(&f, "#1", ALL, 9).await, ["anew"]);
    assert_eq!(f.history.read_markers(f.account, f.stream).await.unwrap(), []);
}

async fn a_deleted_account_is_gone_and_its_neighbour_is_not(f: Fixture) {
    let w = f.writer().await;
    f.put(&w, message("mine")).await;
    let neighbour = Uuid::new_v4().into();
    let theirs = Uuid::new_v4().into();
    let nw = f.history.open_stream(neighbour, theirs).await.unwrap();
    f.put(&nw, message("theirs")).await;
    f.history.delete_account(f.account).await.unwrap();
    assert_eq!(f.history.streams(f.account).await.unwrap(), []);
    assert_eq!(f.history.counts(f.account, 0).await.unwrap(), []);
    let left = f.history.page(neighbour, theirs, &Buffer::from("#a"), ALL, Kinds::ALL, 9).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(f.history.counts(neighbour, 0).await.unwrap().len(), 1);
}
