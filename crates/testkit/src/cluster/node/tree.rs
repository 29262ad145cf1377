//! Writing a volume so that a reader sees all of the old files or all of the new ones, as the kubelet does it: the files
//! lie in a folder of their own, `..data` points to it, each name in the volume points through `..data`, and a change
//! is one rename of that link.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Component, Path};

use super::volumes::Files;

const DATA: &str = "..data";
const NEXT: &str = "..data_tmp";

/// Brings the volume in `folder` to `files`, owned by root and `group`. `version` names the new folder and must differ
/// from the one before.
pub fn write(folder: &Path, files: &Files, group: Option<u32>, version: &str) -> io::Result<()> {
    let old = fs::read_link(folder.join(DATA)).ok();
    let name = format!("..{version}");
    let inner = folder.join(&name);
    make_folder(&inner, group)?;
    for (path, file) in files {
        let place = inside(&inner, path)?;
        let mut parent = inner.clone();
        for part in Path::new(path).parent().into_iter().flat_map(Path::components) {
            parent.push(part);
            make_folder(&parent, group)?;
        }
        fs::write(&place, &file.content)?;
        // With a group of its own, the files are for that group to read.
        let mode = file.mode | if group.is_some() { 0o440 } else { 0 };
        chown(&place, Some(0), group)?;
        fs::set_permissions(&place, fs::Permissions::from_mode(mode))?;
    }
    let next = folder.join(NEXT);
    remove_if_there(&next)?;
    symlink(&name, &next)?;
    fs::rename(&next, folder.join(DATA))?;
    let wanted: BTreeSet<String> = files.keys().filter_map(|path| top(path)).collect();
    for name in &wanted {
        let link = folder.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(name), link)?;
        }
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !wanted.contains(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    match old {
        Some(old) if old != Path::new(&name) => fs::remove_dir_all(folder.join(old)),
        _ => Ok(()),
    }
}

/// Writes a file that containers hold by its inode, so that nobody finds it empty or cut: it is written over in one go,
/// and never gets shorter but ends in empty lines.
pub fn write_in_place(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    let before = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(bytes.len().max(before), b'\n');
    file.write_all(&bytes)
}

/// A path in the volume; one that would leave it is an error.
fn inside(folder: &Path, path: &str) -> io::Result<std::path::PathBuf> {
    let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if path.is_empty() || !plain {
        return Err(io::Error::new(ErrorKind::InvalidInput, format!("{path:?} leaves its volume")));
    }
    Ok(folder.join(path))
}

fn top(path: &str) -> Option<String> {
    Path::new(path).components().next().map(|part| part.as_os_str().to_string_lossy().into_owned())
}

fn make_folder(folder: &Path, group: Option<u32>) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o755).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    chown(folder, Some(0), group)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Gives a writable volume to `group`: every file readable and writable by it, folders pass it on. With `on_mismatch`
/// a volume whose root is right already is left alone.
pub fn give_to_group(folder: &Path, group: u32, on_mismatch: bool) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let root = fs::metadata(folder)?;
    if on_mismatch && root.gid() == group && root.mode() & 0o2070 == 0o2070 {
        return Ok(());
    }
    let mut todo = vec![folder.to_owned()];
    while let Some(path) = todo.pop() {
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_symlink() {
            std::os::unix::fs::lchown(&path, None, Some(group))?;
            continue;
        }
        chown(&path, None, Some(group))?;
        let more = if metadata.is_dir() { 0o2770 } else { 0o660 };
        fs::set_permissions(&path, fs::Permissions::from_mode(metadata.mode() & 0o7777 | more))?;
        if metadata.is_dir() {
            for entry in fs::read_dir(&path)? {
                todo.push(entry?.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
