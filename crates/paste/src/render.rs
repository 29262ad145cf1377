//! From a text to what a page shows of it.
//!
//! Highlighting is work for the processor: it never runs on the threads that answer, so many at once and no more, and what
//! was done is remembered. [`ansi`], `mirc`, [`irclog`] and [`markdown`] are pure and fuzzed.

pub mod ansi;
mod code;
pub mod html;
pub mod irclog;
pub mod markdown;
mod mirc;
mod style;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Semaphore;

pub use self::code::PLAIN;
use self::code::Whole;

/// Our own kinds, beside the grammars.
const IRC: &str = "IRC log";
const ANSI: &str = "Terminal output";
const MARKDOWN: &str = "Markdown";

/// What is longer is shown plain at once and coloured behind it; what is much longer is not coloured at all.
const COLOURED_AT_MOST: usize = 512 * 1024;
/// How long a page waits for its colours.
const PATIENCE: Duration = Duration::from_millis(120);

/// The languages by the name pages show, and by every name they answer to.
struct Languages {
    names: Vec<&'static str>,
    by_token: BTreeMap<String, &'static str>,
}

static LANGUAGES: LazyLock<Languages> = LazyLock::new(Languages::collect);

impl Languages {
    fn collect() -> Self {
        let mut names: Vec<&'static str> = vec![IRC, ANSI];
        let mut by_token = BTreeMap::new();
        let shown = code::syntaxes().syntaxes().iter().filter(|syntax| !syntax.hidden);
        for syntax in shown {
            names.push(&syntax.name);
            for extension in &syntax.file_extensions {
                by_token.entry(extension.to_lowercase()).or_insert(syntax.name.as_str());
            }
        }
        // A name goes before somebody else's extension.
        for name in &names {
            by_token.insert(name.to_lowercase(), *name);
            by_token.entry(name.to_lowercase().replace(' ', "-")).or_insert(name);
        }
        for (token, name) in [
            ("irc", IRC),
            ("irclog", IRC),
            ("ansi", ANSI),
            ("console", ANSI),
            ("text", PLAIN),
            ("plain", PLAIN),
            ("none", PLAIN),
            ("txt", PLAIN),
            ("bash", "Bourne Again Shell (bash)"),
            ("shell", "Bourne Again Shell (bash)"),
        ] {
            by_token.insert(token.to_owned(), name);
        }
        names.sort_by_key(|name| name.to_lowercase());
        names.dedup();
        Self { names, by_token }
    }
}

/// The names of all languages, sorted.
pub fn languages() -> &'static [&'static str] {
    &LANGUAGES.names
}

/// The language somebody names, by its name or by the end of file names.
pub fn language(named: &str) -> Option<&'static str> {
    LANGUAGES.by_token.get(&named.trim().to_lowercase()).copied()
}

/// The language a text most likely is in, by its file name and by itself.
pub fn guess(file_name: &str, text: &str) -> &'static str {
    let name = file_name.trim().to_lowercase();
    let by_name = || {
        let whole = LANGUAGES.by_token.get(&name).filter(|_| !name.is_empty() && !name.contains(' '));
        let end = name.rsplit_once('.').and_then(|(_, end)| LANGUAGES.by_token.get(end));
        whole.or(end).copied()
    };
    // A file that is called .log or .txt says nothing yet.
    let told = by_name().filter(|found| !matches!(*found, PLAIN | "log"));
    if ansi::looks_like_it(text) {
        return ANSI;
    }
    if let Some(told) = told.filter(|told| *told != "Log") {
        return told;
    }
    if irclog::looks_like_it(text) {
        return IRC;
    }
    let first = text.lines().next().unwrap_or_default();
    let line = first.get(..first.len().min(200)).unwrap_or_default();
    let found = code::syntaxes().find_syntax_by_first_line(line);
    found.and_then(|syntax| language(&syntax.name)).unwrap_or(PLAIN)
}

/// Whether it is a document rather than lines.
pub fn is_markdown(language: &str) -> bool {
    language == MARKDOWN
}

/// A text with its colours: the HTML of every line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coloured {
    html: Bytes,
    /// Where each line ends.
    ends: Arc<[u32]>,
    /// Whether all of it has its colours; else it will have them a little later.
    pub whole: bool,
}

impl Coloured {
    fn of(text: &str, write: impl FnOnce(&str, &mut dyn FnMut(&str)) -> Whole) -> Self {
        let mut html = String::with_capacity(text.len() * 2);
        let mut ends = Vec::new();
        let whole = write(text, &mut |line| {
            html.push_str(line);
            ends.push(u32::try_from(html.len()).unwrap_or(u32::MAX));
        });
        Self { html: html.into(), ends: ends.into(), whole: whole == Whole::Yes }
    }

    /// How many lines there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// How much memory it takes.
    pub fn weight(&self) -> usize {
        self.html.len() + self.ends.len() * 4
    }

    /// The HTML of each line.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends.iter().copied()).map(|(from, to)| {
            let line = self.html.get(from as usize..to as usize).unwrap_or_default();
            std::str::from_utf8(line).unwrap_or_default()
        })
    }
}

/// A text without colours.
pub fn plain(text: &str) -> Coloured {
    Coloured::of(text, |text, line| {
        let mut out = String::new();
        for source in text.lines() {
            out.clear();
            html::escape_into(&mut out, source);
            line(&out);
        }
        Whole::Yes
    })
}

/// The same in its language, until `end`.
fn coloured(language: &str, text: &str, end: Option<Instant>) -> Coloured {
    if text.len() > COLOURED_AT_MOST {
        return plain(text);
    }
    match language {
        IRC => Coloured::of(text, |text, line| each(text, line, irclog::line_into)),
        ANSI => Coloured::of(text, |text, line| {
            let mut style = style::Style::default();
            each(text, line, |out, source| ansi::line_into(out, source, &mut style))
        }),
        PLAIN if mirc::has_codes(text) => Coloured::of(text, |text, line| each(text, line, mirc::said_into)),
        PLAIN => plain(text),
        other => match code::syntaxes().find_syntax_by_name(other) {
            Some(syntax) => Coloured::of(text, |text, line| code::lines(syntax, text, end, line)),
            None => plain(text),
        },
    }
}

fn each(text: &str, line: &mut dyn FnMut(&str), mut write: impl FnMut(&mut String, &str)) -> Whole {
    let mut out = String::new();
    for source in text.lines() {
        out.clear();
        write(&mut out, source);
        line(&out);
    }
    Whole::Yes
}

/// Colours texts, so many at once and no more. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Painter {
    turns: Arc<Semaphore>,
}

impl Painter {
    /// One that works on `at_once` texts at once.
    pub fn new(at_once: usize) -> Self {
        // The grammars are unpacked before somebody waits for them.
        tokio::task::spawn_blocking(|| LANGUAGES.names.len());
        Self { turns: Arc::new(Semaphore::new(at_once.max(1))) }
    }

    /// The text with its colours as far as they come in time; what is missing is `whole` a little later, by
    /// [`Painter::finish`].
    pub async fn paint(&self, language: &str, text: &Bytes) -> Coloured {
        self.work(language, text, Some(PATIENCE)).await
    }

    /// The text with all its colours, however long that takes.
    pub async fn finish(&self, language: &str, text: &Bytes) -> Coloured {
        self.work(language, text, None).await
    }

    /// Other work of the kind, in the same turns.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, tokio::task::JoinError> {
        let turn = self.turns.clone().acquire_owned().await;
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        })
        .await
    }

    async fn work(&self, language: &str, text: &Bytes, patience: Option<Duration>) -> Coloured {
        let begun = Instant::now();
        let turn = match patience {
            // Too many wait: plain now, in colours later.
            Some(patience) => tokio::time::timeout(patience, self.turns.clone().acquire_owned()).await,
            None => Ok(self.turns.clone().acquire_owned().await),
        };
        let unpainted = |text: &Bytes| Coloured { whole: false, ..plain(&String::from_utf8_lossy(text)) };
        let Ok(Ok(turn)) = turn else { return unpainted(text) };
        let (language, source) = (language.to_owned(), text.clone());
        let end = patience.map(|patience| begun + patience);
        let painted = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            coloured(&language, &String::from_utf8_lossy(&source), end)
        });
        painted.await.unwrap_or_else(|_| unpainted(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_known_by_its_name_and_by_its_files() {
        for (named, name) in [
            ("rust", "Rust"),
            ("RS", "Rust"),
            ("py", "Python"),
            ("irc", IRC),
            ("ansi", ANSI),
            ("markdown", MARKDOWN),
            ("md", MARKDOWN),
            ("plain text", PLAIN),
            ("text", PLAIN),
            ("c++", "C++"),
            ("bash", "Bourne Again Shell (bash)"),
        ] {
            assert_eq!(language(named), Some(name), "{named}");
        }
        assert_eq!(language("\"><script>"), None);
        assert_eq!(language(""), None);
        assert!(languages().iter().all(|name| language(name) == Some(name)));
    }

    #[test]
    fn a_text_tells_what_it_is() {
        for (file, text, name) in [
            ("main.rs", "x", "Rust"),
            ("Makefile", "x", "Makefile"),
            ("", "#!/usr/bin/env python3\nprint()", "Python"),
            ("", "12:34 <alice> hi\n12:35 <bob> ho", IRC),
            ("channel.log", "12:34 <alice> hi\n12:35 <bob> ho", IRC),
            ("", "\u{1b}[31mred\u{1b}[0m", ANSI),
            ("", "just words", PLAIN),
            ("README.md", "# hi", MARKDOWN),
            ("", "", PLAIN),
        ] {
            assert_eq!(guess(file, text), name, "{file} {text}");
        }
    }

    #[test]
    fn lines_come_out_as_they_went_in() {
        let painted = coloured("Rust", "fn a() {}\n\n// b", None);
        let lines: Vec<String> = painted.lines().map(html::shown).collect();
        assert_eq!(lines, ["fn a() {}", "", "// b"]);
        assert_eq!(painted.count(), 3);
    }

    #[tokio::test]
    async fn one_that_waits_too_long_is_plain_first_and_coloured_later() {
        let painter = Painter::new(1);
        let text = Bytes::from("let a = 1;\n");
        let turn = painter.turns.clone().acquire_owned().await;
        let first = painter.paint("Rust", &text).await;
        assert!(!first.whole && first.lines().all(|line| line == "let a = 1;"));
        drop(turn);
        let later = painter.finish("Rust", &text).await;
        assert!(later.whole && later.lines().all(|line| line.contains("<span")));
    }
}
