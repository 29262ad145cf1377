//! The app password just made, kept for the pages that fill it in: sealed, in a cookie of this browser, for a quarter
//! of an hour. No row and no log ever holds it, and a replica that did not make it can open it.

use axum_extra::extract::cookie::{Cookie, SameSite};
use contracts::{NewCredential, Sub};
use serde::{Deserialize, Serialize};
use service::secrets::Keyring;
use uuid::Uuid;

/// The cookie's name.
pub(crate) const COOKIE: &str = "__Host-fresh";
const SECONDS: i64 = 15 * 60;

/// An app password that may still be shown.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Fresh {
    sub: Sub,
    until: i64,
    /// Which credential it is.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The secret itself.
    pub secret: String,
}

impl std::fmt::Debug for Fresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fresh").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Fresh {
    /// Seals a new credential into a cookie. `None` if there is no randomness to seal with: then the page shows the
    /// secret only in the answer itself.
    pub fn cookie(keyring: &Keyring, sub: Sub, new: &NewCredential, now: i64) -> Option<Cookie<'static>> {
        let fresh = Self {
            sub,
            until: now + SECONDS,
            id: new.credential.id,
            name: new.credential.name.clone(),
            secret: new.secret.clone(),
        };
        let plain = serde_json::to_vec(&fresh).ok()?;
        let sealed = keyring.seal(&context(sub), &plain).ok()?;
        Some(build(hex(&sealed), SECONDS))
    }

    /// Opens the cookie, if it is there, is this account's and is not too old.
    pub fn open(keyring: &Keyring, sub: Sub, cookie: Option<&Cookie<'_>>, now: i64) -> Option<Self> {
        let sealed = unhex(cookie?.value())?;
        let plain = keyring.unseal(&context(sub), &sealed).ok()?;
        let fresh: Self = serde_json::from_slice(&plain).ok()?;
        (fresh.sub == sub && fresh.until > now).then_some(fresh)
    }

    /// The cookie that takes it away.
    pub fn gone() -> Cookie<'static> {
        build(String::new(), 0)
    }
}

fn context(sub: Sub) -> String {
    format!("fresh-app-password:{sub}")
}

fn build(value: String, seconds: i64) -> Cookie<'static> {
    Cookie::build((COOKIE, value))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(time::Duration::seconds(seconds))
        .build()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use contracts::{Credential, CredentialKind};

    use super::*;

    #[test]
    fn a_fresh_password_opens_for_its_account_and_only_for_a_while() {
        let keyring = Keyring::ephemeral().unwrap();
        let (alice, bob) = (Sub(Uuid::now_v7()), Sub(Uuid::now_v7()));
        let new = NewCredential {
            credential: Credential {
                id: Uuid::now_v7(),
                name: "laptop".into(),
                kind: CredentialKind::AppPassword,
                scopes: Vec::new(),
                created_at: 0,
                last_used_at: None,
                last_used_client: None,
            },
            secret: "kq7m".into(),
        };
        let cookie = Fresh::cookie(&keyring, alice, &new, 100).unwrap();
        assert!(!cookie.value().contains("kq7m"));
        let open = |sub, now| Fresh::open(&keyring, sub, Some(&cookie), now).map(|fresh| fresh.secret);
        assert_eq!(open(alice, 200).as_deref(), Some("kq7m"));
        assert_eq!(open(alice, 100 + SECONDS), None);
        assert_eq!(open(bob, 200), None);
    }
}
