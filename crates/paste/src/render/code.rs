//! Highlighting of source code by Sublime Text's grammars (syntect). A scope becomes one of a dozen classes; the themes are
//! in the design.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Instant;

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

use super::html::{escape_into, span_into};

/// A longer line is shown plain: minified code would keep a thread busy for seconds.
const LONGEST_LINE: usize = 4_000;

static SYNTAXES: LazyLock<SyntaxSet> = LazyLock::new(two_face::syntax::extra_newlines);

/// Names of the kinds that are not grammars, beside those that are.
pub const PLAIN: &str = "Plain Text";

/// What begins a scope's name, and its class. The first that fits counts.
const CLASSES: [(&str, &str); 34] = [
    ("comment", "hc"),
    ("constant.numeric", "hn"),
    ("constant.character.escape", "he"),
    ("constant.other.placeholder", "he"),
    ("constant.other.color", "hn"),
    ("constant.language", "hl"),
    ("constant", "hn"),
    ("string.regexp", "he"),
    ("string", "hs"),
    ("entity.name.function", "hf"),
    ("entity.name.macro", "hf"),
    ("support.function", "hf"),
    ("support.macro", "hf"),
    ("variable.function", "hf"),
    ("entity.name.tag", "hg"),
    ("entity.other.attribute-name", "ha"),
    ("entity.name.section", "hh"),
    ("entity.name", "ht"),
    ("entity.other.inherited-class", "ht"),
    ("support", "ht"),
    ("storage.type", "ht"),
    ("keyword.operator", "ho"),
    ("keyword", "hk"),
    ("storage", "hk"),
    ("variable.language", "hl"),
    ("variable.parameter", "hv"),
    ("markup.heading", "hh"),
    ("markup.bold", "sb"),
    ("markup.italic", "si"),
    ("markup.inserted", "hp"),
    ("markup.deleted", "hm"),
    ("markup.raw", "hs"),
    ("meta.diff", "hd"),
    ("invalid", "hx"),
];

/// Every grammar there is.
pub fn syntaxes() -> &'static SyntaxSet {
    &SYNTAXES
}

/// Whether text runs out of the time it has: then the rest is plain, for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// All of it is highlighted.
    Yes,
    /// From some line on it is plain.
    No,
}

/// Writes each line by `line` (its HTML, without the end of the line). What is not done at `end` is written plain.
pub fn lines(
    syntax: &SyntaxReference,
    text: &str,
    end: Option<Instant>,
    mut line: impl FnMut(&str),
) -> Whole {
    let mut state = ParseState::new(syntax);
    let mut stack = ScopeStack::new();
    let mut classes = Classes::default();
    let (mut out, mut whole) = (String::new(), Whole::Yes);
    let mut with_end = String::new();
    for (number, source) in text.lines().enumerate() {
        out.clear();
        // The clock costs more than a short line.
        if whole == Whole::Yes && number % 16 == 0 && end.is_some_and(|end| Instant::now() >= end) {
            whole = Whole::No;
        }
        with_end.clear();
        with_end.push_str(source);
        with_end.push('\n');
        let parsed = match whole {
            Whole::Yes if source.len() <= LONGEST_LINE => state.parse_line(&with_end, &SYNTAXES).ok(),
            Whole::Yes | Whole::No => None,
        };
        match parsed {
            None => escape_into(&mut out, source),
            Some(changes) => {
                let (mut from, mut run_from, mut run_class) = (0, 0, classes.of(&stack));
                for (at, change) in changes {
                    let at = at.min(source.len());
                    if at > from {
                        let class = classes.of(&stack);
                        if class != run_class {
                            span_into(&mut out, run_class, &source[run_from..from]);
                            (run_from, run_class) = (from, class);
                        }
                        from = at;
                    }
                    if stack.apply(&change).is_err() {
                        stack = ScopeStack::new();
                    }
                }
                let class = classes.of(&stack);
                if class != run_class {
                    span_into(&mut out, run_class, &source[run_from..from]);
                    (run_from, run_class) = (from, class);
                }
                span_into(&mut out, run_class, &source[run_from..]);
            }
        }
        line(&out);
    }
    whole
}

/// The class of each scope met so far.
#[derive(Default)]
struct Classes(HashMap<Scope, Option<&'static str>>);

impl Classes {
    /// The class of the innermost scope that has one.
    fn of(&mut self, stack: &ScopeStack) -> &'static str {
        let found = stack.as_slice().iter().rev().find_map(|scope| self.one(*scope));
        found.unwrap_or_default()
    }

    fn one(&mut self, scope: Scope) -> Option<&'static str> {
        *self.0.entry(scope).or_insert_with(|| {
            let name = scope.build_string();
            let fits = |prefix: &str| {
                name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            CLASSES.iter().find(|(prefix, _)| fits(prefix)).map(|(_, class)| *class)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::html::shown;
    use super::*;

    fn html(language: &str, text: &str) -> Vec<String> {
        let syntax = syntaxes().find_syntax_by_token(language).unwrap();
        let mut all = Vec::new();
        lines(syntax, text, None, |line| all.push(line.to_owned()));
        all
    }

    #[test]
    fn there_are_at_least_170_languages() {
        let names: BTreeSet<_> =
            syntaxes().syntaxes().iter().filter(|s| !s.hidden).map(|s| s.name.as_str()).collect();
        assert!(names.len() >= 170, "{}: {names:?}", names.len());
    }

    #[test]
    fn keywords_strings_and_comments_differ() {
        let rust = html("rs", "fn main() { let a = \"<b>\"; } // c\n");
        assert!(rust[0].contains("\">&quot;&lt;b&gt;&quot;</span>"), "{rust:?}");
        assert!(rust[0].contains("<span class=\"hc\">// c"), "{rust:?}");
        assert!(rust[0].contains("<span class=\"hf\">main</span>"), "{rust:?}");
        let long = html("rs", "/* a\nb */ 1");
        assert!(long[1].starts_with("<span class=\"hc\">b */</span>"), "a comment goes on: {long:?}");
    }

    #[test]
    fn out_of_time_the_rest_is_plain_and_nothing_is_missing() {
        let text = "let a = \"b\";\n".repeat(100);
        let syntax = syntaxes().find_syntax_by_token("rs").unwrap();
        let mut count = 0;
        let whole = lines(syntax, &text, Some(Instant::now()), |line| {
            assert_eq!(shown(line), "let a = \"b\";");
            count += 1;
        });
        assert_eq!((whole, count), (Whole::No, 100));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_is_highlighted_shows_the_same_text(
            text in "([a-z(){}<>&\"'/*#;= \n]|\\PC){0,120}",
            language in prop::sample::select(vec!["rs", "py", "html", "js", "sh", "yaml", "md", "c"]),
        ) {
            let all = html(language, &text);
            let text: Vec<&str> = text.lines().collect();
            prop_assert_eq!(all.iter().map(|line| shown(line)).collect::<Vec<_>>(), text);
        }
    }
}
