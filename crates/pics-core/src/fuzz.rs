//! The body of the fuzz target in `/fuzz`; this crate's tests replay its corpus.

use crate::{HEAD, Header, Limits, clean, sniff};

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] = &[("picture", picture)];

/// What is clean stays what it was, is no longer than it came, and has nothing more to clean.
pub fn picture(data: &[u8]) {
    let kind = sniff(data);
    assert_eq!(sniff(&data[..data.len().min(HEAD)]), kind, "the head is enough");
    let Ok(cleaned) = clean(data) else { return };
    let Header { width, height, frames, .. } = cleaned.header;
    assert!(width > 0 && height > 0 && frames > 0);
    assert_eq!(kind, Ok(cleaned.header.kind));
    assert_eq!(sniff(&cleaned.bytes), kind);
    // Only the orientation is written anew.
    assert!(cleaned.bytes.len() <= data.len() + 40);
    assert_eq!(clean(&cleaned.bytes), Ok(cleaned.clone()), "clean is clean");
    let limits = Limits::default();
    if limits.check(&cleaned.header).is_ok() {
        assert!(width <= limits.side && height <= limits.side && frames <= limits.frames);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_bytes_keep_the_promises() {
        testkit::fuzz::hold(super::TARGETS);
    }
}
