//! Upstreams that misbehave.

use std::time::Duration;

use contracts::{NetworkSpec, Phase, Sasl};
use entitlements::{Amount, Limit, Limits};
use service::dialer::HostPort;
use testkit::{Part, eventually};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{MODERN, World, spec};

/// An upstream that does what the test says.
pub struct Scripted {
    listener: TcpListener,
}

pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Scripted {
    pub async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Whether somebody waits to be taken in.
    pub fn is_knocked_at(&self) -> bool {
        let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
        self.listener.poll_accept(&mut nobody).is_ready()
    }

    async fn accept(&self) -> Connection {
        let (stream, _) = self.listener.accept().await.unwrap();
        Connection { stream: BufReader::new(stream) }
    }

    /// Takes a client through registration and gives it `nick`.
    pub async fn registered(&self, nick: &str) -> Connection {
        let mut connection = self.accept().await;
        connection.wait_for("USER ").await;
        connection.send(":up CAP * LS :server-time message-tags").await;
        connection.wait_for("CAP REQ").await;
        connection.send(":up CAP * ACK :server-time message-tags").await;
        connection.wait_for("CAP END").await;
        connection.welcome(nick).await;
        connection
    }
}

impl Connection {
    pub async fn send(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    }

    async fn welcome(&mut self, nick: &str) {
        for line in [
            "001 {} :Welcome",
            "005 {} CASEMAPPING=ascii PREFIX=(ov)@+ CHANTYPES=# :are supported",
            "376 {} :End",
        ] {
            self.send(&format!(":up {}", line.replace("{}", nick))).await;
        }
    }

    pub async fn wait_for(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(testkit::wait::PATIENCE, self.stream.read_line(&mut line)).await;
            assert!(matches!(read, Ok(Ok(n)) if n > 0), "waited for {text:?}, got {seen:?}");
            if line.starts_with("PING") {
                let pong = line.trim().replace("PING", ":up PONG up");
                self.send(&pong).await;
            }
            if line.contains(text) {
                return line.trim().to_owned();
            }
            seen.push(line);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_dies_and_comes_back_is_joined_again() {
    if Part::InspIrcd.find_or_skip().is_none() {
        return;
    }
    let world = World::new().await;
    let mut server = testkit::networks::inspircd().unwrap();
    let network = world.add_network("alice", "net", server.port(), &["#tea"]).await;
    world.connected("alice", &network).await;
    let mut device = world.device("alice", "").await;
    server.kill().unwrap();
    eventually("the loss is seen", || async {
        let now = world.calls().network(&world.call("alice"), network.id).await.unwrap();
        (now.state.phase != Phase::Connected && now.state.last_error.is_some()).then_some(())
    })
    .await;
    server.restart().unwrap();
    world.connected("alice", &network).await;
    eventually("the channel is joined again", || async {
        let now = world.calls().network(&world.call("alice"), network.id).await.unwrap();
        (now.state.channels == 1 && now.state.last_error.is_none()).then_some(())
    })
    .await;
    device.send("PRIVMSG #tea :back again").await.unwrap();
    device.send("PING :alive").await.unwrap();
    device.wait_for("alive").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_is_told_in_plain_words_and_left_alone_for_long() {
    let world = World::new().await;
    let upstream = Scripted::new().await;
    let network = world.add_network("alice", "net", upstream.port(), &[]).await;
    let mut connection = upstream.accept().await;
    connection.wait_for("USER ").await;
    connection.send("ERROR :Closing Link: alice[127.0.0.1] (Your host is trying to (re)connect too fast -- throttled)").await;
    drop(connection);
    let until = eventually("it waits", || async {
        let now = world.calls().network(&world.call("alice"), network.id).await.unwrap();
        match now.state.phase {
            Phase::Waiting { until } if now.state.last_error.is_some() => Some(until),
            _ => None,
        }
    })
    .await;
    assert!(until - service::clock::now_s() >= 250, "at least five minutes after a throttle");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_nick_a_kick_and_garbage_are_survived() {
    let world = World::new().await;
    let upstream = Scripted::new().await;
    let network = world.add_network("alice", "net", upstream.port(), &["#tea"]).await;
    let mut connection = upstream.registered("alice").await;
    world.connected("alice", &network).await;
    let mut device = world.device("alice", MODERN).await;
    connection.wait_for("JOIN #tea").await;
    connection.send(":alice!u@h JOIN #tea").await;
    connection.send(":up 353 alice = #tea :alice @bob").await;
    connection.send(":up 366 alice #tea :End").await;
    device.wait_for("JOIN").await.unwrap();
    connection.send(":alice!u@h NICK alice_").await;
    device.wait_for("NICK").await.unwrap();
    connection.stream.write_all(b":\xff\xfe!x@y PRIVMSG #tea :\xc3\x28\r\n").await.unwrap();
    connection.stream.write_all(b"\0\0\0\r\n:::\r\n@=;; \r\nPRIVMSG\r\n").await.unwrap();
    connection.stream.write_all(&vec![b'y'; 200_000]).await.unwrap();
    connection.stream.write_all(b"\r\n").await.unwrap();
    connection.send(":bob!b@h KICK #tea alice_ :out").await;
    device.wait_for("KICK").await.unwrap();
    eventually("the new nick is shown", || async {
        let now = world.calls().network(&world.call("alice"), network.id).await.unwrap();
        (now.state.nick.as_deref() == Some("alice_")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_host_is_connected_anew_and_a_disabled_network_leaves() {
    let world = World::new().await;
    let one = Scripted::new().await;
    let two = Scripted::new().await;
    world.dialer.allow(service::dialer::HostPort::new("127.0.0.1", two.port()));
    let network = world.add_network("alice", "net", one.port(), &[]).await;
    let mut first = one.registered("alice").await;
    world.connected("alice", &network).await;
    let (calls, call) = (world.calls(), world.call("alice"));
    let moved = calls.change_network(&call, network.id, spec("alice", "net", two.port()));
    let mut second = tokio::join!(moved, two.registered("alice")).1;
    first.wait_for("QUIT").await;
    world.connected("alice", &network).await;
    let mut off = spec("alice", "net", two.port());
    off.enabled = false;
    let now = world.calls().change_network(&world.call("alice"), network.id, off).await.unwrap();
    assert_eq!(now.state.phase, Phase::Off);
    second.wait_for("QUIT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ident_is_the_same_on_every_network_and_after_a_restart() {
    let mut world = World::new().await;
    let one = Scripted::new().await;
    let two = Scripted::new().await;
    world.add_network("alice", "one", one.port(), &[]).await;
    world.add_network("alice", "two", two.port(), &[]).await;
    let ident = |line: String| line.split(' ').nth(1).unwrap().to_owned();
    let first = ident(one.accept().await.wait_for("USER ").await);
    assert_eq!(ident(two.accept().await.wait_for("USER ").await), first);
    world.restart().await;
    assert_eq!(ident(one.accept().await.wait_for("USER ").await), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nick_taken_from_a_device_is_the_one_wanted_next_time() {
    let world = World::new().await;
    let upstream = Scripted::new().await;
    let network = world.add_network("alice", "net", upstream.port(), &[]).await;
    let mut connection = upstream.registered("alice").await;
    world.connected("alice", &network).await;
    let mut device = world.device("alice", "").await;
    device.send("NICK wonder").await.unwrap();
    connection.wait_for("NICK wonder").await;
    connection.send(":alice!u@h NICK wonder").await;
    eventually("the nick is kept", || async {
        let now = world.calls().network(&world.call("alice"), network.id).await.unwrap();
        (now.spec.nick == "wonder").then_some(())
    })
    .await;
    drop(connection);
    let mut connection = upstream.accept().await;
    connection.wait_for("NICK wonder").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_over_the_plan_leaves_and_says_what_to_do_and_comes_back_with_the_plan() {
    let world = World::new().await;
    let (one, two) = (Scripted::new().await, Scripted::new().await);
    let first = world.add_network("alice", "one", one.port(), &[]).await;
    let _kept = one.registered("alice").await;
    let second = world.add_network("alice", "two", two.port(), &[]).await;
    let mut over = two.registered("alice").await;
    world.connected("alice", &second).await;
    let mut live = world.device("alice/two@live", MODERN).await;
    over.send(":alice!a@h JOIN #tea").await;
    over.send(":friend!f@h PRIVMSG #tea :from richer days").await;
    live.wait_for("from richer days").await.unwrap();
    let limits = Limits::unlimited().with(Limit::Networks, Amount::AtMost(1));
    world.gatekeeper.change("alice", |account| account.limits = limits);
    over.wait_for("QUIT").await;
    let now = world.calls().network(&world.call("alice"), second.id).await.unwrap();
    assert_eq!(now.state.phase, Phase::Off);
    assert!(now.state.needs_user && now.state.last_error.is_some_and(|words| words.contains("1 network")));
    world.connected("alice", &first).await;
    // It does not grow, and it stays readable.
    let mut reader = world.device("alice/two@reader", MODERN).await;
    reader.send("CHATHISTORY LATEST #tea * 10").await.unwrap();
    reader.wait_for("from richer days").await.unwrap();
    world.gatekeeper.change("alice", |account| account.limits = Limits::unlimited());
    let _back = two.registered("alice").await;
    world.connected("alice", &second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_sasl_is_told_in_plain_words_and_needs_the_user() {
    let world = World::new().await;
    let upstream = Scripted::new().await;
    world.dialer.allow(service::dialer::HostPort::new("127.0.0.1", upstream.port()));
    let with_password = NetworkSpec {
        sasl: Sasl::Password { account: "alice".to_owned(), password: Some("wrong".to_owned()) },
        ..spec("alice", "net", upstream.port())
    };
    let network = world.calls().add_network(&world.call("alice"), with_password).await.unwrap();
    let mut connection = upstream.accept().await;
    connection.wait_for("USER ").await;
    // PLAIN would show the password to everybody on the way: it is not even tried.
    connection.send(":up CAP * LS :sasl=PLAIN").await;
    connection.wait_for("CAP REQ").await;
    connection.send(":up CAP * ACK :sasl").await;
    let words = eventually("it is told", || async {
        let now = world.calls().network(&world.call("alice"), network.id).await.unwrap();
        now.state.last_error.filter(|_| now.state.needs_user)
    })
    .await;
    assert!(words.contains("TLS") || words.contains("clear"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_users_together_knock_at_one_host_only_so_often() {
    let world = World::knocking(1).await;
    let (first, second, elsewhere) = (Scripted::new().await, Scripted::new().await, Scripted::new().await);
    world.add_network("alice", "first", first.port(), &[]).await;
    let _first = first.registered("alice").await;

    world.add_network("bob", "second", second.port(), &[]).await;
    world.dialer.allow(HostPort::new("localhost", elsewhere.port()));
    let other = NetworkSpec { host: "localhost".to_owned(), ..spec("carol", "other", elsewhere.port()) };
    world.calls().add_network(&world.call("carol"), other).await.unwrap();
    // Another host is let in past the one who waits, who came before.
    let _elsewhere = elsewhere.registered("carol").await;
    let knocked = tokio::time::timeout(Duration::ZERO, second.accept()).await;
    assert!(knocked.is_err(), "bob's network shares the host with alice's and waits its turn");
}
