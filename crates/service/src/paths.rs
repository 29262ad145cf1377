//! The data folder: 0700, one sub-folder a service, each held by one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// The folder cannot be made, opened or closed to others.
    #[error("the folder {path} cannot be used: {source}")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process holds the folder.
    #[error("another process uses {path}: stop it first, or give this one another data folder")]
    InUse {
        /// Which.
        path: PathBuf,
    },
}

/// The data folder of an installation.
#[derive(Clone, Debug)]
pub struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// Opens the folder, makes it where it is missing, and closes it to everybody else (0700).
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, PathError> {
        let root = path.into();
        private_folder(&root)?;
        Ok(Self { root })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// A file directly in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A service's own sub-folder, held until what is returned is dropped. [`PathError::InUse`] if another process has it.
    pub fn service(&self, name: &str) -> Result<ServiceDir, PathError> {
        let path = self.root.join(name);
        private_folder(&path)?;
        let unusable = |source| PathError::Unusable { path: path.clone(), source };
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(ServiceDir { path, _lock: std::sync::Arc::new(lock) }),
            Err(TryLockError::WouldBlock) => Err(PathError::InUse { path }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }
}

/// A service's sub-folder and the lock on it.
#[derive(Clone, Debug)]
pub struct ServiceDir {
    path: PathBuf,
    _lock: std::sync::Arc<File>,
}

impl ServiceDir {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The URL of an SQLite file in it, for [`crate::db::Database::open`].
    pub fn sqlite_url(&self, name: &str) -> String {
        format!("sqlite:{}", self.path.join(name).display())
    }
}

/// Makes a folder nobody else may look into.
pub fn private_folder(path: &Path) -> Result<(), PathError> {
    let unusable = |source| PathError::Unusable { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
    let mode = fs::metadata(path).map_err(unusable)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(unusable)?;
    }
    Ok(())
}

/// Writes a file nobody else may read, whole or not at all: beside it first, synced, then renamed over it.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
