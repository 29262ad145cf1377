//! The slow-reader rules.

use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::backend::Transport;
use crate::caps::Cap;

fn outbox(limit: usize) -> Outbox {
    let peer = Peer {
        id: 1,
        address: SocketAddr::from(([127, 0, 0, 1], 1)),
        listener: "test".into(),
        tls: false,
        certificate: None,
        transport: Transport::Lines,
    };
    Outbox::detached(peer, limit)
}

fn line(length: usize) -> Bytes {
    Bytes::from(vec![b'x'; length])
}

fn take(outbox: &Outbox) -> Option<usize> {
    let mut taken = VecDeque::new();
    match outbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut taken) {
        Poll::Ready(true) => Some(taken.iter().map(Bytes::len).sum()),
        _ => None,
    }
}

#[test]
fn nothing_is_written_before_a_flush() {
    let outbox = outbox(100);
    assert!(outbox.push(line(10)).taken());
    assert_eq!(take(&outbox), None);
    outbox.flush();
    assert_eq!(take(&outbox), Some(10));
}

#[test]
fn past_the_soft_limit_pushes_are_refused_until_most_is_written() {
    let outbox = outbox(100);
    assert_eq!(outbox.push(line(90)), Pushed::Taken);
    assert_eq!(outbox.push(line(90)), Pushed::Taken, "the push that passes the limit is taken");
    assert!(outbox.lagging());
    assert_eq!(outbox.push(line(1)), Pushed::Lagging);
    outbox.flush();
    assert_eq!(take(&outbox), Some(180));
    outbox.wrote(150);
    assert_eq!(outbox.push(line(1)), Pushed::Lagging, "30 bytes are more than a quarter");
    outbox.wrote(10);
    assert_eq!(outbox.push(line(1)), Pushed::Taken);
    assert!(outbox.state().drained);
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    let outbox = outbox(100);
    assert!(outbox.push_all([line(60), line(60), line(60)]).taken());
    assert_eq!(outbox.push_all([line(1), line(1)]), Pushed::Lagging);
    assert_eq!(outbox.queued(), 180);
}

#[test]
fn a_closed_outbox_takes_nothing() {
    let outbox = outbox(100);
    outbox.close("Bye.");
    assert_eq!(outbox.push(line(1)), Pushed::Closed);
    assert_eq!(outbox.closing().as_deref(), Some("Bye."));
}

#[test]
fn a_changed_offer_is_told_in_order_to_whoever_wants_to_know() {
    let outbox = outbox(1000);
    outbox.offer(Offer::new().with(Cap::AwayNotify).with(Cap::Batch));
    assert!(outbox.take_all().is_empty(), "no cap-notify, no CAP NEW");
    let request = irc::Message::parse(b"CAP REQ :cap-notify away-notify").unwrap();
    outbox.negotiate(|caps, out| out.extend(caps.command(&request).0));
    assert!(outbox.push(Bytes::from_static(b"AWAY\r\n")).taken());
    outbox.offer(Offer::new().with(Cap::Batch).with(Cap::Setname).with(Cap::Chghost));
    let lines: Vec<String> =
        outbox.take_all().iter().map(|line| String::from_utf8_lossy(line).trim_end().to_owned()).collect();
    assert_eq!(
        lines,
        [
            ":irc.now CAP * ACK :cap-notify away-notify",
            "AWAY",
            ":irc.now CAP * DEL :away-notify",
            ":irc.now CAP * NEW :chghost setname"
        ]
    );
    assert!(!outbox.caps().has(Cap::AwayNotify));
}
