//! Secrets: random ones, and the keyring that seals what must be read back.
//!
//! A sealed value is `1 | key id (4) | nonce (12) | AES-256-GCM of it`, with the context as associated data and a key of
//! its own for each context (HKDF): what was sealed for one purpose opens for no other. The keyring holds several keys;
//! the first seals, all open, so that a rotation needs no pause: clones share their keys, a new one seals for all of them
//! at once, and each service moves its rows over while it runs, and whatever is left at its next start.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{digest, hkdf};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::{Zeroize as _, Zeroizing};

use crate::config::{ConfigError, Source};

/// The variable that holds the keys of an installation without a data folder.
pub const KEY_VARIABLE: &str = "IRCNOW_SECRET_KEY";

const VERSION: u8 = 1;
const ID_LEN: usize = 4;
const HEAD: usize = 1 + ID_LEN + NONCE_LEN;

/// Why the keyring did not do something.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The system has no randomness to give.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// The key file cannot be read or written.
    #[error("the key file {path} cannot be used: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no key, but what it sealed is there.
    #[error(
        "{} is missing, and what is kept beside it was sealed with it: put it back (a backup holds it only if it was made with --with-key)",
        .0.display()
    )]
    Missing(PathBuf),
    /// The variable cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What stands there is no list of keys.
    #[error(
        "the secret key must be one or more lines of 32 bytes in base64url (make one with `ircnow admin rotate-key`)"
    )]
    Malformed,
    /// The value was not sealed by any of our keys for this purpose, or was changed.
    #[error("a sealed value cannot be opened: it was sealed with another key, or it is damaged")]
    CannotOpen,
}

/// Whether a service's folder in `data` has a database.
fn holds_databases(data: &Path) -> bool {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries(data)
        .flat_map(|service| entries(&service.path()))
        .any(|file| file.path().extension().is_some_and(|end| end == "db"))
}

/// Random bytes for keys and nonces.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], SecretError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SecretError::NoRandomness)?;
    Ok(bytes)
}

/// A token nobody can guess: 256 random bits in base64url, 43 letters.
pub fn random_token() -> Result<String, SecretError> {
    Ok(URL_SAFE_NO_PAD.encode(random_bytes::<32>()?))
}

/// SHA-256, for looking up tokens that are kept hashed.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// Whether two secrets are the same, in a time that does not tell where they differ.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    // Compared by their hashes: neither length nor content shows in the time it takes.
    sha256(a).iter().zip(sha256(b)).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

struct Key {
    id: [u8; ID_LEN],
    prk: hkdf::Prk,
    raw: Zeroizing<[u8; 32]>,
}

impl Key {
    fn new(raw: [u8; 32]) -> Self {
        let raw = Zeroizing::new(raw);
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"irc.now keyring 1").extract(&raw[..]);
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&sha256(&[b"irc.now key id", &raw[..]].concat())[..ID_LEN]);
        Self { id, prk, raw }
    }

    fn expand(&self, purpose: &str, label: &str) -> Option<Zeroizing<[u8; 32]>> {
        let mut out = Zeroizing::new([0; 32]);
        let info = [purpose.as_bytes(), b"\0", label.as_bytes()];
        self.prk.expand(&info, hkdf::HKDF_SHA256).ok()?.fill(&mut out[..]).ok()?;
        Some(out)
    }

    fn aead(&self, context: &str) -> Option<LessSafeKey> {
        let key = self.expand("seal", context)?;
        Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key[..]).ok()?))
    }
}

/// The keys of an installation. Cheap to clone, and clones share their keys; never printed.
#[derive(Clone)]
pub struct Keyring {
    keys: Arc<RwLock<Arc<[Key]>>>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.keys().len()).finish_non_exhaustive()
    }
}

impl Keyring {
    /// The keys from `IRCNOW_SECRET_KEY` (or its `_FILE`) where it is set, else from `secret.key` in `data`, which is made
    /// with a fresh key (0600) if nothing is kept in `data` yet. A fresh one beside databases would open nothing in them.
    pub fn open(source: &Source, data: &Path) -> Result<Self, SecretError> {
        match source.variable(KEY_VARIABLE)? {
            Some(mut text) => {
                let keyring = Self::parse(&text);
                text.zeroize();
                keyring
            }
            None => {
                let path = data.join("secret.key");
                // In this order: whoever makes the databases has made the key before.
                if holds_databases(data) && !path.exists() {
                    return Err(SecretError::Missing(path));
                }
                Self::open_file(&path)
            }
        }
    }

    /// The keys of a file, made with a fresh key if it is missing.
    pub fn open_file(path: &Path) -> Result<Self, SecretError> {
        let unusable = |source| SecretError::File { path: path.to_owned(), source };
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&Zeroizing::new(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let line = Zeroizing::new(format!("{}\n", random_token()?));
                // Two processes may get here at once: the first to link its file wins, the other reads it.
                let beside = path.with_extension(format!("key.{}", std::process::id()));
                crate::paths::write_private(&beside, line.as_bytes()).map_err(unusable)?;
                let linked = std::fs::hard_link(&beside, path);
                std::fs::remove_file(&beside).map_err(unusable)?;
                match linked {
                    Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(unusable(error)),
                    Ok(()) | Err(_) => {
                        let text = std::fs::read_to_string(path).map_err(unusable)?;
                        Self::parse(&Zeroizing::new(text))
                    }
                }
            }
            Err(error) => Err(unusable(error)),
        }
    }

    /// Keys as lines (or a comma-separated list) of base64url, the sealing one first.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let keys = text
            .split(['\n', ','])
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                let bytes = Zeroizing::new(
                    URL_SAFE_NO_PAD.decode(line.trim_end_matches('=')).map_err(|_| SecretError::Malformed)?,
                );
                <[u8; 32]>::try_from(bytes.as_slice()).map(Key::new).map_err(|_| SecretError::Malformed)
            })
            .collect::<Result<Vec<Key>, SecretError>>()?;
        if keys.is_empty() { Err(SecretError::Malformed) } else { Ok(Self::of(keys)) }
    }

    /// A keyring of one fresh key that is kept nowhere: for tests.
    pub fn ephemeral() -> Result<Self, SecretError> {
        Ok(Self::of(vec![Key::new(random_bytes()?)]))
    }

    fn of(keys: Vec<Key>) -> Self {
        Self { keys: Arc::new(RwLock::new(keys.into())) }
    }

    fn keys(&self) -> Arc<[Key]> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a fresh key before those of a file, whose keys this keyring and its clones have from then on: the fresh one
    /// seals, what older keys sealed still opens, and [`Keyring::reseal`] moves it over. Drop a key from the file only
    /// when nothing is sealed under it any more.
    pub fn rotate(&self, path: &Path) -> Result<(), SecretError> {
        // Held over the file, so that of two rotations at once neither loses the other's key.
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let mut text = Zeroizing::new(format!("{}\n", random_token()?));
        for key in Self::open_file(path)?.keys().iter() {
            text.push_str(&Zeroizing::new(URL_SAFE_NO_PAD.encode(&key.raw[..])));
            text.push('\n');
        }
        crate::paths::write_private(path, text.as_bytes())
            .map_err(|source| SecretError::File { path: path.to_owned(), source })?;
        *keys = Self::parse(&text)?.keys();
        Ok(())
    }

    /// Takes the keys of a file in place of those this keyring and its clones have: what another process has put there.
    pub fn reload(&self, path: &Path) -> Result<(), SecretError> {
        let unusable = |source| SecretError::File { path: path.to_owned(), source };
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(unusable)?);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Self::parse(&text)?.keys();
        Ok(())
    }

    /// What every value begins with that is sealed from now on: stores find by it what [`Keyring::reseal`] has to move.
    pub fn mark(&self) -> Vec<u8> {
        let mut mark = vec![VERSION];
        mark.extend(self.keys().first().map(|key| key.id).unwrap_or_default());
        mark
    }

    /// Seals `plain` for one purpose. `context` names it and what it belongs to (`"upstream-password:<network id>"`); it is
    /// not kept in the result, and the same must be given to [`Keyring::unseal`].
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, SecretError> {
        let keys = self.keys();
        let key = keys.first().ok_or(SecretError::Malformed)?;
        let nonce = random_bytes::<NONCE_LEN>()?;
        let mut sealed = Vec::with_capacity(HEAD + plain.len() + AES_256_GCM.tag_len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(&nonce);
        let mut body = Zeroizing::new(plain.to_vec());
        let aead = key.aead(context).ok_or(SecretError::Malformed)?;
        let tag = aead
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.as_bytes()),
                &mut body,
            )
            .map_err(|_| SecretError::Malformed)?;
        sealed.extend_from_slice(&body);
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what [`Keyring::seal`] made for the same context.
    pub fn unseal(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        let (head, body) = sealed.split_at_checked(HEAD).ok_or(SecretError::CannotOpen)?;
        let keys = self.keys();
        let key = key_of(&keys, head).ok_or(SecretError::CannotOpen)?;
        let nonce =
            Nonce::try_assume_unique_for_key(&head[1 + ID_LEN..]).map_err(|_| SecretError::CannotOpen)?;
        let aead = key.aead(context).ok_or(SecretError::CannotOpen)?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = aead
            .open_in_place(nonce, Aad::from(context.as_bytes()), &mut body)
            .map_err(|_| SecretError::CannotOpen)?
            .len();
        body.truncate(length);
        Ok(body)
    }

    /// The same value sealed under the newest key; `None` if it already is.
    pub fn reseal(&self, context: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, SecretError> {
        if sealed.starts_with(&self.mark()) {
            return Ok(None);
        }
        let plain = self.unseal(context, sealed)?;
        self.seal(context, &plain).map(Some)
    }

    /// A key for one purpose, derived from the newest key (HKDF-SHA-256). Another label gives an unrelated one.
    pub fn derive(&self, label: &str) -> [u8; 32] {
        self.derive_all(label).into_iter().next().unwrap_or_default()
    }

    /// The same from every key, the newest first: to check what was made before a rotation.
    pub fn derive_all(&self, label: &str) -> Vec<[u8; 32]> {
        self.keys().iter().filter_map(|key| key.expand("derive", label)).map(|key| *key).collect()
    }
}

fn key_of<'a>(keys: &'a [Key], head: &[u8]) -> Option<&'a Key> {
    let id = head.get(1..=ID_LEN)?;
    (head.first() == Some(&VERSION)).then(|| keys.iter().find(|key| key.id == id)).flatten()
}

/// The client secret of a service at gatekeeper, as both sides work it out: from `shared` (`IRCNOW_SERVICE_SECRET`) where
/// it is set, else from the keyring of the data folder they share.
pub fn service_secret(keyring: &Keyring, shared: Option<&SecretString>, service: &str) -> SecretString {
    let newest = service_secrets(keyring, shared, service).into_iter().next();
    newest.unwrap_or_else(|| SecretString::from(String::new()))
}

/// Whether `given` is a service's secret, worked out from any key of the keyring: a process that began before the keys
/// were rotated is let in as one that began after.
pub fn is_service_secret(
    keyring: &Keyring,
    shared: Option<&SecretString>,
    service: &str,
    given: &str,
) -> bool {
    let good = service_secrets(keyring, shared, service);
    good.iter().any(|secret| same(secret.expose_secret().as_bytes(), given.as_bytes()))
}

fn service_secrets(keyring: &Keyring, shared: Option<&SecretString>, service: &str) -> Vec<SecretString> {
    let label = format!("service:{service}");
    let all = match shared {
        Some(secret) => {
            Keyring::of(vec![Key::new(sha256(secret.expose_secret().as_bytes()))]).derive_all(&label)
        }
        None => keyring.derive_all(&label),
    };
    let hex = |bytes: &[u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    all.iter().map(|bytes| SecretString::from(hex(bytes))).collect()
}
