//! Nothing reaches a device before its commit, but everything does at once while the store does not keep the stream.

use crate::world::{Mood, NET, World};

const TAGS: &[&str] = &["message-tags", "server-time", "echo-message", "draft/chathistory"];

#[test]
fn a_logged_line_waits_for_its_commit_and_an_unlogged_one_for_those_before_it() {
    let mut world = World::connected(&["away-notify", "message-tags"]);
    world.attach(1, 1, &["away-notify", "message-tags"]);
    world.take(1);
    world.line(":bob!b@h PRIVMSG #c :one");
    world.line(":bob!b@h AWAY :gone");
    assert!(world.take(1).is_empty());
    world.commit_one();
    let got = world.take(1);
    assert!(got[0].ends_with(":bob!b@h PRIVMSG #c :one"), "{got:?}");
    assert!(got[1].ends_with(":bob!b@h AWAY gone"), "{got:?}");
}

#[test]
fn our_own_line_is_echoed_to_all_devices_after_its_commit() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &["echo-message"]);
    world.attach(2, 2, &[]);
    world.attach(3, 3, &[]);
    for conn in 1..=3 {
        world.take(conn);
    }
    world.say(2, "PRIVMSG #c :hi");
    assert_eq!(world.take_sent().last().unwrap(), "PRIVMSG #c :hi");
    assert!(world.take(1).is_empty(), "not before the commit");
    world.run();
    assert_eq!(world.taken(1, "PRIVMSG"), [":alice!al@host PRIVMSG #c :hi"]);
    assert!(world.taken(2, "PRIVMSG").is_empty(), "it shows its own line by itself");
    assert_eq!(world.taken(3, "PRIVMSG"), [":alice!al@host PRIVMSG #c :hi"]);
}

#[test]
fn the_upstreams_echo_is_the_receipt_where_it_has_one() {
    let caps = &["echo-message", "labeled-response", "batch", "message-tags", "server-time"];
    let mut world = World::connected(caps);
    world.attach(1, 1, caps);
    world.attach(2, 2, caps);
    world.take(1);
    world.take(2);
    world.take_sent();
    world.say(1, "@label=x;+draft/reply=m PRIVMSG #c :hi");
    assert_eq!(world.take_sent(), ["@label=b1;+draft/reply=m PRIVMSG #c :hi"]);
    world.run();
    assert!(world.take(1).is_empty());
    world.line("@label=b1;msgid=up1;time=2023-11-14T22:13:19.000Z :alice!al@host PRIVMSG #c :hi");
    world.run();
    let first = world.taken(1, "PRIVMSG");
    assert_eq!(first, ["@label=x;time=2023-11-14T22:13:19.000Z;msgid=up1 :alice!al@host PRIVMSG #c :hi"]);
    let second = world.taken(2, "PRIVMSG");
    assert_eq!(second, ["@time=2023-11-14T22:13:19.000Z;msgid=up1 :alice!al@host PRIVMSG #c :hi"]);
}

#[test]
fn msgids_are_the_same_on_all_devices_and_in_the_history() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, TAGS);
    world.attach(2, 2, TAGS);
    world.take(1);
    world.take(2);
    world.said(":bob!b@h PRIVMSG #c :one");
    let (first, second) = (world.take(1), world.take(2));
    assert_eq!(first, second);
    world.say(1, "CHATHISTORY LATEST #c * 10");
    world.run();
    let page = world.take(1);
    assert!(page.iter().any(|line| *line == first[0]), "{page:#?} has {first:?}");
}

#[test]
fn a_silent_store_stops_nothing_for_longer_than_half_a_second() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.pong(1);
    world.take(1);
    world.mood = Mood::Silent;
    world.line(":bob!b@h PRIVMSG #c :one");
    world.tick(499);
    assert!(world.take(1).is_empty());
    world.tick(1);
    let got = world.take(1);
    assert!(got[0].contains("history store does not answer"), "{got:?}");
    assert_eq!(got[1], ":bob!b@h PRIVMSG #c :one");
    assert_eq!(got.len(), 2, "no PING stands for a line without an offset: {got:?}");
    world.line(":bob!b@h PRIVMSG #c :two");
    assert_eq!(world.take(1), [":bob!b@h PRIVMSG #c :two"], "one notice a minute");
    world.mood = Mood::Well;
    world.run();
    world.tick(1_000);
    let got = world.take(1);
    assert!(got.len() == 1 && got[0].starts_with("PING"), "kept again, and everything was seen: {got:?}");
    world.said(":bob!b@h PRIVMSG #c :three");
    assert_eq!(world.taken(1, "PRIVMSG"), [":bob!b@h PRIVMSG #c :three"]);
    assert_eq!(world.logs[&NET].entries.len(), 4, "JOIN and three lines, stored late");
}

#[test]
fn a_store_that_refuses_is_tried_again_and_gets_the_lines_late_with_their_msgids() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, TAGS);
    world.take(1);
    world.mood = Mood::Refuses;
    world.said(":bob!b@h PRIVMSG #c :one");
    let live = world.taken(1, "PRIVMSG");
    assert_eq!(live.len(), 1);
    world.mood = Mood::Well;
    world.tick(1_000);
    world.run();
    let kept = &world.logs[&NET].entries.last().unwrap().0.entry;
    assert!(live[0].contains(&*kept.msgid));
    world.said(":bob!b@h PRIVMSG #c :two");
    assert_eq!(world.taken(1, "PRIVMSG").len(), 1);
}

#[test]
fn what_is_lost_is_counted_by_a_gap_marker_under_a_new_epoch() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.take(1);
    let before = world.logs[&NET].epoch;
    world.mood = Mood::Rejects;
    world.said(":bob!b@h PRIVMSG #c :one");
    assert_eq!(world.taken(1, "PRIVMSG"), [":bob!b@h PRIVMSG #c :one"]);
    world.mood = Mood::Well;
    world.tick(2_000);
    world.run();
    let log = &world.logs[&NET];
    assert!(log.epoch > before);
    let text = String::from_utf8_lossy(&log.entries.last().unwrap().0.entry.body);
    assert!(text.starts_with("1 lines"), "{text}");
}

#[test]
fn secrets_told_to_services_are_not_kept() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.say(1, "PRIVMSG NickServ :IDENTIFY hunter2");
    world.run();
    assert_eq!(world.take_sent().last().unwrap(), "PRIVMSG NickServ :IDENTIFY hunter2");
    assert_eq!(world.logs[&NET].entries.len(), 1, "only our JOIN");
}

#[test]
fn a_label_is_answered_even_where_the_echo_is_not_wanted() {
    let mut world = World::connected(&["labeled-response", "batch"]);
    world.attach(1, 1, &["labeled-response", "batch"]);
    world.take(1);
    world.say(1, "@label=z PRIVMSG #c :hi");
    assert!(world.take(1).is_empty(), "no receipt before the commit");
    world.run();
    assert_eq!(world.taken(1, "label"), ["@label=z :irc.now ACK"]);
}

#[test]
fn a_store_that_is_slow_but_answers_is_not_silent() {
    let mut world = World::connected(TAGS);
    world.attach(1, 1, TAGS);
    world.take(1);
    for n in 0..10 {
        world.line(&format!(":bob!b@h PRIVMSG #c :line {n}"));
    }
    // Together it takes far longer than the store may be silent.
    for n in 0..10 {
        world.tick(400);
        assert!(world.commit_one());
        let got = world.take(1);
        assert!(got.len() == 1 && got[0].ends_with(&format!("PRIVMSG #c :line {n}")), "{got:?}");
    }
}

#[test]
fn a_store_that_falls_hopelessly_behind_keeps_nobody_waiting_and_what_is_lost_is_counted() {
    let mut world = World::connected(TAGS);
    world.attach(1, 1, TAGS);
    world.take(1);
    // All within a moment: the store is not silent, only far too slow.
    for n in 0..19_999 {
        world.line(&format!("@msgid=m{n} :bob!b@h PRIVMSG #c :line {n}"));
    }
    assert!(world.take(1).is_empty());
    for n in 19_999..22_500 {
        world.line(&format!("@msgid=m{n} :bob!b@h PRIVMSG #c :line {n}"));
    }
    let got = world.take(1);
    assert!(got[0].contains("history store does not answer"), "{}", got[0]);
    assert_eq!(got.len(), 22_501, "everything goes out at once");
    assert_eq!(world.appends.len(), 20_000, "no more is under way");
    world.mood = Mood::Rejects;
    for _ in 0..20_000 {
        world.commit_one();
    }
    world.mood = Mood::Well;
    world.now += 1_000;
    world.tick(0);
    assert!(world.commit_one(), "the marker comes first");
    let marker = &world.logs[&NET].entries.last().unwrap().0.entry;
    assert!(String::from_utf8_lossy(&marker.body).starts_with("21500 lines"), "1,000 are stored late");
}
