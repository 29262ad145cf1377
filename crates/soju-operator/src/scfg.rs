//! soju's configuration language (scfg): one directive a line, words in quotes. Written here so that no value can ever
//! be taken for anything but one word; read back in tests.

/// A value that cannot be written as one word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{directive}` cannot take a value with a control character")]
pub struct Unwritable {
    /// Which directive.
    pub directive: &'static str,
}

/// A configuration that is being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document(String);

impl Document {
    /// Adds a directive. Every value becomes exactly one word.
    pub fn add<I>(&mut self, directive: &'static str, values: I) -> Result<(), Unwritable>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut line = directive.to_owned();
        for value in values {
            line.push(' ');
            quote(&mut line, value.as_ref()).map_err(|()| Unwritable { directive })?;
        }
        line.push('\n');
        self.0.push_str(&line);
        Ok(())
    }

    /// Adds a line that soju passes over: what stands in a file beside this one is named by its hash, so that a change of
    /// it is a change of this text too.
    pub fn note(&mut self, what: &'static str, content: &[u8]) {
        self.0.push_str(&format!("# {what} {}\n", crds::sidecar::hash(content)));
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Writes a word in double quotes. A backslash makes the next character literal there, and there is no other escape; a
/// line ends a directive even inside quotes, so what ends lines is refused, and all other control characters with it.
fn quote(line: &mut String, value: &str) -> Result<(), ()> {
    line.push('"');
    for c in value.chars() {
        if c.is_control() || c == '\u{2028}' || c == '\u{2029}' {
            return Err(());
        }
        if c == '"' || c == '\\' {
            line.push('\\');
        }
        line.push(c);
    }
    line.push('"');
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    /// Reads scfg as its definition says (`#` begins a comment line; words are bare, 'single' or "double" quoted; a
    /// backslash makes the next character literal outside single quotes; `{` opens a block).
    pub fn read(text: &str) -> Vec<Vec<String>> {
        text.split('\n')
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(words)
            .collect()
    }

    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        let mut chars = line.chars().peekable();
        while let Some(first) = chars.peek().copied() {
            if first.is_whitespace() {
                chars.next();
                continue;
            }
            let mut word = String::new();
            match first {
                '"' => {
                    chars.next();
                    loop {
                        match chars.next().unwrap_or_else(|| panic!("an open quote in {line:?}")) {
                            '"' => break,
                            '\\' => word.push(chars.next().unwrap()),
                            c => word.push(c),
                        }
                    }
                }
                '\'' => {
                    chars.next();
                    loop {
                        match chars.next().unwrap_or_else(|| panic!("an open quote in {line:?}")) {
                            '\'' => break,
                            c => word.push(c),
                        }
                    }
                }
                _ => {
                    while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                        match c {
                            '{' | '}' => panic!("a block in {line:?}"),
                            '\\' => word.push(chars.next().unwrap()),
                            c => word.push(c),
                        }
                    }
                }
            }
            words.push(word);
        }
        words
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_word_for_word(lines in prop::collection::vec(prop::collection::vec("\\PC*", 0..4), 0..6)) {
            let mut document = Document::default();
            let mut expected = Vec::new();
            for values in lines {
                match document.add("directive", &values) {
                    Ok(()) => expected.push([vec!["directive".to_owned()], values].concat()),
                    Err(Unwritable { .. }) => {
                        let odd = |c: char| c.is_control() || ['\u{2028}', '\u{2029}'].contains(&c);
                        let refused = values.iter().any(|value| value.contains(odd));
                        prop_assert!(refused);
                    }
                }
            }
            prop_assert_eq!(read(document.text()), expected);
        }

        #[test]
        fn nothing_that_is_given_adds_a_line(value in any::<String>()) {
            let mut document = Document::default();
            let _ = document.add("title", [&value]);
            prop_assert!(read(document.text()).len() <= 1);
        }
    }

    #[test]
    fn a_refused_value_leaves_the_document_as_it_was() {
        let mut document = Document::default();
        assert_eq!(document.add("title", ["a\nlisten irc://"]), Err(Unwritable { directive: "title" }));
        assert_eq!(document.text(), "");
    }
}
