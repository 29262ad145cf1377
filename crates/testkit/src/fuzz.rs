//! What the fuzzers found stays found: every test run replays their corpora on stable, and tries what lies near them.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

/// A target: its name in `fuzz/targets` and `fuzz/corpus`, and its body, which panics where a promise is broken.
pub type Target = (&'static str, fn(&[u8]));

/// Inputs tried for each target beyond its corpus.
const CASES: u32 = 300;

/// Runs each target over its corpus, then over pieces of it put together anew, with noise between them.
pub fn hold(targets: &[Target]) {
    for (name, run) in targets {
        let kept = corpus(name);
        for (path, data) in &kept {
            let outcome = catch_unwind(|| run(data));
            assert!(outcome.is_ok(), "{name} fails on {}", path.display());
        }
        let near = near(kept.into_iter().map(|(_, data)| data).collect());
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let tried = TestRunner::new(config).run(&near, |data| {
            run(&data);
            Ok(())
        });
        if let Err(error) = tried {
            panic!("{name}: {error}");
        }
    }
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let read = |path: PathBuf| match std::fs::read(&path) {
        Ok(data) => (path, data),
        Err(error) => panic!("{}: {error}", path.display()),
    };
    let kept: Vec<_> = files.flatten().map(|file| read(file.path())).collect();
    assert!(!kept.is_empty(), "{} is empty", folder.display());
    kept
}

fn near(kept: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let cut =
        (prop::sample::select(kept.clone()), any::<Index>(), any::<Index>()).prop_map(|(data, a, b)| {
            let (a, b) = (a.index(data.len() + 1), b.index(data.len() + 1));
            data[a.min(b)..a.max(b)].to_vec()
        });
    let noise = prop::collection::vec(any::<u8>(), 0..16);
    let piece = prop_oneof![2 => prop::sample::select(kept), 4 => cut, 2 => noise];
    prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_corpus() {
        let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/targets");
        for target in std::fs::read_dir(targets).into_iter().flatten().flatten() {
            let path = target.path();
            corpus(path.file_stem().and_then(|name| name.to_str()).unwrap_or_default());
        }
    }
}
