//! What upstreams of all kinds say, and what is answered.

use secrecy::SecretString;

use super::*;

fn config() -> ClientConfig {
    let wanted = CapSet::of(&[Cap::ServerTime, Cap::MessageTags]);
    ClientConfig {
        wanted,
        ident: "u42".into(),
        ..ClientConfig::new("Libera.Chat", "irc.test", 6697, "alice")
    }
}

fn with_password() -> ClientConfig {
    let password = SecretString::from("pencil");
    ClientConfig { sasl: Sasl::Password { account: "alice".into(), password }, ..config() }
}

/// Feeds lines and gives what is sent, and the last act that is no sending.
fn feed(registration: &mut Registration<'_>, lines: &str) -> (Vec<String>, Option<Act>) {
    let mut sent = Vec::new();
    let mut last = None;
    for line in lines.lines() {
        for act in registration.line(&Message::parse(line.trim().as_bytes()).unwrap()) {
            match act {
                Act::Send(line) => sent.push(String::from_utf8_lossy(&line).trim_end().to_owned()),
                other => last = Some(other),
            }
        }
    }
    (sent, last)
}

fn failure(act: Option<Act>) -> (ErrorKind, String) {
    match act {
        Some(Act::Fail(error)) => (error.kind, error.text),
        other => panic!("{other:?}"),
    }
}

fn done(act: Option<Act>) -> Registered {
    match act {
        Some(Act::Done(registered)) => *registered,
        other => panic!("{other:?}"),
    }
}

const NONCE: [u8; NONCE_LEN] = [7; NONCE_LEN];

#[test]
fn the_first_lines_carry_password_nick_and_the_stable_ident() {
    let config = ClientConfig { server_password: Some("s p".to_owned().into()), ..config() };
    let lines = Registration::new(&config, true, NONCE).begin();
    let lines: Vec<_> =
        lines.iter().map(|line| String::from_utf8_lossy(line).trim_end().to_owned()).collect();
    assert_eq!(lines, ["CAP LS 302", "PASS :s p", "NICK alice", "USER u42 0 * :alice"]);
}

#[test]
fn what_is_wanted_and_offered_is_requested_before_cap_end() {
    let config = config();
    let mut registration = Registration::new(&config, true, NONCE);
    let (sent, _) = feed(&mut registration, ":s CAP * LS :server-time away-notify sasl=PLAIN cap-notify");
    assert_eq!(sent, ["CAP REQ :cap-notify server-time"]);
    let (sent, _) = feed(&mut registration, ":s CAP * ACK :cap-notify server-time");
    assert_eq!(sent, ["CAP END"]);
    let registered = done(feed(&mut registration, ":s 001 alice :Welcome").1);
    assert_eq!((registered.nick.as_str(), registered.account), ("alice", None));
    assert!(registered.caps.has(Cap::ServerTime));
}

#[test]
fn a_server_without_cap_is_registered_with_all_the_same() {
    let config = config();
    for hello in ["", ":s 421 alice CAP :Unknown command\n", ":s 451 * CAP :Register first\n"] {
        let mut registration = Registration::new(&config, true, NONCE);
        let (sent, act) = feed(&mut registration, &format!("{hello}:s 001 alice :Welcome"));
        assert!(sent.is_empty(), "{sent:?}");
        assert_eq!(done(act).caps, CapSet::EMPTY);
    }
}

#[test]
fn a_taken_nick_gets_underscores_then_numbers_then_words() {
    let config = config();
    let mut registration = Registration::new(&config, true, NONCE);
    let mut tried = Vec::new();
    let mut nick = "alice".to_owned();
    let last = loop {
        let (sent, act) = feed(&mut registration, &format!(":s 433 * {nick} :Nickname is already in use."));
        match sent.first() {
            Some(line) => nick = line.trim_start_matches("NICK ").to_owned(),
            None => break act,
        }
        tried.push(nick.clone());
    };
    assert_eq!(tried[..4], ["alice_", "alice__", "alice___", "alice2"]);
    let (kind, text) = failure(last);
    assert_eq!(kind, ErrorKind::Nick);
    assert!(text.contains("Choose another one"), "{text}");
}

#[test]
fn an_answer_about_an_older_nick_changes_nothing() {
    let config = config();
    let mut registration = Registration::new(&config, true, NONCE);
    feed(&mut registration, ":s 433 * alice :In use");
    assert!(feed(&mut registration, ":s 433 * alice :In use").0.is_empty());
}

#[test]
fn plain_goes_over_tls_only() {
    let config = with_password();
    let mut registration = Registration::new(&config, true, NONCE);
    feed(&mut registration, ":s CAP * LS :sasl=PLAIN,EXTERNAL");
    assert_eq!(feed(&mut registration, ":s CAP * ACK :sasl").0, ["AUTHENTICATE PLAIN"]);
    assert_eq!(feed(&mut registration, "AUTHENTICATE +").0, ["AUTHENTICATE AGFsaWNlAHBlbmNpbA=="]);
    let (sent, _) = feed(&mut registration, ":s 900 alice alice!a@b Alice :You are in\n:s 903 alice :Done");
    assert_eq!(sent, ["CAP END"]);
    assert_eq!(done(feed(&mut registration, ":s 001 alice :hi").1).account.as_deref(), Some("Alice"));

    let mut registration = Registration::new(&config, false, NONCE);
    feed(&mut registration, ":s CAP * LS :sasl=PLAIN");
    let (kind, text) = failure(feed(&mut registration, ":s CAP * ACK :sasl").1);
    assert_eq!(kind, ErrorKind::Insecure);
    assert!(text.contains("Turn TLS on"), "{text}");
}

#[test]
fn a_wrong_password_is_told_in_plain_words() {
    let config = with_password();
    let mut registration = Registration::new(&config, true, NONCE);
    feed(&mut registration, ":s CAP * LS :sasl=PLAIN\n:s CAP * ACK :sasl\nAUTHENTICATE +");
    let (kind, text) = failure(feed(&mut registration, ":s 904 alice :SASL authentication failed").1);
    assert_eq!(kind, ErrorKind::SaslRefused);
    assert!(text.starts_with("Libera.Chat refused the password for alice."), "{text}");
}

/// Answers as a server would, by irc's own server side of SCRAM.
struct ScramServer {
    verifier: scram::Verifier,
    exchange: Option<scram::Exchange>,
}

impl ScramServer {
    fn new(password: &str) -> Self {
        Self { verifier: scram::Verifier::derive(password, b"salt", 4096), exchange: None }
    }

    fn first(&mut self, client: &[u8]) -> Vec<u8> {
        let exchange = scram::ClientFirst::parse(client).unwrap().challenge(&[9; NONCE_LEN], b"salt", 4096);
        let challenge = exchange.challenge().to_vec();
        self.exchange = Some(exchange);
        challenge
    }

    fn last(&mut self, client: &[u8]) -> Option<Vec<u8>> {
        self.exchange.take().unwrap().finish(client).unwrap().check(&self.verifier)
    }
}

fn decode(sent: &[String]) -> Vec<u8> {
    let mut reassembler = Reassembler::default();
    let words = sent.iter().map(|line| line.trim_start_matches("AUTHENTICATE ").as_bytes());
    words.filter_map(|word| reassembler.push(word).unwrap()).next_back().unwrap().to_vec()
}

fn encode(message: &[u8]) -> String {
    chunks(message).iter().map(|chunk| format!("AUTHENTICATE {chunk}\n")).collect()
}

/// Runs an exchange up to our proof.
fn until_proof(registration: &mut Registration<'_>, server: &mut ScramServer) -> Vec<u8> {
    feed(registration, ":s CAP * LS :sasl=PLAIN,SCRAM-SHA-256");
    assert_eq!(feed(registration, ":s CAP * ACK :sasl").0, ["AUTHENTICATE SCRAM-SHA-256"]);
    let first = decode(&feed(registration, "AUTHENTICATE +").0);
    let challenge = server.first(&first);
    let Some(Act::Derive(work)) = feed(registration, &encode(&challenge)).1 else { panic!() };
    let acts = registration.derived(work.run());
    let sent: Vec<String> = acts
        .iter()
        .map(|act| match act {
            Act::Send(line) => String::from_utf8_lossy(line).trim_end().to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    decode(&sent)
}

#[test]
fn scram_is_preferred_and_the_server_has_to_prove_itself_too() {
    let config = with_password();
    let mut server = ScramServer::new("pencil");
    let mut registration = Registration::new(&config, false, NONCE);
    let proof = until_proof(&mut registration, &mut server);
    let last = server.last(&proof).unwrap();
    assert_eq!(feed(&mut registration, &encode(&last)).0, ["AUTHENTICATE +"]);
    assert_eq!(feed(&mut registration, ":s 903 alice :Done").0, ["CAP END"]);
}

#[test]
fn a_903_without_the_servers_proof_is_not_believed() {
    let config = with_password();
    let mut registration = Registration::new(&config, true, NONCE);
    until_proof(&mut registration, &mut ScramServer::new("pencil"));
    let (sent, act) = feed(&mut registration, ":s 903 alice :Trust me");
    assert_eq!(sent, ["AUTHENTICATE *"]);
    assert!(failure(act).1.contains("did not prove"));
}

#[test]
fn where_scram_fails_plain_is_tried_if_the_server_is_proven() {
    let config = with_password();
    let mut registration = Registration::new(&config, true, NONCE);
    until_proof(&mut registration, &mut ScramServer::new("other"));
    assert_eq!(feed(&mut registration, ":s 904 alice :No").0, ["AUTHENTICATE PLAIN"]);
    assert_eq!(feed(&mut registration, "AUTHENTICATE +").0, ["AUTHENTICATE AGFsaWNlAHBlbmNpbA=="]);

    let config = ClientConfig { tls: Tls::Unverified, ..config };
    let mut registration = Registration::new(&config, true, NONCE);
    until_proof(&mut registration, &mut ScramServer::new("other"));
    assert_eq!(failure(feed(&mut registration, ":s 904 alice :No").1).0, ErrorKind::SaslRefused);
}

#[test]
fn without_sasl_a_login_that_is_wanted_is_an_error_unless_it_is_optional() {
    let config = with_password();
    let mut registration = Registration::new(&config, true, NONCE);
    let (kind, text) =
        failure(feed(&mut registration, ":s CAP * LS :server-time\n:s CAP * ACK :server-time").1);
    assert_eq!(kind, ErrorKind::SaslUnavailable);
    assert!(text.contains("does not offer SASL"), "{text}");

    let config = ClientConfig { sasl_optional: true, ..config };
    let mut registration = Registration::new(&config, true, NONCE);
    let (sent, act) =
        feed(&mut registration, ":s CAP * LS :server-time\n:s CAP * ACK :server-time\n:s 001 a :hi");
    assert_eq!(sent, ["CAP REQ :server-time", "CAP END"]);
    assert_eq!(done(act).sasl_failure.unwrap().kind, ErrorKind::SaslUnavailable);
}

#[test]
fn external_and_bearer_say_what_they_must() {
    let config = ClientConfig { sasl: Sasl::External, ..config() };
    let mut registration = Registration::new(&config, true, NONCE);
    feed(&mut registration, ":s CAP * LS :sasl=EXTERNAL\n:s CAP * ACK :sasl");
    assert_eq!(feed(&mut registration, "AUTHENTICATE +").0, ["AUTHENTICATE +"]);
    assert!(failure(feed(&mut registration, ":s 904 a :No").1).1.contains("CERT ADD"));

    let config = ClientConfig {
        sasl: Sasl::OauthBearer { account: "al".into(), token: "tok".to_owned().into() },
        ..config
    };
    let mut registration = Registration::new(&config, true, NONCE);
    feed(&mut registration, ":s CAP * LS :sasl=OAUTHBEARER\n:s CAP * ACK :sasl");
    let message = decode(&feed(&mut registration, "AUTHENTICATE +").0);
    assert!(message.ends_with(b"\x01auth=Bearer tok\x01\x01"), "{:?}", message.escape_ascii().to_string());
    assert_eq!(feed(&mut registration, "AUTHENTICATE eyJ9").0, ["AUTHENTICATE AQ=="]);
}

#[test]
fn strict_transport_upgrades_in_the_clear_and_is_kept_over_tls() {
    let config = config();
    let mut registration = Registration::new(&config, false, NONCE);
    let (sent, act) = feed(&mut registration, ":s CAP * LS :server-time sts=port=6697,duration=300");
    assert!(sent.is_empty() && matches!(act, Some(Act::Upgrade(6697))));
    let mut registration = Registration::new(&config, true, NONCE);
    assert!(matches!(feed(&mut registration, ":s CAP * LS :sts=duration=300").1, Some(Act::Keep(300))));
}

#[test]
fn bans_and_throttles_are_understood_before_the_welcome() {
    let config = config();
    for (line, kind) in [
        (":s 465 alice :You are banned from this server- spam", ErrorKind::Banned),
        (":s 466 alice :You will be", ErrorKind::Banned),
        (":s 464 alice :Password incorrect", ErrorKind::ServerPassword),
        ("ERROR :Closing Link: [1.2.3.4] (Throttled: Reconnecting too fast)", ErrorKind::Throttled),
        ("ERROR :Closing Link: (K-Lined)", ErrorKind::Banned),
        ("ERROR :Closing Link: Server full", ErrorKind::Closed),
    ] {
        let mut registration = Registration::new(&config, true, NONCE);
        assert_eq!(failure(feed(&mut registration, line).1).0, kind, "{line}");
    }
}

#[test]
fn a_ping_before_the_welcome_is_answered() {
    let config = config();
    let mut registration = Registration::new(&config, true, NONCE);
    assert_eq!(feed(&mut registration, "PING :12 34").0, ["PONG :12 34"]);
}

#[test]
fn no_offer_of_any_kind_makes_it_panic() {
    use proptest::prelude::*;
    let words = prop_oneof![
        Just("001 a".to_owned()),
        Just("903 a".to_owned()),
        Just("904 a".to_owned()),
        Just("908 a PLAIN".to_owned()),
        Just("AUTHENTICATE +".to_owned()),
        Just("AUTHENTICATE cj1h".to_owned()),
        Just(":s CAP * LS :sasl=PLAIN,SCRAM-SHA-256".to_owned()),
        Just(":s CAP * ACK :sasl".to_owned()),
        Just(":s CAP * NAK :sasl".to_owned()),
        "[ -~]{1,40}",
    ];
    let config = with_password();
    proptest!(|(lines in proptest::collection::vec(words, 0..20))| {
        let mut registration = Registration::new(&config, true, NONCE);
        for line in &lines {
            let Ok(message) = Message::parse(line.as_bytes()) else { continue };
            for act in registration.line(&message) {
                if let Act::Derive(work) = act {
                    registration.derived(work.run());
                }
            }
        }
    });
}
