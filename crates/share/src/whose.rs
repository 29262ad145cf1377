//! For whom a request speaks: whoever is signed in, whose app password or token it shows, or nobody but an address.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contracts::{Account, Accounts, CallError, Role, Scope, ShownToken, TokenAnswer};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use ring::hmac;
use service::rate::Neighbourhood;
use service::secrets::Keyring;
use service::web::Problem;

/// For whom a request speaks.
#[derive(Clone, Debug)]
pub enum Whose {
    /// An account.
    Account {
        /// As gatekeeper tells it.
        account: Box<Account>,
        /// Where the request comes from.
        address: IpAddr,
    },
    /// Nobody we know.
    Nobody {
        /// Where the request comes from.
        address: IpAddr,
    },
}

/// Whom something belongs to, as rows keep it: a `sub` (16 bytes), or a place nobody is named by (32 bytes).
pub type Owner = Vec<u8>;

impl Whose {
    /// The account, if it is one's.
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Account { account, .. } => Some(account),
            Self::Nobody { .. } => None,
        }
    }

    /// Where the request comes from.
    pub fn address(&self) -> IpAddr {
        match self {
            Self::Account { address, .. } | Self::Nobody { address } => *address,
        }
    }

    /// Whether it is an administrator.
    pub fn is_admin(&self) -> bool {
        self.account().is_some_and(|account| account.roles.contains(&Role::Admin))
    }

    /// Whom what this request makes belongs to.
    pub fn owner(&self, keyring: &Keyring) -> Owner {
        match self {
            Self::Account { account, .. } => account.sub.0.as_bytes().to_vec(),
            Self::Nobody { address } => place_of(*address, keyring),
        }
    }
}

/// An address as rows may keep it: enough to count by, nothing to read it from. A /32 of IPv4 and a /64 of IPv6 are one
/// place. After a rotation of the keys it is another.
pub fn place_of(address: IpAddr, keyring: &Keyring) -> Owner {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &keyring.derive("share place"));
    hmac::sign(&key, format!("{:?}", Neighbourhood::from(address)).as_bytes()).as_ref().to_vec()
}

/// The account whose app password or token the request shows in `Authorization` (Basic with the username, or Bearer);
/// `None` where it shows nothing. What is shown must be made for uploads. A wrong one is refused, never taken for nobody:
/// who thinks to be somebody should not leave things behind that are nobody's.
pub async fn shown(
    accounts: &dyn Accounts,
    headers: &HeaderMap,
    address: IpAddr,
) -> Result<Option<Account>, (HeaderMap, Problem)> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let Some((username, secret)) = value.to_str().ok().and_then(credentials) else {
        return Err(refused(
            "The Authorization header cannot be read.",
            "Send `Bearer <app password>`, or your username and an app password as Basic.",
        ));
    };
    let shown = ShownToken { secret, username, scope: Scope::Upload, address };
    match accounts.token(shown).await {
        Ok(TokenAnswer::Good { account, .. }) => Ok(Some(*account)),
        Ok(TokenAnswer::Refused { text }) => Err(refused(&text, "")),
        Err(CallError::Unavailable { reason }) => {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason, "Try again in a moment.");
            Err((HeaderMap::new(), problem))
        }
        Err(error) => Err(refused(&error.to_string(), "")),
    }
}

fn refused(what: &str, advice: &str) -> (HeaderMap, Problem) {
    let challenge = HeaderValue::from_static("Basic realm=\"irc.now\", charset=\"UTF-8\"");
    let headers = [(WWW_AUTHENTICATE, challenge)].into_iter().collect();
    (headers, Problem::new(StatusCode::UNAUTHORIZED, what, advice))
}

/// Username, if one is said, and secret of an `Authorization` header (RFC 7617, RFC 6750).
fn credentials(header: &str) -> Option<(Option<String>, String)> {
    let (scheme, rest) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some((None, rest.trim().to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let plain = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (username, secret) = plain.split_once(':')?;
    let username = Some(username.to_owned()).filter(|username| !username.is_empty());
    Some((username, secret.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_ways_to_show_a_secret_are_read() {
        assert_eq!(credentials("bearer  abc "), Some((None, "abc".to_owned())));
        let basic = format!("Basic {}", STANDARD.encode("alice:a:b"));
        assert_eq!(credentials(&basic), Some((Some("alice".to_owned()), "a:b".to_owned())));
        for bad in ["", "Basic", "Basic !", "Digest x", &format!("Basic {}", STANDARD.encode("nocolon"))] {
            assert_eq!(credentials(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_place_does_not_tell_the_address_and_is_the_same_for_a_whole_neighbourhood() {
        let keyring = Keyring::ephemeral().unwrap();
        let place = |text: &str| place_of(text.parse().unwrap(), &keyring);
        assert_eq!(place("2001:db8::1"), place("2001:db8::2"));
        assert_ne!(place("2001:db8::1"), place("2001:db8:0:1::1"));
        assert_ne!(place("192.0.2.1"), place("192.0.2.2"));
        assert_ne!(
            place("192.0.2.1"),
            place_of("192.0.2.1".parse().unwrap(), &Keyring::ephemeral().unwrap())
        );
        assert_eq!(place("192.0.2.1").len(), 32);
    }

    proptest! {
        #[test]
        fn nothing_in_the_header_breaks_it(header in "\\PC{0,60}") {
            let _ = credentials(&header);
        }
    }
}
