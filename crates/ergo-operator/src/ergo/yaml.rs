//! A writer of YAML that lets nothing escape: strings are always quoted, and what is not plain is written as an escape.
//!
//! Ergo reads YAML 1.1, where U+0085, U+2028 and U+2029 end a line even inside quotes, and where control characters are
//! refused. So everything outside of what is printable and harmless is escaped.

use std::fmt::Write as _;

use serde_json::Value;

/// Writes a value as a YAML document.
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(fields) if !fields.is_empty() => block(&mut out, value, 0),
        Value::Array(items) if !items.is_empty() => block(&mut out, value, 0),
        _ => {
            scalar(&mut out, value);
            out.push('\n');
        }
    }
    out
}

/// A map or a list that is not empty, each entry on a line of its own.
fn block(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                indent(out, depth);
                key(out, name);
                out.push(':');
                below(out, value, depth);
            }
        }
        Value::Array(items) => {
            for item in items {
                indent(out, depth);
                out.push('-');
                below(out, item, depth);
            }
        }
        _ => {}
    }
}

fn below(out: &mut String, value: &Value, depth: usize) {
    let is_block = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_block {
        out.push('\n');
        block(out, value, depth + 1);
    } else {
        out.push(' ');
        scalar(out, value);
        out.push('\n');
    }
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

/// Only words that no reader takes for anything else stand without quotes.
fn key(out: &mut String, name: &str) {
    let plain = name.len() > 3
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        && !["true", "false", "null"].contains(&name);
    if plain { out.push_str(name) } else { quoted(out, name) }
}

fn scalar(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
        Value::Number(number) => {
            let _ = write!(out, "{number}");
        }
        Value::String(text) => quoted(out, text),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            c if u32::from(c) <= 0xff => {
                let _ = write!(out, "\\x{:02X}", u32::from(c));
            }
            c if u32::from(c) <= 0xffff => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn what_looks_like_something_else_stays_text() {
        let value = json!({
            "yes": "no", "null": "~", "on": "0x10", "key: value": "- item", "": "# comment", "network": "1.2",
            "\u{2028}": "a\u{85}b\u{2029}c\u{7f}\u{feff}\u{fffe}", "list": ["!!binary x", "*alias", "&anchor", "%tag", "@", "`"],
            "empty": {}, "none": [], "deep": [[1, 2], [{ "path": true }]],
        });
        assert_eq!(read(&write(&value)), value);
        let first = write(&json!({ "accounts": "a\u{2028}b\nc: d" }));
        assert_eq!(first.lines().count(), 1, "{first}");
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\\PC\n\r\t:#{}\\[\\]&*!|>'\"%@`,-]{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::hash_map(any::<String>(), inner, 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_reads_back_as_it_was(value in any_value()) {
            prop_assert_eq!(read(&write(&value)), value);
        }
    }
}
