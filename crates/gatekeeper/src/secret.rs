//! App passwords and recovery codes: how they are made, written and looked up.

use service::secrets::{SecretError, random_bytes};
use zeroize::Zeroizing;

/// Crockford's base 32 in small letters: no `i`, `l`, `o`, `u`, so what is read aloud is typed right.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const GROUP: usize = 4;
/// Seven groups of four: 140 random bits.
const APP_PASSWORD_GROUPS: usize = 7;
const RECOVERY_GROUPS: usize = 3;

/// An app password as it is shown once: `kq7m-3xvd-91hf-tz0c-ap4w-e6ry-m2sn`.
pub fn new_app_password() -> Result<Zeroizing<String>, SecretError> {
    grouped::<{ APP_PASSWORD_GROUPS * GROUP }>()
}

/// A recovery code: 60 random bits, for one use.
pub fn new_recovery_code() -> Result<Zeroizing<String>, SecretError> {
    grouped::<{ RECOVERY_GROUPS * GROUP }>()
}

fn grouped<const N: usize>() -> Result<Zeroizing<String>, SecretError> {
    let random = Zeroizing::new(random_bytes::<N>()?);
    let mut text = Zeroizing::new(String::with_capacity(N + N / GROUP));
    for (index, byte) in random.iter().enumerate() {
        if index > 0 && index.is_multiple_of(GROUP) {
            text.push('-');
        }
        text.push(char::from(ALPHABET[usize::from(byte & 31)]));
    }
    Ok(text)
}

/// What was typed, in the form it was shown in; `None` if no app password ever looked so.
pub fn as_app_password(typed: &str) -> Option<Zeroizing<String>> {
    canonical(typed, APP_PASSWORD_GROUPS * GROUP)
}

/// The same for a recovery code.
pub fn as_recovery_code(typed: &str) -> Option<Zeroizing<String>> {
    canonical(typed, RECOVERY_GROUPS * GROUP)
}

fn canonical(typed: &str, symbols: usize) -> Option<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(symbols + symbols / GROUP));
    let mut count = 0;
    for c in typed.chars().filter(|c| !matches!(c, '-' | ' ')) {
        let c = match c.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        };
        if count == symbols || !c.is_ascii() || !ALPHABET.contains(&(c as u8)) {
            return None;
        }
        if count > 0 && count % GROUP == 0 {
            text.push('-');
        }
        text.push(c);
        count += 1;
    }
    (count == symbols).then_some(text)
}

/// What a secret of enough random bits is looked up by.
pub fn sha256(secret: &[u8]) -> Vec<u8> {
    service::secrets::sha256(secret).to_vec()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_app_password_is_seven_groups_of_four_and_never_the_same() {
        let one = new_app_password().unwrap();
        assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [4; 7]);
        assert_ne!(*one, *new_app_password().unwrap());
    }

    #[test]
    fn what_is_shown_is_taken_however_it_is_typed() {
        let shown = new_app_password().unwrap();
        let bare = shown.replace('-', " ").to_uppercase();
        assert_eq!(*as_app_password(&bare).unwrap(), *shown);
        let misread = shown.replace('0', "O").replace('1', "l");
        assert_eq!(*as_app_password(&misread).unwrap(), *shown);
    }

    proptest! {
        #[test]
        fn nothing_typed_breaks_the_parser_and_the_form_is_stable(typed in "\\PC{0,60}") {
            if let Some(text) = as_app_password(&typed) {
                prop_assert_eq!(&*as_app_password(&text).unwrap(), &*text);
            }
            if let Some(text) = as_recovery_code(&typed) {
                prop_assert_eq!(text.len(), 14);
            }
        }

        #[test]
        fn every_string_of_the_alphabet_is_read(typed in "[0-9a-hjkmnp-tv-z]{28}") {
            prop_assert_eq!(as_app_password(&typed).unwrap().replace('-', ""), typed);
        }
    }
}
