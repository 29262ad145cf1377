//! What `ircnow up` prints: the addresses, and the first three things to do.

use std::net::SocketAddr;

use service::sites::Sites;

/// What the banner tells.
pub struct Facts<'a> {
    /// The sites.
    pub sites: &'a Sites,
    /// The door in the clear.
    pub irc: Option<SocketAddr>,
    /// The door with TLS.
    pub irc_tls: Option<SocketAddr>,
    /// The fingerprint of the door's certificate.
    pub fingerprint: &'a str,
    /// The local network: its software and address.
    pub local_network: Option<(&'static str, SocketAddr)>,
    /// Figures and health.
    pub admin: SocketAddr,
    /// The data folder.
    pub data: String,
}

/// The whole text.
pub fn text(facts: &Facts<'_>) -> String {
    let Facts { sites, irc, irc_tls, fingerprint, local_network, admin, data } = facts;
    let door = |address: &Option<SocketAddr>| {
        address.map_or("off".to_owned(), |a| format!("{}:{}", sites.irc.host, a.port()))
    };
    let local = local_network.map_or(
        "none: install Ergo or InspIRCd (apt install inspircd), or use any network you know".to_owned(),
        |(software, address)| format!("localnet at {address} ({software})"),
    );
    format!(
        "
irc.now is up.

  pages          {root}
  IRC over TLS   {tls}   certificate {short}…
  IRC            {plain}   this machine only
  local network  {local}
  figures        http://{admin}/metrics
  data           {data}

First:
  1. Open {root} and sign up.
  2. Follow the three steps: a network, a password for your client, connect.
  3. Join a channel, say something, close the lid. It is all there when you come back.
",
        root = sites.root,
        tls = door(irc_tls),
        plain = door(irc),
        short = fingerprint.get(..16).unwrap_or(fingerprint),
    )
}
