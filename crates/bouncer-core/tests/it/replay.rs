//! Seen, replay on attach, and slow readers.

use bouncer_core::{ConnId, DeviceId, Input};
use uuid::Uuid;

use crate::world::{NET, World};

fn bodies(lines: Vec<String>) -> Vec<String> {
    let said = lines.into_iter().filter(|line| line.contains(" PRIVMSG ") || line.contains(" NOTICE #"));
    said.filter_map(|line| line.rsplit_once(" :").map(|(_, body)| body.to_owned())).collect()
}

#[test]
fn what_was_said_while_a_device_was_away_comes_when_it_is_back_state_first() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.detach(1, true);
    world.said(":bob!b@h PRIVMSG #c :one");
    world.said(":dave!d@h JOIN #c");
    world.said(":bob!b@h NOTICE #c :two");
    world.said(":bob!b@h PRIVMSG alice :\u{1}ACTION waves\u{1}");
    world.attach(2, 1, &[]);
    world.pong(2);
    let got = world.take(2);
    let names = got.iter().position(|line| line.contains(" 366 ")).unwrap();
    let first = got.iter().position(|line| line.contains("PRIVMSG")).unwrap();
    assert!(names < first, "the present state comes first");
    assert!(!got.iter().any(|line| line.contains("dave!d@h JOIN")));
    assert_eq!(bodies(got), ["one", "two", "\u{1}ACTION waves\u{1}"]);
    world.detach(2, true);
    world.attach(3, 1, &[]);
    assert!(bodies(world.take(3)).is_empty(), "after a clean detach it is exact");
}

#[test]
fn a_client_with_chathistory_asks_for_itself() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &["draft/chathistory"]);
    world.detach(1, true);
    world.said(":bob!b@h PRIVMSG #c :one");
    world.attach(2, 1, &["draft/chathistory"]);
    let got = world.take(2);
    assert!(bodies(got.clone()).is_empty());
    assert!(!got.iter().any(|line| line.starts_with("PING")));
}

#[test]
fn what_was_answered_is_seen_and_the_tail_of_a_cut_comes_again() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.take(1);
    world.tick(1_000);
    world.said(":bob!b@h PRIVMSG #c :one");
    world.pong(1);
    world.take(1);
    world.tick(1_000);
    world.said(":bob!b@h PRIVMSG #c :two");
    world.detach(1, false);
    world.attach(2, 1, &[]);
    assert_eq!(bodies(world.take(2)), ["two"]);
}

#[test]
fn at_most_one_ping_is_unanswered_and_its_token_may_come_in_any_parameter() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.take(1);
    world.tick(1_000);
    for body in ["one", "two", "three"] {
        world.said(&format!(":bob!b@h PRIVMSG #c :{body}"));
        world.tick(3_000);
    }
    let got = world.take(1);
    let pings: Vec<_> = got.iter().filter_map(|line| line.strip_prefix("PING :")).collect();
    assert_eq!(pings.len(), 1, "{got:?}");
    world.say(1, &format!("PONG {} whatever", pings[0]));
    assert_eq!(world.taken(1, "PING").len(), 1, "the rest wants an answer too");
    assert!(world.take_sent().iter().all(|line| !line.contains("PONG")), "never relayed");
    assert_eq!(world.seen[&(DeviceId(Uuid::from_u128(1)), NET)].position.offset, 2);
}

#[test]
fn connections_of_one_device_share_the_cursor_of_the_slowest() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.attach(2, 1, &[]);
    assert!(world.take(2).iter().any(|line| line.contains("user/network@name")));
    world.tick(1_000);
    world.said(":bob!b@h PRIVMSG #c :one");
    world.pong(2);
    world.detach(2, true);
    world.detach(1, false);
    world.attach(3, 1, &[]);
    assert_eq!(bodies(world.take(3)), ["one"], "the slow one never answered");
}

#[test]
fn devices_have_cursors_of_their_own() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.attach(2, 2, &[]);
    world.detach(1, true);
    world.said(":bob!b@h PRIVMSG #c :one");
    world.detach(2, true);
    world.attach(3, 1, &[]);
    world.attach(4, 2, &[]);
    assert_eq!(bodies(world.take(3)), ["one"]);
    assert!(bodies(world.take(4)).is_empty());
}

#[test]
fn a_slow_reader_is_refilled_with_the_very_lines_it_would_have_got_live() {
    let caps = &["server-time", "message-tags", "extended-join", "draft/chathistory"];
    let mut world = World::connected(&["extended-join", "message-tags"]);
    world.attach(1, 1, caps);
    world.attach(2, 2, caps);
    world.take(1);
    world.take(2);
    world.input(Input::Lagging { conn: ConnId(2) });
    for line in [
        ":dave!d@h JOIN #c dacc :Dave",
        ":dave!d@h PRIVMSG #c :hi",
        ":bob!b@h NICK robert",
        ":carol!c@h MODE #c +o robert",
        ":carol!c@h KICK #c dave :bye",
        ":carol!c@h TOPIC #c :new",
        ":robert!b@h PART #c",
        ":carol!c@h QUIT :gone",
    ] {
        world.said(line);
    }
    let live = world.take(1);
    assert!(world.take(2).is_empty(), "nothing is pushed to a queue that is over its limit");
    world.input(Input::Drained { conn: ConnId(2) });
    world.run();
    assert_eq!(world.take(2), live);
    assert_eq!(live.len(), 8);
}

#[test]
fn a_slow_reader_gets_its_answers_and_what_changed_once_it_has_caught_up() {
    let caps = &["away-notify", "account-notify", "draft/chathistory", "message-tags"];
    let mut world = World::connected(caps);
    world.attach(1, 1, caps);
    world.take(1);
    world.input(Input::Lagging { conn: ConnId(1) });
    world.say(1, "NAMES #c");
    world.line(":bob!b@h AWAY :lunch");
    world.line(":bob!b@h ACCOUNT bobby");
    world.line("@+typing=active :bob!b@h TAGMSG #c");
    world.said(":bob!b@h PRIVMSG #c :one");
    assert!(world.take(1).is_empty());
    world.input(Input::Drained { conn: ConnId(1) });
    world.run();
    let got = world.take(1);
    let at = |what: &str| {
        got.iter().position(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {got:#?}"))
    };
    assert!(at("PRIVMSG #c :one") < at(" 353 "));
    assert!(at(" 366 ") < at(":bob!b@h AWAY"));
    at(":bob!b@h ACCOUNT :bobby");
    assert!(!got.iter().any(|line| line.contains("TAGMSG")), "typing is dropped");
}

#[test]
fn replay_goes_on_over_many_pages_while_lines_flow() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.detach(1, true);
    for n in 0..950 {
        world.said(&format!(":bob!b@h PRIVMSG #c :{n}"));
    }
    world.attach_as(2, 1, &[], None);
    for n in 950..1_000 {
        world.line(&format!(":bob!b@h PRIVMSG #c :{n}"));
        world.commit_one();
        world.answer_one();
    }
    world.run();
    let expected: Vec<_> = (0..1_000).map(|n| n.to_string()).collect();
    assert_eq!(bodies(world.take(2)), expected);
}

#[test]
fn a_log_that_cannot_be_read_moves_no_cursor() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.detach(1, true);
    world.said(":bob!b@h PRIVMSG #c :one");
    world.mood = crate::world::Mood::Refuses;
    world.attach(2, 1, &[]);
    assert!(world.taken(2, "NOTICE").iter().any(|line| line.contains("cannot be read")));
    world.mood = crate::world::Mood::Well;
    world.said(":bob!b@h PRIVMSG #c :two");
    world.pong(2);
    world.detach(2, true);
    world.attach(3, 1, &[]);
    assert_eq!(bodies(world.take(3)), ["one", "two"]);
}
