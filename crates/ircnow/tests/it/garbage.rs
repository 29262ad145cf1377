//! Garbage, floods, endless lines, NULs and wrong UTF-8, from clients and from an upstream: memory stays bounded, who sends
//! it is told so in an ERROR, and nobody else notices (test 8.5).

use testkit::irc::Client;
use testkit::networks::{self, Network};
use testkit::wait::PATIENCE;
use testkit::{eventually, part};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::account::Account;
use crate::installation::{Installation, Layout};

/// What the process may take more than at rest, whatever it is sent.
const MOST_KIB: u64 = 96 * 1024;

/// Bursts of 400 lines.
const FLOOD: usize = 25;

/// A figure of the process's memory, in KiB.
pub fn memory(at: &Installation, figure: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", at.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with(figure)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What the process took at rest, with its peak forgotten.
fn at_rest(at: &Installation) -> u64 {
    std::fs::write(format!("/proc/{}/clear_refs", at.id()), "5").unwrap();
    memory(at, "VmRSS:")
}

/// Since [`at_rest`] the process never took much more.
fn stayed_bounded(at: &Installation, before: u64) {
    let peak = memory(at, "VmHWM:");
    assert!(peak < before + MOST_KIB, "from {before} KiB to {peak} KiB");
}

/// Somebody who goes on talking while others misbehave.
struct Bystander {
    device: Client,
    friend: Client,
    said: usize,
}

impl Bystander {
    async fn new(at: &Installation, network: &Network) -> Self {
        let bob = Account::sign_up(at, "bob").await.unwrap();
        let port = network.port().to_string();
        let mut friend = Client::connect(network.port()).await.unwrap();
        friend.register("friend").await.unwrap();
        friend.send("JOIN #calm").await.unwrap();
        friend.wait_for(" 366 ").await.unwrap();
        let fields = [("name", "insp"), ("port", &*port), ("nick", "bob"), ("channels", "#calm")];
        bob.add_network_with(&fields).await.unwrap();
        friend.wait_where("bob's JOIN", |line| line.contains(":bob") && line.contains("JOIN")).await.unwrap();
        let password = bob.app_password("all").await.unwrap();
        let mut device = Client::connect(at.irc).await.unwrap();
        device.register_sasl("bob/insp", &password, "").await.unwrap();
        let mut this = Self { device, friend, said: 0 };
        this.talks().await;
        this
    }

    /// Talks both ways, on the connection that was there from the beginning.
    async fn talks(&mut self) {
        self.said += 1;
        let (hear, say) = (format!("hear {}.", self.said), format!("say {}.", self.said));
        self.friend.send(&format!("PRIVMSG #calm :{hear}")).await.unwrap();
        self.device.wait_for(&hear).await.unwrap();
        self.device.send(&format!("PRIVMSG #calm :{say}")).await.unwrap();
        self.friend.wait_for(&say).await.unwrap();
    }
}

async fn connect(at: &Installation, tls: bool) -> Client {
    let connected = if tls { Client::connect_tls(at.irc_tls).await } else { Client::connect(at.irc).await };
    connected.unwrap()
}

/// What comes before the end is an ERROR that says why.
fn ends_with(heard: &[String], why: &str) {
    let error = heard.iter().rev().find(|line| line.starts_with("ERROR "));
    assert!(error.is_some_and(|line| line.contains(why)), "no ERROR with {why:?}: {heard:?}");
}

/// What comes from what is no IRC client, and what it is told before and after registration.
fn offences() -> Vec<(Vec<u8>, [&'static str; 2])> {
    let random = |seed: u32| {
        let mut state = seed;
        std::iter::repeat_with(move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
    };
    let noise: Vec<u8> = (0..200_u32)
        .flat_map(|line| {
            let bytes = random(line + 1)
                .filter(|byte| !byte.is_ascii_alphanumeric() && *byte != b'@' && *byte != b':');
            bytes.take(200).chain(*b"\r\n").collect::<Vec<u8>>()
        })
        .collect();
    vec![
        (vec![b'x'; 8 * 1024 * 1024], ["had no end"; 2]),
        (vec![0; 8 * 1024 * 1024], ["had no end"; 2]),
        (b" \0\xff\xfe\xc3\x28 \0\0\r\n".repeat(1_000), ["not look like an IRC client", "no IRC"]),
        (noise, ["not look like an IRC client", "no IRC"]),
    ]
}

#[tokio::test]
async fn clients_that_send_garbage_are_told_so_and_nobody_else_notices() {
    part!(InspIrcd);
    let network = networks::inspircd().unwrap();
    let allowed = format!("127.0.0.1:{}", network.port());
    let environment = [
        ("IRCNOW_DIAL_ALLOW", allowed.as_str()),
        ("IRCNOW_UP_LOCAL_NETWORK", "false"),
        ("IRCNOW_BOUNCER_REGISTRATION_TIMEOUT", "10s"),
        ("IRCNOW_BOUNCER_FLOOD_PATIENCE", "2s"),
    ];
    let at = Installation::start(Layout::OneProcess, &environment).unwrap();
    let mallory = Account::sign_up(&at, "mallory").await.unwrap();
    let port = network.port().to_string();
    let fields = [("name", "insp"), ("port", &*port), ("nick", "mallory"), ("channels", "#room")];
    mallory.add_network_with(&fields).await.unwrap();
    let password = mallory.app_password("all").await.unwrap();
    let mut bystander = Bystander::new(&at, &network).await;
    let before = at_rest(&at);

    for (what, [told_early, told_late]) in offences() {
        for tls in [false, true] {
            // Before registration.
            let stranger = connect(&at, tls).await;
            ends_with(&stranger.shout(&what).await.unwrap(), told_early);
            // As a user.
            let mut user = connect(&at, tls).await;
            user.register_sasl("mallory/insp", &password, "").await.unwrap();
            ends_with(&user.shout(&what).await.unwrap(), told_late);
            bystander.talks().await;
        }
    }

    // Lines past the limit are answered and left out; the connection may stay.
    let mut user = connect(&at, false).await;
    user.register_sasl("mallory/insp", &password, "").await.unwrap();
    let long = format!("PRIVMSG #room :{}\r\n", "y".repeat(8_000));
    user.send(&long).await.unwrap();
    user.wait_for(" 417 ").await.unwrap();
    // NUL is dropped, other bytes that are no UTF-8 go through as they are.
    let mut friend = Client::connect(network.port()).await.unwrap();
    friend.register("witness").await.unwrap();
    friend.send("JOIN #room").await.unwrap();
    friend.wait_for(" 366 ").await.unwrap();
    user.send_bytes(b"PRIVMSG #room :caf\xe9 \0\xc3\x28.\r\n").await.unwrap();
    friend.wait_for("PRIVMSG #room :caf\u{fffd} \u{fffd}(.").await.unwrap();

    // Floods: before registration time runs out, after it patience.
    let stranger = connect(&at, false).await;
    let nicks = b"NICK mallory\r\n".repeat(200_000);
    let before_registration = tokio::spawn(async move { stranger.shout(&nicks).await.unwrap() });
    let lines = b"PRIVMSG #room :again\r\n".repeat(200_000);
    let after_registration = tokio::spawn(async move { user.shout(&lines).await.unwrap() });
    // A hundred more that never finish their line.
    let mut idle = Vec::new();
    for _ in 0..100 {
        let mut half = connect(&at, false).await;
        half.send_bytes(&[b'z'; 4_000]).await.unwrap();
        idle.push(half);
    }
    bystander.talks().await;
    let heard = after_registration.await.unwrap();
    ends_with(&heard, "Excess flood");
    bystander.talks().await;
    let heard = before_registration.await.unwrap();
    let ended = heard.iter().rev().find(|line| line.starts_with("ERROR "));
    assert!(
        ended.is_some_and(|line| line.contains("too long to register") || line.contains("flood")),
        "{ended:?}"
    );
    bystander.talks().await;
    stayed_bounded(&at, before);
}

/// An upstream that sends what the test wants.
struct Upstream {
    stream: BufReader<TcpStream>,
}

impl Upstream {
    /// Takes the bouncer through registration as `nick`.
    async fn registered(listener: &TcpListener, nick: &str) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        let mut this = Self { stream: BufReader::new(stream) };
        this.wait_for("USER ").await;
        this.send(b":up CAP * LS :server-time message-tags multi-prefix userhost-in-names").await;
        let asked = this.wait_for("CAP REQ").await;
        let caps = asked.split_once(':').unwrap().1.to_owned();
        this.send(format!(":up CAP * ACK :{caps}").as_bytes()).await;
        this.wait_for("CAP END").await;
        for line in [
            "001 {} :Welcome",
            "005 {} CASEMAPPING=ascii PREFIX=(ov)@+ CHANTYPES=# :are supported",
            "376 {} :End",
        ] {
            this.send(format!(":up {}", line.replace("{}", nick)).as_bytes()).await;
        }
        this
    }

    async fn send(&mut self, line: &[u8]) {
        self.stream.write_all(&[line, b"\r\n"].concat()).await.unwrap();
    }

    /// The next line with `text` in it. PINGs are answered.
    async fn wait_for(&mut self, text: &str) -> String {
        let waiting = async {
            loop {
                let mut line = Vec::new();
                assert!(self.stream.read_until(b'\n', &mut line).await.unwrap() > 0, "waited for {text:?}");
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if let Some(token) = line.strip_prefix("PING ") {
                    self.send(format!(":up PONG up {token}").as_bytes()).await;
                }
                if line.contains(text) {
                    return line;
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("waited for {text:?}"))
    }

    /// The bouncer has read everything sent so far.
    async fn is_read(&mut self, token: &str) {
        self.send(format!("PING :{token}").as_bytes()).await;
        self.wait_for(token).await;
    }
}

#[tokio::test]
async fn an_upstream_that_sends_garbage_costs_nobody_anything() {
    part!(InspIrcd);
    let network = networks::inspircd().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let allowed = format!("127.0.0.1:{},127.0.0.1:{port}", network.port());
    let environment = [("IRCNOW_DIAL_ALLOW", allowed.as_str()), ("IRCNOW_UP_LOCAL_NETWORK", "false")];
    let at = Installation::start(Layout::OneProcess, &environment).unwrap();
    let mallory = Account::sign_up(&at, "mallory").await.unwrap();
    let password = mallory.app_password("all").await.unwrap();
    let mut bystander = Bystander::new(&at, &network).await;
    let id = mallory.add_network_unchecked("fake", port, "mallory").await.unwrap();
    let mut upstream = Upstream::registered(&listener, "mallory").await;
    let mut device = Client::connect(at.irc).await.unwrap();
    device.register_sasl("mallory/fake", &password, "").await.unwrap();
    upstream.send(b":mallory!m@h JOIN #c").await;
    upstream.send(b":up 366 mallory #c :End").await;
    device.wait_for("JOIN").await.unwrap();
    let before = at_rest(&at);

    // No IRC, NULs, wrong UTF-8, lines without a meaning.
    for line in [
        &b"\0\0\0"[..],
        b":::",
        b"@=;; ",
        b"PRIVMSG",
        b":x",
        b"@a=b",
        b"\xff\xfe\xfd",
        b":\xff!\xfe@\xfd 999 \xc3\x28",
    ] {
        upstream.send(line).await;
    }
    upstream.send(b":\xffx!y@z PRIVMSG #c :caf\xe9 \0\xc3\x28.").await;
    device.wait_for("caf\u{fffd}").await.unwrap();
    // A line of 32 MiB, then one that counts.
    for _ in 0..512 {
        upstream.stream.write_all(&[b'y'; 64 * 1024]).await.unwrap();
    }
    upstream.send(b"").await;
    upstream.send(b":a!b@c PRIVMSG #c :after the endless line.").await;
    device.wait_for("after the endless line.").await.unwrap();
    bystander.talks().await;

    // More members, channels, options and batches than there can be.
    let host = "h".repeat(400);
    for channel in 0..40 {
        upstream.send(format!(":mallory!m@h JOIN #c{channel}").as_bytes()).await;
        let mut burst = String::new();
        for line in 0..250 {
            burst.push_str(&format!(":up 353 mallory = #c{channel} :"));
            for name in 0..16 {
                burst.push_str(&format!("n{channel:03}x{line:04}x{name:02}!u@{host} "));
            }
            burst.push_str("\r\n");
        }
        burst.push_str(&format!(":up 005 mallory KEY{channel}={} :are supported\r\n", "v".repeat(4_000)));
        burst.push_str(&format!(":up BATCH +b{channel} netsplit a b\r\n"));
        upstream.stream.write_all(burst.as_bytes()).await.unwrap();
        upstream.is_read(&format!("names{channel}")).await;
    }
    bystander.talks().await;

    // A flood, while the device reads nothing.
    for round in 0..FLOOD {
        let burst: String = (0..400)
            .map(|n| format!(":a!b@c PRIVMSG #c :f{round:03}{n:03}.{}\r\n", "w".repeat(300)))
            .collect();
        upstream.stream.write_all(burst.as_bytes()).await.unwrap();
        upstream.is_read(&format!("flood{round}")).await;
    }
    bystander.talks().await;
    upstream.send(b":a!b@c PRIVMSG #c :after the flood.").await;
    device.wait_for("after the flood.").await.unwrap_or_else(|_| panic!("the flood did not end"));
    let floods: Vec<&str> =
        device.seen.iter().filter_map(|line| line.split_once("PRIVMSG #c :f")?.1.get(..6)).collect();
    assert!(floods.is_sorted_by(|a, b| a < b), "the flood came out of order, or twice");
    assert_eq!(floods.len(), FLOOD * 400, "a slow device gets all of it");
    stayed_bounded(&at, before);

    // One that speaks no IRC at all is given up in plain words.
    drop(upstream);
    let (mut stranger, _) = listener.accept().await.unwrap();
    let noise = b"\xff\xfe \0 \xc3\x28\r\n".repeat(1_000);
    // The bouncer leaves before it has read all of it.
    let _ = stranger.write_all(&noise).await;
    eventually("the user is told", || async {
        let page = mallory.get(&format!("/networks/{id}")).await.ok()?;
        page.text.contains("no IRC").then_some(())
    })
    .await;
    bystander.talks().await;
}
