//! What the guides are filled in with, and the filling in.

use super::guide::{Piece, Step, What};

/// What the steps are filled in with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The host clients connect to.
    pub host: String,
    /// The port with TLS.
    pub tls_port: u16,
    /// Where clients in a browser connect (`wss://…`), if this installation has such a door.
    pub websocket: Option<String>,
    /// The account's user name.
    pub username: String,
    /// The network the steps are for, by its name; none if the account has no network yet.
    pub network: Option<String>,
    /// The app password just made; else a placeholder stands in its place.
    pub secret: Option<String>,
    /// Set if clients do not trust the server's certificate by themselves.
    pub local: Option<LocalCertificate>,
}

/// A certificate signed by the installation's own authority.
#[derive(Clone, Debug)]
pub struct LocalCertificate {
    /// SHA-256 of the server certificate, lower-case hex without colons.
    pub fingerprint: String,
    /// Where the authority's certificate can be fetched.
    pub authority_url: String,
}

impl LocalCertificate {
    /// The fingerprint in pairs, upper case, with colons: as irssi and most clients print it.
    pub fn pairs(&self) -> String {
        let upper = self.fingerprint.to_ascii_uppercase();
        upper.as_bytes().chunks(2).map(String::from_utf8_lossy).collect::<Vec<_>>().join(":")
    }
}

/// What stands where the app password goes while none was just made.
pub const PLACEHOLDER: &str = "YOUR-APP-PASSWORD";

impl Setup {
    /// The app password, or the placeholder.
    pub(super) fn secret(&self) -> &str {
        self.secret.as_deref().unwrap_or(PLACEHOLDER)
    }

    /// The name to log in with for one network: `alice/libera`.
    pub fn login(&self) -> String {
        match &self.network {
            Some(network) => format!("{}/{network}", self.username),
            None => self.username.clone(),
        }
    }

    /// What the client may call this connection: the network's name.
    pub(super) fn label(&self) -> String {
        self.network.clone().unwrap_or_else(|| "irc-now".to_owned())
    }

    /// Fills `{host}`, `{port}`, `{login}`, `{user}`, `{secret}`, `{label}`, `{pin}`, `{hex}`, `{authority}` and
    /// `{websocket}` into a block's text.
    pub(super) fn block(&self, tag: &'static str, text: &str) -> What {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, tail) = after.split_once('}').unwrap_or((after, ""));
            match self.value(name) {
                Some(value) => {
                    push(&mut pieces, before, false);
                    push(&mut pieces, &value, true);
                    rest = tail;
                }
                // A brace of the text itself.
                None => {
                    push(&mut pieces, before, false);
                    push(&mut pieces, "{", false);
                    rest = after;
                }
            }
        }
        push(&mut pieces, rest, false);
        What::Block { tag, pieces }
    }

    fn value(&self, name: &str) -> Option<String> {
        Some(match name {
            "host" => self.host.clone(),
            "port" => self.tls_port.to_string(),
            "login" => self.login(),
            "user" => self.username.clone(),
            "secret" => self.secret().to_owned(),
            "label" => self.label(),
            "pin" => self.local.as_ref()?.pairs(),
            "hex" => self.local.as_ref()?.fingerprint.clone(),
            "authority" => self.local.as_ref()?.authority_url.clone(),
            "websocket" => self.websocket.clone()?,
            _ => return None,
        })
    }

    /// The step that fetches the authority's certificate, where it is needed.
    pub(super) fn fetch_authority(&self, tag: &'static str) -> Option<Step> {
        self.local.as_ref()?;
        Some(Step {
            text: "This server's certificate is signed by its own authority. Fetch the authority's certificate once:".to_owned(),
            what: self.block(tag, "curl -o ~/irc-now.pem {authority}"),
        })
    }

    /// The step that makes the system trust the authority, where it is needed; `system` says how.
    pub(super) fn trust_in_system(&self, system: &str) -> Option<Step> {
        let local = self.local.as_ref()?;
        Some(Step {
            text: format!(
                "This server's certificate is signed by its own authority. Download {} and {system}.",
                local.authority_url
            ),
            what: What::Nothing,
        })
    }
}

fn push(pieces: &mut Vec<Piece>, text: &str, filled: bool) {
    match pieces.last_mut() {
        Some(last) if last.filled == filled => last.text.push_str(text),
        _ if text.is_empty() => {}
        _ => pieces.push(Piece { text: text.to_owned(), filled }),
    }
}

/// Whether a host name is this very machine.
pub(crate) fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.") || host == "::1"
}
