//! Appending and reading, on every engine.

use history::{
    Anchor, Buffer, Error, Gap, History, Hole, Kind, Kinds, MAX_ENTRY_BYTES, NewEntry, Range, Refused, Since,
};
use uuid::Uuid;

use crate::engines::{Fixture, START, bodies, message, said_in};

on_every_engine!(
    what_was_appended_is_read_back,
    times_are_unique_within_a_buffer_and_never_in_the_future,
    a_backfill_lands_where_it_was_said,
    the_same_line_again_is_dropped_and_answered_with_the_first_place,
    another_line_under_the_same_msgid_gets_one_of_ours,
    a_quit_is_stored_once_and_seen_in_every_buffer,
    a_restart_raises_the_epoch_and_the_old_writer_is_refused,
    every_range_of_a_buffer_can_be_asked_for,
    an_anchor_may_be_a_msgid_of_ours,
    devices_without_playback_see_messages_only,
    targets_are_the_buffers_with_something_new_in_between,
    a_cursor_reads_on_across_buffers,
    a_cursor_of_an_unknown_epoch_is_told_so,
    read_markers_never_go_back,
    device_cursors_never_go_back_unless_their_epoch_is_lost,
    a_row_that_is_refused_fails_alone,
    a_gap_marker_is_an_entry,
    bodies_are_bytes,
    health_is_good,
    many_writers_at_once_each_keep_their_order,
);

const ALL: Range = Range::Latest;

async fn what_was_appended_is_read_back(f: Fixture) {
    let w = f.writer().await;
    let mut entry = message("hello");
    entry.meta = "account=ann".into();
    entry.msgid = Some("m1".into());
    entry.ts_ms = Some(START - 5_000);
    let stored = f.put(&w, entry.clone()).await;
    assert_eq!(stored.ts_ms, START - 5_000);
    assert_eq!(stored.position.offset, 1);
    assert_eq!(stored.msgid, "m1");
    assert!(!stored.duplicate);
    assert_eq!(stored.id.get_version_num(), 7);
    let read = f.history.page(f.account, f.stream, &Buffer::from("#a"), ALL, Kinds::ALL, 10).await.unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].position, stored.position);
    assert_eq!(read[0].id, stored.id);
    assert_eq!(read[0].source, entry.source);
    assert_eq!(read[0].target, entry.target);
    assert_eq!(read[0].body, entry.body);
    assert_eq!(read[0].meta, entry.meta);
    assert_eq!(read[0].msgid, "m1");
    assert_eq!(read[0].kind, Kind::Privmsg);
    assert!(!read[0].redacted);
    assert_eq!(f.history.by_msgid(f.account, f.stream, "m1").await.unwrap().as_ref(), read.first());
    assert_eq!(f.history.latest_position(f.account, f.stream).await.unwrap(), Some(stored.position));
}

async fn times_are_unique_within_a_buffer_and_never_in_the_future(f: Fixture) {
    let w = f.writer().await;
    let entries = (0..5).map(|n| message(&n.to_string())).collect();
    let stored = f.history.append(&w, entries).await.unwrap();
    let times: Vec<i64> = stored.into_iter().map(|s| s.unwrap().ts_ms - START).collect();
    assert_eq!(times, [0, 1, 2, 3, 4]);
    let mut early = message("tomorrow");
    early.ts_ms = Some(START + 86_400_000);
    assert_eq!(f.put(&w, early).await.ts_ms, START + 5);
    assert_eq!(f.put(&w, said_in("#b", "elsewhere")).await.ts_ms, START);
}

async fn a_backfill_lands_where_it_was_said(f: Fixture) {
    let w = f.writer().await;
    for (at, body) in [(10, "ten"), (20, "twenty"), (30, "thirty")] {
        let mut entry = message(body);
        entry.ts_ms = Some(START - 1000 + at);
        f.put(&w, entry).await;
    }
    let mut late = message("between");
    late.ts_ms = Some(START - 1000 + 20);
    let stored = f.put(&w, late).await;
    assert_eq!(stored.ts_ms, START - 1000 + 21);
    assert_eq!(bodies(&f, "#a", ALL, 10).await, ["ten", "twenty", "between", "thirty"]);
    let page = f.history.since(f.account, f.stream, Since::Start, Kinds::ALL, 10).await.unwrap();
    assert_eq!(page.entries.last().unwrap().body, "between");
}

async fn the_same_line_again_is_dropped_and_answered_with_the_first_place(f: Fixture) {
    let w = f.writer().await;
    let mut entry = message("once");
    entry.msgid = Some("m1".into());
    let both = f.history.append(&w, vec![entry.clone(), entry.clone()]).await.unwrap();
    let (first, second) = (both[0].clone().unwrap(), both[1].clone().unwrap());
    assert!(second.duplicate && !first.duplicate);
    let w = f.writer().await;
    f.pass(60_000);
    let third = f.put(&w, entry).await;
    for again in [second, third] {
        assert_eq!((again.position, again.ts_ms, again.id), (first.position, first.ts_ms, first.id));
        assert!(again.duplicate);
    }
    assert_eq!(bodies(&f, "#a", ALL, 10).await, ["once"]);
}

async fn another_line_under_the_same_msgid_gets_one_of_ours(f: Fixture) {
    let w = f.writer().await;
    let mut entry = message("first");
    entry.msgid = Some("m1".into());
    f.put(&w, entry.clone()).await;
    entry.body = "second".into();
    let stored = f.put(&w, entry.clone()).await;
    assert!(!stored.duplicate);
    assert_ne!(stored.msgid, "m1");
    let read = f.history.by_msgid(f.account, f.stream, &stored.msgid).await.unwrap().unwrap();
    assert_eq!(read.body, "second");
    assert_eq!(read.msgid, stored.msgid);
    entry.body = "first".into();
    entry.target = "#other".into();
    assert!(!f.put(&w, entry).await.duplicate, "another target is another line");
}

async fn a_quit_is_stored_once_and_seen_in_every_buffer(f: Fixture) {
    let w = f.writer().await;
    f.put(&w, message("before")).await;
    let mut quit = message("gone");
    quit.kind = Kind::Quit;
    quit.buffers = ["#a", "#b", "#c", "#b"].into_iter().map(Buffer::from).collect();
    let stored = f.put(&w, quit).await;
    for buffer in ["#a", "#b", "#c"] {
        assert_eq!(bodies(&f, buffer, ALL, 10).await.last().unwrap(), "gone");
    }
    assert_eq!(stored.ts_ms, START + 1, "its time is free in every buffer");
    let page = f.history.since(f.account, f.stream, Since::Start, Kinds::ALL, 10).await.unwrap();
    assert_eq!(page.entries.len(), 2);
}

async fn a_restart_raises_the_epoch_and_the_old_writer_is_refused(f: Fixture) {
    let old = f.writer().await;
    f.put(&old, message("one")).await;
    let new = f.writer().await;
    assert_eq!(new.epoch.number, old.epoch.number + 1);
    assert_ne!(new.epoch.token, old.epoch.token);
    let answer = f.history.append(&old, vec![message("ghost"), message("ghost")]).await.unwrap();
    assert_eq!(answer, [Err(Refused::StaleEpoch), Err(Refused::StaleEpoch)]);
    let stored = f.put(&new, message("two")).await;
    assert_eq!(stored.position.offset, 1);
    let mut forged = new;
    forged.epoch.token ^= 1;
    let answer = f.history.append(&forged, vec![message("ghost")]).await.unwrap();
    assert_eq!(answer, [Err(Refused::StaleEpoch)]);
    f.history.raise_epochs().await.unwrap();
    let answer = f.history.append(&new, vec![message("ghost")]).await.unwrap();
    assert_eq!(answer, [Err(Refused::StaleEpoch)]);
    assert_eq!(bodies(&f, "#a", ALL, 10).await, ["one", "two"]);
}

async fn every_range_of_a_buffer_can_be_asked_for(f: Fixture) {
    let w = f.writer().await;
    for n in 0..10 {
        let mut entry = message(&n.to_string());
        entry.ts_ms = Some(START - 1000 + n * 10);
        entry.msgid = Some(format!("m{n}"));
        f.put(&w, entry).await;
    }
    let at = |n: i64| Anchor::Time(START - 1000 + n * 10);
    let id = |n: i64| Anchor::Msgid(format!("m{n}"));
    let cases: Vec<(Range, usize, &str)> = vec![
        (Range::Latest, 3, "789"),
        (Range::LatestAfter(at(5)), 3, "789"),
        (Range::LatestAfter(id(7)), 9, "89"),
        (Range::Before(at(4)), 2, "23"),
        (Range::Before(id(4)), 99, "0123"),
        (Range::After(at(4)), 2, "56"),
        (Range::After(id(8)), 99, "9"),
        (Range::Around(id(5)), 4, "3456"),
        (Range::Around(at(5)), 1, "5"),
        (Range::Between(at(2), id(6)), 99, "345"),
        (Range::Between(id(6), at(2)), 99, "345"),
        (Range::Between(at(2), at(6)), 2, "34"),
        (Range::Between(at(6), at(2)), 2, "45"),
        (Range::After(at(9)), 5, ""),
        (Range::Latest, 0, ""),
    ];
    for (range, limit, expected) in cases {
        assert_eq!(bodies(&f, "#a", range.clone(), limit).await.concat(), expected, "{range:?} {limit}");
    }
    let missing = Range::After(Anchor::Msgid("nowhere".into()));
    let answer = f.history.page(f.account, f.stream, &Buffer::from("#a"), missing, Kinds::ALL, 5).await;
    assert_eq!(answer, Err(Error::NoSuchMessage));
    assert_eq!(bodies(&f, "#never", ALL, 5).await, Vec::<String>::new());
}

async fn an_anchor_may_be_a_msgid_of_ours(f: Fixture) {
    let w = f.writer().await;
    let first = f.put(&w, message("one")).await;
    f.put(&w, message("two")).await;
    let after = Range::After(Anchor::Msgid(first.msgid.clone()));
    assert_eq!(bodies(&f, "#a", after, 5).await, ["two"]);
    let w = f.writer().await;
    f.put(&w, message("three")).await;
    let again = f.history.by_msgid(f.account, f.stream, &first.msgid).await.unwrap().unwrap();
    assert_eq!((again.msgid, again.position), (first.msgid, first.position));
}

async fn devices_without_playback_see_messages_only(f: Fixture) {
    let w = f.writer().await;
    f.put(&w, message("hello")).await;
    for _ in 0..5 {
        let mut join = message("");
        join.kind = Kind::Join;
        f.put(&w, join).await;
    }
    let read = f
        .history
        .page(f.account, f.stream, &Buffer::from("#a"), Range::Latest, Kinds::MESSAGES, 3)
        .await
        .unwrap();
    assert_eq!(read.len(), 1);
    let page = f.history.since(f.account, f.stream, Since::Start, Kinds::MESSAGES, 3).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    assert_eq!(page.next, None);
}

async fn targets_are_the_buffers_with_something_new_in_between(f: Fixture) {
    let w = f.writer().await;
    for (buffer, at) in [("#a", 10), ("#b", 20), ("#c", 30), ("#a", 40)] {
        let mut entry = said_in(buffer, "x");
        entry.ts_ms = Some(START - 1000 + at);
        f.put(&w, entry).await;
    }
    let mut join = said_in("#b", "");
    join.kind = Kind::Join;
    f.put(&w, join).await;
    let between = (START - 1000 + 45, START - 1000 + 20);
    let found = f.history.targets(f.account, f.stream, between, Kinds::MESSAGES, 10).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|t| (t.buffer, t.latest_ms - START + 1000)).collect();
    assert_eq!(found, [(Buffer::from("#c"), 30), (Buffer::from("#a"), 40)]);
    assert_eq!(
        f.history.targets(f.account, f.stream, (0, START * 2), Kinds::MESSAGES, 2).await.unwrap().len(),
        2
    );
}

async fn a_cursor_reads_on_across_buffers(f: Fixture) {
    let w = f.writer().await;
    for n in 0..4 {
        f.put(&w, said_in(if n % 2 == 0 { "#a" } else { "#b" }, &n.to_string())).await;
    }
    let w = f.writer().await;
    f.put(&w, said_in("#a", "4")).await;
    let mut seen = String::new();
    let mut since = Since::Start;
    loop {
        let page = f.history.since(f.account, f.stream, since, Kinds::ALL, 2).await.unwrap();
        assert_eq!(page.hole, None);
        page.entries.iter().for_each(|e| seen.push_str(std::str::from_utf8(&e.body).unwrap()));
        match page.next {
            Some(next) => since = Since::Position(next),
            None => break,
        }
    }
    assert_eq!(seen, "01234");
}

async fn a_cursor_of_an_unknown_epoch_is_told_so(f: Fixture) {
    let w = f.writer().await;
    let mut entry = message("old");
    entry.ts_ms = Some(START - 500);
    let old = f.put(&w, entry).await;
    f.put(&w, message("new")).await;
    let mut lost = old.position;
    lost.epoch.token ^= 1;
    let page = f.history.since(f.account, f.stream, Since::Position(lost), Kinds::ALL, 9).await.unwrap();
    assert_eq!((page.hole, page.entries.len()), (Some(Hole::UnknownEpoch), 0));
    let page = f.history.since(f.account, f.stream, Since::Time(START - 500), Kinds::ALL, 9).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    assert_eq!(page.entries[0].body, "new");
    let page = f.history.since(f.account, f.stream, Since::Time(START), Kinds::ALL, 9).await.unwrap();
    assert_eq!(page.entries, []);
}

async fn read_markers_never_go_back(f: Fixture) {
    f.writer().await;
    let a = Buffer::from("#a");
    for (set, now) in [(100, 100), (50, 100), (200, 200)] {
        assert_eq!(f.history.set_read_marker(f.account, f.stream, &a, set).await.unwrap(), now);
    }
    f.history.set_read_marker(f.account, f.stream, &Buffer::from("bob"), 7).await.unwrap();
    let all = f.history.read_markers(f.account, f.stream).await.unwrap();
    assert_eq!(all, [(a, 200), (Buffer::from("bob"), 7)]);
}

async fn device_cursors_never_go_back_unless_their_epoch_is_lost(f: Fixture) {
    let w = f.writer().await;
    let first = f.put(&w, message("1")).await.position;
    let second = f.put(&w, message("2")).await.position;
    let set = async |device: &[u8], position| {
        f.history.set_device_cursor(f.account, f.stream, device, position).await.unwrap();
    };
    set(b"phone", second).await;
    set(b"phone", first).await;
    let mut lost = second;
    lost.epoch.token ^= 1;
    lost.epoch.number += 5;
    set(b"laptop", lost).await;
    set(b"laptop", first).await;
    let all = f.history.device_cursors(f.account, f.stream).await.unwrap();
    let all: Vec<_> = all.into_iter().map(|c| (c.device, c.position, c.updated_ms)).collect();
    assert_eq!(all, [("laptop".into(), first, START), ("phone".into(), second, START)]);
    f.history.forget_device(f.account, b"laptop").await.unwrap();
    assert_eq!(f.history.device_cursors(f.account, f.stream).await.unwrap().len(), 1);
}

async fn a_row_that_is_refused_fails_alone(f: Fixture) {
    let w = f.writer().await;
    let nowhere = NewEntry { buffers: [].into_iter().collect(), ..message("nowhere") };
    let huge = NewEntry { body: vec![b'x'; MAX_ENTRY_BYTES].into(), ..message("") };
    let answer = f.history.append(&w, vec![message("one"), nowhere, huge, message("two")]).await.unwrap();
    assert!(answer[0].is_ok() && answer[3].is_ok());
    assert_eq!(answer[1], Err(Refused::NoBuffer));
    assert_eq!(answer[2], Err(Refused::TooLarge));
    assert_eq!(answer[3].as_ref().unwrap().position.offset, 2, "offsets have no holes");
    assert_eq!(bodies(&f, "#a", ALL, 9).await, ["one", "two"]);
    let unknown = history::StreamWriter { stream: Uuid::new_v4().into(), ..w };
    assert_eq!(f.history.append(&unknown, vec![message("x")]).await.unwrap(), [Err(Refused::NoSuchStream)]);
}

async fn a_gap_marker_is_an_entry(f: Fixture) {
    let w = f.writer().await;
    let gap = Gap { since_ms: START - 100, until_ms: START - 10, lost: Some(3) };
    f.put(&w, NewEntry::gap([Buffer::from("#a"), Buffer::from("#b")], gap)).await;
    for buffer in ["#a", "#b"] {
        let read = f
            .history
            .page(f.account, f.stream, &Buffer::from(buffer), ALL, Kinds::MESSAGES, 9)
            .await
            .unwrap();
        assert_eq!(read[0].gap(), Some(gap));
        assert_eq!(read[0].ts_ms, START - 10);
    }
}

async fn bodies_are_bytes(f: Fixture) {
    let w = f.writer().await;
    let body: Vec<u8> = (0..=255).collect();
    let name = Buffer(bytes::Bytes::from_static(b"#\xff\x00'\""));
    let entry = NewEntry {
        body: body.clone().into(),
        source: b"\xfe!\x00"[..].into(),
        meta: body.clone().into(),
        buffers: [name.clone()].into_iter().collect(),
        ..message("")
    };
    f.put(&w, entry.clone()).await;
    f.history.settle().await.unwrap();
    let read = f.history.page(f.account, f.stream, &name, ALL, Kinds::ALL, 9).await.unwrap();
    assert_eq!((&read[0].body, &read[0].source, &read[0].meta), (&entry.body, &entry.source, &entry.meta));
    f.history.redact(f.account, f.stream, &read[0].msgid).await.unwrap();
}

async fn health_is_good(f: Fixture) {
    let w = f.writer().await;
    f.put(&w, message("x")).await;
    let health = f.history.health().await;
    assert!(health.writable && health.last_error.is_none() && health.queued == 0, "{health:?}");
    assert!(health.appended == 1 && health.commits >= 1, "{health:?}");
    f.history.close().await;
    assert!(matches!(f.history.append(&w, vec![message("x")]).await, Err(Error::Unavailable(_))));
}

async fn many_writers_at_once_each_keep_their_order(f: Fixture) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let history: History = f.history.clone();
        let account = f.account;
        tasks.spawn(async move {
            let stream = Uuid::new_v4().into();
            let w = history.open_stream(account, stream).await.unwrap();
            for n in 0..20u64 {
                let stored = history.append(&w, vec![message(&format!("{number} {n}"))]).await.unwrap();
                assert_eq!(stored[0].as_ref().unwrap().position.offset, n + 1);
            }
            let page = history.since(account, stream, Since::Start, Kinds::ALL, 100).await.unwrap();
            let read: Vec<_> = page.entries.iter().map(|e| e.body.clone()).collect();
            let said: Vec<_> = (0..20).map(|n| bytes::Bytes::from(format!("{number} {n}"))).collect();
            assert_eq!(read, said);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}
