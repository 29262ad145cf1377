//! Configuration: the environment first, the file second, the default last.
//!
//! A section is a struct defined by [`config!`](crate::config!), which holds key, type, default and words in one place:
//!
//! ```
//! service::config! {
//!     /// Where the bouncer listens.
//!     pub struct Config in "bouncer" {
//!         /// Address of the cleartext listener.
//!         pub listen: std::net::SocketAddr = "127.0.0.1:6667",
//!         /// The database; a file in the data folder where none is named.
//!         pub database: Option<service::secrecy::SecretString>,
//!         /// How long a connection may take to register.
//!         pub registration_timeout: std::time::Duration = "30s",
//!     }
//! }
//! let source = service::config::Source::from_toml("[bouncer]\nlisten = '127.0.0.1:7000'").unwrap();
//! assert_eq!(Config::load(&source).unwrap().listen.port(), 7000);
//! ```
//!
//! `IRCNOW_BOUNCER_LISTEN` goes before the file; `IRCNOW_BOUNCER_LISTEN_FILE` names a file that holds the value (how
//! Kubernetes mounts secrets). A key nobody knows is an error that names the nearest one.

mod source;
mod value;

pub use source::{KeyDoc, Section, Source};
pub use value::{ByteSize, ConfigValue};

/// Why a configuration is not usable. Never holds the value of a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("the configuration file {path} cannot be read: {source}")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path} is not valid TOML: {message}")]
    Syntax {
        /// Which file.
        path: String,
        /// Where and why, as the TOML parser says it.
        message: String,
    },
    /// A key of the file that nobody reads.
    #[error("there is no key `{key}` in the configuration{}", hint(.nearest))]
    Unknown {
        /// `section.key`, as written.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// A value that cannot be what the key wants.
    #[error("`{key}` (from {origin}) must be {kind}: {message}")]
    Invalid {
        /// `section.key`.
        key: String,
        /// Where the value stands: a variable's name or "the file".
        origin: String,
        /// What the key wants.
        kind: String,
        /// What is wrong.
        message: String,
    },
    /// A key without a default that nobody set.
    #[error("`{key}` is not set: set {env}, or `{key}` in the configuration file")]
    Missing {
        /// `section.key`.
        key: String,
        /// The variable's name.
        env: String,
    },
}

fn hint(known: &Option<String>) -> String {
    known.as_ref().map(|key| format!(": did you mean `{key}`?")).unwrap_or_default()
}

/// Defines a section of the configuration: a documented struct whose fields have a type that implements
/// [`ConfigValue`] and, mostly, a default written as it would be in the environment. See [the module](mod@crate::config).
///
/// The struct gets `SECTION`, `load(&Source) -> Result<Self, ConfigError>` and `reference() -> Vec<KeyDoc>`.
#[macro_export]
macro_rules! config {
    (
        $(#[$about:meta])*
        $vis:vis struct $name:ident in $section:literal {
            $(
                $(#[doc = $doc:expr])+
                $fvis:vis $field:ident : $ty:ty $(= $default:literal)?
            ),* $(,)?
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        $vis struct $name {
            $( $(#[doc = $doc])+ pub $field: $ty, )*
        }

        impl $name {
            /// The section's name in the file, and the second word of its variables.
            pub const SECTION: &'static str = $section;

            /// Reads the section: environment, file, default.
            pub fn load(source: &$crate::config::Source) -> ::std::result::Result<Self, $crate::config::ConfigError> {
                let section = source.section($section, &[$(::std::stringify!($field)),*])?;
                Ok(Self {
                    $( $field: section.get(::std::stringify!($field), $crate::config!(@default $($default)?))?, )*
                })
            }

            /// What can be set, for `ircnow config` and the documentation.
            pub fn reference() -> ::std::vec::Vec<$crate::config::KeyDoc> {
                ::std::vec![
                    $( $crate::config::KeyDoc::new::<$ty>(
                        $section,
                        ::std::stringify!($field),
                        $crate::config!(@default $($default)?),
                        &[$($doc),+],
                    ), )*
                ]
            }
        }
    };
    (@default) => { ::std::option::Option::None };
    (@default $default:literal) => { ::std::option::Option::Some($default) };
}
