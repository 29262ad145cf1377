//! A network's doors to the outside: a load balancer for IRC, an Ingress for the WebSocket, and how many come in.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use testkit::irc::Client;
use testkit::wait::PATIENCE;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::world::{World, until};

const KIND: &str = "ErgoNetwork";

/// A client on a web page.
struct Page(WebSocketStream<TcpStream>);

impl Page {
    /// Connects as a proxy in front does: in the clear, with the page's origin.
    async fn open(address: SocketAddr, host: &str, origin: &str) -> Result<Self, Error> {
        let mut request = format!("ws://{host}/").into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("origin", origin.parse().unwrap());
        headers.insert("sec-websocket-protocol", "text.ircv3.net".parse().unwrap());
        let stream = TcpStream::connect(address).await.unwrap();
        Ok(Self(client_async(request, stream).await?.0))
    }

    async fn say(&mut self, line: &str) {
        self.0.send(Message::text(line)).await.unwrap();
    }

    async fn wait_for(&mut self, text: &str) {
        let found = tokio::time::timeout(PATIENCE, async {
            while let Some(Ok(message)) = self.0.next().await {
                let Ok(line) = message.to_text() else { continue };
                if let Some(token) = line.strip_prefix("PING ") {
                    let token = token.to_owned();
                    self.say(&format!("PONG {token}")).await;
                } else if line.contains(text) {
                    return true;
                }
            }
            false
        });
        assert_eq!(found.await, Ok(true), "{text} was not heard");
    }
}

#[tokio::test]
async fn a_network_is_reached_through_a_load_balancer_and_from_a_web_page_by_as_many_as_may() {
    let Some(world) = World::new("doors").await else { return };
    let before = world.objects().await;
    let spec = json!({
        "networkName": "DoorNet",
        "hostname": world.host(),
        "version": "2.18.0",
        "auth": { "gatekeeper": false },
        "history": { "backend": "Memory" },
        "expose": { "irc": "LoadBalancer", "web": "Ingress", "sourceRanges": ["0.0.0.0/0"] },
        "websocketOrigins": ["https://chat.example.org"],
        "limits": { "clients": 2, "connectionsPerAddress": 50 },
        "deletionPolicy": "Delete",
    });
    world.make(KIND, "doors", &spec).await;
    let waiting = |status: &serde_json::Value| {
        let mut conditions = status["conditions"].as_array().into_iter().flatten();
        conditions.any(|is| is["type"] == "Exposed" && is["status"] == "False" && is["reason"] == "Pending")
    };
    world.until(KIND, "doors", "waits for an address", waiting).await;
    world.balance("doors-public", "192.0.2.10").await;
    let status = world.ready(KIND, "doors").await;
    assert_eq!(status["endpoints"]["irc"], format!("ircs://{}:6697", world.host()));
    assert_eq!(status["endpoints"]["websocket"].as_str().map(|at| at.starts_with("wss://")), Some(true));

    // The load balancer has the one port that may be seen, and it leads to the Pod.
    let (.., pod) = world.pod().await;
    let service = world.object("", "Service", "doors-public").await;
    assert_eq!(service["spec"]["type"], "LoadBalancer");
    assert_eq!(service["spec"]["loadBalancerSourceRanges"], json!(["0.0.0.0/0"]));
    assert_eq!(service["spec"]["ports"].as_array().map(Vec::len), Some(1));
    let public = until("the load balancer leads somewhere", || async {
        world.behind("doors-public", "ircs").await.first().copied().ok_or_else(|| "nowhere".to_owned())
    })
    .await;
    assert_eq!(public, SocketAddr::new(pod, 6697));
    let ingress = world.object("networking.k8s.io", "Ingress", "doors-web").await;
    let path = &ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
    assert_eq!(*path, json!({ "name": "doors", "port": { "name": "websocket" } }));
    assert_eq!(ingress["spec"]["tls"], json!([{ "hosts": [world.host()], "secretName": "doors-tls" }]));
    let web = world.behind("doors", "websocket").await[0];

    let mut alice = Client::connect_tls_to(public).await.unwrap();
    alice.register("alice").await.unwrap();
    alice.send("JOIN #doors").await.unwrap();
    alice.wait_for(" 366 ").await.unwrap();
    assert!(Page::open(web, &world.host(), "https://evil.example.org").await.is_err(), "another page");
    let mut wanda = Page::open(web, &world.host(), "https://chat.example.org").await.unwrap();
    wanda.say("NICK wanda").await;
    wanda.say("USER wanda 0 * :wanda").await;
    wanda.wait_for(" 001 ").await;
    wanda.say("JOIN #doors").await;
    wanda.wait_for(" 366 ").await;
    alice.send("PRIVMSG #doors :from the outside").await.unwrap();
    wanda.wait_for("from the outside").await;
    wanda.say("PRIVMSG #doors :from a page").await;
    alice.wait_for("from a page").await.unwrap();

    // Two may be on it: the third is told why it is not let in, and comes in when there is room.
    // Ergo closes at once, and a close that crosses what the client still sends may swallow the words.
    until("the third is told why", || async {
        let mut carol = Client::connect_tls_to(public).await.map_err(|error| error.to_string())?;
        assert!(carol.register("carol").await.is_err(), "{:?}", carol.seen);
        let told = carol.seen.iter().any(|line| line.contains("This network is full: 2 people"));
        if told { Ok(()) } else { Err(format!("{:?}", carol.seen)) }
    })
    .await;
    world.change(KIND, "doors", json!({ "limits": { "clients": 3 } })).await;
    until("there is room for a third", || async {
        let mut carol = Client::connect_tls_to(public).await.map_err(|error| error.to_string())?;
        carol.register("carol").await.map_err(|_| carol.seen.join("\n"))
    })
    .await;
    world.delete(KIND, "doors").await;
    world.only(&before, &[]).await;
}
