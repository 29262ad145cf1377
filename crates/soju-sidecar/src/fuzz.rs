//! Bodies of the fuzz targets in `/fuzz`; this crate's tests replay their corpora. Each takes any bytes and panics if a
//! promise is broken.

use crate::admin::{Command, parse_line, status};
use crate::moves::messages;
use crate::reload::Facts;

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] = &[("soju_admin", soju_admin), ("soju_messages", soju_messages)];

/// A line of soju, everything that is read out of its words, a configuration, and a word on its way to soju.
pub fn soju_admin(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        let _ = parse_line(line);
        let text = String::from_utf8_lossy(line);
        let _ = (status::server(&text), status::user(&text), status::network(&text), status::channel(&text));
        let _ = status::sasl_account(&[text.into_owned()]);
    }
    let text = String::from_utf8_lossy(data);
    let _ = Facts::of(&text, data);
    if let Ok(command) = Command::new("user status").word(&text) {
        let line = command.line();
        assert_eq!(line.iter().filter(|byte| matches!(byte, b'\r' | b'\n' | 0)).count(), 2, "{text:?}");
    }
}

/// A row of soju's messages: its buffer, then its line. What comes out of it goes back into it.
pub fn soju_messages(data: &[u8]) {
    let (target, raw) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or_default());
    let target = String::from_utf8_lossy(target);
    let Some(line) = messages::from_soju(raw.strip_prefix(b"\n").unwrap_or(raw), &target, 0) else { return };
    for kept in messages::to_soju(&line) {
        assert!(!kept.raw.contains(&b'\n') && !kept.raw.contains(&b'\r'), "{}", kept.raw.escape_ascii());
        let again = messages::from_soju(&kept.raw, &kept.target, 0);
        assert!(again.is_none_or(|again| again.kind == line.kind));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_bytes_keep_the_promises() {
        testkit::fuzz::hold(super::TARGETS);
    }
}
