//! Lines of real networks, with what a reader has to see in them.

use irc::{Message, numerics};

fn parts(line: &str) -> (Option<String>, String, Vec<String>) {
    let message = Message::parse(line.as_bytes()).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        message.source.map(|source| source.to_string()),
        text(message.command),
        message.params.iter().map(|param| text(param)).collect(),
    )
}

#[test]
fn a_line_means_what_its_server_meant() {
    type Case = (&'static str, Option<&'static str>, &'static str, &'static [&'static str]);
    let cases: &[Case] = &[
        ("foo bar baz asdf", None, "foo", &["bar", "baz", "asdf"]),
        (":coolguy foo bar baz asdf", Some("coolguy"), "foo", &["bar", "baz", "asdf"]),
        ("foo bar baz :asdf quux", None, "foo", &["bar", "baz", "asdf quux"]),
        ("foo bar baz ::asdf", None, "foo", &["bar", "baz", ":asdf"]),
        (":coolguy foo bar baz :  asdf quux ", Some("coolguy"), "foo", &["bar", "baz", "  asdf quux "]),
        (":coolguy PRIVMSG bar :lol :) ", Some("coolguy"), "PRIVMSG", &["bar", "lol :) "]),
        (":coolguy foo b\tar baz", Some("coolguy"), "foo", &["b\tar", "baz"]),
        (":src JOIN #chan", Some("src"), "JOIN", &["#chan"]),
        (":src AWAY", Some("src"), "AWAY", &[]),
        (":src AWAY ", Some("src"), "AWAY", &[]),
        ("@c;h=;a=b :quux ab cd", Some("quux"), "ab", &["cd"]),
        (":cool\tguy foo bar", Some("cool\tguy"), "foo", &["bar"]),
        (":gravel.mozilla.org MODE #tckk +n ", Some("gravel.mozilla.org"), "MODE", &["#tckk", "+n"]),
        (
            ":services.esper.net MODE #foo-bar +o foobar  ",
            Some("services.esper.net"),
            "MODE",
            &["#foo-bar", "+o", "foobar"],
        ),
        (
            ":a!b\u{3}05@c PRIVMSG #d :\u{1}ACTION x\u{1}",
            Some("a!b\u{3}05@c"),
            "PRIVMSG",
            &["#d", "\u{1}ACTION x\u{1}"],
        ),
        ("  PING   x", None, "PING", &["x"]),
    ];
    for (line, source, command, params) in cases {
        let params: Vec<String> = params.iter().map(|param| (*param).to_owned()).collect();
        assert_eq!(parts(line), (source.map(str::to_owned), (*command).to_owned(), params), "{line}");
    }
}

#[test]
fn numerics_can_be_matched_by_name() {
    let message = Message::parse(b":s 433 * dan :Nickname is already in use").unwrap();
    assert!(matches!(message.numeric(), Some(numerics::ERR_NICKNAMEINUSE)));
    assert_eq!(Message::parse(b"PING x").unwrap().numeric(), None);
}
