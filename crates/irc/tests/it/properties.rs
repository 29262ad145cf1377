//! Laws that hold for any input.

use irc::isupport::Isupport;
use irc::mask::glob;
use irc::mode::{ModeChange, ModeKind, ModeSpec};
use irc::scram::{Client, ClientFirst, Verifier};
use irc::{Casemapping, Message, line, sasl, split, tags, time};
use proptest::collection::vec;
use proptest::prelude::*;

/// A parameter that needs no colon.
fn middle() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>().prop_filter("separators", |b| !matches!(b, 0 | b'\r' | b'\n' | b' ')), 1..12)
        .prop_filter("a colon in front", |text| text[0] != b':')
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>().prop_filter("line ends", |b| !matches!(b, 0 | b'\r' | b'\n')), 0..60)
}

fn casemapping() -> impl Strategy<Value = Casemapping> {
    prop_oneof![Just(Casemapping::Ascii), Just(Casemapping::Rfc1459), Just(Casemapping::Rfc1459Strict)]
}

/// Text of letters, spaces and the characters that stick together.
fn sticky() -> impl Strategy<Value = String> {
    const CHARACTERS: &[&str] =
        &["a", "b", " ", "é", "e\u{301}", "\u{301}", "👨", "\u{200d}", "👩", "🇩", "🇪", "ก", "ำ", "\r", "한"];
    vec(proptest::sample::select(CHARACTERS), 0..80).prop_map(|parts| parts.concat())
}

/// Whether `text` fits `pattern`, by filling the whole table; no escapes.
fn fits_by_table(pattern: &[u8], text: &[u8]) -> bool {
    let mut row = vec![false; text.len() + 1];
    row[0] = true;
    for p in pattern {
        let above = row.clone();
        for t in 0..=text.len() {
            row[t] = match p {
                b'*' => above[t] || (t > 0 && row[t - 1]),
                b'?' => t > 0 && above[t - 1],
                byte => t > 0 && above[t - 1] && text[t - 1] == *byte,
            };
        }
    }
    row[text.len()]
}

proptest! {
    #[test]
    fn what_is_built_is_parsed(
        command in "[A-Za-z]{1,10}|[0-9]{3}",
        source in proptest::option::of(middle()),
        tag in proptest::option::of(("[+]?([a-z.]{1,5}/)?[a-z-]{1,8}", text())),
        params in vec(middle(), 0..14),
        last in proptest::option::of(text()),
    ) {
        let mut built = line(&command).params(&params);
        if let Some(source) = &source {
            built = built.source(source);
        }
        if let Some((key, value)) = &tag {
            built = built.tag(key, value);
        }
        if let Some(last) = &last {
            built = built.trailing(last);
        }
        let bytes = built.to_vec();
        let message = Message::parse(&bytes).unwrap();
        prop_assert_eq!(message.command, command.as_bytes());
        prop_assert_eq!(message.source.map(|source| source.raw()), source.as_deref());
        if let Some((key, value)) = &tag {
            prop_assert_eq!(message.tag(key).unwrap(), value.as_slice());
        }
        let expected: Vec<&[u8]> = params.iter().chain(&last).map(Vec::as_slice).collect();
        prop_assert_eq!(message.params.as_slice(), expected);
        prop_assert_eq!(built.rest_len(), bytes.len() - if tag.is_some() { message.tags.raw().len() + 2 } else { 0 });

        let mut again = Vec::new();
        message.write_to(&mut again);
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn any_line_reads_the_same_once_written(bytes in vec(any::<u8>(), 0..200)) {
        irc::fuzz::message(&bytes);
    }

    #[test]
    fn any_tag_value_survives(value in vec(any::<u8>(), 0..60)) {
        irc::fuzz::tags(&value);
        prop_assert!(tags::escape(&value).len() <= value.len() * 2);
    }

    #[test]
    fn folding_twice_is_folding_once(mapping in casemapping(), name in vec(any::<u8>(), 0..60), other in vec(any::<u8>(), 0..60)) {
        let folded = mapping.fold(&name);
        prop_assert_eq!(&mapping.fold(folded.as_bytes()), &folded);
        prop_assert!(mapping.eq(&name, folded.as_bytes()));
        prop_assert_eq!(mapping.eq(&name, &other), folded == mapping.fold(&other));
    }

    #[test]
    fn pieces_put_together_are_the_text(text in sticky(), max in 0u8..60) {
        irc::fuzz::split(&[&[max], text.as_bytes()].concat());
    }

    #[test]
    fn pieces_of_any_bytes_are_the_bytes(text in vec(any::<u8>(), 0..300), max in 0usize..100) {
        let pieces: Vec<&[u8]> = split::pieces(&text, max).collect();
        prop_assert_eq!(pieces.concat(), text);
    }

    #[test]
    fn a_split_message_fits_its_line(nick in "[a-z]{1,30}", target in "#[a-z]{1,50}", text in sticky()) {
        let source = format!("{nick}!user@host");
        let room = split::room(source.len(), "PRIVMSG", target.as_bytes());
        for part in split::message(text.repeat(20).as_bytes(), room) {
            let bytes = line("PRIVMSG").source(&source).param(&target).trailing(part).to_vec();
            prop_assert!(bytes.len() <= 512);
        }
    }

    #[test]
    fn masks_fit_what_the_table_says(pattern in "[ab*?]{0,12}", text in "[ab]{0,14}") {
        let fits = glob(pattern.as_bytes(), text.as_bytes(), Casemapping::Ascii);
        prop_assert_eq!(fits, fits_by_table(pattern.as_bytes(), text.as_bytes()));
    }

    #[test]
    fn times_go_both_ways(ms in -62_167_219_200_000i64..=253_402_300_799_999) {
        let text = time::format(ms);
        prop_assert_eq!(text.len(), 24);
        prop_assert_eq!(time::parse(text.as_bytes()), Some(ms));
    }

    #[test]
    fn later_is_greater_in_text_too(a in 0i64..253_402_300_799_999, b in 0i64..253_402_300_799_999) {
        prop_assert_eq!(a.cmp(&b), time::format(a).cmp(&time::format(b)));
    }

    #[test]
    fn isupport_survives_its_lines(tokens in vec(("[A-Z][A-Z0-9]{0,10}", vec(any::<u8>(), 0..40)), 0..60)) {
        let mut state = Isupport::new();
        for (name, value) in &tokens {
            state.set(name, value);
        }
        let mut again = Isupport::new();
        for line in state.lines("irc.test", "me") {
            let bytes = line.to_vec();
            prop_assert!(bytes.len() <= 512);
            again.apply(&Message::parse(&bytes).unwrap());
        }
        prop_assert_eq!(again, state);
    }

    #[test]
    fn mode_changes_survive_their_lines(
        letters in vec((any::<bool>(), proptest::sample::select(&b"bekloviImnq"[..]), middle()), 0..40),
        max in proptest::option::of(1usize..20),
    ) {
        let spec = ModeSpec::new(b"be,k,l,imnq", b"(ov)@+");
        let changes: Vec<ModeChange<'_>> = letters.iter().map(|(adding, mode, arg)| {
            let takes = match spec.kind(*mode) {
                ModeKind::Flag => false,
                ModeKind::WhenSet => *adding,
                ModeKind::List | ModeKind::Always | ModeKind::Prefix => true,
            };
            ModeChange { adding: *adding, mode: *mode, arg: takes.then_some(arg.as_slice()) }
        }).collect();
        let lines = spec.coalesce(changes.iter().copied(), max, 100);
        for line in &lines {
            prop_assert!(line.args.len() <= max.unwrap_or(13).min(13));
            prop_assert!(line.to_message("#c").rest_len() <= 100 + "MODE #c \r\n".len());
        }
        let again: Vec<_> = lines.iter().flat_map(|line| spec.parse(&line.modes, &line.args)).collect();
        prop_assert_eq!(again, changes);
    }

    #[test]
    fn capabilities_are_agreed_on(bytes in vec(any::<u8>(), 0..64)) {
        irc::fuzz::cap(&bytes);
    }

    #[test]
    fn sasl_payloads_survive_their_chunks(payload in vec(any::<u8>(), 0..2000)) {
        let mut reassembler = sasl::Reassembler::new(2000);
        let mut whole = None;
        for chunk in sasl::chunks(&payload) {
            prop_assert!(chunk.len() <= 400 && whole.is_none());
            whole = reassembler.push(chunk.as_bytes()).unwrap();
        }
        prop_assert_eq!(whole.unwrap().to_vec(), payload);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_right_password_and_no_other_is_proven(name in "[^\0]{1,20}", password in "[^\0]{1,30}", other in "[a-z]{5}") {
        let salt = b"sixteen salt byt";
        let login = |password: &str| {
            let mut client = Client::new(&name, password, "", &[3; 18]);
            let first = ClientFirst::parse(&client.first()).unwrap();
            assert_eq!(first.username, name);
            let exchange = first.challenge(&[5; 18], salt, 4096);
            let answer = client.answer(exchange.challenge()).unwrap();
            (client, exchange.finish(&answer).unwrap())
        };
        let verifier = Verifier::derive(&password, salt, 4096);
        let (mut client, proof) = login(&password);
        client.verify(&proof.check(&verifier).unwrap()).unwrap();
        if other != password {
            let wrong = format!("{other}{password}");
            prop_assert!(login(&wrong).1.check(&verifier).is_none());
        }
    }
}
