//! The body of the fuzz target in `/fuzz`; this crate's tests replay its corpus.

use irc::cap::{Cap, CapSet};
use irc::{Message, limits::Lines};

use crate::config::{ClientConfig, Sasl};
use crate::registration::{Act, NONCE_LEN, Registration};
use crate::sts::StsValue;
use crate::words;

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] = &[("client_registration", registration)];

/// `\0alice\0pencil` in base64: PLAIN.
const PLAIN: &[u8] = b"AGFsaWNlAHBlbmNpbA==";

/// What an upstream may say before 001; the first byte chooses how we log in, and whether over TLS.
pub fn registration(data: &[u8]) {
    let Some((choice, said)) = data.split_first() else { return };
    let account = "alice".to_owned();
    let config = ClientConfig {
        wanted: CapSet::of(&[Cap::ServerTime, Cap::MessageTags]),
        sasl: match choice % 4 {
            0 => Sasl::None,
            1 => Sasl::Password { account, password: "pencil".to_owned().into() },
            2 => Sasl::External,
            _ => Sasl::OauthBearer { account, token: "pencil".to_owned().into() },
        },
        sasl_optional: choice & 8 != 0,
        ..ClientConfig::new("Net", "irc.test", 6697, "alice")
    };
    let encrypted = choice & 16 != 0;
    let mut registration = Registration::new(&config, encrypted, [7; NONCE_LEN]);
    let mut lines = Lines::new(512);
    lines.push(said);
    while let Some(line) = lines.next_line() {
        let Some(message) = line.ok().and_then(|line| Message::parse(line).ok()) else { continue };
        for act in registration.line(&message) {
            match act {
                Act::Send(line) => {
                    let bare = line.strip_suffix(b"\r\n").unwrap_or_default();
                    assert!(!bare.is_empty() && !bare.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')));
                    assert!(encrypted || !bare.ends_with(PLAIN), "a password in the clear");
                }
                Act::Upgrade(port) => assert!(!encrypted && port != 0),
                Act::Keep(_) => assert!(encrypted, "a policy is believed over TLS only"),
                Act::Done(registered) => assert!(!registered.nick.is_empty()),
                Act::Derive(_) | Act::Fail(_) => {}
            }
        }
    }
    let text = String::from_utf8_lossy(said);
    let _ = (StsValue::parse(&text), words::farewell(&text));
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_bytes_keep_the_promises() {
        testkit::fuzz::hold(super::TARGETS);
    }
}
