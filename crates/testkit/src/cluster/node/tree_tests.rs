use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use proptest::prelude::*;

use super::{give_to_group, write, write_in_place};
use crate::cluster::node::volumes::{File, Files};

fn files(list: &[(&str, &str)]) -> Files {
    let file = |content: &str| File { content: content.as_bytes().to_vec(), mode: 0o644 };
    list.iter().map(|(path, content)| ((*path).to_owned(), file(content))).collect()
}

/// What a container reads, by path; the writer's own entries are not looked into.
fn seen(folder: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut todo: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with(".."))
        .map(|entry| entry.path())
        .collect();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            all.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    all
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_volume_follows_its_files_and_keeps_one_version_only() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &files(&[("a", "1"), ("deep/b", "1")]), None, "v1").unwrap();
    assert_eq!(seen(folder.path())["deep/b"], "1");
    let open = fs::canonicalize(folder.path().join("..data")).unwrap();
    write(folder.path(), &files(&[("a", "2"), ("c", "2")]), None, "v2").unwrap();
    assert_eq!(seen(folder.path()), BTreeMap::from([("a".into(), "2".into()), ("c".into(), "2".into())]));
    assert!(!open.exists());
    assert_eq!(fs::read_link(folder.path().join("a")).unwrap(), Path::new("..data/a"));
}

#[test]
fn a_path_that_leaves_the_volume_is_refused() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for path in ["../out", "/etc/passwd", "a/../../out", ""] {
        assert!(write(folder.path(), &files(&[(path, "x")]), None, "v1").is_err(), "{path}");
    }
}

#[test]
fn a_group_gets_what_is_there_and_what_comes() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/file"), "x").unwrap();
    give_to_group(folder.path(), 3000, false).unwrap();
    let mode = |path: &str| {
        let metadata = fs::metadata(folder.path().join(path)).unwrap();
        (metadata.gid(), metadata.mode() & 0o2070)
    };
    assert_eq!(mode("."), (3000, 0o2070));
    assert_eq!(mode("sub"), (3000, 0o2070));
    assert_eq!(mode("sub/file"), (3000, 0o060));
    // A root that is right says that the rest is, if the Pod says so.
    fs::write(folder.path().join("late"), "x").unwrap();
    std::os::unix::fs::chown(folder.path().join("late"), None, Some(0)).unwrap();
    give_to_group(folder.path(), 3000, true).unwrap();
    assert_eq!(mode("late").0, 0);
    give_to_group(folder.path(), 3000, false).unwrap();
    assert_eq!(mode("late").0, 3000);
}

#[test]
fn a_file_written_in_place_stays_the_same_file_and_gets_no_shorter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts");
    write_in_place(&path, "one\ntwo\n").unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    write_in_place(&path, "one\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\n\n\n\n\n");
    write_in_place(&path, "three\nfour\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "three\nfour\n");
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn whatever_was_there_before_a_volume_shows_what_was_written_last(
        versions in proptest::collection::vec(
            proptest::collection::btree_map("[a-c](/[x-z])?", "[0-9]{0,3}", 0..5), 1..5),
    ) {
        if !is_root() {
            return Ok(());
        }
        let folder = tempfile::tempdir().unwrap();
        for (count, version) in versions.iter().enumerate() {
            // A name cannot be both a file and a folder.
            let version: BTreeMap<_, _> = version
                .iter()
                .filter(|(path, _)| path.contains('/') || !version.keys().any(|other| other.starts_with(&format!("{path}/"))))
                .map(|(path, content)| (path.clone(), content.clone()))
                .collect();
            let list: Vec<(&str, &str)> = version.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
            write(folder.path(), &files(&list), None, &format!("v{count}")).unwrap();
            prop_assert_eq!(seen(folder.path()), version);
        }
    }
}
