//! The socket's lines: `BOUNCERSERV :<words>` out; `PRIVMSG * :<text>`, `BOUNCERSERV OK` and `FAIL BOUNCERSERV :<why>` in.
//!
//! soju splits what follows the colon into words as a shell would, but knows no escape sequences: in double quotes a
//! backslash makes the next character literal. So two characters are escaped, and what would end the line is refused.

use std::fmt;

use irc::message::Message;

/// A command for soju, word by word. Words may be secrets: `Debug` shows the command's own words only.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    text: String,
    shown: &'static str,
}

/// A word that no line can carry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a value holds a line break or a zero byte, which no command can carry")]
pub struct Unspeakable;

impl Command {
    /// A command that begins with these plain words, e.g. `user create`.
    pub fn new(words: &'static str) -> Self {
        Self { text: words.to_owned(), shown: words }
    }

    /// A command run as a user, with the rights of an administrator.
    pub fn run_as(username: &str, words: &'static str) -> Result<Self, Unspeakable> {
        let mut command = Self { text: "user run".to_owned(), shown: words }.word(username)?;
        command.text.push(' ');
        command.text.push_str(words);
        Ok(command)
    }

    /// One more word, whatever it holds.
    pub fn word(mut self, word: &str) -> Result<Self, Unspeakable> {
        self.text.push(' ');
        quote_into(&mut self.text, word)?;
        Ok(self)
    }

    /// One more flag, as `-name=value`: the one form that soju reads alike for every kind of flag and every value.
    pub fn flag(mut self, name: &str, value: &str) -> Result<Self, Unspeakable> {
        self.text.push(' ');
        quote_into(&mut self.text, &format!("-{name}={value}"))?;
        Ok(self)
    }

    /// A flag where there is a value for it.
    pub fn maybe(self, name: &str, value: Option<&str>) -> Result<Self, Unspeakable> {
        match value {
            Some(value) => self.flag(name, value),
            None => Ok(self),
        }
    }

    /// From here on words are words, even if they begin with a hyphen.
    pub fn end_of_flags(mut self) -> Self {
        self.text.push_str(" --");
        self
    }

    /// The words as soju will split them.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line to send.
    pub fn line(&self) -> Vec<u8> {
        format!("BOUNCERSERV :{}\r\n", self.text).into_bytes()
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({} …)", self.shown)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown)
    }
}

fn quote_into(text: &mut String, word: &str) -> Result<(), Unspeakable> {
    if word.contains(['\r', '\n', '\0']) {
        return Err(Unspeakable);
    }
    text.push('"');
    for c in word.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    Ok(())
}

/// What a line from soju means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A line of text; more follow.
    Text(String),
    /// The command is done.
    Done,
    /// The command was refused, in soju's words.
    Refused(String),
    /// Something else: soju closes the connection after it.
    Strange(String),
}

/// Reads a line, without its line break.
pub fn parse_line(line: &[u8]) -> Answer {
    let strange = || Answer::Strange(String::from_utf8_lossy(line).into_owned());
    let Ok(message) = Message::parse(line) else { return strange() };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match (message.command, message.params.as_slice()) {
        (b"PRIVMSG", [_, said]) => Answer::Text(text(said)),
        (b"BOUNCERSERV", [said]) if *said == b"OK" => Answer::Done,
        (b"FAIL", [command, .., why]) if *command == b"BOUNCERSERV" => Answer::Refused(text(why)),
        _ => strange(),
    }
}
