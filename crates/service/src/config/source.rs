//! Where values come from.

use std::collections::BTreeMap;
use std::path::Path;

use super::{ConfigError, ConfigValue};

/// The environment and the file, read once at start.
#[derive(Clone, Default)]
pub struct Source {
    env: BTreeMap<String, String>,
    file: toml::Table,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("sections", &self.file.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Source {
    /// The process's `IRCNOW_…` variables and, if one is named, a TOML file.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut source = match file {
            None => Self::default(),
            Some(path) => {
                let name = path.display().to_string();
                let text = std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::Unreadable { path: name.clone(), source })?;
                Self::parse(&name, &text)?
            }
        };
        source.env = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(key, _)| key.starts_with("IRCNOW_"))
            .collect();
        Ok(source)
    }

    /// No environment, this text as the file: for tests, and for `ircnow config --check`.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Self::parse("the configuration", text)
    }

    fn parse(path: &str, text: &str) -> Result<Self, ConfigError> {
        let file = toml::from_str(text).map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            message: error.message().to_owned(),
        })?;
        Ok(Self { env: BTreeMap::new(), file })
    }

    /// The same, with a variable set over it.
    pub fn with_env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// A variable that belongs to no section (`IRCNOW_SECRET_KEY`), or the text of the file its `…_FILE` names.
    pub fn variable(&self, name: &str) -> Result<Option<String>, ConfigError> {
        if let Some(value) = self.env.get(name) {
            return Ok(Some(value.clone()));
        }
        let Some(path) = self.env.get(&format!("{name}_FILE")) else { return Ok(None) };
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// One section, whose keys are `known`. A key in the file that is none of them is an error.
    pub fn section<'a>(&'a self, name: &'a str, known: &[&str]) -> Result<Section<'a>, ConfigError> {
        let table = match self.file.get(name) {
            None => None,
            Some(toml::Value::Table(table)) => Some(table),
            Some(other) => {
                return Err(ConfigError::Invalid {
                    key: name.to_owned(),
                    origin: "the file".to_owned(),
                    kind: format!("a section, written [{name}]"),
                    message: format!("a {} stands there", other.type_str()),
                });
            }
        };
        for key in table.into_iter().flat_map(toml::Table::keys) {
            if !known.contains(&key.as_str()) {
                return Err(ConfigError::Unknown {
                    key: format!("{name}.{key}"),
                    nearest: nearest(key, known.iter().copied()).map(|near| format!("{name}.{near}")),
                });
            }
        }
        Ok(Section { source: self, name, table })
    }

    /// Checks that every section of the file is one of `known`'s and every key too. What [`Section`] cannot see: a
    /// section nobody reads.
    pub fn check(&self, known: &[KeyDoc]) -> Result<(), ConfigError> {
        let mut sections: Vec<&str> = known.iter().map(|doc| doc.section).collect();
        sections.dedup();
        for name in self.file.keys() {
            if !sections.contains(&name.as_str()) {
                return Err(ConfigError::Unknown {
                    key: format!("[{name}]"),
                    nearest: nearest(name, sections.iter().copied()).map(|near| format!("[{near}]")),
                });
            }
            let keys: Vec<&str> = known.iter().filter(|doc| doc.section == name).map(|doc| doc.key).collect();
            self.section(name, &keys)?;
        }
        Ok(())
    }

    /// Variables that begin like ours and that nobody reads, for a warning at start. They are no error: Kubernetes sets
    /// such names for every service it knows.
    pub fn unread_variables(&self, known: &[KeyDoc], others: &[&str]) -> Vec<String> {
        self.env
            .keys()
            .filter(|name| {
                let plain = name.strip_suffix("_FILE").unwrap_or(name);
                !known.iter().any(|doc| doc.env == plain || doc.env == **name)
                    && !others.contains(&plain)
                    && !others.contains(&name.as_str())
            })
            .cloned()
            .collect()
    }
}

/// One section, while it is read.
pub struct Section<'a> {
    source: &'a Source,
    name: &'a str,
    table: Option<&'a toml::Table>,
}

impl Section<'_> {
    /// The value of `key`: environment, file, `default`, or the type's own absence.
    pub fn get<T: ConfigValue>(&self, key: &str, default: Option<&str>) -> Result<T, ConfigError> {
        let full = format!("{}.{key}", self.name);
        let env = variable_name(self.name, key);
        let invalid = |origin: &str, message: String| ConfigError::Invalid {
            key: full.clone(),
            origin: origin.to_owned(),
            kind: T::kind(),
            message: if T::SECRET { "what stands there is not".to_owned() } else { message },
        };
        if let Some(text) = self.source.variable(&env)? {
            return T::parse(&text).map_err(|message| invalid(&env, message));
        }
        if let Some(value) = self.table.and_then(|table| table.get(key)) {
            return T::from_toml(value).map_err(|message| invalid("the file", message));
        }
        match default {
            Some(text) => T::parse(text).map_err(|message| invalid("the default", message)),
            None => T::absent().ok_or(ConfigError::Missing { key: full, env }),
        }
    }
}

/// What can be set by one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDoc {
    /// The section's name.
    pub section: &'static str,
    /// The key's name.
    pub key: &'static str,
    /// The variable that goes before the file.
    pub env: String,
    /// What it wants.
    pub kind: String,
    /// The default as text; `None` where there is none.
    pub default: Option<&'static str>,
    /// What it does.
    pub doc: String,
    /// Whether its value is never shown.
    pub secret: bool,
    /// Whether it must be set.
    pub required: bool,
}

impl KeyDoc {
    #[doc(hidden)]
    pub fn new<T: ConfigValue>(
        section: &'static str,
        key: &'static str,
        default: Option<&'static str>,
        doc: &[&str],
    ) -> Self {
        Self {
            section,
            key,
            env: variable_name(section, key),
            kind: T::kind(),
            default,
            doc: doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "),
            secret: T::SECRET,
            required: default.is_none() && T::absent().is_none(),
        }
    }
}

fn variable_name(section: &str, key: &str) -> String {
    format!("IRCNOW_{section}_{key}").to_ascii_uppercase().replace('-', "_")
}

/// The name of `known` that takes the fewest single-letter changes, if it takes few enough to be a slip.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 2).max(2);
    known
        .map(|other| (distance(name, other), other))
        .filter(|(d, _)| *d <= limit)
        .min()
        .map(|(_, other)| other)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let change = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
