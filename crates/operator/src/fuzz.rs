//! The body of the fuzz target in `/fuzz`; this crate's tests replay its corpus. It takes any bytes and panics if a promise
//! is broken.

use crate::claim::Holder;
use crate::secrets::percent_encoded;
use crate::settings::{Range, Section, list};

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] = &[("operator_words", operator_words)];

/// Words of an installation and of claims, one a line: ranges, holders, lists, issuers, clusters, parts of an address.
pub fn operator_words(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines() {
        if let Some(range) = Range::parse(line) {
            let address = line.split_once('/').and_then(|(address, _)| address.parse().ok());
            assert!(address.is_some_and(|address| range.contains(address)), "{line:?} is not within itself");
            assert!(range.contains_range(range), "{line:?}");
        }
        if let Some(holder) = Holder::parse(line) {
            assert_eq!(holder.to_string(), line);
        }
        assert!(list(Some(line)).iter().all(|word| !word.is_empty() && !word.contains(',')));
        let section = Section("fuzz");
        let _ = (section.issuer("issuer", line), section.clusters("clusters", Some(line)));
        if let Ok(ranges) = section.ranges("ranges", Some(line)) {
            assert!(ranges.iter().all(|range| Range::parse(range).is_some()), "{line:?}");
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'%';
        assert!(percent_encoded(line).bytes().all(plain), "{line:?}");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_bytes_keep_the_promises() {
        testkit::fuzz::hold(super::TARGETS);
    }
}
