//! How the bouncer is told what to do.

use std::net::SocketAddr;
use std::time::Duration;

use service::secrecy::SecretString;

service::config! {
    /// The bouncer: where devices connect, and how gently it treats other people's networks.
    pub struct Config in "bouncer" {
        /// Address of the IRC listener in the clear. SASL works there from this machine only.
        pub listen: SocketAddr = "127.0.0.1:6667",
        /// Address of the IRC listener with TLS.
        pub listen_tls: SocketAddr = "127.0.0.1:6697",
        /// Addresses or ranges of proxies in front of the listeners, separated by commas. They must send a PROXY header.
        pub proxies: Option<String>,
        /// Sites whose pages may open a WebSocket to the listeners besides our own (`https://gamja.example.org`), separated by commas.
        pub websocket_origins: Option<String>,
        /// The name the bouncer calls itself in its own lines.
        pub server_name: String = "irc.now",
        /// Database of networks and devices; a file in the data folder where none is named.
        pub database: Option<SecretString>,
        /// Database of messages; a file in the data folder where none is named.
        pub history: Option<SecretString>,
        /// The account this bouncer is for, by its id: nobody else is let in or connected. Everybody is where none is named.
        pub account: Option<uuid::Uuid>,
        /// File with the networks on offer, in place of the list that is compiled in.
        pub well_known: Option<std::path::PathBuf>,
        /// How many connections to one host may begin at once, over all users.
        pub host_burst: u32 = "5",
        /// After that many, how long until the next to the same host.
        pub host_interval: Duration = "2s",
        /// How long a connection may take to register.
        pub registration_timeout: Duration = "30s",
        /// How long a client may go on sending faster than it is let in before it is closed.
        pub flood_patience: Duration = "120s",
        /// Connections of devices at once.
        pub max_connections: usize = "100000",
        /// Connections of devices at once from one IPv4 address or IPv6 /64. This machine itself is not counted.
        pub max_per_address: usize = "200",
        /// The most lines of one page of history.
        pub page_limit: u32 = "1000",
    }
}
