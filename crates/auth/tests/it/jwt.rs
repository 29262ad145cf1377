use auth::jwt::{
    ACCESS_TOKEN, Expect, ID_TOKEN, JwtError, SigningKey, key_set, verify, verify_signature_only,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: i64 = 1_800_000_000;

fn claims() -> Value {
    json!({ "iss": "https://auth.irc.now", "aud": "bouncer", "sub": "portal", "iat": NOW, "exp": NOW + 300 })
}

fn expect() -> Expect<'static> {
    Expect { issuer: "https://auth.irc.now", audience: "bouncer", types: &[ACCESS_TOKEN], now_s: NOW }
}

fn with(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Value {
    let mut claims = claims();
    change(claims.as_object_mut().unwrap());
    claims
}

fn check(key: &SigningKey, token: &str, expect: &Expect<'_>) -> Result<Value, JwtError> {
    verify(token, &key_set([key]), expect)
}

#[test]
fn what_is_signed_is_taken_by_whom_it_is_meant_for_while_it_lasts() {
    let (key, seed) = SigningKey::generate().unwrap();
    assert_eq!(SigningKey::from_seed(&seed).unwrap().kid(), key.kid());
    let token = key.sign(ACCESS_TOKEN, &claims()).unwrap();
    assert_eq!(check(&key, &token, &expect()).unwrap(), claims());
    let cases = [
        (Expect { issuer: "https://auth.irc.now/", ..expect() }, JwtError::Issuer),
        (Expect { audience: "portal", ..expect() }, JwtError::Audience),
        (Expect { types: &[ID_TOKEN], ..expect() }, JwtError::Type),
        (Expect { now_s: NOW + 361, ..expect() }, JwtError::Time),
        (Expect { now_s: NOW - 61, ..expect() }, JwtError::Time),
    ];
    for (expect, error) in cases {
        assert_eq!(check(&key, &token, &expect), Err(error));
    }
    assert!(check(&key, &token, &Expect { now_s: NOW + 359, ..expect() }).is_ok(), "clocks differ a little");
}

#[test]
fn a_claim_that_must_be_there_is() {
    let (key, _) = SigningKey::generate().unwrap();
    let sign = |claims: &Value| key.sign(ACCESS_TOKEN, claims).unwrap();
    let check = |claims: &Value| check(&key, &sign(claims), &expect());
    assert_eq!(check(&with(|claims| drop(claims.remove("exp")))), Err(JwtError::Time));
    assert_eq!(check(&with(|claims| drop(claims.remove("iss")))), Err(JwtError::Malformed));
    assert_eq!(check(&with(|claims| drop(claims.remove("aud")))), Err(JwtError::Malformed));
    assert!(check(&with(|claims| drop(claims.insert("aud".into(), json!(["a", "bouncer"]))))).is_ok());
    assert!(check(&with(|claims| drop(claims.insert("exp".into(), json!(1_800_000_300.5))))).is_ok());
    assert_eq!(
        check(&with(|claims| drop(claims.insert("nbf".into(), json!(NOW + 100))))),
        Err(JwtError::Time)
    );
}

#[test]
fn only_the_keys_of_the_set_and_only_their_algorithm_count() {
    let ((ours, _), (theirs, _)) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let token = theirs.sign(ACCESS_TOKEN, &claims()).unwrap();
    assert_eq!(check(&ours, &token, &expect()), Err(JwtError::UnknownKey));
    assert!(verify::<Value>(&token, &key_set([&ours, &theirs]), &expect()).is_ok(), "a set may hold several");

    let body = URL_SAFE_NO_PAD.encode(claims().to_string());
    let forge = |header: Value, signature: &[u8]| {
        format!("{}.{body}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(signature))
    };
    for alg in ["none", "HS256", "HS512"] {
        let token = forge(json!({ "alg": alg, "typ": ACCESS_TOKEN, "kid": ours.kid() }), b"");
        assert_eq!(check(&ours, &token, &expect()), Err(JwtError::Algorithm), "{alg}");
    }
    let critical = forge(json!({ "alg": "EdDSA", "typ": ACCESS_TOKEN, "crit": ["b64"] }), &[0; 64]);
    assert_eq!(check(&ours, &critical, &expect()), Err(JwtError::Malformed));
    let unsigned = forge(json!({ "alg": "EdDSA", "typ": ACCESS_TOKEN }), &[0; 64]);
    assert_eq!(check(&ours, &unsigned, &expect()), Err(JwtError::Signature));
}

#[test]
fn a_hint_is_known_by_its_signature_alone() {
    let (key, _) = SigningKey::generate().unwrap();
    let token = key.sign(ID_TOKEN, &json!({ "sub": "1", "exp": 1 })).unwrap();
    assert_eq!(verify_signature_only::<Value>(&token, &key_set([&key])).unwrap()["sub"], "1");
    assert!(verify_signature_only::<Value>(&token[..token.len() - 4], &key_set([&key])).is_err());
}

#[test]
fn a_key_set_is_what_the_world_expects_and_holds_nothing_private() {
    let (key, _) = SigningKey::generate().unwrap();
    let set = serde_json::to_value(key_set([&key])).unwrap();
    let jwk = &set["keys"][0];
    assert_eq!((&jwk["kty"], &jwk["crv"], &jwk["use"]), (&json!("OKP"), &json!("Ed25519"), &json!("sig")));
    assert_eq!(jwk["kid"], key.kid());
    assert!(jwk.get("d").is_none());
}

proptest! {
    #[test]
    fn no_garbage_is_taken_or_breaks_anything(token in "[A-Za-z0-9_.-]{0,200}") {
        let (key, _) = SigningKey::generate().unwrap();
        prop_assert!(check(&key, &token, &expect()).is_err());
    }

    #[test]
    fn a_changed_letter_is_noticed(at in any::<prop::sample::Index>(), letter in "[A-Za-z0-9_-]") {
        let (key, _) = SigningKey::generate().unwrap();
        let token = key.sign(ACCESS_TOKEN, &claims()).unwrap();
        let at = at.index(token.len() - 1);
        let mut changed = token.clone();
        changed.replace_range(at..=at, &letter);
        prop_assume!(changed != token);
        prop_assert!(check(&key, &changed, &expect()).is_err());
    }
}
