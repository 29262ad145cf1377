use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;
use secrecy::{ExposeSecret as _, SecretString};
use service::config::Source;
use service::secrets::{Keyring, SecretError, random_token, same, service_secret};

#[test]
fn what_is_sealed_opens_for_the_same_purpose_only() {
    let keyring = Keyring::ephemeral().unwrap();
    let sealed = keyring.seal("a:1", b"hunter2").unwrap();
    assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
    assert_eq!(keyring.unseal("a:1", &sealed).unwrap().as_slice(), b"hunter2");
    assert_ne!(keyring.seal("a:1", b"hunter2").unwrap(), sealed, "a nonce comes once");
    assert!(matches!(keyring.unseal("a:2", &sealed), Err(SecretError::CannotOpen)));
    assert!(Keyring::ephemeral().unwrap().unseal("a:1", &sealed).is_err());
    assert!(!format!("{keyring:?}").contains("raw"));
}

#[test]
fn a_rotated_keyring_opens_the_old_and_seals_with_the_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.key");
    let old = Keyring::open_file(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let sealed = old.seal("x", b"1").unwrap();
    let new = Keyring::open_file(&path).unwrap();
    let clone = new.clone();
    new.rotate(&path).unwrap();
    assert!(clone.seal("x", b"1").unwrap().starts_with(&new.mark()), "clones share their keys");
    assert_eq!(new.unseal("x", &sealed).unwrap().as_slice(), b"1");
    let resealed = new.reseal("x", &sealed).unwrap().expect("it was under the old key");
    assert!(old.unseal("x", &resealed).is_err());
    assert_eq!(new.reseal("x", &resealed).unwrap(), None);
    assert_eq!(Keyring::open_file(&path).unwrap().unseal("x", &resealed).unwrap().as_slice(), b"1");
    assert_ne!(new.derive("a"), old.derive("a"));
    assert_eq!(new.derive_all("a")[1], old.derive("a"));
    assert_ne!(new.derive("a"), new.derive("b"));
}

#[test]
fn the_variable_goes_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let token = random_token().unwrap();
    let source = Source::default().with_env("IRCNOW_SECRET_KEY", token.clone());
    let keyring = Keyring::open(&source, folder.path()).unwrap();
    assert!(!folder.path().join("secret.key").exists());
    assert_eq!(keyring.derive("a"), Keyring::parse(&token).unwrap().derive("a"));
    let short = Source::default().with_env("IRCNOW_SECRET_KEY", "short");
    assert!(matches!(Keyring::open(&short, folder.path()), Err(SecretError::Malformed)));
}

#[test]
fn both_sides_work_out_the_same_service_secret() {
    let (a, b) = (Keyring::ephemeral().unwrap(), Keyring::ephemeral().unwrap());
    let shared = SecretString::from("s".to_owned());
    let text = |keyring: &Keyring, shared: Option<&SecretString>, name: &str| {
        service_secret(keyring, shared, name).expose_secret().to_owned()
    };
    assert_eq!(text(&a, Some(&shared), "portal"), text(&b, Some(&shared), "portal"));
    assert_ne!(text(&a, Some(&shared), "portal"), text(&a, Some(&shared), "bouncer"));
    assert_eq!(text(&a, None, "portal").len(), 64);
    assert_ne!(text(&a, None, "portal"), text(&b, None, "portal"));
}

#[test]
fn secrets_are_compared_whole() {
    assert!(same(b"abc", b"abc"));
    assert!(!same(b"abc", b"abd") && !same(b"abc", b"ab") && !same(b"", b"a"));
}

proptest! {
    #[test]
    fn a_changed_byte_is_noticed(plain in prop::collection::vec(any::<u8>(), 0..64), at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let keyring = Keyring::ephemeral().unwrap();
        let mut sealed = keyring.seal("x", &plain).unwrap();
        prop_assert_eq!(&keyring.unseal("x", &sealed).unwrap()[..], &plain[..]);
        let at = at.index(sealed.len());
        sealed[at] ^= flip;
        prop_assert!(keyring.unseal("x", &sealed).is_err());
    }

    #[test]
    fn garbage_never_opens(sealed in prop::collection::vec(any::<u8>(), 0..80)) {
        prop_assert!(Keyring::ephemeral().unwrap().unseal("x", &sealed).is_err());
    }
}

#[test]
fn a_lost_key_is_told_and_never_replaced_beside_what_it_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::default();
    Keyring::open(&source, folder.path()).unwrap();
    std::fs::create_dir(folder.path().join("gatekeeper")).unwrap();
    std::fs::write(folder.path().join("gatekeeper/gatekeeper.db"), "").unwrap();
    Keyring::open(&source, folder.path()).unwrap();
    std::fs::remove_file(folder.path().join("secret.key")).unwrap();
    assert!(matches!(Keyring::open(&source, folder.path()), Err(SecretError::Missing(_))));
    assert!(!folder.path().join("secret.key").exists());
}
