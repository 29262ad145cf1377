//! The upstream: state, reconnects, answers to whoever asked, trouble in plain words.

use bouncer_core::{Cap, CapSet, Effect, Input};

use crate::world::{NET, World, setup};

#[test]
fn channels_and_keys_are_kept_and_joined_again() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.say(1, "JOIN #secret key");
    world.said(":alice!al@host JOIN #secret");
    assert_eq!(world.saved[1].key.as_deref(), Some("key"));
    world.said(":alice!al@host PART #c");
    assert_eq!(world.saved.len(), 1);
    world.said(":op!o@h KICK #secret alice :out");
    world.input(Input::UpstreamDown { network: NET, reason: "It broke.", needs_user: false });
    assert!(
        world.taken(1, "NOTICE").iter().any(|line| line.contains("Disconnected from testnet: It broke."))
    );
    world.take_sent();
    world.connect(&[]);
    assert!(world.take_sent().contains(&"JOIN #secret key".to_owned()), "kept after a kick");
}

#[test]
fn a_changed_list_of_channels_is_followed_at_once() {
    let mut world = World::connected(&[]);
    world.take_sent();
    let mut network = setup(NET, "testnet");
    network.channels.push(bouncer_core::SavedChannel { name: "#new".into(), key: Some("k".into()) });
    world.input(Input::Network(Box::new(network)));
    assert_eq!(world.take_sent(), ["JOIN #new :k", "PART :#c"]);
}

#[test]
fn we_are_away_from_the_first_moment_if_nobody_is_attached() {
    let mut world = World::with(vec![setup(NET, "testnet")]);
    world.connect(&[]);
    assert!(world.take_sent().contains(&"AWAY :Not at a keyboard right now".to_owned()));
}

#[test]
fn a_reconnect_without_upstream_history_leaves_a_visible_gap_marker() {
    let mut world = World::connected(&[]);
    world.input(Input::UpstreamDown { network: NET, reason: "", needs_user: false });
    world.now += 60_000;
    world.connect(&[]);
    world.run();
    world.attach(1, 1, &["batch", "draft/chathistory"]);
    world.take(1);
    world.say(1, "CHATHISTORY LATEST #c * 10");
    world.run();
    let got = world.take(1);
    assert!(
        got.iter().any(|line| line.contains("NOTICE #c :Not connected to testnet from 2023-11-14 22:13 UTC")),
        "{got:?}"
    );
}

/// The gap markers that a page of a buffer shows.
fn markers(world: &mut World, conn: u64, buffer: &str) -> Vec<String> {
    world.take(conn);
    world.say(conn, &format!("CHATHISTORY LATEST {buffer} * 10"));
    world.run();
    world.taken(conn, &format!("NOTICE {buffer} :"))
}

#[test]
fn a_conversation_with_one_other_has_its_gap_marker_too() {
    let mut before = setup(NET, "testnet");
    before.newest = Some(bouncer_core::Cursor { ts_ms: 1_699_999_999_000, ..Default::default() });
    before.queries = vec![(b"kept".to_vec(), 1_699_999_999_000), (b"longago".to_vec(), 1_600_000_000_000)];
    let mut world = World::with(vec![before]);
    world.connect(&[]);
    world.join("#c");
    world.said(":Bob!b@h PRIVMSG alice :psst");
    world.input(Input::UpstreamDown { network: NET, reason: "", needs_user: false });
    world.now += 60_000;
    world.connect(&[]);
    world.run();
    world.attach(1, 1, &["batch", "draft/chathistory"]);
    assert_eq!(markers(&mut world, 1, "Bob").len(), 1);
    assert_eq!(markers(&mut world, 1, "kept").len(), 2, "after the start and after the reconnect");
    assert!(markers(&mut world, 1, "longago").is_empty(), "at rest");
}

#[test]
fn conversations_an_upstream_does_not_list_are_a_visible_gap() {
    let caps = &["draft/chathistory", "batch", "server-time", "message-tags"];
    let mut world = World::connected(caps);
    world.said(":bob!b@h PRIVMSG alice :psst");
    world.input(Input::UpstreamDown { network: NET, reason: "", needs_user: false });
    world.now += 60_000;
    world.connect(caps);
    world.line(":srv FAIL CHATHISTORY MESSAGE_ERROR TARGETS :No");
    world.run();
    world.attach(1, 1, &["batch", "draft/chathistory"]);
    assert_eq!(markers(&mut world, 1, "bob").len(), 1);
}

#[test]
fn a_long_list_of_conversations_is_asked_for_page_by_page() {
    let caps = &["draft/chathistory", "batch", "server-time", "message-tags"];
    let mut world = World::connected(caps);
    world.line(":srv 005 alice CHATHISTORY=2 :are supported");
    world.input(Input::UpstreamDown { network: NET, reason: "", needs_user: false });
    world.now += 60_000;
    world.connect(caps);
    world.line(":srv 005 alice CHATHISTORY=2 :are supported");
    world.take_sent();
    world.line(":srv BATCH +t draft/chathistory-targets");
    world.line("@batch=t :srv CHATHISTORY TARGETS bob 2023-11-14T22:13:40.000Z");
    world.line("@batch=t :srv CHATHISTORY TARGETS carol 2023-11-14T22:13:41.000Z");
    world.line(":srv BATCH -t");
    let sent = world.take_sent();
    assert!(sent[0].starts_with("CHATHISTORY TARGETS timestamp=2023-11-14T22:13:40.999Z"), "{sent:?}");
    world.line(":srv BATCH +t draft/chathistory-targets");
    world.line("@batch=t :srv CHATHISTORY TARGETS carol 2023-11-14T22:13:41.000Z");
    world.line(":srv BATCH -t");
    for name in ["bob", "carol"] {
        let sent = world.take_sent();
        assert!(sent.len() == 1 && sent[0].starts_with(&format!("CHATHISTORY AFTER {name} ")), "{sent:?}");
        world.line(&format!(":srv BATCH +p chathistory {name}"));
        world.line(":srv BATCH -p");
    }
    assert!(world.take_sent().is_empty(), "each of them once");
}

#[test]
fn what_was_missed_is_fetched_by_the_upstreams_own_history_once() {
    let caps = &["draft/chathistory", "batch", "server-time", "message-tags"];
    let mut world = World::connected(caps);
    world.said("@msgid=a;time=2023-11-14T22:13:20.000Z :bob!b@h PRIVMSG #c :before");
    world.input(Input::UpstreamDown { network: NET, reason: "", needs_user: false });
    world.now += 60_000;
    world.take_sent();
    world.connect(caps);
    let sent = world.take_sent();
    assert!(
        sent.iter().any(|line| line.starts_with("CHATHISTORY TARGETS timestamp=2023-11-14T22:13:1")),
        "{sent:?}"
    );
    world.line(":srv BATCH +t draft/chathistory-targets");
    world.line("@batch=t :srv CHATHISTORY TARGETS bob 2023-11-14T22:13:40.000Z");
    world.line(":srv BATCH -t");
    assert!(world.take_sent()[0].starts_with("CHATHISTORY AFTER bob timestamp="));
    world.line(":srv BATCH +p chathistory bob");
    world.line("@batch=p;msgid=d;time=2023-11-14T22:13:40.000Z :bob!b@h PRIVMSG alice :psst");
    world.line(":srv BATCH -p");
    world.join("#c");
    assert!(world.take_sent()[0].starts_with("CHATHISTORY AFTER #c timestamp="));
    world.line(":srv BATCH +h chathistory #c");
    world.line("@batch=h;msgid=a;time=2023-11-14T22:13:20.900Z :bob!b@h PRIVMSG #c :before");
    world.line("@batch=h;msgid=b;time=2023-11-14T22:13:50.000Z :bob!b@h PRIVMSG #c :between");
    world.line(":srv BATCH -h");
    world.run();
    world.attach(1, 1, &["batch", "draft/chathistory"]);
    world.take(1);
    world.say(1, "CHATHISTORY LATEST #c * 10");
    world.say(1, "CHATHISTORY LATEST bob * 10");
    world.run();
    let got = world.taken(1, "PRIVMSG");
    let bodies: Vec<_> = got.iter().map(|line| line.rsplit_once(" :").unwrap().1).collect();
    assert_eq!(bodies, ["before", "between", "psst"]);
}

/// What the log says is missing.
fn noted(world: &World) -> Option<i64> {
    let entries: Vec<_> = world.logs[&NET].entries.iter().map(|(stored, _)| stored.entry.clone()).collect();
    bouncer_core::missing_since(entries.iter().filter(|entry| entry.kind == bouncer_core::Kind::Gap))
}

#[test]
fn a_process_that_dies_while_it_fetches_leaves_word_of_what_is_missing() {
    let caps = &["draft/chathistory", "batch", "server-time", "message-tags"];
    let mut world = World::connected(caps);
    world.said("@msgid=a;time=2023-11-14T22:13:20.000Z :bob!b@h PRIVMSG #c :before");
    assert_eq!(noted(&world), None);
    world.input(Input::UpstreamDown { network: NET, reason: "", needs_user: false });
    world.now += 60_000;
    world.connect(caps);
    world.line(":srv BATCH +t draft/chathistory-targets");
    world.line(":srv BATCH -t");
    world.join("#c");
    world.said("@msgid=z;time=2023-11-14T22:14:30.000Z :bob!b@h PRIVMSG #c :live, before the page came");
    world.run();
    assert_eq!(noted(&world), Some(1_700_000_000_000));
    world.line(":srv BATCH +h chathistory #c");
    world.line(":srv BATCH -h");
    world.now += 60_000;
    world.input(Input::Tick);
    world.run();
    assert_eq!(noted(&world), None);
}

#[test]
fn history_that_the_upstream_does_not_give_is_a_visible_gap() {
    let caps = &["draft/chathistory", "batch", "server-time", "message-tags"];
    let mut world = World::connected(caps);
    world.input(Input::UpstreamDown { network: NET, reason: "", needs_user: false });
    world.now += 60_000;
    world.connect(caps);
    world.line(":srv BATCH +t draft/chathistory-targets");
    world.line(":srv BATCH -t");
    world.join("#c");
    world.line(":srv FAIL CHATHISTORY MESSAGE_ERROR AFTER #c :Messages could not be retrieved");
    world.run();
    world.attach(1, 1, &["batch", "draft/chathistory"]);
    world.take(1);
    world.say(1, "CHATHISTORY LATEST #c * 10");
    world.run();
    let got = world.take(1);
    assert!(got.iter().any(|line| line.contains("NOTICE #c :What was said between")), "{got:?}");
}

#[test]
fn the_wanted_nick_is_taken_back_when_it_is_free() {
    let mut world = World::with(vec![setup(NET, "testnet")]);
    world.input(Input::UpstreamUp { network: NET, nick: b"alice_", caps: CapSet::EMPTY });
    for line in
        [":srv 001 alice_ :hi", ":srv 005 alice_ MONITOR=10 :are supported", ":srv 422 alice_ :No MOTD"]
    {
        world.line(line);
    }
    assert!(world.take_sent().contains(&"MONITOR + :alice".to_owned()));
    world.line(":srv 731 alice_ :alice");
    assert_eq!(world.take_sent(), ["NICK :alice"]);
    world.attach(1, 1, &[]);
    world.take(1);
    world.said(":alice_!al@h NICK :alice");
    assert_eq!(world.taken(1, "NICK"), [":alice_!al@h NICK alice"]);
    assert_eq!(world.take_sent().last().unwrap(), "MONITOR - :alice");
}

#[test]
fn a_nick_changed_by_somebody_else_is_told_and_asked_for_again_after_a_minute() {
    let mut world = World::connected(&[]);
    world.line(":srv 005 alice MONITOR=10 :are supported");
    world.attach(1, 1, &[]);
    world.take(1);
    world.take_sent();
    world.said(":alice!al@host NICK guest");
    let got = world.take(1);
    let at = |what: &str| got.iter().position(|line| line.contains(what)).unwrap();
    assert!(at(" NICK guest") < at("has changed your nick to guest"), "{got:?}");
    assert!(world.take_sent().is_empty(), "no quarrel");
    world.tick(60_000);
    assert!(world.take_sent().contains(&"MONITOR + :alice".to_owned()));
    world.line(":srv 731 guest :alice");
    assert_eq!(world.take_sent(), ["NICK :alice"]);
}

#[test]
fn a_nick_of_ours_is_followed_though_the_answer_names_the_new_one_as_its_source() {
    let mut world = World::connected(&["labeled-response", "batch"]);
    world.join("#c");
    world.attach(1, 1, &[]);
    world.take(1);
    world.take_sent();
    world.say(1, "NICK alicia");
    let sent = world.take_sent();
    let (label, _) = sent[0].strip_prefix("@label=").and_then(|line| line.split_once(' ')).unwrap();
    world.said(&format!("@label={label} :alicia!al@host NICK :alicia"));
    let got = world.taken(1, "NICK");
    assert!(got[0].starts_with(":alice!") && got[0].ends_with(" NICK alicia"), "{got:?}");
    world.said(":bob!b@h PRIVMSG alicia :hello");
    assert_eq!(world.taken(1, "PRIVMSG"), [":bob!b@h PRIVMSG alicia :hello"]);
}

#[test]
fn a_kick_is_told_in_plain_words() {
    let mut world = World::connected(&[]);
    world.join("#c");
    world.attach(1, 1, &[]);
    world.take(1);
    world.said(":op!o@h KICK #c alice :enough");
    let got = world.take(1);
    let at = |text: &str| got.iter().position(|line| line.contains(text));
    let told = at("op has removed you from #c on testnet. To go back: /join #c. They said: enough");
    assert!(at("KICK #c alice") < told && at("KICK #c alice").is_some(), "{got:?}");
}

#[test]
fn a_nick_chosen_on_a_device_is_kept_once_the_upstream_gives_it() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.take(1);
    world.other.clear();
    world.say(1, "NICK taken");
    world.line(":srv 433 alice taken :Nickname is already in use");
    assert_eq!(world.taken(1, "433"), [":srv 433 alice taken :Nickname is already in use"]);
    world.say(1, "NICK alicia");
    world.said(":alice!al@host NICK alicia");
    let saved = |effect: &Effect| matches!(effect, Effect::SaveNick { nick, .. } if nick == "alicia");
    assert_eq!(world.other.iter().filter(|effect| saved(effect)).count(), 1);
}

#[test]
fn answers_reach_only_whoever_asked() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.attach(2, 2, &[]);
    world.take(1);
    world.take(2);
    world.say(2, "WHOIS bob");
    world.line(":srv 311 alice bob b h * :Bob");
    world.line(":srv 318 alice bob :End");
    world.say(1, "JOIN #full");
    world.line(":srv 471 alice #full :Cannot join channel (+l)");
    assert_eq!(world.take(2).len(), 2);
    assert_eq!(world.take(1), [":srv 471 alice #full :Cannot join channel (+l)"]);
}

#[test]
fn labelled_answers_find_their_way_back_in_a_batch() {
    let caps = &["labeled-response", "batch"];
    let mut world = World::connected(caps);
    world.attach(1, 1, caps);
    world.attach(2, 2, &[]);
    world.take(1);
    world.take(2);
    world.take_sent();
    world.say(1, "@label=L WHOIS bob");
    assert_eq!(world.take_sent(), ["@label=b1 WHOIS bob"]);
    world.line("@label=b1 :srv BATCH +r labeled-response");
    world.line("@batch=r :srv 311 alice bob b h * :Bob");
    world.line("@batch=r :srv 318 alice bob :End");
    world.line(":srv BATCH -r");
    let got = world.take(1);
    assert!(got[0].starts_with("@label=L :srv BATCH +") && got[0].ends_with(" labeled-response"), "{got:?}");
    assert!(got[1].starts_with("@batch=") && got[1].ends_with(":srv 311 alice bob b h * Bob"), "{got:?}");
    assert!(got[3].starts_with(":srv BATCH -"));
    assert!(world.take(2).is_empty());
}

#[test]
fn capabilities_come_and_go_with_the_upstream() {
    let mut world = World::connected(&["away-notify", "chghost"]);
    world.attach(1, 1, &[]);
    let offers = |world: &mut World| -> Vec<CapSet> {
        let all = std::mem::take(&mut world.other);
        all.into_iter()
            .filter_map(|effect| match effect {
                Effect::Offer { caps, .. } => Some(caps),
                _ => None,
            })
            .collect()
    };
    let named = |caps: CapSet| caps.has(Cap::AwayNotify);
    assert!(named(offers(&mut world)[0]));
    world.input(Input::UpstreamDown { network: NET, reason: "", needs_user: false });
    assert!(!named(offers(&mut world)[0]));
    world.connect(&["away-notify"]);
    assert!(named(offers(&mut world)[0]));
}

#[test]
fn monitor_is_the_union_of_what_the_devices_watch() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.attach(2, 2, &[]);
    world.take(1);
    world.take(2);
    world.take_sent();
    world.say(1, "MONITOR + bob,carol");
    world.say(2, "MONITOR + Bob");
    assert_eq!(world.take_sent(), ["MONITOR + :bob,carol"]);
    world.line(":srv 730 alice :bob!b@h");
    assert_eq!(world.take(2), [":srv 730 alice bob!b@h"]);
    world.line(":srv 731 alice :carol");
    assert_eq!(world.take(2), Vec::<String>::new());
    world.say(2, "MONITOR S");
    assert_eq!(world.take(2), [":irc.now 730 alice :bob!b@h"]);
    world.detach(1, true);
    assert_eq!(world.take_sent(), ["MONITOR - :carol"]);
    world.say(2, "MONITOR C");
    assert_eq!(world.take_sent(), ["MONITOR - :bob"]);
}

#[test]
fn extended_monitor_tells_of_strangers_only_those_who_watch_them() {
    let caps = ["away-notify", "chghost", "setname", "extended-monitor"];
    let mut world = World::connected(&caps);
    world.attach(1, 1, &caps);
    world.attach(2, 2, &caps);
    world.attach(3, 3, &caps[..3]);
    world.say(1, "MONITOR + dora");
    world.say(3, "MONITOR + dora");
    (1..=3).for_each(|conn| _ = world.take(conn));
    let stranger =
        [":dora!d@h AWAY lunch", ":dora!d@h CHGHOST d there", ":dora!d@h SETNAME :Dora the Explorer"];
    for line in stranger {
        world.line(line);
    }
    assert_eq!(world.take(1), stranger);
    assert_eq!(world.take(2), Vec::<String>::new(), "it does not watch");
    assert_eq!(world.take(3), Vec::<String>::new(), "it does not know extended-monitor");
    world.line(":bob!b@h AWAY lunch");
    for conn in 1..=3 {
        assert_eq!(world.take(conn), [":bob!b@h AWAY lunch"], "bob is in a channel of ours");
    }
}

#[test]
fn a_rejoin_that_fails_is_told_in_plain_words() {
    let mut network = setup(NET, "testnet");
    network.channels.push(bouncer_core::SavedChannel { name: "#invited".into(), key: None });
    let mut world = World::with(vec![network]);
    world.attach(1, 1, &[]);
    world.take(1);
    world.connect(&[]);
    world.line(":srv 473 alice #invited :Cannot join channel (+i)");
    let told = world.taken(1, "#invited");
    assert!(told[0].contains("for invited people only"), "{told:?}");
}

#[test]
fn quits_and_nicks_are_logged_once_in_every_common_channel() {
    let mut world = World::connected(&[]);
    world.join("#d");
    world.said(":bob!b@h NICK rob");
    world.said(":rob!b@h QUIT :bye");
    let log = &world.logs[&NET].entries;
    for (stored, buffers) in &log[log.len() - 2..] {
        assert_eq!(buffers.len(), 2, "{:?}", stored.entry.kind);
    }
}

#[test]
fn what_an_upstream_had_no_room_for_is_told_in_words() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.take(1);
    world.input(Input::Unsent { network: NET, lines: 3 });
    world.run();
    let told = world.taken(1, "NOTICE");
    assert!(told[0].contains("3 lines did not go out: testnet"), "{told:?}");
}

#[test]
fn a_line_goes_to_those_whose_capabilities_ask_for_it_in_their_form() {
    let all = [
        "account-notify",
        "account-tag",
        "away-notify",
        "chghost",
        "echo-message",
        "extended-join",
        "invite-notify",
        "message-tags",
        "multi-prefix",
        "setname",
    ];
    for (cap, line, with, without) in [
        ("account-notify", ":bob!b@h ACCOUNT bobby", ":bob!b@h ACCOUNT :bobby", ""),
        (
            "account-tag",
            "@account=bobby :bob!b@h PRIVMSG #c :hi",
            "@account=bobby :bob!b@h PRIVMSG #c :hi",
            ":bob!b@h PRIVMSG #c :hi",
        ),
        ("away-notify", ":bob!b@h AWAY :lunch", ":bob!b@h AWAY :lunch", ""),
        ("chghost", ":bob!b@h CHGHOST new host.example", ":bob!b@h CHGHOST new :host.example", ""),
        ("extended-join", ":eve!e@h JOIN #c evie :Eve E", ":eve!e@h JOIN #c evie :Eve E", ":eve!e@h JOIN #c"),
        ("invite-notify", ":carol!c@h INVITE eve #c", ":carol!c@h INVITE eve :#c", ""),
        ("message-tags", "@+typing=active :bob!b@h TAGMSG #c", "@+typing=active :bob!b@h TAGMSG #c", ""),
        ("setname", ":bob!b@h SETNAME :Bob B", ":bob!b@h SETNAME :Bob B", ""),
    ] {
        let mut world = World::connected(&all);
        world.attach(1, 1, &[cap, "draft/chathistory"]);
        world.attach(2, 2, &["draft/chathistory"]);
        world.take(1);
        world.take(2);
        world.said(line);
        // Whether the last parameter has its colon says nothing.
        let plain = |lines: Vec<String>| lines.join("|").replace(" :", " ");
        assert_eq!(plain(world.take(1)), with.replace(" :", " "), "{cap}");
        assert_eq!(plain(world.take(2)), without.replace(" :", " "), "{cap} is not wanted");
    }
}

#[test]
fn all_prefixes_of_a_member_are_told_to_those_who_ask_for_them() {
    let mut world = World::connected(&["multi-prefix"]);
    world.said(":carol!c@h MODE #c +v carol");
    for (conn, caps, names) in [(1, &["multi-prefix"][..], "@+carol"), (2, &[], "@carol")] {
        world.attach(conn, conn.into(), caps);
        assert!(world.taken(conn, " 353 ")[0].contains(names), "{caps:?}");
    }
}
