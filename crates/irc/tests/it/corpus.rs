//! Every file the fuzzers kept is run again, on stable, by every test run.

#[test]
fn what_the_fuzzers_found_stays_found() {
    testkit::fuzz::hold(irc::fuzz::TARGETS);
}
