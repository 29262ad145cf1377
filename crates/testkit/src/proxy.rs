//! A TCP proxy that can misbehave: cut, stall, refuse.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the proxy does with what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Lets everything through.
    Through,
    /// Holds everything back, both ways, without closing.
    Stalled,
    /// Closes what is open and refuses what comes.
    Cut,
    /// Lets requests through, then closes instead of passing the answer on.
    LoseAnswers,
}

/// A proxy in front of one address.
pub struct Proxy {
    address: SocketAddr,
    mood: Arc<watch::Sender<Mood>>,
}

impl Proxy {
    /// Listens on a free port and passes on to `target`.
    pub async fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mood = Arc::new(watch::Sender::new(Mood::Through));
        let moods = mood.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let moods = moods.subscribe();
                tokio::spawn(async move {
                    if *moods.borrow() == Mood::Cut {
                        return;
                    }
                    if let Ok(server) = TcpStream::connect(target).await {
                        pass(client, server, moods).await;
                    }
                });
            }
        });
        Ok(Self { address, mood })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it does, at once, for open connections too.
    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }
}

async fn pass(client: TcpStream, server: TcpStream, moods: watch::Receiver<Mood>) {
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let up = one_way(client_read, server_write, moods.clone(), false);
    let down = one_way(server_read, client_write, moods, true);
    tokio::select! { () = up => {}, () = down => {} }
}

async fn one_way(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut moods: watch::Receiver<Mood>,
    is_answer: bool,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let mood = *moods.borrow_and_update();
        let read = match mood {
            Mood::Cut => return,
            Mood::Stalled => {
                if moods.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Mood::Through | Mood::LoseAnswers => tokio::select! {
                read = from.read(&mut buffer) => read,
                _ = moods.changed() => continue,
            },
        };
        let lost = is_answer && *moods.borrow() == Mood::LoseAnswers;
        match read {
            Ok(n) if n > 0 && !lost => {
                if to.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}
