//! The PROXY protocol header, version 1 (text) and 2 (binary), as HAProxy's `proxy-protocol.txt` has it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The first bytes of version 2.
pub const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// No header of version 1 is longer, its CR LF included.
const V1_LONGEST: usize = 107;
/// Longer version 2 headers (their extensions, that is) are refused.
const V2_LONGEST: usize = 16 + 2048;
/// The extension that tells of TLS, and the bit that says the client used it.
const PP2_TYPE_SSL: u8 = 0x20;
const PP2_CLIENT_SSL: u8 = 0x01;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes it takes; the client's own follow.
    pub length: usize,
    /// The client's address; `None` when the proxy speaks for itself (health checks) or does not know.
    pub source: Option<SocketAddr>,
    /// Whether the client came over TLS, as far as it says.
    pub tls: bool,
}

/// What the first bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header; more bytes are needed.
    Incomplete,
    /// A header.
    Header(Header),
    /// No header.
    Invalid,
}

/// Reads a header at the beginning of `bytes`.
pub fn parse(bytes: &[u8]) -> Parsed {
    let shared = bytes.len().min(V2_SIGNATURE.len());
    if bytes[..shared] == V2_SIGNATURE[..shared] {
        return if shared < V2_SIGNATURE.len() { Parsed::Incomplete } else { version_2(bytes) };
    }
    let shared = bytes.len().min(6);
    if bytes[..shared] == b"PROXY "[..shared] {
        return if shared < 6 { Parsed::Incomplete } else { version_1(bytes) };
    }
    Parsed::Invalid
}

fn version_1(bytes: &[u8]) -> Parsed {
    let head = &bytes[..bytes.len().min(V1_LONGEST)];
    let Some(end) = head.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() >= V1_LONGEST { Parsed::Invalid } else { Parsed::Incomplete };
    };
    let Ok(text) = std::str::from_utf8(&head[..end]) else { return Parsed::Invalid };
    let header = |source| Parsed::Header(Header { length: end + 2, source, tls: false });
    let mut words = text.split(' ').skip(1);
    let family = words.next();
    if family == Some("UNKNOWN") {
        return header(None);
    }
    let (Some(source), Some(_destination), Some(source_port), Some(_destination_port), None) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return Parsed::Invalid;
    };
    let address: Option<IpAddr> = match family {
        Some("TCP4") => source.parse().ok().map(IpAddr::V4),
        Some("TCP6") => source.parse().ok().map(IpAddr::V6),
        _ => None,
    };
    match (address, source_port.parse()) {
        (Some(address), Ok(port)) => header(Some(SocketAddr::new(address, port))),
        _ => Parsed::Invalid,
    }
}

fn version_2(bytes: &[u8]) -> Parsed {
    let Some(&[version_command, family, high, low]) = bytes.get(12..16) else { return Parsed::Incomplete };
    let length = 16 + usize::from(u16::from_be_bytes([high, low]));
    if version_command >> 4 != 2 || length > V2_LONGEST {
        return Parsed::Invalid;
    }
    let Some(body) = bytes.get(16..length) else { return Parsed::Incomplete };
    let (source, extensions) = match (version_command & 0xf, family) {
        // LOCAL: the proxy itself, whatever the rest says.
        (0, _) => return Parsed::Header(Header { length, source: None, tls: false }),
        (1, 0x11) => match body.split_first_chunk::<12>() {
            Some((b, rest)) => {
                let address = Ipv4Addr::new(b[0], b[1], b[2], b[3]);
                (Some(SocketAddr::new(address.into(), u16::from_be_bytes([b[8], b[9]]))), rest)
            }
            None => return Parsed::Invalid,
        },
        (1, 0x21) => match body.split_first_chunk::<36>() {
            Some((b, rest)) => {
                let mut octets = [0; 16];
                octets.copy_from_slice(&b[..16]);
                let port = u16::from_be_bytes([b[32], b[33]]);
                (Some(SocketAddr::new(Ipv6Addr::from(octets).into(), port)), rest)
            }
            None => return Parsed::Invalid,
        },
        // Unix sockets, UDP and what is unspecified: no address of use.
        (1, _) => (None, &[][..]),
        _ => return Parsed::Invalid,
    };
    Parsed::Header(Header { length, source, tls: says_tls(extensions) })
}

fn says_tls(mut extensions: &[u8]) -> bool {
    while let [kind, high, low, rest @ ..] = extensions {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((value, next)) = rest.split_at_checked(length) else { return false };
        if *kind == PP2_TYPE_SSL {
            return value.first().is_some_and(|client| client & PP2_CLIENT_SSL != 0);
        }
        extensions = next;
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = V2_SIGNATURE.to_vec();
        bytes.extend([0x20 | command, family]);
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn source(bytes: &[u8]) -> Option<String> {
        match parse(bytes) {
            Parsed::Header(header) => header.source.map(|source| source.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn version_1_names_the_client() {
        let text = b"PROXY TCP4 192.0.2.7 198.51.100.1 5555 6697\r\nNICK a\r\n";
        assert_eq!(source(text).as_deref(), Some("192.0.2.7:5555"));
        let Parsed::Header(header) = parse(text) else { panic!() };
        assert_eq!(&text[header.length..], b"NICK a\r\n");
        assert_eq!(source(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n").as_deref(), Some("[2001:db8::1]:1"));
        assert_eq!(source(b"PROXY UNKNOWN whatever\r\n"), None);
    }

    #[test]
    fn version_2_names_the_client_and_its_tls() {
        let mut body = vec![192, 0, 2, 7, 198, 51, 100, 1, 0x15, 0xb3, 0x1a, 0x29];
        assert_eq!(source(&v2(1, 0x11, &body)).as_deref(), Some("192.0.2.7:5555"));
        body.extend([0x04, 0, 1, 0, PP2_TYPE_SSL, 0, 5, 1, 0, 0, 0, 0]);
        let Parsed::Header(header) = parse(&v2(1, 0x11, &body)) else { panic!() };
        assert!(header.tls);
        let mut body = [0; 36];
        body[15] = 1;
        body[33] = 9;
        assert_eq!(source(&v2(1, 0x21, &body)).as_deref(), Some("[::1]:9"));
        assert_eq!(source(&v2(0, 0, b"")), None);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for bytes in [
            &b"NICK alice\r\n"[..],
            b"PROXY TCP4 nonsense 1.2.3.4 1 2\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
            &[b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat(),
            &v2(1, 0x11, &[1, 2, 3]),
            &v2(5, 0x11, &[0; 12]),
        ] {
            assert_eq!(parse(bytes), Parsed::Invalid, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn every_beginning_of_a_header_is_incomplete(cut in 0_usize..43) {
            let text = b"PROXY TCP4 192.0.2.7 198.51.100.1 5555 6697\r\n";
            prop_assert_eq!(parse(&text[..cut]), Parsed::Incomplete);
            let binary = v2(1, 0x11, &[0; 20]);
            let cut = cut.min(binary.len() - 1);
            prop_assert_eq!(parse(&binary[..cut]), Parsed::Incomplete);
        }

        #[test]
        fn a_header_never_claims_more_than_there_is(bytes in proptest::collection::vec(any::<u8>(), 0..64), v in 0..3) {
            let start: &[u8] = match v { 0 => b"", 1 => b"PROXY TCP4 ", _ => V2_SIGNATURE };
            let bytes = [start, &bytes].concat();
            if let Parsed::Header(header) = parse(&bytes) {
                prop_assert!(header.length <= bytes.len());
            }
        }
    }
}
