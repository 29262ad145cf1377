//! The only way text becomes HTML here: escaped, in spans whose classes are ours.

/// Writes `text` so that a browser shows it and reads nothing else in it.
pub fn escape_into(out: &mut String, text: &str) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let entity = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'\'' => "&#39;",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        out.push_str(entity);
        from = at + 1;
    }
    out.push_str(&text[from..]);
}

/// The same as a text of its own.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    escape_into(&mut out, text);
    out
}

/// `text` in a span of this class, or bare without one.
pub fn span_into(out: &mut String, class: &str, text: &str) {
    if text.is_empty() {
        return;
    }
    if class.is_empty() {
        return escape_into(out, text);
    }
    out.push_str("<span class=\"");
    escape_into(out, class);
    out.push_str("\">");
    escape_into(out, text);
    out.push_str("</span>");
}

/// What a browser shows of HTML that only this module made, for tests and fuzzers: it panics where anything stands that
/// this module never writes.
#[doc(hidden)]
pub fn shown(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    let mut open = 0_usize;
    while let Some(at) = rest.find(['<', '&']) {
        assert!(!rest[..at].contains(['>', '"', '\'']), "unescaped: {rest}");
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("</span>") {
            open = open.checked_sub(1).unwrap_or_else(|| unreachable!("a span is closed that is not open"));
            rest = after;
        } else if let Some(after) = rest.strip_prefix("<span class=\"") {
            let (class, after) = after.split_once("\">").unwrap_or(("<", ""));
            let fine = |c: char| c.is_ascii_alphanumeric() || c == ' ' || c == '-';
            assert!(!class.is_empty() && class.chars().all(fine), "a class: {class}");
            open += 1;
            rest = after;
        } else {
            let entities = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&#39;", '\'')];
            let found = entities.into_iter().find(|(entity, _)| rest.starts_with(entity));
            let (entity, c) =
                found.unwrap_or_else(|| unreachable!("a tag or entity of somebody else: {rest}"));
            out.push(c);
            rest = &rest[entity.len()..];
        }
    }
    assert!(!rest.contains(['>', '"', '\'']), "unescaped: {rest}");
    out.push_str(rest);
    assert_eq!(open, 0, "a span stays open");
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_escaped_is_shown_as_it_was(text in "\\PC{0,80}|[<>&\"'a]{0,40}") {
            prop_assert_eq!(shown(&escaped(&text)), text.clone());
            let mut out = String::new();
            span_into(&mut out, "k", &text);
            prop_assert_eq!(shown(&out), text);
        }
    }
}
