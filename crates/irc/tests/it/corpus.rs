//! Every file the fuzzers kept is run again, on stable, by every test run.

use std::path::Path;

#[test]
fn what_the_fuzzers_found_stays_found() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (target, run) in irc::fuzz::TARGETS {
        let folder = corpora.join(target);
        let mut files = 0;
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let data = std::fs::read(&path).unwrap();
            let outcome = std::panic::catch_unwind(|| run(&data));
            assert!(outcome.is_ok(), "{target} fails on {}", path.display());
            files += 1;
        }
        assert!(files > 0, "no corpus in {}", folder.display());
    }
}
