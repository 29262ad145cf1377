//! Bodies of the fuzz targets in `/fuzz`; this crate's tests replay their corpora. Each takes any bytes and panics if a
//! promise is broken.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::config::{ByteSize, ConfigValue, Source};
use crate::dialer::{HostPort, parse_address};
use crate::secrets::Keyring;
use crate::sites::Sites;
use crate::web::{self, Cidr};

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] = &[("config", config), ("headers", headers)];

/// A configuration file, and its text as every kind of value there is.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(source) = Source::from_toml(&text) {
        let _ = source.section("sites", &["base", "irc_host"]);
    }
    let _ = (Duration::parse(&text), bool::parse(&text), u16::parse(&text), SocketAddr::parse(&text));
    let _ = (Vec::<Cidr>::parse(&text), Option::<ByteSize>::parse(&text), Keyring::parse(&text));
    if let Ok(size) = ByteSize::parse(&text) {
        assert_eq!(ByteSize::parse(&size.0.to_string()), Ok(size));
    }
    if let Ok(pairs) = Vec::<HostPort>::parse(&text) {
        for pair in pairs {
            assert_eq!(HostPort::parse(&pair.to_string()), Ok(pair));
        }
    }
    if let Ok(range) = Cidr::parse(&text)
        && let Some(Ok(own)) = text.trim().split('/').next().map(str::parse::<IpAddr>)
    {
        assert!(range.contains(own) || own != own.to_canonical(), "{text}");
    }
    // What the system's resolver takes for an address is one that was checked.
    if let Ok(address) = text.parse::<IpAddr>() {
        assert_eq!(parse_address(&text), Some(address));
    }
    let _ = parse_address(&text);
    if let Ok(sites) = Sites::from_base(&text) {
        for (_, site) in sites.all() {
            assert!(site.url("/x").ends_with("/x") && !site.host().is_empty());
            let _ = site.port();
        }
    }
}

/// What is read of a request's headers.
pub fn headers(data: &[u8]) {
    web::fuzz::headers(data);
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_bytes_keep_the_promises() {
        testkit::fuzz::hold(super::TARGETS);
    }
}
