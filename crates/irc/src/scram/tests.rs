#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const SERVER_FIRST: &[u8] =
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL: &[u8] =
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL: &[u8] = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn salt() -> Vec<u8> {
    decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap()
}

/// The exchange of RFC 7677 §3, word for word.
#[test]
fn both_ends_follow_the_rfc() {
    let mut client = Client::with_nonce("user", "pencil", "", NONCE.to_owned());
    assert_eq!(client.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    assert_eq!(client.answer(SERVER_FIRST).unwrap(), CLIENT_FINAL);
    assert!(!client.is_verified());
    client.verify(SERVER_FINAL).unwrap();
    assert!(client.is_verified());

    let first = ClientFirst::parse(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
    assert_eq!((first.username.as_str(), &first.authzid), ("user", &None));
    let exchange = first.challenge_with(SERVER_NONCE, &salt(), 4096);
    assert_eq!(exchange.challenge(), SERVER_FIRST);
    let proof = exchange.finish(CLIENT_FINAL).unwrap();
    assert_eq!(proof.check(&Verifier::derive("pencil", &salt(), 4096)).unwrap(), SERVER_FINAL);
}

#[test]
fn an_exchange_goes_on_in_another_process_and_finds_the_right_password_among_several() {
    let salt = b"one salt for all";
    let verifiers = ["first", "second pass", "third"].map(|password| Verifier::derive(password, salt, 4096));
    let mut client = Client::new("dan/net@a,b=c", "second pass", "dan", &[7; NONCE_LEN]);
    let first = ClientFirst::parse(&client.first()).unwrap();
    assert_eq!((first.username.as_str(), first.authzid.as_deref()), ("dan/net@a,b=c", Some("dan")));
    let stored = first.challenge(&[9; NONCE_LEN], salt, 4096).to_bytes();
    let exchange = Exchange::from_bytes(&stored).unwrap();
    let answer = client.answer(exchange.challenge()).unwrap();
    let proof = exchange.finish(&answer).unwrap();
    let found: Vec<_> = verifiers.iter().map(|verifier| proof.check(verifier)).collect();
    assert!(found[0].is_none() && found[2].is_none());
    client.verify(found[1].as_ref().unwrap()).unwrap();
}

#[test]
fn a_server_that_does_not_know_the_password_is_not_believed() {
    let mut client = Client::with_nonce("user", "pencil", "", NONCE.to_owned());
    assert_eq!(client.verify(SERVER_FINAL), Err(ScramError::OutOfTurn));
    client.answer(SERVER_FIRST).unwrap();
    let forged = format!("v={}", encode(&[0; 32]));
    assert_eq!(client.verify(forged.as_bytes()), Err(ScramError::ServerNotProven));
    assert!(!client.is_verified());
    let mut client = Client::with_nonce("user", "pencil", "", NONCE.to_owned());
    client.answer(SERVER_FIRST).unwrap();
    assert_eq!(client.verify(b"e=invalid-proof"), Err(ScramError::Refused("invalid-proof".into())));
}

#[test]
fn a_server_cannot_choose_anything_unsafe() {
    let answer = |server_first: &str| {
        Client::with_nonce("user", "pencil", "", NONCE.to_owned()).answer(server_first.as_bytes())
    };
    assert_eq!(answer(&format!("r={NONCE}x,s=AAAA,i=1")), Err(ScramError::Iterations(1)));
    assert_eq!(
        answer(&format!("r={NONCE}x,s=AAAA,i=4000000000")),
        Err(ScramError::Iterations(4_000_000_000))
    );
    assert_eq!(answer(&format!("r={NONCE},s=AAAA,i=4096")), Err(ScramError::WrongNonce));
    assert_eq!(answer("r=other,s=AAAA,i=4096"), Err(ScramError::WrongNonce));
    assert_eq!(answer(&format!("m=x,r={NONCE}x,s=AAAA,i=4096")), Err(ScramError::Unsupported));
    for bad in ["", "r=", "s=AAAA", "r=a,s=?,i=4096", "r=a,s=AAAA,i=x"] {
        assert_eq!(answer(bad), Err(ScramError::Malformed), "{bad}");
    }
}

#[test]
fn a_client_cannot_bend_the_exchange() {
    let exchange = || {
        ClientFirst::parse(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap().challenge_with(
            SERVER_NONCE,
            &salt(),
            4096,
        )
    };
    let good = String::from_utf8(CLIENT_FINAL.to_vec()).unwrap();
    let other_nonce = good.replace("r=rOpr", "r=xOpr");
    assert_eq!(exchange().finish(other_nonce.as_bytes()), Err(ScramError::WrongNonce));
    let other_binding = good.replace("c=biws", "c=eSws");
    assert_eq!(exchange().finish(other_binding.as_bytes()), Err(ScramError::Unsupported));
    assert_eq!(exchange().finish(b"c=biws,r=x"), Err(ScramError::Malformed));
    let wrong = good.replace("p=dHzb", "p=AHzb");
    let proof = exchange().finish(wrong.as_bytes()).unwrap();
    assert!(proof.check(&Verifier::derive("pencil", &salt(), 4096)).is_none());
    for bad in ["", "n,", "p=tls-unique,,n=u,r=x", "n,,n=,r=x", "n,,n=u,r=", "n,,n=a=XXb,r=x", "x,,n=u,r=x"] {
        assert!(ClientFirst::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn passwords_are_normalized_before_they_are_hashed() {
    let plain = Verifier::derive("IX", b"salt", 4096);
    assert_eq!(plain, Verifier::derive("\u{2168}", b"salt", 4096));
    assert_eq!(plain, Verifier::derive("I\u{ad}X", b"salt", 4096));
    assert_ne!(plain, Verifier::derive("ix", b"salt", 4096));
    assert_eq!(format!("{plain:?}"), "Verifier(..)");
}
