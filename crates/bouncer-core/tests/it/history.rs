//! chathistory, read markers and search, as their specifications have them.

use crate::world::World;

const CAPS: &[&str] = &["batch", "server-time", "message-tags", "draft/chathistory"];

fn world() -> World {
    let mut world = World::connected(&["message-tags", "server-time"]);
    for n in 0..5 {
        world.now += 1_000;
        world.said(&format!("@msgid=m{n} :bob!b@h PRIVMSG #c :line {n}"));
    }
    world.said("@msgid=p1 :Bob!b@h PRIVMSG alice :psst");
    world.attach(1, 1, CAPS);
    world.take(1);
    world
}

fn ask(world: &mut World, line: &str) -> Vec<String> {
    world.say(1, line);
    world.run();
    world.take(1)
}

fn bodies(lines: &[String]) -> Vec<&str> {
    lines
        .iter()
        .filter(|line| line.contains("PRIVMSG"))
        .filter_map(|line| Some(line.rsplit_once(" :")?.1))
        .collect()
}

#[test]
fn pages_come_in_batches_in_time_order() {
    let mut world = world();
    let got = ask(&mut world, "CHATHISTORY LATEST #c * 2");
    assert!(got[0].starts_with(":irc.now BATCH +") && got[0].ends_with(" chathistory #c"), "{got:?}");
    let name = got[0].split('+').nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert!(got[1].starts_with(&format!("@batch={name};time=")), "{}", got[1]);
    assert_eq!(bodies(&got), ["line 3", "line 4"]);
    assert_eq!(got.last().unwrap(), &format!(":irc.now BATCH -{name}"));
    assert_eq!(bodies(&ask(&mut world, "CHATHISTORY before #c msgid=m2 10")), ["line 0", "line 1"]);
    assert_eq!(bodies(&ask(&mut world, "CHATHISTORY AFTER #C msgid=m2 10")), ["line 3", "line 4"]);
    assert_eq!(bodies(&ask(&mut world, "CHATHISTORY BETWEEN #c msgid=m0 msgid=m3 10")), ["line 1", "line 2"]);
    assert_eq!(bodies(&ask(&mut world, "CHATHISTORY LATEST bob * 10")), ["psst"]);
    assert_eq!(ask(&mut world, "CHATHISTORY LATEST #nowhere * 10").len(), 2, "an empty batch");
}

#[test]
fn targets_are_told_with_their_newest_time() {
    let mut world = world();
    let got = ask(
        &mut world,
        "CHATHISTORY TARGETS timestamp=2020-01-01T00:00:00.000Z timestamp=2030-01-01T00:00:00.000Z 10",
    );
    assert!(got[0].ends_with(" draft/chathistory-targets"));
    assert!(got.iter().any(|line| line.contains(" CHATHISTORY TARGETS #c 2023-11-14T")), "{got:?}");
    assert!(
        got.iter().any(|line| line.to_lowercase().contains(" chathistory targets bob 2023-11-14t")),
        "{got:?}"
    );
}

#[test]
fn mistakes_are_answered_with_the_codes_of_the_specification() {
    let mut world = world();
    for (line, fail) in [
        ("CHATHISTORY", "FAIL CHATHISTORY INVALID_PARAMS"),
        ("CHATHISTORY NONSENSE #c * 10", "FAIL CHATHISTORY INVALID_PARAMS NONSENSE :"),
        ("CHATHISTORY LATEST #c *", "FAIL CHATHISTORY INVALID_PARAMS LATEST :"),
        ("CHATHISTORY LATEST #c * 10 11", "FAIL CHATHISTORY INVALID_PARAMS LATEST :"),
        ("CHATHISTORY LATEST #c * many", "FAIL CHATHISTORY INVALID_PARAMS LATEST :"),
        ("CHATHISTORY LATEST #c * 0", "FAIL CHATHISTORY INVALID_PARAMS LATEST :"),
        ("CHATHISTORY BEFORE #c timestamp=yesterday 10", "FAIL CHATHISTORY INVALID_PARAMS BEFORE :"),
        ("CHATHISTORY BEFORE #c weight=3 10", "FAIL CHATHISTORY INVALID_MSGREFTYPE BEFORE :"),
        ("CHATHISTORY LATEST * * 10", "FAIL CHATHISTORY INVALID_TARGET LATEST * :"),
        ("MARKREAD", "FAIL MARKREAD NEED_MORE_PARAMS :"),
        ("MARKREAD #c yesterday", "FAIL MARKREAD INVALID_PARAMS #c yesterday :"),
        ("READ #c *", "FAIL READ INVALID_PARAMS #c * :"),
        ("SEARCH limit=none", "FAIL SEARCH INVALID_PARAMS limit :"),
    ] {
        let got = ask(&mut world, line);
        assert!(got.len() == 1 && got[0].contains(fail), "{line}: {got:?}");
    }
    world.mood = crate::world::Mood::Refuses;
    let got = ask(&mut world, "CHATHISTORY LATEST #c * 10");
    assert!(got[0].contains("FAIL CHATHISTORY MESSAGE_ERROR LATEST #c :"), "{got:?}");
}

#[test]
fn events_come_only_to_clients_that_can_play_them_back() {
    let mut world = world();
    world.said(":dave!d@h JOIN #c");
    world.take(1);
    let got = ask(&mut world, "CHATHISTORY LATEST #c * 50");
    assert!(!got.iter().any(|line| line.contains(" JOIN ")));
    world.attach(2, 2, &[CAPS, &["draft/event-playback"]].concat());
    world.take(2);
    world.say(2, "CHATHISTORY LATEST #c * 50");
    world.run();
    assert!(world.take(2).iter().any(|line| line.contains(":dave!d@h JOIN #c")));
}

#[test]
fn a_read_marker_is_told_to_all_devices_and_never_goes_back() {
    let mut world = world();
    let caps = &[CAPS, &["draft/read-marker"]].concat();
    world.attach(2, 2, caps);
    world.attach(3, 3, &[CAPS, &["soju.im/read"]].concat());
    let burst = world.take(2);
    let at = |what: &str| burst.iter().position(|line| line.contains(what)).unwrap();
    assert!(at("JOIN :#c") < at(":irc.now MARKREAD #c *") && at("MARKREAD #c *") < at(" 366 "));
    world.take(3);
    world.say(2, "MARKREAD #c timestamp=2023-11-14T22:13:21.000Z");
    assert!(world.take(2).is_empty(), "not before it is on disk");
    world.run();
    assert_eq!(world.take(2), [":irc.now MARKREAD #c timestamp=2023-11-14T22:13:21.000Z"]);
    assert_eq!(world.take(3), [":alice!al@host READ #c timestamp=2023-11-14T22:13:21.000Z"]);
    assert!(world.take(1).is_empty(), "it has not negotiated either");
    world.say(2, "MARKREAD #c timestamp=2023-11-14T22:13:20.000Z");
    world.run();
    assert_eq!(world.take(2), [":irc.now MARKREAD #c timestamp=2023-11-14T22:13:21.000Z"]);
    world.say(2, "MARKREAD bob");
    assert_eq!(world.take(2), [":irc.now MARKREAD bob *"]);
    world.attach(4, 4, caps);
    assert!(
        world.take(4).iter().any(|line| line.ends_with("MARKREAD #c timestamp=2023-11-14T22:13:21.000Z"))
    );
}

#[test]
fn a_search_answers_in_its_own_batch() {
    let mut world = world();
    let got = ask(&mut world, "SEARCH in=#c;text=line\\s3");
    assert!(got[0].ends_with(" soju.im/search"), "{got:?}");
    assert_eq!(bodies(&got), ["line 3"]);
    assert!(!got.iter().any(|line| line.contains("more matches")), "that is all: {got:?}");
}

#[test]
fn a_search_that_does_not_give_everything_says_so() {
    let mut world = world();
    let got = ask(&mut world, "SEARCH text=line;limit=2");
    assert_eq!(bodies(&got), ["line 3", "line 4"]);
    let said = got.last().unwrap();
    assert!(said.contains("NOTICE") && said.contains("before=2023-11-14T22:13:24.000Z"), "{got:?}");
    world.attach(2, 2, &[CAPS, &["standard-replies"]].concat());
    world.take(2);
    world.say(2, "SEARCH text=line;limit=2");
    world.run();
    let got = world.taken(2, "NOTE SEARCH MORE_RESULTS");
    assert!(got.len() == 1 && got[0].contains("before=2023-11-14T22:13:24.000Z"), "{got:?}");
}

#[test]
fn labels_come_back_on_answers_of_the_bouncer_itself() {
    let caps = &["labeled-response", "batch", "message-tags"];
    let mut world = World::connected(caps);
    world.attach(1, 1, &[CAPS, caps].concat());
    world.take(1);
    let got = ask(&mut world, "@label=h CHATHISTORY LATEST #c * 5");
    assert!(got[0].starts_with("@label=h :irc.now BATCH +"), "{got:?}");
    let got = ask(&mut world, "@label=f CHATHISTORY NO");
    assert!(got[0].starts_with("@label=f :irc.now FAIL CHATHISTORY"), "{got:?}");
}
