//! What the configurations of both operators have in common: lists, ranges, the issuer of certificates, databases.

use std::net::IpAddr;

use crds::database::ClusterRef;
use crds::expose::{Issuer, IssuerKind};
use service::config::ConfigError;

/// Reads values of one section, and names it where one is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Section(pub &'static str);

impl Section {
    /// An issuer of cert-manager: `ClusterIssuer/name`, `Issuer/name` or the name of a cluster's issuer.
    pub fn issuer(self, key: &str, text: &str) -> Result<Issuer, ConfigError> {
        let (kind, name) = text.split_once('/').unwrap_or(("ClusterIssuer", text));
        let kind = match kind {
            "ClusterIssuer" => IssuerKind::ClusterIssuer,
            "Issuer" => IssuerKind::Issuer,
            other => {
                let message = format!("`{other}` is no kind of issuer");
                return Err(self.invalid(key, "ClusterIssuer/name or Issuer/name", message));
            }
        };
        Ok(Issuer { name: name.into(), kind })
    }

    /// Clusters of CloudNativePG: `namespace/name`, separated by commas.
    pub fn clusters(self, key: &str, text: Option<&str>) -> Result<Vec<ClusterRef>, ConfigError> {
        let cluster = |text: String| match text.split_once('/') {
            Some((namespace, name)) => Ok(ClusterRef { name: name.into(), namespace: namespace.into() }),
            None => {
                let message = format!("`{text}` has no namespace");
                Err(self.invalid(key, "namespace/name, separated by commas", message))
            }
        };
        list(text).into_iter().map(cluster).collect()
    }

    /// Ranges of addresses, separated by commas.
    pub fn ranges(self, key: &str, text: Option<&str>) -> Result<Vec<String>, ConfigError> {
        let ranges = list(text);
        match ranges.iter().find(|range| !is_range(range)) {
            Some(wrong) => {
                let message = format!("`{wrong}` is none");
                Err(self.invalid(key, "ranges such as 10.0.0.0/8, separated by commas", message))
            }
            None => Ok(ranges),
        }
    }

    fn invalid(self, key: &str, kind: &str, message: String) -> ConfigError {
        ConfigError::Invalid {
            key: format!("{}.{key}", self.0),
            origin: "the configuration".to_owned(),
            kind: kind.to_owned(),
            message,
        }
    }
}

/// Words separated by commas.
pub fn list(text: Option<&str>) -> Vec<String> {
    let words = text.unwrap_or_default().split(',').map(str::trim);
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether a text is a range such as `192.0.2.0/24`.
pub fn is_range(text: &str) -> bool {
    Range::parse(text).is_some()
}

/// A range of addresses: `192.0.2.0/24`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    address: IpAddr,
    bits: u8,
}

impl Range {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        // A sign would be read, and refused by the API server.
        let digits = bits.bytes().all(|byte| byte.is_ascii_digit());
        let (address, bits): (IpAddr, u8) =
            (address.parse().ok()?, bits.parse::<u8>().ok().filter(|_| digits)?);
        (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(Self { address, bits })
    }

    /// Whether an address lies within. IPv4 and IPv6 are never within each other.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                u32::from(base) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                u128::from(base) & mask == u128::from(address) & mask
            }
            _ => false,
        }
    }

    /// Whether all of another range lies within.
    pub fn contains_range(self, other: Self) -> bool {
        other.bits >= self.bits && self.contains(other.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_or_refused_by_the_name_of_their_key() {
        let section = Section("some_operator");
        let issuer = |text| section.issuer("certificate_issuer", text);
        let read = |text| issuer(text).ok().map(|issuer| (issuer.name.0, issuer.kind));
        assert_eq!(read("Issuer/here"), Some(("here".to_owned(), IssuerKind::Issuer)));
        assert_eq!(read("all"), Some(("all".to_owned(), IssuerKind::ClusterIssuer)));
        let refused = issuer("Vault/x").err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("some_operator.certificate_issuer"), "{refused}");
        let clusters = |text| section.clusters("postgres_clusters", Some(text)).ok().map(|found| found.len());
        assert_eq!(clusters("db/main, db/other,"), Some(2));
        assert_eq!(clusters("main"), None);
    }

    #[test]
    fn a_range_has_an_address_and_bits_that_fit_it() {
        assert!(["10.0.0.0/8", "::/0", "2001:db8::/128"].into_iter().all(is_range));
        assert!(
            !["10.0.0.0", "10.0.0.0/33", "::/129", "host/8", "10.0.0.0/8/8", "10.0.0.0/+8"]
                .into_iter()
                .any(is_range)
        );
    }
}
