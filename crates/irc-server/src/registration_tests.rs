//! What a client may say before it is in, and what it is told.

use super::*;
use crate::caps::{Cap, Offer};

struct Client {
    registration: Registration,
    caps: Negotiation,
    mechanisms: Vec<Mechanism>,
    confidential: bool,
    login_required: bool,
}

impl Client {
    fn new() -> Self {
        let mechanisms = vec![Mechanism::ScramSha256, Mechanism::Plain];
        let mut caps = Negotiation::new("irc.test", mechanism_names(&mechanisms));
        caps.change_offer(Offer::new().with(Cap::Batch).with(Cap::ServerTime));
        Self {
            registration: Registration::default(),
            caps,
            mechanisms,
            confidential: true,
            login_required: true,
        }
    }

    fn in_the_clear() -> Self {
        let mut this = Self::new();
        this.mechanisms.clear();
        this.caps = Negotiation::new("irc.test", String::new());
        this.confidential = false;
        this
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Registration, &Context<'_>, &mut Negotiation) -> T) -> T {
        let context = Context {
            server: "irc.test",
            mechanisms: &self.mechanisms,
            confidential: self.confidential,
            login_required: self.login_required,
            login_hint: "Use SASL.",
            early: &|command| command == b"BOUNCER",
        };
        act(&mut self.registration, &context, &mut self.caps)
    }

    /// Says lines; what came back, and the last act.
    fn say(&mut self, lines: &str) -> (Vec<String>, Act) {
        let mut out = Vec::new();
        let mut act = Act::Continue;
        for line in lines.lines() {
            let line = Bytes::copy_from_slice(line.trim().as_bytes());
            act = self.with(|registration, context, caps| registration.line(&line, context, caps, &mut out));
        }
        (texts(&out), act)
    }

    fn answer(&mut self, answer: Answer) -> (Vec<String>, Act) {
        let mut out = Vec::new();
        let act =
            self.with(|registration, context, caps| registration.answered(answer, context, caps, &mut out));
        (texts(&out), act)
    }
}

fn texts(lines: &[Bytes]) -> Vec<String> {
    lines.iter().map(|line| String::from_utf8_lossy(line).trim_end().to_owned()).collect()
}

fn success() -> Answer {
    Answer::Success { account: "alice".into() }
}

fn plain() -> Step {
    Step { mechanism: Mechanism::Plain, continuation: None, payload: b"\0alice\0secret".to_vec() }
}

#[test]
fn a_modern_client_logs_in_by_sasl_and_is_ready_at_cap_end() {
    let mut client = Client::new();
    let (said, act) = client.say("CAP LS 302\nNICK alice\nUSER alice 0 * :Alice A");
    assert_eq!(said, [":irc.test CAP * LS :batch cap-notify sasl=SCRAM-SHA-256,PLAIN server-time"]);
    assert_eq!(act, Act::Continue);
    let (said, _) = client.say("CAP REQ :sasl batch\nAUTHENTICATE PLAIN");
    assert_eq!(said, [":irc.test CAP alice ACK :sasl batch", "AUTHENTICATE +"]);
    let (_, act) = client.say("AUTHENTICATE AGFsaWNlAHNlY3JldA==");
    assert_eq!(act, Act::Sasl(plain()));
    let (said, act) = client.answer(success());
    assert_eq!(act, Act::Continue);
    assert_eq!(
        said,
        [
            ":irc.test 900 alice alice!*@* alice :You are logged in as alice.",
            ":irc.test 903 alice :SASL succeeded."
        ]
    );
    assert_eq!(client.say("AUTHENTICATE PLAIN").0, [":irc.test 907 alice :You are logged in already."]);
    assert_eq!(client.say("CAP END").1, Act::Ready);
    let introduced = client.registration.introduced();
    assert_eq!((introduced.nick.as_str(), introduced.realname.as_str()), ("alice", "Alice A"));
    assert!(client.caps.active().has(Cap::Batch) && !client.caps.active().has(Cap::ServerTime));
}

#[test]
fn a_challenge_goes_out_and_its_answer_carries_the_continuation() {
    let mut client = Client::new();
    client.say("CAP REQ sasl\nAUTHENTICATE SCRAM-SHA-256\nAUTHENTICATE bg==");
    let (said, _) =
        client.answer(Answer::Challenge { payload: b"r=1".to_vec(), continuation: b"c".to_vec() });
    assert_eq!(said, ["AUTHENTICATE cj0x"]);
    let (_, act) = client.say("AUTHENTICATE eA==");
    let mechanism = Mechanism::ScramSha256;
    assert_eq!(act, Act::Sasl(Step { mechanism, continuation: Some(b"c".to_vec()), payload: b"x".to_vec() }));
}

#[test]
fn an_old_client_logs_in_by_pass() {
    for lines in [
        "PASS alice:secret\nNICK a\nUSER a 0 * :A",
        "PASS secret\nNICK a\nUSER alice 0 * :A",
        "NICK a\nPASS alice:secret\nUSER a 0 * :A",
    ] {
        let mut client = Client::new();
        assert_eq!(client.say(lines).1, Act::Sasl(plain()), "{lines}");
        assert_eq!(client.answer(success()), (Vec::new(), Act::Ready));
    }
}

#[test]
fn a_refused_pass_ends_in_words() {
    let mut client = Client::new();
    client.say("PASS alice:wrong\nNICK a\nUSER a 0 * :A");
    let (said, act) = client.answer(Answer::Refused { text: "Make an app password.".into() });
    assert_eq!(said, [":irc.test 464 a :Make an app password."]);
    assert_eq!(act, Act::End("Make an app password.".into()));
}

#[test]
fn an_unavailable_backend_never_says_904() {
    let mut client = Client::new();
    client.say("CAP REQ sasl\nAUTHENTICATE PLAIN\nAUTHENTICATE AGFsaWNlAHNlY3JldA==");
    let (said, act) = client.answer(Answer::Unavailable { text: "Try again in a minute.".into() });
    assert!(said.is_empty(), "{said:?}");
    assert_eq!(act, Act::End("Try again in a minute.".into()));
}

#[test]
fn nobody_gets_in_without_a_login() {
    let mut client = Client::new();
    let (said, act) = client.say("NICK a\nUSER a 0 * :A");
    assert_eq!(act, Act::End("You have to log in. Use SASL.".into()));
    assert_eq!(said[0], ":irc.test FAIL * ACCOUNT_REQUIRED :You have to log in. Use SASL.");
    let mut client = Client::new();
    client.login_required = false;
    assert_eq!(client.say("NICK a\nUSER a 0 * :A").1, Act::Ready);
}

#[test]
fn in_the_clear_from_elsewhere_no_password_is_taken() {
    let mut client = Client::in_the_clear();
    let (said, _) = client.say("CAP LS 302");
    assert_eq!(said, [":irc.test CAP * LS :cap-notify"]);
    let (said, act) = client.say("AUTHENTICATE PLAIN");
    assert!(said[0].contains(" 904 ") && said[0].contains("TLS"), "{said:?}");
    assert_eq!(act, Act::Continue);
    let (_, act) = Client::in_the_clear().say("PASS alice:secret\nNICK a\nUSER a 0 * :A");
    assert!(matches!(act, Act::End(text) if text.contains("TLS")));
}

#[test]
fn unknown_mechanisms_aborts_and_nonsense_are_told_apart() {
    let mut client = Client::new();
    let (said, _) = client.say("CAP LS 302\nAUTHENTICATE GSSAPI");
    assert_eq!(said[1], ":irc.test 908 * SCRAM-SHA-256,PLAIN :are the mechanisms there are.");
    assert!(said[2].contains(" 904 "));
    assert!(client.say("AUTHENTICATE PLAIN\nAUTHENTICATE *").0[1].contains(" 906 "));
    assert!(client.say("AUTHENTICATE PLAIN\nAUTHENTICATE ???").0[1].contains(" 904 "));
    let long = "A".repeat(401);
    assert!(client.say(&format!("AUTHENTICATE PLAIN\nAUTHENTICATE {long}")).0[1].contains(" 905 "));
    assert_eq!(
        client.say("AUTHENTICATE PLAIN\nNICK a\nUSER a 0 * :A\nCAP END").0[1],
        ":irc.test 906 a :SASL was aborted."
    );
}

#[test]
fn four_refused_logins_are_enough() {
    let mut client = Client::new();
    let mut last = Act::Continue;
    for _ in 0..4 {
        client.say("CAP REQ sasl\nAUTHENTICATE PLAIN\nAUTHENTICATE AGFsaWNlAHNlY3JldA==");
        last = client.answer(Answer::Refused { text: "No.".into() }).1;
    }
    assert_eq!(last, Act::End("Too many logins failed.".into()));
}

#[test]
fn early_lines_are_kept_for_the_backend_and_others_refused() {
    let mut client = Client::new();
    client.say("CAP REQ sasl\nAUTHENTICATE PLAIN\nAUTHENTICATE AGFsaWNlAHNlY3JldA==");
    client.answer(success());
    let (said, _) = client.say("BOUNCER BIND 42\nJOIN #a\nMETADATA * SUB soju.im/pinned");
    assert_eq!(said, [":irc.test 451 * :You have not registered."]);
    assert_eq!(client.say("NICK a\nUSER a 0 * :A\nCAP END").1, Act::Ready);
    assert_eq!(client.registration.introduced().early, ["BOUNCER BIND 42"]);
}

#[test]
fn what_is_no_irc_is_shown_the_door() {
    assert_eq!(Client::new().say("GET / HTTP/1.1").1, Act::End("This port speaks IRC.".into()));
    let garbage = "\u{fffd}\u{fffd} x\n".repeat(10);
    assert!(matches!(Client::new().say(&garbage).1, Act::End(_)));
    assert!(Client::new().say("NICK a!b\nNICK\nUSER a\nPASS").0.iter().all(|line| line.contains(" 4")));
}
