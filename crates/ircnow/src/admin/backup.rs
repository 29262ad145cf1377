//! A backup: every database as it stood at one moment each, and the files beside them, in one archive.
//!
//! SQLite databases are copied by SQLite itself (`VACUUM INTO`), so a running installation can be backed up; what is
//! on PostgreSQL is PostgreSQL's own tools' to back up, and the archive says so. The archive carries the day after
//! which it must be deleted, because deleted accounts live on in it.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

/// After how many days a backup must be deleted.
const KEEP_DAYS: i64 = 30;
const MANIFEST: &str = "manifest.json";
const KEY: &str = "secret.key";
const HISTORY: &str = "bouncer/history.db";
const HOSTED: &str = "hosted";
const PICTURES: &str = "pics/objects";

#[derive(Serialize, Deserialize)]
struct Manifest {
    version: String,
    /// Seconds since 1970.
    made_at: i64,
    /// Seconds since 1970: delete the archive by then.
    delete_by: i64,
    holds_key: bool,
    databases: Vec<String>,
}

/// Writes a backup of the data folder.
pub async fn write(data: &Path, file: &Path, with_key: bool) -> Result<String> {
    let file = std::path::absolute(file)?;
    ensure!(!file.exists(), "{} is there already; a backup never overwrites one", file.display());
    let databases = databases(data)?;
    ensure!(!databases.is_empty(), "there is nothing to back up in {}", data.display());
    let beside = file.with_extension("part");
    let scratch = Scratch::make(data)?;
    for name in &databases {
        let copy = scratch.0.join(name.replace('/', "-"));
        service::db::snapshot(&data.join(name), &copy).await.with_context(|| format!("copying {name}"))?;
    }
    let made_at = service::clock::now_s();
    let manifest = Manifest {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at,
        delete_by: made_at + KEEP_DAYS * 86_400,
        holds_key: with_key,
        databases: databases.clone(),
    };
    let (data, folder, target) = (data.to_owned(), scratch.0.clone(), beside.clone());
    tokio::task::spawn_blocking(move || pack(&data, &folder, &target, &manifest)).await??;
    fs::rename(&beside, &file)?;
    let key = if with_key {
        "The key is in it: keep it like the key itself."
    } else {
        "The key is not in it: keep secret.key elsewhere."
    };
    Ok(format!(
        "{} holds {} databases. {key} Delete it within {KEEP_DAYS} days.",
        file.display(),
        databases.len()
    ))
}

fn databases(data: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for service in ["gatekeeper", "bouncer", "hosting", "paste", "pics", "portal"] {
        let Ok(entries) = fs::read_dir(data.join(service)) else { continue };
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".db") {
                found.push(format!("{service}/{name}"));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn pack(data: &Path, scratch: &Path, target: &Path, manifest: &Manifest) -> Result<()> {
    let file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(target)?;
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
    let text = serde_json::to_vec_pretty(manifest)?;
    append(&mut archive, MANIFEST, &text)?;
    for name in &manifest.databases {
        archive.append_path_with_name(scratch.join(name.replace('/', "-")), name)?;
    }
    for entry in fs::read_dir(data.join("tls")).into_iter().flatten() {
        let entry = entry?;
        archive.append_path_with_name(entry.path(), Path::new("tls").join(entry.file_name()))?;
    }
    // Accounts and channels of hosted networks: Ergo only ever appends to its store, so it can be read while it runs.
    for folder in fs::read_dir(data.join(HOSTED)).into_iter().flatten() {
        let folder = folder?.path();
        for kept in ["place.json", "ircd.db"].map(|name| folder.join(name)) {
            if let Ok(name) = kept.strip_prefix(data)
                && kept.is_file()
            {
                archive.append_path_with_name(&kept, name)?;
            }
        }
    }
    // A picture's bytes never change. What is being written has a name with `#` in it, and no row yet.
    for folder in fs::read_dir(data.join(PICTURES)).into_iter().flatten() {
        for file in fs::read_dir(folder?.path()).into_iter().flatten() {
            let kept = file?.path();
            if let Ok(name) = kept.strip_prefix(data)
                && !name.to_string_lossy().contains('#')
            {
                archive.append_path_with_name(&kept, name)?;
            }
        }
    }
    if manifest.holds_key {
        archive
            .append_path_with_name(data.join(KEY), KEY)
            .context("there is no secret.key: the key comes from elsewhere")?;
    }
    let mut file = archive.into_inner()?.finish()?;
    file.flush()?;
    file.sync_all()?;
    Ok(())
}

fn append(archive: &mut tar::Builder<impl std::io::Write>, name: &str, bytes: &[u8]) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o600);
    header.set_cksum();
    archive.append_data(&mut header, name, bytes)?;
    Ok(())
}

/// Unpacks a backup into an empty folder. Every stream of history gets a new epoch, so that a device's cursor from the
/// time after the backup is known to be lost.
pub async fn restore(file: &Path, data: &Path) -> Result<String> {
    let told = unpack(file, data)?;
    let (history, restored) = (data.join(HISTORY), data.join("history.unpacked"));
    if history.exists() {
        fs::rename(&history, &restored)?;
        history::History::restore_sqlite(&restored, &history).await.context("restoring the history")?;
        fs::remove_file(&restored)?;
    }
    Ok(told)
}

fn unpack(file: &Path, data: &Path) -> Result<String> {
    if fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("{} is not empty: a backup is restored into an empty folder (--data-dir)", data.display());
    }
    service::paths::private_folder(data)?;
    let source = File::open(file).with_context(|| format!("opening {}", file.display()))?;
    let mut archive = tar::Archive::new(GzDecoder::new(source));
    let mut manifest: Option<Manifest> = None;
    for entry in archive.entries()? {
        let mut entry = entry.with_context(|| format!("{} is no backup, or is cut short", file.display()))?;
        let path = entry.path()?.into_owned();
        if path == Path::new(MANIFEST) {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            manifest = Some(serde_json::from_str(&text)?);
            continue;
        }
        ensure!(manifest.is_some(), "{} is no backup of irc.now", file.display());
        let plain = entry.header().entry_type().is_file()
            && path.components().all(|c| matches!(c, std::path::Component::Normal(_)));
        ensure!(plain, "the archive holds {}, which no backup does", path.display());
        let target = data.join(&path);
        if let Some(folder) = target.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut out = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&target)?;
        std::io::copy(&mut entry, &mut out)?;
        out.sync_all()?;
    }
    let manifest = manifest.with_context(|| format!("{} is empty", file.display()))?;
    for name in &manifest.databases {
        ensure!(data.join(name).exists(), "{} is cut short: {name} is missing", file.display());
    }
    let key = if manifest.holds_key {
        ""
    } else {
        " Put its secret.key there before you start it: upstream passwords, TOTP and signing keys open with nothing else."
    };
    Ok(format!(
        "{} holds what was there {}.{key}",
        data.display(),
        ago(service::clock::now_s() - manifest.made_at)
    ))
}

fn ago(seconds: i64) -> String {
    match seconds {
        s if s < 120 => "a minute ago".to_owned(),
        s if s < 7_200 => format!("{} minutes ago", s / 60),
        s if s < 172_800 => format!("{} hours ago", s / 3_600),
        s => format!("{} days ago", s / 86_400),
    }
}

/// A folder that goes with its handle.
struct Scratch(PathBuf);

impl Scratch {
    fn make(data: &Path) -> Result<Self> {
        let folder = data.join(format!("backup-{}", std::process::id()));
        service::paths::private_folder(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
