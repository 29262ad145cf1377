//! SASL over `AUTHENTICATE` (ircv3 `sasl-3.1`, `sasl-3.2`): cutting payloads into chunks, putting them together, and
//! what the payloads of each mechanism say. SCRAM's exchange is in [`crate::scram`].

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Base64 characters in one `AUTHENTICATE`. A chunk of exactly that many says that more follows.
pub const CHUNK: usize = 400;

/// Decoded bytes a payload may have at the doors of this project.
pub const MAX_PAYLOAD: usize = 8192;

/// A mechanism this project speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mechanism {
    /// RFC 4616: name and password.
    Plain,
    /// RFC 4422 appendix A: the certificate of the connection.
    External,
    /// RFC 7628: a bearer token.
    OauthBearer,
    /// RFC 7677: name and proof of the password.
    ScramSha256,
}

impl Mechanism {
    /// All of them, the safest for a password first.
    pub const ALL: [Mechanism; 4] =
        [Mechanism::External, Mechanism::ScramSha256, Mechanism::OauthBearer, Mechanism::Plain];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::External => "EXTERNAL",
            Mechanism::OauthBearer => "OAUTHBEARER",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
        }
    }

    /// The mechanism of that name, in any case.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| name.eq_ignore_ascii_case(mechanism.name().as_bytes()))
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a payload could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    /// A chunk of more than [`CHUNK`] characters, or more chunks than allowed (`905 ERR_SASLTOOLONG`).
    #[error("the SASL message is too long")]
    TooLong,
    /// `AUTHENTICATE *` (`906 ERR_SASLABORTED`).
    #[error("the login was aborted")]
    Aborted,
    /// Not base64 (`904 ERR_SASLFAIL`).
    #[error("the SASL message is not base64")]
    NotBase64,
    /// Not what the mechanism's payload looks like.
    #[error("the SASL message does not follow its mechanism")]
    Malformed,
}

/// The parameters of the `AUTHENTICATE` lines that carry a payload. An empty payload is `+`, and so is the last
/// line if the one before it was full.
pub fn chunks(payload: &[u8]) -> Vec<String> {
    let text = Zeroizing::new(STANDARD.encode(payload));
    let mut rest = text.as_str();
    let mut out = Vec::with_capacity(text.len() / CHUNK + 1);
    while rest.len() >= CHUNK {
        let (chunk, tail) = rest.split_at(CHUNK);
        out.push(chunk.to_owned());
        rest = tail;
    }
    out.push(if rest.is_empty() { "+".to_owned() } else { rest.to_owned() });
    out
}

/// Puts a payload together from the parameters of `AUTHENTICATE` lines, in bounded memory.
pub struct Reassembler {
    text: Zeroizing<Vec<u8>>,
    max: usize,
}

impl Default for Reassembler {
    fn default() -> Self {
        Self::new(MAX_PAYLOAD)
    }
}

impl Reassembler {
    /// For payloads of at most `max` decoded bytes.
    pub fn new(max: usize) -> Self {
        Self { text: Zeroizing::new(Vec::new()), max }
    }

    /// Takes in one parameter; the payload once it is whole. After that, and after an error, it starts anew.
    pub fn push(&mut self, param: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, SaslError> {
        let taken = self.take_in(param);
        if !matches!(taken, Ok(None)) {
            self.text.clear();
        }
        taken
    }

    fn take_in(&mut self, param: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, SaslError> {
        if param == b"*" {
            return Err(SaslError::Aborted);
        }
        if param.len() > CHUNK {
            return Err(SaslError::TooLong);
        }
        if param != b"+" {
            if (self.text.len() + param.len()) / 4 * 3 > self.max + 2 {
                return Err(SaslError::TooLong);
            }
            // Grown by hand, since a growing vector would leave copies of a password behind.
            if self.text.capacity() < self.text.len() + param.len() {
                let mut grown = Zeroizing::new(Vec::with_capacity((self.text.len() + param.len()) * 2));
                grown.extend_from_slice(&self.text);
                self.text = grown;
            }
            self.text.extend_from_slice(param);
        }
        if param.len() == CHUNK {
            return Ok(None);
        }
        let payload = Zeroizing::new(STANDARD.decode(&*self.text).map_err(|_| SaslError::NotBase64)?);
        if payload.len() > self.max { Err(SaslError::TooLong) } else { Ok(Some(payload)) }
    }
}

impl fmt::Debug for Reassembler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reassembler").field("held", &self.text.len()).field("max", &self.max).finish()
    }
}

/// The payload of PLAIN (RFC 4616): `authzid NUL authcid NUL password`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Plain<'a> {
    /// Whom to act as; empty for oneself.
    pub authzid: &'a str,
    /// Who one is.
    pub authcid: &'a str,
    /// The password.
    pub password: &'a str,
}

impl<'a> Plain<'a> {
    /// Reads a payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, SaslError> {
        let text = str::from_utf8(payload).map_err(|_| SaslError::Malformed)?;
        let mut parts = text.split('\0');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(authzid), Some(authcid), Some(password), None)
                if !authcid.is_empty() && !password.is_empty() =>
            {
                Ok(Self { authzid, authcid, password })
            }
            _ => Err(SaslError::Malformed),
        }
    }

    /// Writes the payload. Fails if a part contains NUL or name or password are empty.
    pub fn to_payload(&self) -> Result<Zeroizing<Vec<u8>>, SaslError> {
        let parts = [self.authzid, self.authcid, self.password];
        if parts.iter().any(|part| part.contains('\0')) || self.authcid.is_empty() || self.password.is_empty()
        {
            return Err(SaslError::Malformed);
        }
        let mut payload = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum()));
        payload.extend_from_slice(self.authzid.as_bytes());
        for part in [self.authcid, self.password] {
            payload.push(0);
            payload.extend_from_slice(part.as_bytes());
        }
        Ok(payload)
    }
}

impl fmt::Debug for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain")
            .field("authzid", &self.authzid)
            .field("authcid", &self.authcid)
            .finish_non_exhaustive()
    }
}

/// Reads the payload of EXTERNAL: the name to act as, or empty for the one the certificate says.
pub fn external(payload: &[u8]) -> Result<&str, SaslError> {
    str::from_utf8(payload).ok().filter(|name| !name.contains('\0')).ok_or(SaslError::Malformed)
}

/// The payload of OAUTHBEARER (RFC 7628 §3.1).
#[derive(Clone, PartialEq, Eq)]
pub struct OauthBearer<'a> {
    /// Whom to act as; empty for whom the token says.
    pub authzid: String,
    /// The host the client wanted, if it said so.
    pub host: Option<&'a str>,
    /// The port it wanted, if it said so.
    pub port: Option<u16>,
    /// The token, without `Bearer`.
    pub token: &'a str,
}

impl<'a> OauthBearer<'a> {
    /// Reads the first payload of a client.
    pub fn parse(payload: &'a [u8]) -> Result<Self, SaslError> {
        let text = str::from_utf8(payload).map_err(|_| SaslError::Malformed)?;
        let (header, pairs) = text.split_once('\x01').ok_or(SaslError::Malformed)?;
        let authzid = gs2_header(header)?.unwrap_or_default();
        let (mut host, mut port, mut token) = (None, None, None);
        let pairs = pairs.strip_suffix("\x01\x01").ok_or(SaslError::Malformed)?;
        for pair in pairs.split('\x01') {
            match pair.split_once('=').ok_or(SaslError::Malformed)? {
                ("host", value) => host = Some(value),
                ("port", value) => port = Some(value.parse().map_err(|_| SaslError::Malformed)?),
                ("auth", value) => token = Some(bearer(value)?),
                _ => {}
            }
        }
        Ok(Self { authzid, host, port, token: token.ok_or(SaslError::Malformed)? })
    }

    /// Writes the payload. Fails if a part holds what would break it.
    pub fn to_payload(&self) -> Result<Zeroizing<Vec<u8>>, SaslError> {
        let clean = |text: &str| !text.contains(['\x01', '\0']);
        if !clean(self.token) || !clean(&self.authzid) || !self.host.is_none_or(clean) {
            return Err(SaslError::Malformed);
        }
        let mut text = Zeroizing::new(String::with_capacity(self.token.len() + self.authzid.len() * 3 + 400));
        text.push_str("n,");
        if !self.authzid.is_empty() {
            text.push_str("a=");
            text.push_str(&escape_name(&self.authzid));
        }
        text.push(',');
        if let Some(host) = self.host {
            text.push_str("\x01host=");
            text.push_str(host);
        }
        if let Some(port) = self.port {
            text.push_str(&format!("\x01port={port}"));
        }
        text.push_str("\x01auth=Bearer ");
        text.push_str(self.token);
        text.push_str("\x01\x01");
        Ok(Zeroizing::new(text.as_bytes().to_vec()))
    }
}

impl fmt::Debug for OauthBearer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OauthBearer")
            .field("authzid", &self.authzid)
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// What the server answers to a refused token (RFC 7628 §3.2.2); the client then sends [`OAUTH_GIVE_UP`].
/// `discovery` is the address of the provider's metadata.
pub fn oauth_error(status: &str, discovery: Option<&str>) -> Vec<u8> {
    let json = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace(char::is_control, "");
    let mut text = format!("{{\"status\":\"{}\"", json(status));
    if let Some(discovery) = discovery {
        text.push_str(&format!(",\"openid-configuration\":\"{}\"", json(discovery)));
    }
    text.push('}');
    text.into_bytes()
}

/// The client's answer to an error of OAUTHBEARER (RFC 7628 §3.2.3).
pub const OAUTH_GIVE_UP: &[u8] = b"\x01";

fn bearer(value: &str) -> Result<&str, SaslError> {
    match value.split_at_checked("Bearer ".len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer ") && !token.trim().is_empty() => {
            Ok(token.trim())
        }
        _ => Err(SaslError::Malformed),
    }
}

/// Reads `n,a=name,` (RFC 5801 §4) and gives the name. Channel binding is refused: nothing offers it.
pub(crate) fn gs2_header(header: &str) -> Result<Option<String>, SaslError> {
    let mut parts = header.split(',');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("n" | "y"), Some(authzid), Some(""), None) => match authzid.strip_prefix("a=") {
            Some(name) => unescape_name(name).map(Some),
            None if authzid.is_empty() => Ok(None),
            None => Err(SaslError::Malformed),
        },
        _ => Err(SaslError::Malformed),
    }
}

/// `,` and `=` of a name as `=2C` and `=3D` (RFC 5802 §5.1).
pub(crate) fn escape_name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

pub(crate) fn unescape_name(name: &str) -> Result<String, SaslError> {
    let mut parts = name.split('=');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2).ok_or(SaslError::Malformed)?;
        match code {
            "2C" => out.push(','),
            "3D" => out.push('='),
            _ => return Err(SaslError::Malformed),
        }
        out.push_str(rest);
    }
    if out.is_empty() || out.contains('\0') { Err(SaslError::Malformed) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn together(chunks: &[String]) -> Vec<u8> {
        let mut reassembler = Reassembler::default();
        let (last, others) = chunks.split_last().unwrap();
        for chunk in others {
            assert_eq!(reassembler.push(chunk.as_bytes()), Ok(None));
        }
        reassembler.push(last.as_bytes()).unwrap().unwrap().to_vec()
    }

    #[test]
    fn payloads_of_any_length_survive_chunking() {
        for (len, lines) in [(0, 1), (1, 1), (297, 1), (298, 2), (300, 2), (301, 2), (600, 3), (1000, 4)] {
            let payload: Vec<u8> = (0..len).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let chunks = chunks(&payload);
            assert_eq!(chunks.len(), lines, "{len}");
            assert!(chunks.iter().all(|chunk| chunk.len() <= CHUNK));
            assert_eq!(together(&chunks), payload);
        }
        assert_eq!(chunks(b""), ["+"]);
        assert_eq!(chunks(&[0; 300])[1], "+");
    }

    #[test]
    fn what_cannot_be_a_payload_is_told_apart() {
        let mut reassembler = Reassembler::new(600);
        assert_eq!(reassembler.push(b"*"), Err(SaslError::Aborted));
        assert_eq!(reassembler.push(&[b'A'; 401]), Err(SaslError::TooLong));
        assert_eq!(reassembler.push(b"???"), Err(SaslError::NotBase64));
        assert_eq!(reassembler.push(&[b'A'; 400]), Ok(None));
        assert_eq!(reassembler.push(&[b'A'; 400]), Ok(None));
        assert_eq!(reassembler.push(b"AAAAAAAA"), Err(SaslError::TooLong));
        assert_eq!(reassembler.push(b"AAAA").unwrap().unwrap().len(), 3);
    }

    #[test]
    fn plain_goes_both_ways_and_hides_the_password() {
        let plain = Plain::parse(b"\0dan/net@phone\0s3cret").unwrap();
        assert_eq!((plain.authzid, plain.authcid, plain.password), ("", "dan/net@phone", "s3cret"));
        assert_eq!(*plain.to_payload().unwrap(), b"\0dan/net@phone\0s3cret");
        assert!(!format!("{plain:?}").contains("s3cret"));
        for bad in [&b""[..], b"a\0b", b"\0\0x", b"\0a\0", b"a\0b\0c\0d", b"\0a\0\xff"] {
            assert_eq!(Plain::parse(bad), Err(SaslError::Malformed));
        }
        assert!(Plain { authzid: "", authcid: "a", password: "x\0y" }.to_payload().is_err());
    }

    #[test]
    fn oauthbearer_goes_both_ways() {
        let bearer =
            OauthBearer { authzid: "a,b=c".into(), host: Some("irc.test"), port: Some(6697), token: "tok" };
        let payload = bearer.to_payload().unwrap();
        assert_eq!(*payload, b"n,a=a=2Cb=3Dc,\x01host=irc.test\x01port=6697\x01auth=Bearer tok\x01\x01");
        assert_eq!(OauthBearer::parse(&payload).unwrap(), bearer);
        assert_eq!(OauthBearer::parse(b"n,,\x01auth=bearer tok\x01\x01").unwrap().token, "tok");
        for bad in [
            "n,,",
            "n,,\x01auth=Basic x\x01\x01",
            "n,,\x01\x01",
            "p=x,,\x01auth=Bearer t\x01\x01",
            "n,,\x01auth=Bearer \x01\x01",
        ] {
            assert!(OauthBearer::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert_eq!(
            oauth_error("invalid_token", Some("https://a/b")),
            br#"{"status":"invalid_token","openid-configuration":"https://a/b"}"#
        );
    }

    #[test]
    fn mechanisms_go_by_name() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::from_name(mechanism.name().to_lowercase().as_bytes()), Some(mechanism));
        }
        assert_eq!(Mechanism::from_name(b"LOGIN"), None);
    }
}
