//! Masks (`nick!user@host` with `*` and `?`) and extended bans (ISUPPORT `EXTBAN`, ircv3 `account-extban`).

use std::fmt;

use crate::casemap::Casemapping;
use crate::isupport::Isupport;
use crate::source::Source;

/// Whether `text` fits `pattern`: `*` stands for any bytes, `?` for one, `\*` and `\?` for themselves (RFC 2812
/// §2.5). Time is at most the product of the lengths, memory constant.
pub fn glob(pattern: &[u8], text: &[u8], casemapping: Casemapping) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on if what follows the last star did not fit: behind the star, and at which byte of the text.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        let (step, fits) = match &pattern[p..] {
            [b'*', ..] => {
                p += 1;
                retry = Some((p, t));
                continue;
            }
            [b'?', ..] => (1, true),
            [b'\\', wild @ (b'*' | b'?'), ..] => (2, *wild == text[t]),
            [byte, ..] => (1, casemapping.lower(*byte) == casemapping.lower(text[t])),
            [] => (0, false),
        };
        if fits {
            p += step;
            t += 1;
        } else if let Some((behind_star, at)) = retry {
            p = behind_star;
            t = at + 1;
            retry = Some((behind_star, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// A mask over `nick!user@host`, complete: `dan` has become `dan!*@*`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Mask(Box<[u8]>);

impl Mask {
    /// Completes a mask as networks do: without `!` and `@` it is a nick, or a host if there is a dot or colon in
    /// it; missing parts become `*`. Spaces and control bytes are left out.
    pub fn parse(raw: &[u8]) -> Self {
        let clean: Vec<u8> = raw.iter().copied().filter(|b| *b > b' ' && *b != 0x7f).collect();
        let (before, host) = match memchr::memrchr(b'@', &clean) {
            Some(at) => (&clean[..at], Some(&clean[at + 1..])),
            None => (&clean[..], None),
        };
        let (nick, user, host) = match (memchr::memchr(b'!', before), host) {
            (Some(at), host) => (&before[..at], &before[at + 1..], host.unwrap_or_default()),
            (None, Some(host)) => (&[][..], before, host),
            (None, None) if before.iter().any(|b| matches!(b, b'.' | b':' | b'/')) => {
                (&[][..], &[][..], before)
            }
            (None, None) => (before, &[][..], &[][..]),
        };
        let or_any = |part: &[u8]| if part.is_empty() { b"*".to_vec() } else { part.to_vec() };
        let parts = [or_any(nick), b"!".to_vec(), or_any(user), b"@".to_vec(), or_any(host)];
        Self(parts.concat().into())
    }

    /// The whole mask.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it fits somebody. Missing parts of the source count as empty.
    pub fn matches(&self, source: Source<'_>, casemapping: Casemapping) -> bool {
        match source.parts() {
            (_, Some(_), Some(_)) => glob(&self.0, source.raw(), casemapping),
            (nick, user, host) => {
                let whole = [nick, b"!", user.unwrap_or_default(), b"@", host.unwrap_or_default()].concat();
                glob(&self.0, &whole, casemapping)
            }
        }
    }
}

impl AsRef<[u8]> for Mask {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// Somebody a ban may fit.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// `nick!user@host`
    pub source: Source<'a>,
    /// The account, if logged in and known.
    pub account: Option<&'a [u8]>,
}

/// An entry of a ban list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ban {
    /// A plain mask.
    Mask(Mask),
    /// Everybody logged in to a fitting account; without a pattern, to any (`ACCOUNTEXTBAN`).
    Account {
        /// It fits those it would not fit.
        negated: bool,
        /// The pattern over account names.
        pattern: Option<Vec<u8>>,
    },
    /// Another extended ban: only the network knows whom it fits.
    Extended {
        /// It fits those it would not fit.
        negated: bool,
        /// Its letter or name.
        name: Vec<u8>,
        /// What follows the colon.
        arg: Option<Vec<u8>>,
    },
}

impl Ban {
    /// Reads an entry as the network that has it would.
    ///
    /// Extended bans are `prefix name [: arg]`, the prefix as `EXTBAN` says; `~` or `!` before or behind it negates.
    pub fn parse(raw: &[u8], isupport: &Isupport) -> Self {
        match extended(raw, isupport) {
            Some((negated, name, arg)) if isupport.account_extbans().any(|known| known == name) => {
                Ban::Account { negated, pattern: arg.filter(|arg| !arg.is_empty()).map(<[u8]>::to_vec) }
            }
            Some((negated, name, arg)) => {
                Ban::Extended { negated, name: name.to_vec(), arg: arg.map(<[u8]>::to_vec) }
            }
            None => Ban::Mask(Mask::parse(raw)),
        }
    }

    /// Whether it fits somebody; `None` if only the network can know.
    pub fn matches(&self, who: Who<'_>, casemapping: Casemapping) -> Option<bool> {
        match self {
            Ban::Mask(mask) => Some(mask.matches(who.source, casemapping)),
            Ban::Account { negated, pattern } => {
                let fits = who.account.is_some_and(|account| {
                    pattern.as_ref().is_none_or(|pattern| glob(pattern, account, casemapping))
                });
                Some(fits != *negated)
            }
            Ban::Extended { .. } => None,
        }
    }
}

type Extended<'a> = (bool, &'a [u8], Option<&'a [u8]>);

fn extended<'a>(raw: &'a [u8], isupport: &Isupport) -> Option<Extended<'a>> {
    let spec = isupport.extban()?;
    let (mut negated, mut rest) = (false, raw);
    match spec.prefix {
        Some(prefix) => rest = rest.strip_prefix(&[prefix])?,
        // Without a prefix only a colon tells an extended ban from a nick; one in a mask stands behind `!` or `@`.
        None => {
            let at = raw.iter().position(|b| matches!(b, b':' | b'@'))?;
            if raw[at] != b':' || raw[..at].iter().skip(1).any(|b| *b == b'!') {
                return None;
            }
        }
    }
    if let [b'~' | b'!', tail @ ..] = rest {
        negated = true;
        rest = tail;
    }
    let (name, arg) = match memchr::memchr(b':', rest) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let known_letter = matches!(name, [letter] if spec.types.contains(letter));
    let known_name = isupport.account_extbans().any(|known| known == name);
    // Long names are not listed by the network; with a prefix in front it can be nothing else.
    let long_name = name.len() > 1 && name.iter().all(|b| b.is_ascii_alphabetic() || *b == b'-');
    (known_letter || known_name || long_name).then_some((negated, name, arg))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_completed() {
        for (raw, whole) in [
            ("dan", "dan!*@*"),
            ("dan!d", "dan!d@*"),
            ("d@host", "*!d@host"),
            ("@host", "*!*@host"),
            ("*.example.org", "*!*@*.example.org"),
            ("user/dan", "*!*@user/dan"),
            ("a!b@c", "a!b@c"),
            ("", "*!*@*"),
            ("a b\r\n!", "ab!*@*"),
        ] {
            assert_eq!(Mask::parse(raw.as_bytes()).as_bytes(), whole.as_bytes(), "{raw}");
        }
    }

    #[test]
    fn wildcards_fit_what_they_should() {
        let fits =
            |pattern: &str, text: &str| glob(pattern.as_bytes(), text.as_bytes(), Casemapping::Rfc1459);
        for (pattern, text) in [
            ("*", ""),
            ("", ""),
            ("a*", "A"),
            ("*a*b*", "xxaxxbxx"),
            ("?b", "ab"),
            ("a\\*", "a*"),
            ("[x]", "{X}"),
            ("*!*@*.org", "a!b@c.org"),
            ("a**b", "ab"),
            ("*ab", "aab"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("?", ""), ("a\\*", "ab"), ("*a", "b"), ("a?", "a"), ("a", "ab")] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
        let stars = "*a".repeat(200);
        assert!(!fits(&stars, &"a".repeat(199)));
    }

    fn who<'a>(raw: &'a str, account: Option<&'a str>) -> Who<'a> {
        Who { source: Source::parse(raw.as_bytes()), account: account.map(str::as_bytes) }
    }

    #[test]
    fn account_bans_are_read_as_each_network_writes_them() {
        let charybdis = Isupport::new().with("EXTBAN", "$,arxz").with("ACCOUNTEXTBAN", "a");
        let inspircd = Isupport::new().with("EXTBAN", ",ARm").with("ACCOUNTEXTBAN", "R,account");
        let unreal = Isupport::new().with("EXTBAN", "~,acfm").with("ACCOUNTEXTBAN", "account,a");
        for (network, raw) in [
            (&charybdis, "$a:Da*"),
            (&inspircd, "R:da*"),
            (&inspircd, "account:da*"),
            (&unreal, "~account:da*"),
        ] {
            let ban = Ban::parse(raw.as_bytes(), network);
            assert_eq!(ban.matches(who("x!y@z", Some("dan")), Casemapping::Ascii), Some(true), "{raw}");
            assert_eq!(ban.matches(who("x!y@z", None), Casemapping::Ascii), Some(false), "{raw}");
        }
        let not_logged_in = Ban::parse(b"$~a", &charybdis);
        assert_eq!(not_logged_in, Ban::Account { negated: true, pattern: None });
        assert_eq!(not_logged_in.matches(who("x!y@z", None), Casemapping::Ascii), Some(true));
        assert_eq!(
            Ban::parse(b"!R:dan", &inspircd).matches(who("x", Some("dan")), Casemapping::Ascii),
            Some(false)
        );
    }

    #[test]
    fn other_entries_are_masks_or_the_networks_own() {
        let network = Isupport::new().with("EXTBAN", "~,cq");
        assert!(matches!(Ban::parse(b"~c:#chan", &network), Ban::Extended { .. }));
        assert_eq!(Ban::parse(b"~c:#chan", &network).matches(who("x", None), Casemapping::Ascii), None);
        let mask = Ban::parse(b"dan", &network);
        assert_eq!(mask.matches(who("DAN", None), Casemapping::Ascii), Some(true));
        let colon = Isupport::new().with("EXTBAN", ",ABC");
        assert!(matches!(Ban::parse(b"*!*@2001:db8::1", &colon), Ban::Mask(_)));
        assert!(matches!(Ban::parse(b"a!b", &Isupport::new()), Ban::Mask(_)));
    }
}
