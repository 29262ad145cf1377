use proptest::prelude::*;

use super::{Tally, request, status};

#[test]
fn a_verdict_needs_its_row() {
    let mut tally = Tally::new(2, 3);
    let answers = [
        (true, None),
        (true, Some(true)),
        (true, None),
        (true, None),
        (false, None),
        (false, None),
        (true, None),
        (false, None),
        (false, None),
        (false, Some(false)),
        (false, None),
        (false, None),
        (false, Some(false)),
        (true, None),
        (true, Some(true)),
    ];
    for (place, (healthy, verdict)) in answers.into_iter().enumerate() {
        assert_eq!(tally.count(healthy), verdict, "answer {place}");
    }
}

#[test]
fn a_request_names_its_host_unless_the_pod_does() {
    let own = request("10.0.0.2", 80, "/healthz", &[("X".into(), "1".into())]);
    assert!(own.starts_with("GET /healthz HTTP/1.1\r\nHost: 10.0.0.2:80\r\nX: 1\r\n"), "{own}");
    let given = request("10.0.0.2", 80, "/", &[("host".into(), "irc.test".into())]);
    assert_eq!(given.to_lowercase().matches("host:").count(), 1);
}

#[test]
fn the_status_is_in_the_first_line() {
    let table: [(&[u8], Option<u16>); 6] = [
        (b"HTTP/1.1 200 OK\r\nx", Some(200)),
        (b"HTTP/1.0 503\r\n", Some(503)),
        (b"HTTP/2 200\r\n", None),
        (b"SSH-2.0-x\r\n", None),
        (b"", None),
        (b"\xff\xfe", None),
    ];
    for (head, wanted) in table {
        assert_eq!(status(head), wanted, "{head:?}");
    }
}

proptest! {
    #[test]
    fn no_answer_is_too_strange(head in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = status(&head);
    }
}
