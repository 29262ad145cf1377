//! The bodies of the fuzz targets in `/fuzz`; this crate's tests replay their corpora.

use crate::draft::{file_name, title};
use crate::render::{ansi, guess, html, irclog, language, markdown};

type Target = (&'static str, fn(&[u8]));

/// The targets of this crate: name and body.
pub const TARGETS: &[Target] =
    &[("paste_ansi", terminal), ("paste_irclog", log), ("paste_markdown", document), ("paste_names", names)];

/// What programs print for terminals.
pub fn terminal(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut style = Default::default();
    for line in text.lines() {
        let mut out = String::new();
        ansi::line_into(&mut out, line, &mut style);
        let shown = html::shown(&out);
        assert!(!shown.contains('\u{1b}') && shown.len() <= line.len());
    }
    ansi::looks_like_it(&text);
}

/// Logs with their control codes.
pub fn log(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines() {
        let mut out = String::new();
        irclog::line_into(&mut out, line);
        let shown = html::shown(&out);
        assert!(shown.chars().all(|c| c == '\t' || !c.is_ascii_control()));
        if !line.chars().any(|c| c.is_ascii_control()) {
            assert_eq!(shown, line);
        }
    }
    irclog::looks_like_it(&text);
}

/// Markdown.
pub fn document(data: &[u8]) {
    markdown::check(&markdown::render(&String::from_utf8_lossy(data)));
}

/// Titles, file names and names of languages.
pub fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let title = title(&text);
    assert!(!title.contains(['/', '\\', '\r', '\n', '\0']));
    let name = file_name(&title, "Plain Text");
    assert!(
        !name.starts_with('.') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b". -_".contains(&b))
    );
    if let Some(known) = language(&text) {
        assert_eq!(language(known), Some(known));
    }
    assert!(language(guess(&title, &text)).is_some());
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_bytes_keep_the_promises() {
        testkit::fuzz::hold(super::TARGETS);
    }
}
