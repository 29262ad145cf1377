//! The text a search sees, the words of a query, and the msgids made here.

use std::borrow::Cow;

use crate::{Epoch, Position};

/// The searched text of a body: decoded, without formatting codes and CTCP quoting, each CJK character a word of its own.
/// `None` where it is the body itself.
pub(crate) fn searched(body: &[u8]) -> Option<String> {
    let decoded = decode(body);
    let plain = decoded.bytes().all(|byte| byte >= 0x20) && !decoded.chars().any(is_cjk);
    if plain && matches!(decoded, Cow::Borrowed(_)) {
        return None;
    }
    let inner = decoded.strip_prefix('\u{1}').map_or(&*decoded, |ctcp| {
        let ctcp = ctcp.strip_suffix('\u{1}').unwrap_or(ctcp);
        ctcp.strip_prefix("ACTION ").unwrap_or(ctcp)
    });
    let mut text = String::with_capacity(inner.len() + 8);
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{3}' => skip_color(&mut chars, 2, |c| c.is_ascii_digit()),
            '\u{4}' => skip_color(&mut chars, 6, |c| c.is_ascii_hexdigit()),
            '\u{2}' | '\u{f}' | '\u{11}' | '\u{16}' | '\u{1d}' | '\u{1e}' | '\u{1f}' => {}
            c if c < ' ' => text.push(' '),
            c if is_cjk(c) => {
                text.push(' ');
                text.push(c);
                text.push(' ');
            }
            c => text.push(c),
        }
    }
    Some(text)
}

/// UTF-8 where it is, else Latin-1, which is what old clients send.
fn decode(body: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(body.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// Skips `fg[,bg]` behind a colour code.
fn skip_color(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    most: usize,
    digit: impl Fn(char) -> bool,
) {
    let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
        let mut seen = 0;
        while seen < most && chars.next_if(|c| digit(*c)).is_some() {
            seen += 1;
        }
        seen
    };
    if number(chars) > 0 && chars.peek() == Some(&',') {
        let mut ahead = chars.clone();
        ahead.next();
        if ahead.peek().is_some_and(|c| digit(*c)) {
            chars.next();
            number(chars);
        }
    }
}

/// Scripts written without spaces between words.
fn is_cjk(c: char) -> bool {
    matches!(c,
        '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3fffd}')
}

/// Lower-case words joined by single spaces: what PostgreSQL indexes.
pub(crate) fn words(body: &[u8]) -> String {
    let text = searched(body);
    let text = text.as_deref().map_or_else(|| decode(body), Cow::Borrowed);
    let mut out = String::with_capacity(text.len());
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().flat_map(char::to_lowercase));
    }
    out
}

/// A part of a query: words that must follow one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    /// Lower case, letters and digits only.
    pub words: Vec<String>,
    /// The last word may go on.
    pub prefix: bool,
}

/// What a query asks for; all of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    /// Words and phrases, for the word index.
    pub terms: Vec<Term>,
    /// Pieces of [`words`], wherever they lie in it; the longest, which says most, first.
    pub parts: Vec<String>,
}

impl Query {
    /// Nothing is left to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty() && self.parts.is_empty()
    }

    /// Whether the body holds every part.
    pub(crate) fn parts_in(&self, body: &[u8]) -> bool {
        self.parts.is_empty() || {
            let words = words(body);
            self.parts.iter().all(|part| words.contains(part))
        }
    }
}

/// Splits a query into quoted phrases, words, `begin*`, and `*inside*`. Whatever else it holds only separates words, so
/// no query is a wrong one.
pub(crate) fn query(text: &str) -> Query {
    let mut query = Query::default();
    for (index, part) in text.split('"').enumerate() {
        if index % 2 == 1 {
            push_term(&mut query.terms, part, false);
            continue;
        }
        for word in part.split_whitespace() {
            if word.starts_with('*') {
                let joined = words(word.as_bytes());
                if !joined.is_empty() {
                    query.parts.push(joined);
                }
            } else {
                push_term(&mut query.terms, word, word.ends_with('*'));
            }
        }
    }
    query.parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    query
}

fn push_term(terms: &mut Vec<Term>, text: &str, prefix: bool) {
    let joined = words(text.as_bytes());
    if !joined.is_empty() {
        terms.push(Term { words: joined.split(' ').map(str::to_owned).collect(), prefix });
    }
}

/// The terms as an FTS5 expression for the column `text`, with `scope` before it. Without terms: all of the scope.
pub(crate) fn fts5(scope: &str, terms: &[Term]) -> String {
    if terms.is_empty() {
        return format!("scope : \"{scope}\"");
    }
    let parts: Vec<String> = terms
        .iter()
        .map(|term| format!("\"{}\"{}", term.words.join(" "), if term.prefix { " *" } else { "" }))
        .collect();
    format!("(scope : \"{scope}\") AND (text : ({}))", parts.join(" AND "))
}

/// The terms as a PostgreSQL `tsquery`.
pub(crate) fn tsquery(terms: &[Term]) -> String {
    let parts: Vec<String> = terms
        .iter()
        .map(|term| {
            let joined: Vec<String> = term.words.iter().map(|word| format!("'{word}'")).collect();
            format!("({}{})", joined.join(" <-> "), if term.prefix { ":*" } else { "" })
        })
        .collect();
    parts.join(" & ")
}

/// The msgid of an entry that came without one. It names the place, so it needs no index; the epoch's random bits keep
/// it apart from every other store's.
pub(crate) fn own_msgid(position: Position) -> String {
    let Position { epoch, offset } = position;
    format!("h{:x}-{:08x}-{offset:x}", epoch.number, epoch.token)
}

/// The place an own msgid names.
pub(crate) fn position_of(msgid: &str) -> Option<Position> {
    let mut parts = msgid.strip_prefix('h')?.split('-');
    let (number, token, offset) = (parts.next()?, parts.next()?, parts.next()?);
    let position = Position {
        epoch: Epoch {
            number: u32::from_str_radix(number, 16).ok()?,
            token: u32::from_str_radix(token, 16).ok()?,
        },
        offset: u64::from_str_radix(offset, 16).ok()?,
    };
    // Only the one spelling that is made here.
    (own_msgid(position) == msgid).then_some(position)
}

/// A msgid that can be kept: not empty, and without the one character PostgreSQL has no text for.
pub(crate) fn usable_msgid(msgid: Option<&str>) -> Option<&str> {
    msgid.filter(|msgid| !msgid.is_empty() && !msgid.contains('\0'))
}

/// Whether a source's nick is `nick`, without regard to ASCII case.
pub(crate) fn is_from(source: &[u8], nick: &[u8]) -> bool {
    let end = source.iter().position(|byte| *byte == b'!' || *byte == b'@').unwrap_or(source.len());
    source.get(..end).is_some_and(|name| name.eq_ignore_ascii_case(nick))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_searched_as_it_is() {
        assert_eq!(searched(b"hello, world"), None);
    }

    #[test]
    fn formatting_and_action_are_not_searched() {
        assert_eq!(searched(b"\x01ACTION \x02waves\x0f\x01").as_deref(), Some("waves"));
        assert_eq!(searched(b"\x0304,12red\x03 5").as_deref(), Some("red 5"));
        assert_eq!(searched(b"\x033,x").as_deref(), Some(",x"));
        assert_eq!(searched(b"\x04ff0000,00ff00hot").as_deref(), Some("hot"));
    }

    #[test]
    fn other_encodings_are_read_as_latin_1() {
        assert_eq!(words(b"caf\xe9 Noir"), "café noir");
    }

    #[test]
    fn cjk_characters_are_words() {
        assert_eq!(words("東京 tower".as_bytes()), "東 京 tower");
        assert_eq!(query("東京").terms, [Term { words: vec!["東".into(), "京".into()], prefix: false }]);
    }

    #[test]
    fn a_query_cannot_break_out_of_its_quotes() {
        assert_eq!(
            fts5("s1", &query("a\" OR b' NEAR(c) d*").terms),
            "(scope : \"s1\") AND (text : (\"a\" AND \"or b near c d\"))"
        );
        assert_eq!(tsquery(&query("it's x: foo*").terms), "('it' <-> 's') & ('x') & ('foo':*)");
        assert!(query("-- !! \"\" * **").is_empty());
    }

    #[test]
    fn a_star_in_front_looks_inside_words() {
        let asked = query("see *Bar* *o.q% end*");
        assert_eq!(asked.parts, ["bar", "o q"]);
        assert_eq!(asked.terms.len(), 2);
        assert!(asked.parts_in(b"foobars: foo, qux"));
        assert!(!asked.parts_in(b"foobars: fo, ux"));
        assert_eq!(fts5("s1", &[]), "scope : \"s1\"");
    }

    #[test]
    fn an_own_msgid_leads_back_to_its_place() {
        let position = Position { epoch: Epoch { number: 3, token: 0xbeef }, offset: 77 };
        assert_eq!(own_msgid(position), "h3-0000beef-4d");
        assert_eq!(position_of("h3-0000beef-4d"), Some(position));
        for other in ["", "h", "h3-beef-4d", "h3-0000beef-4d-1", "H3-0000beef-4d", "h+3-0000beef-4d"] {
            assert_eq!(position_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_sender_is_told_by_nick() {
        assert!(is_from(b"Ann!a@h", b"aNN"));
        assert!(!is_from(b"Anna!a@h", b"ann"));
        assert!(is_from(b"irc.example.org", b"irc.example.org"));
    }
}
