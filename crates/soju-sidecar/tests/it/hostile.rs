//! Hostile words on their way into a real soju: each arrives in its row as it was wanted, or is refused in words.

use std::collections::BTreeMap;

use crds::sidecar::{Sealed, SidecarNetwork, SidecarSasl, SidecarUser};
use crds::soju::SeedPolicy;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use soju_sidecar::rows::Rows;
use soju_sidecar::seed::{self, Memory, Plan, Rules};
use tokio::runtime::Runtime;

use crate::soju::{Soju, versions};
use crate::world::{network, user};

/// What the schema lets into a line: everything but control characters.
fn line(longest: usize) -> impl Strategy<Value = String> {
    let any = prop_oneof![
        any::<String>(),
        "[ -~]{1,40}",
        "[\"'\\\\ =a$`#;(){}|&<>*?!%~,:@-]{1,24}",
        prop::sample::select(vec![
            "-password=x -admin=true".to_owned(),
            "\" -admin=true \"".to_owned(),
            "a' 'b\\' c\\\\".to_owned(),
            "$(id) `id` ${HOME}".to_owned(),
            "ends in a backslash\\".to_owned(),
            "\u{85}\u{2028}\u{202e}é𝕏".to_owned(),
            "x".repeat(510),
        ]),
    ];
    any.prop_map(move |text| {
        text.chars().filter(|c| *c >= ' ' && *c != '\u{7f}').take(longest).collect::<String>()
    })
    .prop_filter("a value that is there says something", |text| !text.is_empty())
}

fn word() -> impl Strategy<Value = String> {
    line(20)
        .prop_map(|text| {
            text.chars().filter(|c| !c.is_whitespace() && !"/@,*?".contains(*c)).collect::<String>()
        })
        .prop_filter("a word that does not look like an option", |word| {
            !word.is_empty() && !word.starts_with('-')
        })
}

fn wanted() -> impl Strategy<Value = SidecarUser> {
    let texts = (line(128), line(128), line(64), line(64), line(64), line(64));
    // soju takes only what reads as a command of IRC.
    let lines = prop::collection::vec(line(490).prop_map(|text| format!("PRIVMSG x :{text}")), 0..4);
    (texts, lines, word(), prop::collection::btree_map("#[!-+./0-9;-~]{1,20}", any::<bool>(), 0..3)).prop_map(
        |((realname, own_realname, password, server, account, secret), connect_commands, name, channels)| {
            let net = SidecarNetwork {
                nick: Some("al".to_owned()),
                realname: Some(realname),
                server_password: Some(Sealed::new(server)),
                sasl: Some(SidecarSasl { username: account, password: Sealed::new(secret) }),
                connect_commands,
                enabled: false,
                channels: channels
                    .into_iter()
                    .filter(|(name, _)| !name.contains(['/', '@']))
                    .collect::<BTreeMap<_, _>>(),
                ..network(&name, "irc+insecure://127.0.0.1:1")
            };
            SidecarUser {
                realname: Some(own_realname),
                password: Some(Sealed::new(hashable(password))),
                networks: vec![net],
                ..user("")
            }
        },
    )
}

/// bcrypt takes 72 bytes.
fn hashable(mut password: String) -> String {
    while password.len() > 72 {
        password.pop();
    }
    password
}

fn fail(what: impl Into<String>) -> TestCaseError {
    TestCaseError::fail(what.into())
}

async fn arrives(soju: &Soju, wanted: &SidecarUser) -> Result<(), TestCaseError> {
    let mut admin = soju.admin().await;
    let rules = Rules { policy: SeedPolicy::CreateOnly, users_may_sleep: false };
    let (all, mut memory) = (std::slice::from_ref(wanted), Memory::default());
    let rows = Rows::open(&soju.target()).unwrap();
    let seen = seed::look(&mut admin, all, Some(&rows.users().await.unwrap())).await.unwrap();
    let plan = seed::plan(rules, all, &seen, &memory);
    let report = seed::carry_out(&mut admin, &plan, &mut memory).await.unwrap();
    if !report.errors().is_empty() {
        return Err(fail(format!("{:?}", report.errors())));
    }
    let read = rows.users().await.unwrap();
    let there = read.get(&wanted.username).ok_or_else(|| fail("the user is not there"))?;
    let network = &wanted.networks[0];
    let row = there.networks.get(&network.name).ok_or_else(|| fail(format!("{:?}", there.networks)))?;
    let same = there.user.realname == wanted.realname
        && row.realname.as_ref().or(there.user.realname.as_ref()) == network.realname.as_ref()
        && row.server_password == network.server_password
        && row.sasl_password.as_ref() == network.sasl.as_ref().map(|sasl| &sasl.password)
        && row.connect_commands == network.connect_commands;
    if !same {
        return Err(fail(format!("{there:?} is in the rows")));
    }
    // Nobody became anything else on the way, and another look finds nothing to do.
    let seen = seed::look(&mut admin, all, Some(&read)).await.unwrap();
    memory.settle(&seen);
    if seen.users[&wanted.username].admin {
        return Err(fail("the user administers the bouncer"));
    }
    let left = seed::plan(rules, all, &seen, &memory);
    if left != Plan::default() {
        return Err(fail(format!("{left:?} is left to do")));
    }
    let mut client = testkit::irc::Client::connect(soju.port).await.unwrap();
    let password = wanted.password.as_ref().map(Sealed::expose).unwrap_or_default();
    client.register_sasl(&wanted.username, password, "").await.map_err(|error| fail(format!("{error:#}")))
}

#[test]
fn every_word_arrives_in_the_rows_of_a_real_soju() {
    testkit::part!(Soju);
    for part in versions() {
        let runtime = Runtime::new().unwrap();
        let soju = runtime.block_on(Soju::start(part));
        let count = std::cell::Cell::new(0);
        let config =
            Config { cases: 24, failure_persistence: None, max_shrink_iters: 40, ..Config::default() };
        let tried = TestRunner::new(config).run(&wanted(), |mut wanted| {
            count.set(count.get() + 1);
            wanted.username = format!("user{}", count.get());
            runtime.block_on(arrives(&soju, &wanted))
        });
        tried.unwrap_or_else(|error| panic!("{part:?}: {error}\n{}", soju.log()));
        assert!(!soju.log().contains("panic"), "{}", soju.log());
    }
}
