//! What a configuration value can be.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// A type a configuration key can have. Values come as text (environment, defaults) or as TOML.
pub trait ConfigValue: Sized {
    /// Whether the value must never be shown.
    const SECRET: bool = false;

    /// What the key wants, for a sentence: "a port", "true or false".
    fn kind() -> String;

    /// Reads it from text. The error says what is wrong, without the value where that is a secret.
    fn parse(text: &str) -> Result<Self, String>;

    /// Reads it from TOML; by default through its text.
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(text) => Self::parse(text),
            toml::Value::Integer(number) => Self::parse(&number.to_string()),
            toml::Value::Float(number) => Self::parse(&number.to_string()),
            toml::Value::Boolean(flag) => Self::parse(&flag.to_string()),
            toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
                Err(format!("a {} stands there", value.type_str()))
            }
        }
    }

    /// The value where neither environment nor file nor default says one, if there is one.
    fn absent() -> Option<Self> {
        None
    }
}

macro_rules! by_from_str {
    ($($ty:ty => $kind:literal),* $(,)?) => {
        $(impl ConfigValue for $ty {
            fn kind() -> String {
                $kind.to_owned()
            }
            fn parse(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|error| format!("{error}"))
            }
        })*
    };
}

by_from_str! {
    u8 => "a whole number up to 255",
    u16 => "a whole number up to 65535",
    u32 => "a whole number",
    u64 => "a whole number",
    usize => "a whole number",
    i32 => "a whole number",
    i64 => "a whole number",
    f64 => "a number",
    IpAddr => "an IP address",
    SocketAddr => "an address with a port (127.0.0.1:8080)",
    url::Url => "a URL",
    uuid::Uuid => "an id (5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11)",
}

impl ConfigValue for bool {
    fn kind() -> String {
        "true or false".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            other => Err(format!("`{other}` is neither")),
        }
    }
}

impl ConfigValue for String {
    fn kind() -> String {
        "text".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl ConfigValue for PathBuf {
    fn kind() -> String {
        "a path".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(Self::from(text)) }
    }
}

impl ConfigValue for SecretString {
    const SECRET: bool = true;

    fn kind() -> String {
        "a secret".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::from(text.to_owned()))
    }
}

impl ConfigValue for Duration {
    fn kind() -> String {
        "a time span (500ms, 30s, 5m, 2h, 30d)".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text)?;
        let ms: u64 = match unit {
            "ms" => 1,
            "s" | "" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            other => return Err(format!("`{other}` is no unit of time")),
        };
        number.checked_mul(ms).map(Self::from_millis).ok_or_else(|| "it is too long".to_owned())
    }
}

/// A number of bytes: `8MiB`, `64KiB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// The size for what is counted in memory.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl ConfigValue for ByteSize {
    fn kind() -> String {
        "a size (4096, 64KiB, 8MiB, 2GiB)".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text)?;
        let factor: u64 = match unit {
            "" | "B" => 1,
            "KiB" | "K" => 1 << 10,
            "MiB" | "M" => 1 << 20,
            "GiB" | "G" => 1 << 30,
            other => return Err(format!("`{other}` is no unit of size")),
        };
        number.checked_mul(factor).map(Self).ok_or_else(|| "it is too large".to_owned())
    }
}

fn split_unit(text: &str) -> Result<(u64, &str), String> {
    let text = text.trim();
    let cut = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(cut);
    let number = number.parse().map_err(|_| format!("`{text}` does not begin with a whole number"))?;
    Ok((number, unit.trim()))
}

impl<T: ConfigValue> ConfigValue for Option<T> {
    const SECRET: bool = T::SECRET;

    fn kind() -> String {
        T::kind()
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::parse(text).map(Some) }
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(text) if text.is_empty() => Ok(None),
            value => T::from_toml(value).map(Some),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: ConfigValue> ConfigValue for Vec<T> {
    const SECRET: bool = T::SECRET;

    fn kind() -> String {
        format!("a list of: {}", T::kind())
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(T::parse).collect()
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::Array(items) => items.iter().map(T::from_toml).collect(),
            toml::Value::String(text) => Self::parse(text),
            other => T::from_toml(other).map(|item| vec![item]),
        }
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}
