//! Strings with a bound and a shape. The API server enforces both; the operators escape what they render all the same.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

macro_rules! text {
    ($($(#[$about:meta])* $name:ident { min: $min:literal, max: $max:literal $(, pattern: $pattern:expr)? $(, format: $format:literal)? })*) => { $(
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The most characters the schema lets through.
            pub const MAX: usize = $max;

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "minLength": $min,
                    "maxLength": $max,
                    $( "pattern": $pattern, )?
                    $( "format": $format, )?
                })
            }
        }
    )* };
}

text! {
    /// A fully qualified host name in lower case; names beyond ASCII are written as `xn--…`.
    HostName { min: 4, max: 253, pattern: r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]([-a-z0-9]{0,61}[a-z0-9])?$" }
    /// The name of another object.
    ObjectName { min: 1, max: 253, pattern: r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$" }
    /// A namespace, or another name that is one DNS label.
    Label { min: 1, max: 63, pattern: r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" }
    /// A key inside a Secret.
    SecretKey { min: 1, max: 253, pattern: r"^[-._a-zA-Z0-9]+$" }
    /// An account's name at irc.now.
    Username { min: 1, max: 31, pattern: r"^[a-z][a-z0-9_-]{0,30}$" }
    /// An account's unchanging id at irc.now.
    Subject { min: 1, max: 64, pattern: r"^[-._a-zA-Z0-9]+$" }
    /// The name of a plan.
    PlanName { min: 1, max: 32, pattern: r"^[a-z][-a-z0-9]*$" }
    /// An IRC nickname.
    Nick { min: 1, max: 64, pattern: r"^[^\x00-\x20\x7f,:!@*?#&+%$~.][^\x00-\x20\x7f,!@*?]*$" }
    /// An IRC channel.
    Channel { min: 2, max: 100, pattern: r"^[#&+!][^\x00-\x20\x7f,]*$" }
    /// One word without control characters, such as a name a user gave to a network.
    Word { min: 1, max: 64, pattern: r"^[^\x00-\x20\x7f/@]+$" }
    /// An image pinned by its digest, so that what runs is what was said.
    Image { min: 72, max: 512, pattern: r"^[a-z0-9][-a-zA-Z0-9._:/]*@sha256:[0-9a-f]{64}$" }
    /// An `https://` address.
    HttpsUrl { min: 10, max: 512, pattern: r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!#-;=?-\[\]_a-z~%]*)?$" }
    /// The address of an IRC server: `ircs://host[:port]`, or `irc+insecure://host[:port]` without TLS.
    UpstreamAddress { min: 8, max: 300, pattern: r"^(ircs|irc\+insecure)://[A-Za-z0-9.:\[\]-]+$" }
    /// Pages that may open a WebSocket, as a shell pattern: `https://*.example.org`.
    Origin { min: 8, max: 300, pattern: r"^https?://[A-Za-z0-9.*?:\[\]-]+$" }
    /// A range of addresses: `192.0.2.0/24`, `2001:db8::/32`.
    Cidr { min: 9, max: 49, format: "cidr" }
    /// An amount of processor, memory or storage, as Kubernetes writes it: `250m`, `128Mi`, `10Gi`.
    Quantity { min: 1, max: 32, pattern: r"^[0-9]+(\.[0-9]{1,9})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$" }
    /// The fingerprint of a certificate: SHA-256 or SHA-512 in lower-case hexadecimal digits.
    Fingerprint { min: 64, max: 128, pattern: r"^[0-9a-f]{64}([0-9a-f]{64})?$" }
    /// Five fields of a cron schedule, in UTC: `0 3 * * *`.
    Cron { min: 9, max: 100, pattern: r"^[0-9*/,-]+( [0-9*/,A-Za-z-]+){4}$" }
    /// A server's version: `0.11.1`.
    Version { min: 3, max: 20, pattern: r"^[0-9]{1,4}\.[0-9]{1,4}(\.[0-9]{1,4})?$" }
}

/// One line of at most `MAX` characters, without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Line<const MAX: usize>(pub String);

impl<const MAX: usize> JsonSchema for Line<MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Line{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": MAX, "pattern": r"^[^\x00-\x1f\x7f]*$" })
    }
}

/// Some lines, at most `MAX` characters in all, without NUL and carriage returns.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lines<const MAX: usize>(pub String);

impl<const MAX: usize> JsonSchema for Lines<MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Lines{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": MAX, "pattern": r"^[^\x00\r]*$" })
    }
}

impl<const MAX: usize> From<&str> for Line<MAX> {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<const MAX: usize> From<&str> for Lines<MAX> {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<const MAX: usize> fmt::Display for Line<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> fmt::Display for Lines<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
