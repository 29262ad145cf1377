//! A command line taken apart: words, quotes, and `-option value` pairs.

/// Splits at spaces; `"…"` and `'…'` keep them, a backslash takes the next character as it is.
pub(crate) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                let next = chars.next().ok_or("A backslash at the end takes nothing with it.")?;
                word.get_or_insert_default().push(next);
            }
            (c, Some(q)) if c == q => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("A quote is not closed.".to_owned());
    }
    words.extend(word);
    Ok(words)
}

/// Plain words, and options with their values.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Arguments {
    pub plain: Vec<String>,
    options: Vec<(String, String)>,
}

impl Arguments {
    /// Takes words apart; `known` names the options there are.
    pub fn parse(words: impl IntoIterator<Item = String>, known: &[&str]) -> Result<Self, String> {
        let mut arguments = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix('-').filter(|name| !name.is_empty()) else {
                arguments.plain.push(word);
                continue;
            };
            if !known.contains(&name) {
                let all: Vec<_> = known.iter().map(|name| format!("-{name}")).collect();
                return Err(format!("There is no option -{name}. There are: {}.", all.join(" ")));
            }
            let value = words.next().ok_or_else(|| format!("-{name} needs a value."))?;
            arguments.options.push((name.to_owned(), value));
        }
        Ok(arguments)
    }

    /// The value of an option (the last one given).
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of an option that may come more than once.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.options.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect()
    }

    /// `true` or `false`.
    pub fn switch(&self, name: &str) -> Result<Option<bool>, String> {
        match self.option(name) {
            None => Ok(None),
            Some("true" | "yes" | "on" | "1") => Ok(Some(true)),
            Some("false" | "no" | "off" | "0") => Ok(Some(false)),
            Some(other) => Err(format!("-{name} takes true or false, not {other}.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_what_is_quoted() {
        assert_eq!(split("a 'b c' \"d\\\" e\" f\\ g ''").unwrap(), ["a", "b c", "d\" e", "f g", ""]);
        assert!(split("a 'b").is_err());
        assert!(split("a\\").is_err());
        assert!(split("").unwrap().is_empty());
    }

    #[test]
    fn options_take_the_next_word() {
        let words = ["create", "-name", "x", "#c"].map(str::to_owned);
        let arguments = Arguments::parse(words, &["name"]).unwrap();
        assert_eq!(arguments.plain, ["create", "#c"]);
        assert_eq!(arguments.option("name"), Some("x"));
        assert!(Arguments::parse(["-what".to_owned()], &["name"]).is_err());
        assert!(Arguments::parse(["-name".to_owned()], &["name"]).is_err());
    }
}
