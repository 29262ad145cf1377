//! The door as browsers see it.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use irc_server::{DoorConfig, Origins, UpgradedPeer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::{DEADLINE, Raw, plain};

type Socket = WebSocketStream<TcpStream>;

async fn open(address: SocketAddr, protocol: &str, origin: Option<&str>) -> Result<(Socket, String), Error> {
    let mut request = format!("ws://{address}/").into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_str(protocol).unwrap());
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", HeaderValue::from_str(origin).unwrap());
    }
    let socket = TcpStream::connect(address).await.unwrap();
    let (stream, response) = client_async(request, socket).await?;
    let chosen = response.headers().get("sec-websocket-protocol").unwrap().to_str().unwrap().to_owned();
    Ok((stream, chosen))
}

async fn say(socket: &mut Socket, lines: &[&str]) {
    for line in lines {
        socket.send(Message::text(*line)).await.unwrap();
    }
}

async fn wait_for(socket: &mut Socket, part: &str) -> Message {
    let waiting = async {
        loop {
            let message = socket.next().await.expect("the connection ended").unwrap();
            if String::from_utf8_lossy(&message.clone().into_data()).contains(part) {
                return message;
            }
        }
    };
    timeout(DEADLINE, waiting).await.expect("it never came")
}

const REGISTER: [&str; 3] = ["PASS alice:secret", "NICK web", "USER web 0 * :Web"];

#[tokio::test]
async fn websocket_and_plain_clients_meet_on_one_port() {
    let (_door, _hall, address) = plain(DoorConfig::default()).await;
    let mut plain = Raw::registered(address, "plain").await;
    let (mut text, chosen) = open(address, "text.ircv3.net, binary.ircv3.net", None).await.unwrap();
    assert_eq!(chosen, "text.ircv3.net");
    say(&mut text, &REGISTER).await;
    assert!(matches!(wait_for(&mut text, " 001 ").await, Message::Text(line) if !line.ends_with('\n')));
    let (mut binary, chosen) = open(address, "binary.ircv3.net", None).await.unwrap();
    assert_eq!(chosen, "binary.ircv3.net");
    say(&mut binary, &REGISTER).await;
    assert!(matches!(wait_for(&mut binary, " 001 ").await, Message::Binary(_)));

    plain.send_bytes(b"PRIVMSG #hall :caf\xe9\r\n").await;
    let Message::Binary(bytes) = wait_for(&mut binary, "PRIVMSG").await else { panic!() };
    assert_eq!(&bytes[..], b":plain PRIVMSG #hall :caf\xe9");
    let Message::Text(line) = wait_for(&mut text, "PRIVMSG").await else { panic!() };
    assert_eq!(line.as_str(), ":plain PRIVMSG #hall :caf\u{fffd}");
    text.send(Message::text("PRIVMSG #hall :from the web\r\n")).await.unwrap();
    plain.wait_for(":web PRIVMSG #hall :from the web").await;
}

#[tokio::test]
async fn only_known_pages_may_connect() {
    let origins = Origins::only(["https://chat.irc.now".to_owned()]);
    let (_door, _hall, address) = plain(DoorConfig { origins, ..DoorConfig::default() }).await;
    assert!(open(address, "text.ircv3.net", Some("https://chat.irc.now")).await.is_ok());
    match open(address, "text.ircv3.net", Some("https://evil.example")).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("{:?}", other.err()),
    }
}

#[tokio::test]
async fn pings_are_answered_and_endless_messages_end_the_connection() {
    let (_door, _hall, address) = plain(DoorConfig::default()).await;
    let (mut socket, _) = open(address, "text.ircv3.net", None).await.unwrap();
    socket.send(Message::Ping(b"are you there".to_vec().into())).await.unwrap();
    assert!(matches!(wait_for(&mut socket, "are you there").await, Message::Pong(_)));
    say(&mut socket, &REGISTER).await;
    wait_for(&mut socket, " 001 ").await;
    socket.send(Message::text("x".repeat(700))).await.unwrap();
    wait_for(&mut socket, " 417 ").await;
    socket.send(Message::text("x".repeat(70_000))).await.unwrap();
    wait_for(&mut socket, "ERROR :Your line had no end.").await;
}

#[tokio::test]
async fn an_upgrade_that_somebody_else_answered_is_taken_over() {
    let (door, _hall, _) = plain(DoorConfig::default()).await;
    let (ours, theirs) = tokio::io::duplex(4096);
    let peer =
        UpgradedPeer { address: ([192, 0, 2, 9], 9).into(), listener: "http".into(), tls: true, text: true };
    let serving = tokio::spawn(async move { door.serve_websocket(theirs, peer).await });
    let mut socket = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
    for line in REGISTER {
        socket.send(Message::text(line)).await.unwrap();
    }
    let welcome = timeout(DEADLINE, socket.next()).await.unwrap().unwrap().unwrap();
    assert!(welcome.into_text().unwrap().contains("alice from 192.0.2.9 tls=true"));
    drop(socket);
    timeout(DEADLINE, serving).await.unwrap().unwrap();
}
