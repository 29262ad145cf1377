//! What somebody wants to put up, and whether it may be: pure rules.

use bytes::Bytes;
use entitlements::{Amount, Limit, Limits};
use secrecy::{ExposeSecret as _, SecretString};
use share::{Lifetime, NoLifetime, ShortId};

use crate::render;

/// Bytes a paste has at most.
pub const MOST_BYTES: usize = 1024 * 1024;
/// Letters of a title.
const MOST_TITLE: usize = 120;
/// Bytes of a password.
const MOST_PASSWORD: usize = 512;

/// A wish as it came, whatever way.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// A title or a file name; may be empty.
    pub title: String,
    /// A language by any of its names; empty to guess.
    pub language: String,
    /// The text, or what a browser made of it.
    pub text: Bytes,
    /// How long it stays, as typed; empty for as long as the plan allows.
    pub expires: String,
    /// Whether it is read once.
    pub burn: bool,
    /// What it is locked with; `None` or empty for nothing.
    pub password: Option<SecretString>,
    /// Whether the text was encrypted before it came here.
    pub encrypted: bool,
    /// What it was made from.
    pub parent: Option<ShortId>,
}

/// A wish that may be granted.
#[derive(Clone, Debug)]
pub struct Ready {
    pub title: String,
    pub language: &'static str,
    pub text: Bytes,
    pub lifetime: Lifetime,
    pub burn: bool,
    pub password: Option<SecretString>,
    pub encrypted: bool,
    pub parent: Option<ShortId>,
}

/// Why a wish is not granted. The words are for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is nothing in it.
    #[error("There is nothing in it. Write or choose a text first.")]
    Empty,
    /// It is too long.
    #[error("A paste has at most 1 MiB. Cut it, or put up a part.")]
    TooLong,
    /// It is no text.
    #[error(
        "This is no text in UTF-8. Convert it first (iconv -t utf-8); pictures belong to the picture host."
    )]
    NotText,
    /// Nobody knows the language.
    #[error("There is no language of that name. Choose one of the list, or leave it empty.")]
    Language,
    /// The lifetime cannot be read.
    #[error(transparent)]
    Expires(#[from] NoLifetime),
    /// The plan does not allow it.
    #[error("Your plan keeps a paste for at most {}. Choose a shorter time, or change your plan.", .0.words(Limit::PasteHours.unit()))]
    TooLongLife(Amount),
    /// The password is too long.
    #[error("A password has at most 512 bytes.")]
    Password,
    /// Two locks.
    #[error("What your browser has encrypted has its key already. Leave the password empty.")]
    TwoLocks,
}

impl Refusal {
    /// The field of the form it is about; empty for the whole.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Empty | Self::TooLong | Self::NotText => "text",
            Self::Language => "language",
            Self::Expires(_) | Self::TooLongLife(_) => "expires",
            Self::Password | Self::TwoLocks => "password",
        }
    }
}

impl Draft {
    /// Whether it may be put up by somebody with these limits.
    pub fn check(self, limits: &Limits) -> Result<Ready, Refusal> {
        if self.text.is_empty() {
            return Err(Refusal::Empty);
        }
        if self.text.len() > MOST_BYTES {
            return Err(Refusal::TooLong);
        }
        let language = if self.encrypted { render::PLAIN } else { self.language_of()? };
        let password = self.password.filter(|password| !password.expose_secret().is_empty());
        if let Some(password) = &password {
            if self.encrypted {
                return Err(Refusal::TwoLocks);
            }
            if password.expose_secret().len() > MOST_PASSWORD {
                return Err(Refusal::Password);
            }
        }
        let hours = limits.get(Limit::PasteHours);
        let lifetime = match self.expires.trim() {
            "" => Lifetime::longest(hours),
            typed => typed.parse()?,
        };
        if !lifetime.fits(hours) {
            return Err(Refusal::TooLongLife(hours));
        }
        Ok(Ready {
            title: if self.encrypted { String::new() } else { title(&self.title) },
            language,
            text: self.text,
            lifetime,
            burn: self.burn,
            password,
            encrypted: self.encrypted,
            parent: self.parent,
        })
    }

    fn language_of(&self) -> Result<&'static str, Refusal> {
        let text = std::str::from_utf8(&self.text).map_err(|_| Refusal::NotText)?;
        if text.contains('\0') {
            return Err(Refusal::NotText);
        }
        match self.language.trim() {
            "" | "auto" => Ok(render::guess(&self.title, text)),
            named => render::language(named).ok_or(Refusal::Language),
        }
    }
}

/// A title as it is kept: the last part of a path, one line, nothing invisible that turns text around.
pub fn title(typed: &str) -> String {
    let last = typed.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let kept: String = last.chars().filter(visible).take(MOST_TITLE).collect();
    kept.trim().to_owned()
}

/// A file name for a download: letters every system takes.
pub fn file_name(title: &str, language: &str) -> String {
    let fine = |c: char| if c.is_ascii_alphanumeric() || ".-_ ".contains(c) { c } else { '_' };
    let name: String = title.chars().map(fine).collect();
    let name = name.trim_matches(|c: char| c == '.' || c == ' ').to_owned();
    if name.is_empty() {
        let end = if render::is_markdown(language) { "md" } else { "txt" };
        return format!("paste.{end}");
    }
    name
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn day() -> Limits {
        Limits::default().with(Limit::PasteHours, Amount::AtMost(24))
    }

    fn draft(text: &[u8]) -> Draft {
        Draft { text: Bytes::copy_from_slice(text), ..Draft::default() }
    }

    #[test]
    fn a_free_plan_keeps_a_day_and_says_so() {
        assert_eq!(draft(b"x").check(&day()).unwrap().lifetime, Lifetime::Seconds(86_400));
        for (typed, refusal) in [
            ("2d", Refusal::TooLongLife(Amount::AtMost(24))),
            ("never", Refusal::TooLongLife(Amount::AtMost(24))),
            ("soon", Refusal::Expires(NoLifetime)),
        ] {
            let refused = Draft { expires: typed.to_owned(), ..draft(b"x") }.check(&day()).unwrap_err();
            assert_eq!(refused, refusal);
            assert_eq!(refused.field(), "expires");
        }
        assert_eq!(
            Refusal::TooLongLife(Amount::AtMost(24)).to_string(),
            "Your plan keeps a paste for at most 24 hours. Choose a shorter time, or change your plan."
        );
        let pro = Limits::unlimited();
        assert_eq!(draft(b"x").check(&pro).unwrap().lifetime, Lifetime::Forever);
        let never = Draft { expires: "never".to_owned(), ..draft(b"x") };
        assert_eq!(never.check(&pro).unwrap().lifetime, Lifetime::Forever);
    }

    #[test]
    fn one_mebibyte_fits_and_a_byte_more_does_not() {
        assert!(draft(&vec![b'a'; MOST_BYTES]).check(&day()).is_ok());
        assert_eq!(draft(&vec![b'a'; MOST_BYTES + 1]).check(&day()).unwrap_err(), Refusal::TooLong);
        assert_eq!(draft(b"").check(&day()).unwrap_err(), Refusal::Empty);
    }

    #[test]
    fn only_text_is_taken_unless_a_browser_encrypted_it() {
        for bad in [&b"\xff\xfe"[..], b"a\0b", b"\x89PNG\r\n\x1a\n\0"] {
            assert_eq!(draft(bad).check(&day()).unwrap_err(), Refusal::NotText);
            let encrypted = Draft { encrypted: true, title: "secret.txt".to_owned(), ..draft(bad) };
            assert_eq!(encrypted.check(&day()).unwrap().title, "");
        }
    }

    #[test]
    fn a_language_is_one_we_know_or_none_is_kept() {
        let named = |name: &str| Draft { language: name.to_owned(), ..draft(b"x") }.check(&day());
        assert_eq!(named("rs").unwrap().language, "Rust");
        assert_eq!(named("\"><script>alert(1)</script>").unwrap_err(), Refusal::Language);
    }

    #[test]
    fn a_title_is_one_visible_line_without_a_path() {
        assert_eq!(title("../../etc/passwd"), "passwd");
        assert_eq!(title("C:\\a\\b.rs"), "b.rs");
        assert_eq!(title("a\r\nSet-Cookie: b\u{202e}gpj.exe"), "aSet-Cookie: bgpj.exe");
        assert_eq!(file_name("a/\"b\".rs", "Rust"), "a__b_.rs");
        assert_eq!(file_name("...", "Markdown"), "paste.md");
    }

    proptest! {
        #[test]
        fn no_title_breaks_out_of_a_header_or_a_folder(typed in "\\PC{0,200}") {
            let name = file_name(&title(&typed), "Plain Text");
            prop_assert!(!name.is_empty() && name.len() <= MOST_TITLE.max(9));
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b". -_".contains(&b)));
            prop_assert!(!name.starts_with('.'));
        }
    }
}
