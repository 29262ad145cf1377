//! `soju.im/bouncer-networks` and `BouncerServ`.

use bouncer_core::{Input, NetworkChange, Request, SaslChange};

use crate::world::{NET, OTHER, World, setup};

const CAPS: &[&str] = &["batch", "soju.im/bouncer-networks", "soju.im/bouncer-networks-notify"];

fn world() -> World {
    let mut world = World::with(vec![setup(NET, "testnet"), setup(OTHER, "othernet")]);
    world.attach(1, 1, CAPS);
    world
}

#[test]
fn an_unbound_client_is_told_its_networks_and_their_changes() {
    let mut world = world();
    let got = world.take(1);
    let told: Vec<_> = got.iter().filter(|line| line.contains("BOUNCER NETWORK")).collect();
    assert_eq!(told.len(), 2);
    assert!(told[0].contains(
        "name=testnet;state=disconnected;error;host=irc.testnet.test;port=6697;tls=1;nickname=alice"
    ));
    assert!(got.iter().any(|line| line.contains(" BOUNCER_NETID ")));
    world.connect(&[]);
    assert_eq!(world.take(1), [format!(":irc.now BOUNCER NETWORK {NET} state=connected;error")]);
    let mut other = setup(OTHER, "othernet");
    other.host = "elsewhere".into();
    world.input(Input::Network(Box::new(other)));
    assert_eq!(world.take(1), [format!(":irc.now BOUNCER NETWORK {OTHER} host=elsewhere")]);
    world.input(Input::NetworkGone { network: OTHER });
    assert_eq!(world.take(1), [format!(":irc.now BOUNCER NETWORK {OTHER} *")]);
}

#[test]
fn networks_are_listed_added_changed_and_deleted() {
    let mut world = world();
    world.take(1);
    world.say(1, "BOUNCER LISTNETWORKS");
    let got = world.take(1);
    assert!(got[0].ends_with(" soju.im/bouncer-networks") && got.len() == 4, "{got:?}");
    world.say(1, "BOUNCER ADDNETWORK host=irc.new.net;nickname=me;tls=0");
    let (id, request) = world.requests.remove(0);
    let expected = NetworkChange {
        name: Some("new".into()),
        host: Some("irc.new.net".into()),
        nick: Some("me".into()),
        tls: Some(false),
        ..NetworkChange::default()
    };
    assert_eq!(request, Request::AddNetwork(expected));
    world.input(Input::Reply { id, result: Ok(NET) });
    assert_eq!(world.take(1), [format!(":irc.now BOUNCER ADDNETWORK {NET}")]);
    world.say(1, &format!("BOUNCER DELNETWORK {OTHER}"));
    let (id, request) = world.requests.remove(0);
    assert_eq!(request, Request::DeleteNetwork(OTHER));
    world.input(Input::Reply { id, result: Err("No.".into()) });
    assert_eq!(world.take(1), [format!(":irc.now FAIL BOUNCER UNKNOWN_ERROR DELNETWORK {OTHER} :No.")]);
}

#[test]
fn mistakes_are_answered_with_the_codes_of_the_specification() {
    let mut world = world();
    world.take(1);
    for (line, fail) in [
        ("BOUNCER DANCE", "UNKNOWN_COMMAND DANCE"),
        ("BOUNCER BIND 1", "REGISTRATION_IS_COMPLETED BIND"),
        ("BOUNCER ADDNETWORK name=x", "NEED_ATTRIBUTE ADDNETWORK host"),
        ("BOUNCER ADDNETWORK host=x;state=connected", "READ_ONLY_ATTRIBUTE ADDNETWORK * state"),
        ("BOUNCER ADDNETWORK host=x;port=many", "INVALID_ATTRIBUTE ADDNETWORK * port"),
        ("BOUNCER ADDNETWORK host=x;colour=red", "UNKNOWN_ATTRIBUTE ADDNETWORK * colour"),
        ("BOUNCER CHANGENETWORK 1 name=x", "INVALID_NETID CHANGENETWORK 1"),
        ("BOUNCER DELNETWORK 1", "INVALID_NETID DELNETWORK 1"),
    ] {
        world.say(1, line);
        let got = world.take(1);
        assert!(got.len() == 1 && got[0].contains(&format!("FAIL BOUNCER {fail} :")), "{line}: {got:?}");
    }
}

#[test]
fn bind_takes_the_network_of_that_id() {
    let mut world = World::with(vec![setup(NET, "testnet"), setup(OTHER, "othernet")]);
    let attach = |bind: String| bouncer_core::Attach {
        device: bouncer_core::DeviceId(uuid::Uuid::from_u128(1)),
        network: None,
        bind: Some(bind),
        client: None,
        nick: b"al".to_vec(),
        caps: crate::world::named(CAPS),
        cursors: Vec::new(),
    };
    world.input(Input::Attach { conn: bouncer_core::ConnId(1), attach: attach(OTHER.to_string()) });
    world.run();
    assert!(world.take(1)[0].contains("Welcome to othernet"));
    world.input(Input::Attach { conn: bouncer_core::ConnId(2), attach: attach("nonsense".into()) });
    assert!(world.take(2)[0].contains("FAIL BOUNCER INVALID_NETID BIND nonsense"));
    assert!(world.closed.contains_key(&bouncer_core::ConnId(2)));
}

fn tell(world: &mut World, text: &str) -> Vec<String> {
    world.say(1, &format!("PRIVMSG BouncerServ :{text}"));
    let lines = world.taken(1, ":BouncerServ!");
    lines.into_iter().filter_map(|line| line.split_once(" :").map(|(_, text)| text.to_owned())).collect()
}

#[test]
fn bouncerserv_manages_networks_channels_and_log_ins() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.take(1);
    assert!(tell(&mut world, "help").len() > 10);
    assert!(tell(&mut world, "network status")[0].contains("connected as alice, 1 channels"));
    assert_eq!(tell(&mut world, "channel status"), ["#c [joined]"]);
    world.take_sent();
    assert_eq!(tell(&mut world, "channel create #new -key k"), ["#new is kept on testnet."]);
    assert_eq!(world.take_sent(), ["JOIN #new :k"]);
    assert_eq!(world.saved.len(), 2);
    assert_eq!(tell(&mut world, "channel delete #c"), ["#c is no longer kept on testnet."]);
    assert_eq!(world.take_sent(), ["PART :#c"]);
    assert!(tell(&mut world, "sasl set-plain al 'my secret'").is_empty());
    let (id, request) = world.requests.remove(0);
    let sasl = SaslChange::Plain { account: "al".into(), password: "my secret".into() };
    assert_eq!(
        request,
        Request::ChangeNetwork(NET, NetworkChange { sasl: Some(sasl), ..NetworkChange::default() })
    );
    world.input(Input::Reply { id, result: Ok(NET) });
    assert!(world.take(1)[0].contains("The network testnet logs in with that account"));
    assert!(tell(&mut world, "network create -addr irc.x.org:7000 -enabled false").is_empty());
    assert!(matches!(world.requests.remove(0).1, Request::AddNetwork(change)
        if change.name.as_deref() == Some("x") && change.port == Some(7000) && change.enabled == Some(false)));
    for wrong in [
        "dance",
        "network create",
        "network update nonet -nick x",
        "channel create nochannel",
        "sasl set-plain x",
    ] {
        assert_eq!(tell(&mut world, wrong).len(), 1, "{wrong} is answered in one sentence");
    }
}

#[test]
fn a_connection_without_a_network_has_no_targets_which_is_no_error() {
    let mut world = World::with(vec![setup(NET, "testnet"), setup(OTHER, "othernet")]);
    world.attach_as(1, 1, &[CAPS, &["draft/chathistory"]].concat(), None);
    world.take(1);
    world.say(
        1,
        "CHATHISTORY TARGETS timestamp=2020-01-01T00:00:00.000Z timestamp=2030-01-01T00:00:00.000Z 10",
    );
    world.run();
    let got = world.take(1);
    assert!(got.len() == 2 && got[0].ends_with(" draft/chathistory-targets"), "{got:?}");
}
