//! Which bytes make a nick, a channel name or a user name.

/// Why a name is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no bytes.
    #[error("the name is empty")]
    Empty,
    /// It is longer than the network allows.
    #[error("the name has {len} bytes, {max} are allowed")]
    TooLong {
        /// Bytes it has.
        len: usize,
        /// Bytes it may have.
        max: usize,
    },
    /// It contains something that has a meaning elsewhere on the line.
    #[error("the name may not contain {0:?}")]
    Byte(char),
    /// It starts with something a name may not start with.
    #[error("the name may not start with {0:?}")]
    Start(char),
    /// A channel name that does not start with one of the network's channel types.
    #[error("a channel name starts with one of {0}")]
    NoChannelType(&'static str),
}

/// Checks a nick as networks without a stricter rule take it: RFC 2812 §2.3.1, and beyond ASCII whatever is no
/// separator. `max` is `NICKLEN`.
pub fn check_nick(nick: &[u8], max: usize) -> Result<(), NameError> {
    check_len(nick, max)?;
    let start = nick[0];
    if start.is_ascii_digit() || b"-#&+!~@%$:".contains(&start) {
        return Err(NameError::Start(start.into()));
    }
    let bad = |b: &&u8| !(b.is_ascii_alphanumeric() || b"-_[]\\`^{}|".contains(b) || !b.is_ascii());
    match nick.iter().find(bad) {
        Some(byte) => Err(NameError::Byte((*byte).into())),
        None => Ok(()),
    }
}

/// Whether [`check_nick`] takes it.
pub fn valid_nick(nick: &[u8], max: usize) -> bool {
    check_nick(nick, max).is_ok()
}

/// Checks a channel name: starts with one of `chantypes`, no space, comma, BELL, CR, LF or NUL (RFC 2812 §1.3).
/// `max` is `CHANNELLEN`.
pub fn check_channel(name: &[u8], chantypes: &[u8], max: usize) -> Result<(), NameError> {
    check_len(name, max)?;
    if !chantypes.contains(&name[0]) {
        return Err(NameError::NoChannelType("# or what else the network's CHANTYPES names"));
    }
    match name.iter().find(|b| matches!(b, 0 | 7 | b'\r' | b'\n' | b' ' | b',')) {
        Some(byte) => Err(NameError::Byte((*byte).into())),
        None => Ok(()),
    }
}

/// Whether [`check_channel`] takes it.
pub fn valid_channel(name: &[u8], chantypes: &[u8], max: usize) -> bool {
    check_channel(name, chantypes, max).is_ok()
}

/// Checks a user name (ident): no space, `!`, `@`, `%`, CR, LF or NUL.
pub fn check_user(user: &[u8], max: usize) -> Result<(), NameError> {
    check_len(user, max)?;
    match user.iter().find(|b| b.is_ascii_control() || b" !@%:".contains(b)) {
        Some(byte) => Err(NameError::Byte((*byte).into())),
        None => Ok(()),
    }
}

fn check_len(name: &[u8], max: usize) -> Result<(), NameError> {
    match name.len() {
        0 => Err(NameError::Empty),
        len if len > max => Err(NameError::TooLong { len, max }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nicks() {
        for good in ["a", "Dan_", "[x]`^{|}\\", "jürgen", "a-1"] {
            assert_eq!(check_nick(good.as_bytes(), 30), Ok(()), "{good}");
        }
        assert_eq!(check_nick(b"", 30), Err(NameError::Empty));
        assert_eq!(check_nick(b"abc", 2), Err(NameError::TooLong { len: 3, max: 2 }));
        assert_eq!(check_nick(b"1a", 30), Err(NameError::Start('1')));
        assert_eq!(check_nick(b"#a", 30), Err(NameError::Start('#')));
        for bad in ["a b", "a!b", "a@b", "a,b", "a*", "a?", "a.b", "a\r", "a\0", "a:"] {
            assert!(!valid_nick(bad.as_bytes(), 30), "{bad}");
        }
    }

    #[test]
    fn channels_and_users() {
        assert!(valid_channel("#über!x".as_bytes(), b"#&", 50));
        assert!(valid_channel(b"&x", b"#&", 50));
        for bad in ["", "x", "#a b", "#a,b", "#\x07", "#a\n"] {
            assert!(!valid_channel(bad.as_bytes(), b"#&", 50), "{bad}");
        }
        assert!(!valid_channel(b"#abc", b"#", 3));
        assert!(check_user(b"~u-1", 10).is_ok());
        assert!(check_user(b"a@b", 10).is_err());
    }
}
