//! Garbage: whatever comes, it ends with a clear ERROR or is taken in, and nobody else notices.

use irc_server::DoorConfig;

use crate::support::{Raw, plain, until};

fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("an endless line", vec![b'x'; 300_000]),
        ("endless tags", [b"@".as_slice(), &vec![b'a'; 300_000]].concat()),
        ("NULs", vec![0; 100_000]),
        ("NULs in lines", b"\0N\0I\0C\0K\0\r\n".repeat(2000)),
        ("wrong UTF-8", b"\xff\xfe\xc0\x80 \xed\xa0\x80\r\n".repeat(2000)),
        ("HTTP", b"GET /index.html HTTP/1.0\r\n\r\n".to_vec()),
        ("a POST", b"POST / HTTP/1.1\r\nHost: x\r\n\r\nNICK a\r\n".to_vec()),
        ("SMTP", b"EHLO example.org\r\nMAIL FROM:<a@b>\r\n".to_vec()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("SSH", b"SSH-2.0-OpenSSH_9.9\r\n".repeat(20)),
        ("colons", b":::::: : : :\r\n".repeat(100)),
        ("tags without end", b"@a=\\\\\\;b=;;;=\r\n".repeat(100)),
        (
            "AUTHENTICATE without end",
            [
                b"CAP REQ sasl\r\nAUTHENTICATE PLAIN\r\n".as_slice(),
                &format!("AUTHENTICATE {}\r\n", "A".repeat(400)).into_bytes().repeat(200),
            ]
            .concat(),
        ),
        ("CAP LS without end", b"CAP LS 302\r\n".repeat(5000)),
        ("half a WebSocket", b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n".repeat(2000)),
    ]
}

#[tokio::test]
async fn garbage_is_answered_clearly_and_disturbs_nobody() {
    let (door, _hall, address) = plain(DoorConfig::default()).await;
    let mut witness = Raw::registered(address, "witness").await;
    for (what, bytes) in garbage() {
        let mut stranger = Raw::connect(address).await;
        stranger.try_send(&bytes).await;
        witness.answers("undisturbed").await;
        if matches!(
            what,
            "an endless line"
                | "endless tags"
                | "NULs"
                | "wrong UTF-8"
                | "a POST"
                | "SMTP"
                | "TLS"
                | "colons"
        ) {
            let lines = stranger.rest().await;
            let last = lines.last().unwrap_or_else(|| panic!("{what}: no word"));
            assert!(last.starts_with("ERROR :"), "{what}: {last}");
        }
    }
    until("all strangers are gone", || door.connections() == 1).await;
}

#[tokio::test]
async fn garbage_after_registration_is_no_better() {
    let (_door, _hall, address) = plain(DoorConfig::default()).await;
    let mut witness = Raw::registered(address, "witness").await;
    for (bytes, last) in [
        (vec![b'x'; 300_000], "ERROR :Your line had no end."),
        (b"\xff\xff\xff\r\n".repeat(30), "ERROR :What you send is no IRC."),
    ] {
        let mut guest = Raw::registered(address, "guest").await;
        guest.try_send(&bytes).await;
        assert_eq!(guest.rest().await.last().map(String::as_str), Some(last));
        witness.answers("undisturbed").await;
    }
}

#[test]
fn what_the_fuzzers_found_stays_found() {
    testkit::fuzz::hold(irc_server::fuzz::TARGETS);
}
