//! The body of the fuzz target in `/fuzz`; this crate's tests replay its corpus.

use std::str::FromStr as _;

use crate::Position;
use crate::text::{fts5, is_from, own_msgid, position_of, query, searched, tsquery, usable_msgid, words};

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] = &[("history_text", text)];

/// Any bytes as a body, a query, a msgid and a cursor.
pub fn text(data: &[u8]) {
    let _ = (searched(data), is_from(data, b"nick"));
    let words = words(data);
    assert!(words.split(' ').all(|word| word.chars().all(|c| c.is_alphanumeric() || !c.is_ascii())));

    let text = String::from_utf8_lossy(data);
    let asked = query(&text);
    assert!(asked.is_empty() || asked.parts_in(data) || !asked.parts.is_empty());
    // Nothing of a query leaves its quotes.
    let quoted = |text: &str, quote: char| text.matches(quote).count();
    let terms = asked.terms.len();
    let word_count: usize = asked.terms.iter().map(|term| term.words.len()).sum();
    if terms > 0 {
        assert_eq!(quoted(&fts5("s1", &asked.terms), '"'), 2 + 2 * terms);
        assert_eq!(quoted(&tsquery(&asked.terms), '\''), 2 * word_count);
    }

    if let Some(position) = position_of(&text) {
        assert_eq!(own_msgid(position), text);
    }
    if let Ok(position) = Position::from_str(&text) {
        assert_eq!(Position::from_str(&position.to_string()), Ok(position));
    }
    assert!(usable_msgid(Some(&text)).is_none_or(|id| !id.is_empty() && !id.contains('\0')));
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_bytes_keep_the_promises() {
        testkit::fuzz::hold(super::TARGETS);
    }
}
