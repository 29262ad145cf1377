//! A network of ours as soju keeps it, and back.

use contracts::parcel::{ClientCertificate, MovedNetwork, Private};
use contracts::{NetworkId, NetworkSpec, Sasl, SavedChannel, Tls};
use url::Url;

/// What soju writes before the digits of a certificate's fingerprint.
const SHA_256: &str = "sha-256:";

/// The most bytes of a text in soju's rows on PostgreSQL, and of all lines sent after connecting together.
const LONGEST: usize = 255;
const LONGEST_COMMANDS: usize = 1023;

/// A row of soju's networks. What is empty is not set.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SojuNetwork {
    /// What the user calls it.
    pub name: String,
    /// `ircs://host:port`.
    pub addr: String,
    /// The nick.
    pub nick: Option<String>,
    /// The real name.
    pub realname: Option<String>,
    /// `sha-256:` and the digits.
    pub certfp: Option<String>,
    /// The server's password.
    pub pass: Option<String>,
    /// Lines sent after connecting, with CR LF between them.
    pub connect_commands: Option<String>,
    /// `PLAIN` or `EXTERNAL`.
    pub sasl_mechanism: Option<String>,
    /// The account.
    pub sasl_username: Option<String>,
    /// Its password.
    pub sasl_password: Option<String>,
    /// The certificate, in DER.
    pub sasl_cert: Option<Vec<u8>>,
    /// Its key, PKCS #8 in DER.
    pub sasl_key: Option<Vec<u8>>,
    /// Whether it is connected.
    pub enabled: bool,
}

impl std::fmt::Debug for SojuNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SojuNetwork")
            .field("name", &self.name)
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

/// A network as soju keeps it. One whose certificate nobody checks is none soju can connect to: it comes with what was said
/// there, and is not connected.
pub fn to_soju(spec: &NetworkSpec, private: &Private) -> SojuNetwork {
    let scheme = if spec.tls == Tls::Off { "irc+insecure" } else { "ircs" };
    let host = if spec.host.contains(':') { format!("[{}]", spec.host) } else { spec.host.clone() };
    let mut row = SojuNetwork {
        name: spec.name.clone(),
        addr: format!("{scheme}://{host}:{}", spec.port),
        nick: filled(&spec.nick),
        realname: filled(&spec.realname),
        pass: private.server_password.as_deref().and_then(short),
        connect_commands: filled(&commands(&private.on_connect)),
        enabled: spec.enabled && spec.tls != Tls::Unverified,
        ..SojuNetwork::default()
    };
    if let Tls::Pinned { fingerprint } = &spec.tls {
        row.certfp = Some(format!("{SHA_256}{fingerprint}"));
    }
    match (&spec.sasl, &private.sasl_password, &private.certificate) {
        (Sasl::Password { account, .. }, Some(password), _)
            if account.len().max(password.len()) <= LONGEST =>
        {
            row.sasl_mechanism = Some("PLAIN".to_owned());
            row.sasl_username = Some(account.clone());
            row.sasl_password = Some(password.clone());
        }
        (Sasl::External { .. }, _, Some(certificate)) => {
            row.sasl_mechanism = Some("EXTERNAL".to_owned());
            row.sasl_cert = Some(certificate.certificate.clone());
            row.sasl_key = Some(certificate.key.clone());
        }
        _ => {}
    }
    row
}

/// A network of soju's as we keep it. `username` is the nick where soju was told none.
pub fn from_soju(
    id: NetworkId,
    row: SojuNetwork,
    channels: Vec<SavedChannel>,
    username: &str,
) -> MovedNetwork {
    let (host, port, secure) = address(&row.addr);
    let tls = match row.certfp.as_deref().map(|print| print.strip_prefix(SHA_256)) {
        _ if !secure => Tls::Off,
        Some(Some(fingerprint)) => Tls::Pinned { fingerprint: fingerprint.to_owned() },
        _ => Tls::Verified,
    };
    let (sasl, sasl_password, certificate) =
        match (row.sasl_mechanism.as_deref(), row.sasl_cert, row.sasl_key) {
            (Some("PLAIN"), ..) => {
                let account = row.sasl_username.unwrap_or_default();
                (Sasl::Password { account, password: None }, row.sasl_password, None)
            }
            (Some("EXTERNAL"), Some(certificate), Some(key)) => {
                let digest = ring::digest::digest(&ring::digest::SHA256, &certificate);
                let fingerprint: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
                let sasl = Sasl::External { fingerprint: Some(fingerprint.clone()) };
                (sasl, None, Some(ClientCertificate { certificate, key, fingerprint }))
            }
            _ => (Sasl::None, None, None),
        };
    let on_connect: Vec<String> = row
        .connect_commands
        .map(|lines| lines.split("\r\n").map(str::to_owned).collect())
        .unwrap_or_default();
    MovedNetwork {
        id,
        spec: NetworkSpec {
            name: if row.name.is_empty() { host.clone() } else { row.name },
            host,
            port,
            tls,
            nick: row.nick.unwrap_or_else(|| username.to_owned()),
            realname: row.realname.unwrap_or_default(),
            server_password: None,
            sasl,
            channels,
            on_connect: on_connect.clone(),
            enabled: row.enabled,
        },
        private: Private { server_password: row.pass, sasl_password, certificate, on_connect },
        version: 1,
        created_at_us: service::clock::now_us(),
    }
}

/// Host and port of an address as soju means it, and whether TLS is used. TLS is where nothing else is said.
fn address(addr: &str) -> (String, u16, bool) {
    let whole = if addr.contains("://") { addr.to_owned() } else { format!("ircs://{addr}") };
    let Ok(url) = Url::parse(&whole) else { return (addr.to_owned(), 6697, true) };
    let secure = url.scheme() == "ircs" || url.scheme() == "wss";
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    (host, url.port().unwrap_or(if secure { 6697 } else { 6667 }), secure)
}

/// Whether soju can keep a channel.
pub fn fits(channel: &SavedChannel) -> bool {
    channel.name.len().max(channel.key.as_ref().map_or(0, String::len)) <= LONGEST
}

/// As many of the lines as soju can keep.
fn commands(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines {
        let between = if text.is_empty() { "" } else { "\r\n" };
        if text.len() + between.len() + line.len() > LONGEST_COMMANDS {
            break;
        }
        text.push_str(between);
        text.push_str(line);
    }
    text
}

fn short(text: &str) -> Option<String> {
    filled(text).filter(|text| text.len() <= LONGEST)
}

fn filled(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn spec(tls: Tls, sasl: Sasl) -> NetworkSpec {
        NetworkSpec {
            name: "home".into(),
            host: "irc.example.org".into(),
            port: 6697,
            tls,
            nick: "alice".into(),
            realname: "Alice".into(),
            server_password: None,
            sasl,
            channels: vec![SavedChannel { name: "#tea".into(), key: Some("k".into()) }],
            on_connect: vec!["MODE alice +i".into(), "PRIVMSG x :y".into()],
            enabled: true,
        }
    }

    fn back(spec: &NetworkSpec, private: &Private) -> MovedNetwork {
        from_soju(NetworkId(Uuid::nil()), to_soju(spec, private), spec.channels.clone(), "alice")
    }

    #[test]
    fn a_network_comes_back_with_its_secrets() {
        let pinned = Tls::Pinned { fingerprint: "ab".repeat(32) };
        let password = Sasl::Password { account: "alice".into(), password: None };
        let spec = spec(pinned, password);
        let private = Private {
            server_password: Some("let me in".into()),
            sasl_password: Some("hunter2".into()),
            certificate: None,
            on_connect: spec.on_connect.clone(),
        };
        let back = back(&spec, &private);
        assert_eq!((back.spec, back.private), (spec, private));
    }

    #[test]
    fn a_certificate_comes_back_under_its_fingerprint() {
        let digest = ring::digest::digest(&ring::digest::SHA256, b"der");
        let fingerprint: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let spec = spec(Tls::Verified, Sasl::External { fingerprint: Some(fingerprint.clone()) });
        let certificate =
            ClientCertificate { certificate: b"der".to_vec(), key: b"key".to_vec(), fingerprint };
        let private = Private {
            certificate: Some(certificate),
            on_connect: spec.on_connect.clone(),
            ..Private::default()
        };
        let back = back(&spec, &private);
        assert_eq!((back.spec, back.private), (spec, private));
    }

    #[test]
    fn what_soju_would_connect_to_otherwise_is_not_connected() {
        let row = to_soju(&spec(Tls::Unverified, Sasl::None), &Private::default());
        assert!(!row.enabled && row.addr.starts_with("ircs://"));
    }

    #[test]
    fn what_is_too_long_for_soju_is_left_out_whole() {
        let long = "x".repeat(300);
        let lines: Vec<String> = (0..5).map(|n| format!("{n}{long}")).collect();
        let password = Sasl::Password { account: "alice".into(), password: None };
        let private = Private {
            server_password: Some(long.clone()),
            sasl_password: Some(long.clone()),
            certificate: None,
            on_connect: lines.clone(),
        };
        let row = to_soju(&spec(Tls::Verified, password), &private);
        assert_eq!((row.pass, row.sasl_mechanism), (None, None));
        assert_eq!(row.connect_commands, Some(lines[..3].join("\r\n")));
        assert!(!fits(&SavedChannel { name: "#tea".into(), key: Some(long) }));
    }

    #[test]
    fn addresses_are_read_as_soju_means_them() {
        let of = |addr| address(addr);
        assert_eq!(of("irc.example.org"), ("irc.example.org".into(), 6697, true));
        assert_eq!(of("ircs://irc.example.org:7000"), ("irc.example.org".into(), 7000, true));
        assert_eq!(of("irc+insecure://[fd00::7]"), ("fd00::7".into(), 6667, false));
        assert_eq!(of("irc+insecure://10.0.0.1:6668"), ("10.0.0.1".into(), 6668, false));
    }
}
