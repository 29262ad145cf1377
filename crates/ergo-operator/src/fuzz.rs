//! Bodies of the fuzz targets in `/fuzz`; this crate's tests replay their corpora. Each takes any bytes and panics if a
//! promise is broken.

use jiff::Timestamp;

use crate::crowd::Crowd;
use crate::schedule::Schedule;
use crate::sidecar::answers::{asked_address, asked_password, is_account};
use crate::sidecar::door::Status;
use crate::sidecar::oper::{note, taken};

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] =
    &[("ergo_crowd", ergo_crowd), ("ergo_sidecar", ergo_sidecar), ("schedule", schedule)];

/// What a server tells its doorkeeper, a line each: only the server is believed, and nobody but who came in is shown out.
pub fn ergo_crowd(data: &[u8]) {
    let mut crowd = Crowd::new("irc.test", "door");
    for line in data.split(|byte| *byte == b'\n') {
        for said in crowd.hear(line, 2) {
            let believed = line.starts_with(b":irc.test ") || line.starts_with(b"@");
            assert!(believed && !said.contains(['\r', '\n', '\0']), "{said:?}");
            let shown_out = said.strip_prefix("KILL ").and_then(|rest| rest.split_once(" :"));
            assert!(shown_out.is_none_or(|(nick, _)| !nick.contains(' ')), "{said:?}");
        }
    }
}

/// Ergo's questions, one a line, and its numerics.
pub fn ergo_sidecar(data: &[u8]) {
    let mut status = Status::default();
    for line in data.split(|byte| *byte == b'\n') {
        let text = String::from_utf8_lossy(line);
        if let Some(address) = asked_address(&text) {
            assert!(text.contains(':') && !address.to_string().is_empty());
        }
        if let Some(question) = asked_password(&text) {
            // Nobody is taken for somebody else, and nobody for no one.
            let (asked, other) = (&question.account_name, format!("{}x", question.account_name));
            assert!(!is_account("", asked) && (asked.is_empty() || !is_account(&other, asked)));
        }
        let _ = taken(line, &mut |command: &str, params: &[&str]| note(&mut status, command, params));
    }
}

/// A schedule on each line, and when it was last due.
pub fn schedule(data: &[u8]) {
    let moments = [0, 951_782_399, 1_795_270_000, 4_102_444_800];
    for line in String::from_utf8_lossy(data).lines() {
        let Ok(schedule) = Schedule::parse(line) else { continue };
        for now in moments.into_iter().filter_map(|second| Timestamp::from_second(second).ok()) {
            if let Some(last) = schedule.last(now) {
                assert!(last <= now, "{line:?} was due in the future");
                assert_eq!(schedule.last(last), Some(last), "{line:?} was due when it was due");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_bytes_keep_the_promises() {
        testkit::fuzz::hold(super::TARGETS);
    }
}
