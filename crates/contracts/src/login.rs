//! The name a client logs in with: `user`, `user/network`, `user/network@client`, in any order of the two suffixes.

use serde::{Deserialize, Serialize};

/// A login name taken apart. `user` is casefolded to lower case, the others are kept as typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The account's user name.
    pub user: String,
    /// The network the client wants, by its name.
    pub network: Option<String>,
    /// The client's own name, which makes it a device of its own.
    pub client: Option<String>,
}

impl Login {
    /// Takes a login name apart. `None` if there is no user name or a suffix is empty or comes twice.
    pub fn parse(text: &str) -> Option<Self> {
        let cut = text.find(['/', '@']).unwrap_or(text.len());
        let (user, mut rest) = text.split_at(cut);
        let mut login = Self { user: user.to_ascii_lowercase(), network: None, client: None };
        while let Some(mark) = rest.chars().next() {
            let tail = &rest[1..];
            let end = tail.find(['/', '@']).unwrap_or(tail.len());
            let (value, next) = tail.split_at(end);
            let slot = if mark == '/' { &mut login.network } else { &mut login.client };
            if value.is_empty() || slot.is_some() {
                return None;
            }
            *slot = Some(value.to_owned());
            rest = next;
        }
        (!login.user.is_empty()).then_some(login)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, Option<String>, Option<String>)> {
        Login::parse(text).map(|l| (l.user, l.network, l.client))
    }

    #[test]
    fn the_suffixes_come_in_any_order() {
        let whole = Some(("alice".into(), Some("libera".into()), Some("phone".into())));
        assert_eq!(parsed("alice/libera@phone"), whole);
        assert_eq!(parsed("Alice@phone/libera"), whole);
        assert_eq!(parsed("alice"), Some(("alice".into(), None, None)));
    }

    #[test]
    fn what_is_empty_or_twice_is_no_login() {
        for text in ["", "/libera", "alice/", "alice@", "alice/a/b", "alice@a@b", "alice//b"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
