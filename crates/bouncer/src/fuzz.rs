//! The body of the fuzz target in `/fuzz`; this crate's tests replay its corpus.

use contracts::{NetworkSpec, Sasl, SavedChannel, Tls};

use crate::{door, spec, well_known};

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] = &[("networks", networks)];

/// A network somebody describes, line by line; the operator's list of networks; what a client binds to.
pub fn networks(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = well_known::parse(&text);
    let _ = door::bound_network(&bytes::Bytes::copy_from_slice(data));

    let mut lines = text.split('\n').map(str::to_owned);
    let mut line = || lines.next().unwrap_or_default();
    let described = NetworkSpec {
        name: line(),
        host: line(),
        port: line().parse().unwrap_or(6697),
        tls: match line() {
            pin if pin.is_empty() => Tls::Verified,
            fingerprint => Tls::Pinned { fingerprint },
        },
        nick: line(),
        realname: line(),
        server_password: Some(line()).filter(|password| !password.is_empty()),
        sasl: match line() {
            account if account.is_empty() => Sasl::None,
            account => Sasl::Password { account, password: Some(line()) },
        },
        channels: vec![SavedChannel { name: line(), key: Some(line()).filter(|key| !key.is_empty()) }],
        on_connect: vec![line()],
        enabled: true,
    };
    let Ok(kept) = spec::checked(described, |_, _| false) else { return };
    // What is kept is kept as it is, and nothing of it can begin another line upstream.
    assert_eq!(spec::checked(kept.clone(), |_, _| false), Ok(kept.clone()));
    let channels = kept.channels.iter().flat_map(|channel| [Some(&channel.name), channel.key.as_ref()]);
    let sent = [&kept.nick, &kept.realname].into_iter().chain(channels.flatten()).chain(&kept.on_connect);
    for text in sent.chain(&kept.server_password) {
        assert!(!text.contains(['\r', '\n', '\0']), "{text:?}");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_bytes_keep_the_promises() {
        testkit::fuzz::hold(super::TARGETS);
    }
}
