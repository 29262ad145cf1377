//! Where a request really comes from.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use http::HeaderMap;

use crate::config::ConfigValue;

/// A range of addresses: `10.0.0.0/8`, `fd00::/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    length: u32,
}

impl Cidr {
    /// Whether `address` lies in it. IPv4 in IPv6 clothes counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (a.to_bits() ^ b.to_bits()).checked_shr(32 - self.length).unwrap_or(0) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                (a.to_bits() ^ b.to_bits()).checked_shr(128 - self.length).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (network, length) = match text.split_once('/') {
            Some((network, length)) => (network, Some(length)),
            None => (text, None),
        };
        let network: IpAddr = network.parse().map_err(|_| format!("`{network}` is no address"))?;
        let most = if network.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(length) => length
                .parse()
                .ok()
                .filter(|length| *length <= most)
                .ok_or_else(|| format!("`{length}` is no length of a prefix"))?,
        };
        Ok(Self { network, length })
    }
}

impl ConfigValue for Cidr {
    fn kind() -> String {
        "an address or a range (10.0.0.0/8)".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.trim().parse()
    }
}

/// The client's address: the connection's, or what a trusted proxy says (the last entry of `X-Forwarded-For` that is not
/// itself a trusted proxy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientIp(pub IpAddr);

impl ClientIp {
    pub(super) fn find(extensions: &http::Extensions, headers: &HeaderMap, trusted: &[Cidr]) -> Self {
        let peer = extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip().to_canonical());
        let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
        if !is_trusted(peer) {
            return Self(peer);
        }
        let forwarded: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .collect();
        let mut last = peer;
        for entry in forwarded.into_iter().rev() {
            // What cannot be read was not written by a proxy of ours.
            let Ok(address) = entry.parse::<IpAddr>() else { break };
            last = address.to_canonical();
            if !is_trusted(last) {
                break;
            }
        }
        Self(last)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientIp {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(match parts.extensions.get::<Self>() {
            Some(found) => *found,
            None => Self::find(&parts.extensions, &parts.headers, &[]),
        })
    }
}
