//! Reading and writing a line allocates nothing. Counted on this thread alone, so other tests do not disturb it.

use irc::write::Head;
use irc::{Casemapping, Message};

const LINES: &[&[u8]] = &[
    b"PING :irc.test\r\n",
    b":dan!d@host.example PRIVMSG #channel :hello there, how are you today?\r\n",
    b"@time=2026-11-21T09:00:00.000Z;msgid=abc123;account=dan;+draft/reply=x\\sy :dan!d@host PRIVMSG #c :hi\r\n",
    b":irc.test 353 me = #channel :@a +b c d e f g h i j k l m n o p\r\n",
    b":irc.test 005 me A=1 B=2 C D E F G H I J K L :are supported by this server\r\n",
    b"PRIVMSG #c :\xff\xfe not UTF-8\r\n",
];

fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn parsing_a_line_allocates_nothing() {
    for line in LINES {
        let count = allocations(|| {
            let message = Message::parse(line).unwrap();
            let _ = std::hint::black_box((message.upper(), message.numeric(), message.params.len()));
            let _ = std::hint::black_box((
                message.tags.raw_value("msgid"),
                message.tag("time"),
                message.tags.iter().count(),
            ));
            let _ = std::hint::black_box(message.source.map(|source| source.parts()));
        });
        assert_eq!(count, 0, "{}", line.escape_ascii());
    }
}

#[test]
fn writing_a_line_into_a_buffer_with_room_allocates_nothing() {
    let mut out = Vec::with_capacity(8192);
    for line in LINES {
        let message = Message::parse(line).unwrap();
        out.clear();
        let count = allocations(|| {
            message.write_to(&mut out);
            let mut head = Head::new(&mut out);
            head.tag("time", "2026-11-21T09:00:00.000Z").tag("batch", "a b");
            message.write_after_tags(head);
        });
        assert_eq!(count, 0, "{}", line.escape_ascii());
    }
}

#[test]
fn folding_a_common_name_allocates_nothing() {
    assert_eq!(allocations(|| _ = std::hint::black_box(Casemapping::Rfc1459.fold("#A-Channel[Of]Ours"))), 0);
}
