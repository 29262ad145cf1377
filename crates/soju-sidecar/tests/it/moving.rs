//! An account that moves into a real soju before its first start, is used there, and moves out again.

use contracts::parcel::{Content, Line, MovedNetwork, Private, Text};
use contracts::{
    Call, CallError, Hold, Moves as _, NetworkId, NetworkSpec, Parcel, Sasl, SavedChannel, Sub, Tls,
};
use crds::sidecar::{MovesConfig, PruneTarget};
use soju_sidecar::admin::Command;
use soju_sidecar::moves::{Direction, SojuMoves, messages};
use testkit::irc::Client;
use testkit::{Part, eventually, networks};
use uuid::Uuid;

use crate::soju::{Soju, versions};

const NET: NetworkId = NetworkId(Uuid::from_u128(7));
const BOUNCER: &str = "5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11";
const CAPS: &str = "batch server-time message-tags draft/chathistory draft/read-marker";

fn alice() -> Sub {
    Sub(Uuid::from_u128(1))
}

fn call() -> Call {
    Call::new(alice(), "test")
}

fn moves(database: &PruneTarget, direction: Direction) -> SojuMoves {
    let config = MovesConfig {
        listen: testkit::net::loopback(0),
        database: database.clone(),
        account: alice().to_string(),
        username: "alice".to_owned(),
        bouncer: BOUNCER.to_owned(),
        issuer: String::new(),
    };
    SojuMoves::open(&config, direction).unwrap()
}

/// What is said at this minute of a past day, as our log keeps it.
fn line(minute: i64, msgid: &str, raw: &str, buffers: &[&str]) -> Line {
    let ts_ms = 1_795_168_800_123 + minute * 60_000;
    let mut line = messages::from_soju(raw.as_bytes(), "", ts_ms).unwrap();
    line.msgid = msgid.to_owned();
    line.buffers = buffers.iter().map(|key| Text(key.as_bytes().to_vec().into())).collect();
    line
}

/// Every kind of line, and what soju cannot keep.
fn said() -> Vec<Line> {
    let latin = messages::from_soju(b":bob!b@h PRIVMSG #Tea :caf\xe9", "#tea", 1_795_169_700_000).unwrap();
    vec![
        line(0, "m0", "@+draft/reply=x;account=bob :bob!b@h PRIVMSG #Tea :\u{2}first\u{2} words", &["#tea"]),
        line(1, "m1", ":b[]!b@h PRIVMSG alice :for you alone", &["b{}"]),
        line(2, "m2", ":carl!c@h JOIN #Tea carl :Carl", &["#tea"]),
        line(3, "m3", ":carl!c@h PRIVMSG #Tea :\u{1}ACTION waves\u{1}", &["#tea"]),
        line(4, "m4", ":carl!c@h TOPIC #Tea :leaves", &["#tea"]),
        line(5, "m5", ":carl!c@h QUIT :gone", &["#tea", "#cake"]),
        line(6, "m6", ":srv NOTICE alice :for nobody else", &["*"]),
        Line { redacted: true, ..line(7, "m7", ":bob!b@h PRIVMSG #Tea :taken back", &["#tea"]) },
        line(8, "m8", "@+draft/react=x;+draft/reply=m0 :bob!b@h TAGMSG #Tea", &["#tea"]),
        Line { msgid: "m15".to_owned(), ..latin },
        line(20, "m20", ":bob!b@h NOTICE #Tea :last words", &["#tea"]),
    ]
}

fn parcels(port: u16) -> Vec<Parcel> {
    let spec = NetworkSpec {
        name: "net".into(),
        host: "127.0.0.1".into(),
        port,
        tls: Tls::Off,
        nick: "alice".into(),
        realname: "Alice".into(),
        server_password: None,
        sasl: Sasl::None,
        channels: vec![SavedChannel { name: "#Tea".into(), key: None }],
        on_connect: vec!["MODE alice +i".into()],
        enabled: true,
    };
    let private = Private { on_connect: spec.on_connect.clone(), ..Private::default() };
    let network = MovedNetwork { id: NET, spec, private, version: 3, created_at_us: 1 };
    let rows = Content::Rows { networks: vec![network], devices: Vec::new(), sts: Vec::new() };
    let log = Content::Log { network: NET, entries: said() };
    let markers = vec![(Text("#tea".into()), 1_795_168_980_123), (Text("b{}".into()), 1_795_168_860_123)];
    let seen = Content::Seen { network: NET, markers, cursors: Vec::new() };
    [rows, log, seen].iter().map(|content| content.packed().unwrap()).collect()
}

/// Moves in as hosting does, after an attempt that broke off, with every parcel twice.
async fn moves_in(database: PruneTarget, port: u16) {
    let to = moves(&database, Direction::In);
    let parcels = parcels(port);
    to.hold(&call(), Hold::Moving).await.unwrap();
    for parcel in &parcels {
        to.unpack(&call(), parcel.clone()).await.unwrap();
    }
    to.clear(&call()).await.unwrap();
    assert!(to.tally(&call()).await.unwrap().networks.is_empty());
    to.unpack(&call(), parcels[0].clone()).await.unwrap();
    assert!(!to.check(&call(), parcels[1].clone()).await.unwrap().is_whole());
    assert!(!to.check(&call(), parcels[2].clone()).await.unwrap().is_whole());
    for parcel in parcels.iter().flat_map(|parcel| [parcel, parcel]) {
        to.unpack(&call(), parcel.clone()).await.unwrap();
    }
    for (parcel, (lines, markers)) in parcels.iter().zip([(0, 0), (11, 0), (0, 2)]) {
        let checked = to.check(&call(), parcel.clone()).await.unwrap();
        assert_eq!((checked.lines, checked.same), (lines, lines));
        assert_eq!((checked.markers, checked.read), (markers, markers));
    }
    let tally = to.tally(&call()).await.unwrap();
    assert_eq!((tally.networks.len(), tally.networks[0].entries, tally.networks[0].markers), (1, 9, 2));
    to.let_go(&call()).await.unwrap();
    // From now on it is soju's.
    to.let_go(&call()).await.unwrap();
    to.hold(&call(), Hold::Moving).await.unwrap();
    let again = to.unpack(&call(), parcels[1].clone()).await;
    assert!(matches!(again, Err(CallError::Conflict { .. })), "{again:?}");
    assert!(matches!(to.clear(&call()).await, Err(CallError::Conflict { .. })));
}

async fn device(soju: &Soju) -> Client {
    let mut device = Client::connect(soju.port).await.unwrap();
    device.register_sasl("alice/net", "secret", CAPS).await.unwrap();
    device
}

/// The lines of a buffer's history, in their order, without the tags' order and the batch.
async fn history(device: &mut Client, buffer: &str) -> Vec<String> {
    device.seen.clear();
    device.send(&format!("CHATHISTORY LATEST {buffer} * 1000")).await.unwrap();
    device.wait_where("the batch's end", |line| line.contains("BATCH -")).await.unwrap();
    let lines = device.seen.iter().filter(|line| line.contains("batch="));
    lines
        .map(|line| {
            let (tags, rest) = line.trim_start_matches('@').split_once(' ').unwrap();
            let mut tags: Vec<&str> = tags.split(';').filter(|tag| !tag.starts_with("batch=")).collect();
            tags.sort_unstable();
            format!("{} {rest}", tags.join(";"))
        })
        .collect()
}

async fn there_and_back(part: Part, database: Option<String>) {
    let inspircd = networks::inspircd().unwrap();
    let mut bob = Client::connect(inspircd.port()).await.unwrap();
    bob.register("bob").await.unwrap();
    bob.send("JOIN #Tea").await.unwrap();
    bob.wait_for(" 366 ").await.unwrap();
    let port = inspircd.port();
    let mut soju = Soju::start_after(part, database, |target| moves_in(target, port)).await;
    let log_in = Command::new("user update").word("alice").unwrap().flag("password", "secret").unwrap();
    soju.admin().await.run(&log_in).await.unwrap();
    bob.wait_where("alice's JOIN", |line| line.contains("alice") && line.contains("JOIN")).await.unwrap();

    // Everything is there that soju can show, by its id and its time.
    let mut reader = device(&soju).await;
    let tea = history(&mut reader, "#Tea").await;
    let shown = |at: usize| tea.get(at).map(String::as_str).unwrap_or_default();
    assert_eq!(
        shown(0),
        "+draft/reply=x;account=bob;msgid=m0;time=2026-11-20T10:00:00.123Z :bob!b@h PRIVMSG #Tea :\u{2}first\u{2} words"
    );
    assert_eq!(
        shown(1),
        "msgid=m3;time=2026-11-20T10:03:00.123Z :carl!c@h PRIVMSG #Tea :\u{1}ACTION waves\u{1}"
    );
    assert!(
        shown(2).starts_with("msgid=m15;time=2026-11-20T10:15:00.000Z :bob!b@h PRIVMSG #Tea "),
        "{tea:#?}"
    );
    assert_eq!(shown(3), "msgid=m20;time=2026-11-20T10:20:00.123Z :bob!b@h NOTICE #Tea :last words");
    assert_eq!(tea.len(), 4, "{tea:#?}");
    let alone = history(&mut reader, "b[]").await;
    assert_eq!(alone, ["msgid=m1;time=2026-11-20T10:01:00.123Z :b[]!b@h PRIVMSG alice :for you alone"]);
    reader.send("CAP REQ draft/event-playback").await.unwrap();
    reader.wait_for("ACK").await.unwrap();
    let all = history(&mut reader, "#Tea").await;
    let verbs: Vec<_> = all.iter().map(|line| line.split(' ').nth(2).unwrap()).collect();
    assert_eq!(verbs[..7], ["PRIVMSG", "JOIN", "PRIVMSG", "TOPIC", "QUIT", "TAGMSG", "PRIVMSG"], "{all:#?}");
    reader.send("MARKREAD #Tea").await.unwrap();
    reader.wait_for("timestamp=2026-11-20T10:03:00.123Z").await.unwrap();
    reader.send("MARKREAD b[]").await.unwrap();
    reader.wait_for("timestamp=2026-11-20T10:01:00.123Z").await.unwrap();

    // Something is said and read there.
    bob.send("PRIVMSG #Tea :said at soju").await.unwrap();
    reader.wait_for("said at soju").await.unwrap();
    reader.send("PRIVMSG #Tea :so I answer").await.unwrap();
    bob.wait_for("so I answer").await.unwrap();
    reader.send("MARKREAD #Tea timestamp=2026-11-21T10:00:00.000Z").await.unwrap();
    reader.wait_for("timestamp=2026-11-21T10:00:00.000Z").await.unwrap();
    let all = eventually("both are stored", || {
        let soju = &soju;
        async move {
            let now = history(&mut device(soju).await, "#Tea").await;
            (now.len() == 6).then_some(now)
        }
    })
    .await;
    assert!(all[4].ends_with("PRIVMSG #Tea :said at soju"), "{all:#?}");

    soju.stop();
    moves_out(&soju.target()).await;
}

/// What moves out is what is new, under the same ids whenever it is asked for.
async fn moves_out(database: &PruneTarget) {
    let (first, again) = (taken_out(database).await, taken_out(database).await);
    let texts = |lines: &[Line]| -> Vec<(String, String)> {
        let said = lines.iter().filter(|line| line.kind == 1);
        said.map(|line| (line.msgid.clone(), String::from_utf8(line.body.0.to_vec()).unwrap())).collect()
    };
    assert_eq!(texts(&first), texts(&again));
    let bodies: Vec<_> = texts(&first).into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, ["said at soju", "so I answer"]);
    assert!(first.iter().all(|line| !line.msgid.is_empty()));
    assert!(first.iter().all(|line| line.buffers.iter().all(|key| key.0 == "#tea")));
}

async fn taken_out(database: &PruneTarget) -> Vec<Line> {
    let from = moves(database, Direction::Out);
    from.hold(&call(), Hold::Moving).await.unwrap();
    let (mut after, mut lines, mut seen) = (None, Vec::new(), Vec::new());
    loop {
        let packed = from.pack(&call(), after).await.unwrap();
        match Content::of(&packed.parcel).unwrap() {
            Content::Returned { networks, gone } => {
                assert_eq!((networks.len(), gone.len()), (1, 0));
                let MovedNetwork { id, spec, private, .. } = &networks[0];
                assert_eq!((*id, spec.name.as_str(), spec.nick.as_str()), (NET, "net", "alice"));
                assert_eq!(
                    (spec.tls.clone(), spec.host.as_str(), spec.enabled),
                    (Tls::Off, "127.0.0.1", true)
                );
                assert_eq!(spec.channels, [SavedChannel { name: "#Tea".into(), key: None }]);
                assert_eq!(private.on_connect, ["MODE alice +i"]);
            }
            Content::Log { network, entries } => {
                assert_eq!(network, NET);
                lines.extend(entries);
            }
            Content::Seen { network, markers, .. } => {
                assert_eq!(network, NET);
                seen.extend(markers.into_iter().map(|(key, ts_ms)| (key.0.to_vec(), ts_ms)));
            }
            Content::Rows { .. } => panic!("soju knows no devices"),
        }
        after = packed.next;
        if after.is_none() {
            break;
        }
    }
    seen.sort();
    assert_eq!(seen, [(b"#tea".to_vec(), 1_795_255_200_000), (b"b{}".to_vec(), 1_795_168_860_123)]);
    let tally = from.tally(&call()).await.unwrap();
    assert_eq!((tally.networks[0].entries, tally.networks[0].markers), (lines.len() as u64, 2));
    // Nothing is taken in, nothing is emptied.
    let parcel = Content::Log { network: NET, entries: Vec::new() }.packed().unwrap();
    assert!(matches!(from.unpack(&call(), parcel).await, Err(CallError::Conflict { .. })));
    assert!(matches!(from.clear(&call()).await, Err(CallError::Conflict { .. })));
    lines
}

#[tokio::test]
async fn what_was_said_moves_into_soju_and_what_is_new_moves_out_with_sqlite() {
    testkit::part!(InspIrcd);
    for part in versions() {
        there_and_back(part, None).await;
    }
}

#[tokio::test]
async fn what_was_said_moves_into_soju_and_what_is_new_moves_out_with_postgresql() {
    testkit::part!(InspIrcd, Postgres);
    for part in versions() {
        there_and_back(part, Some(testkit::postgres::database().unwrap())).await;
    }
}
