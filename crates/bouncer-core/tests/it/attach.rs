//! A device attaches: what it is told, and which network it gets.

use bouncer_core::ConnId;

use crate::world::{NET, OTHER, World, setup};

#[test]
fn a_device_is_told_who_it_is_and_where() {
    let mut world = World::connected(&[]);
    world.said(":carol!c@h TOPIC #c :the topic");
    world.attach(1, 1, &[]);
    let got = world.take(1);
    assert!(got[0].starts_with(":irc.now 001 alice :Welcome to testnet"), "{}", got[0]);
    assert!(got.iter().any(|line| line.contains(" 005 alice ") && line.contains("CHATHISTORY=100")));
    assert!(got.iter().any(|line| line.contains("NETWORK=TestNet")));
    let at = |what: &str| {
        got.iter().position(|line| line.contains(what)).unwrap_or_else(|| panic!("{what} in {got:#?}"))
    };
    assert!(at(" 376 ") < at(":alice!al@host JOIN :#c"));
    assert!(at("JOIN :#c") < at(" 332 alice #c :the topic"));
    assert!(at(" 332 ") < at(" 353 alice = #c :"));
    assert!(at(" 353 ") < at(" 366 alice #c "));
    assert!(got[at(" 353 ")].contains("@carol"));
}

#[test]
fn a_device_without_implicit_names_is_told_no_names() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &["no-implicit-names"]);
    assert!(!world.take(1).iter().any(|line| line.contains(" 353 ")));
    world.say(1, "NAMES #C");
    let got = world.take(1);
    assert!(got.iter().any(|line| line.contains(" 353 alice = #c :")), "{got:?}");
}

#[test]
fn with_one_network_a_client_that_names_none_gets_it() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    assert!(world.take(1).iter().any(|line| line.contains("JOIN :#c")));
}

#[test]
fn with_several_networks_a_client_that_names_none_is_told_the_names() {
    let mut world = World::with(vec![setup(NET, "testnet"), setup(OTHER, "othernet")]);
    world.attach(1, 1, &[]);
    let told = world.taken(1, "NOTICE");
    assert!(told[0].contains("testnet, othernet") && told[0].contains("al/testnet"), "{told:?}");
    world.attach_as(2, 2, &[], Some("OtherNet"));
    world.run();
    assert!(world.take(2)[0].contains("Welcome to othernet"));
}

#[test]
fn an_unknown_network_is_refused_in_words() {
    let mut world = World::with(vec![setup(NET, "testnet")]);
    world.attach_as(1, 1, &[], Some("nonet"));
    assert_eq!(world.closed[&ConnId(1)], "You have no network nonet. Yours are: testnet.");
    assert!(world.take(1).is_empty());
}

#[test]
fn a_device_is_told_while_the_network_is_not_connected() {
    let mut world = World::with(vec![setup(NET, "testnet")]);
    world.attach(1, 1, &[]);
    let told = world.taken(1, "NOTICE");
    assert!(told[0].contains("testnet is not connected yet."), "{told:?}");
    world.say(1, "PRIVMSG #c :hello");
    assert!(world.take(1)[0].contains(" 404 alice #c :Not sent"));
}

#[test]
fn a_device_that_attaches_between_a_line_and_its_commit_sees_each_state_once() {
    let mut world = World::connected(&[]);
    world.line(":dave!d@h JOIN #c");
    world.attach_as(1, 1, &[], None);
    assert!(world.take(1).is_empty(), "its turn has not come");
    world.run();
    let got = world.take(1);
    assert!(got.iter().any(|line| line.contains("353") && line.contains("dave")));
    assert!(!got.iter().any(|line| line.contains(":dave!d@h JOIN")), "{got:#?}");
}

#[test]
fn away_is_said_while_nobody_is_there() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.take_sent();
    world.detach(1, true);
    assert_eq!(world.take_sent(), ["AWAY :Not at a keyboard right now"]);
    world.attach(2, 1, &[]);
    assert_eq!(world.take_sent(), ["AWAY"]);
    world.say(2, "AWAY :lunch");
    assert_eq!(world.take_sent(), ["AWAY :lunch"]);
    world.attach(3, 2, &[]);
    assert_eq!(world.take_sent(), ["AWAY"], "one of the devices is here");
}
