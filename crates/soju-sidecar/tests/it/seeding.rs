//! Users and networks, made in a real soju.

use std::collections::BTreeMap;

use crds::sidecar::{Sealed, SidecarSasl, SidecarUser};
use crds::soju::SeedPolicy;
use soju_sidecar::admin::{AdminError, Command};
use soju_sidecar::rows::Rows;
use soju_sidecar::seed::{self, Memory, Plan, Report, Rules};

use crate::soju::{Soju, versions};
use crate::world::{network, user};

/// One pass, as the sidecar makes it, and what would be left to do after it.
async fn pass(
    soju: &Soju,
    policy: SeedPolicy,
    wanted: &[SidecarUser],
    memory: &mut Memory,
) -> (Report, Plan) {
    let rows = Rows::open(&soju.target()).unwrap();
    let mut admin = soju.admin().await;
    let rules = Rules { policy, users_may_sleep: false };
    let read = rows.users().await.unwrap();
    let seen = seed::look(&mut admin, wanted, Some(&read)).await.unwrap();
    memory.settle(&seen);
    let plan = seed::plan(rules, wanted, &seen, memory);
    let report = seed::carry_out(&mut admin, &plan, memory).await.unwrap();
    let read = rows.users().await.unwrap();
    let seen = seed::look(&mut admin, wanted, Some(&read)).await.unwrap();
    memory.settle(&seen);
    (report, seed::plan(rules, wanted, &seen, memory))
}

fn alice() -> SidecarUser {
    let mut libera = network("libera", "irc+insecure://127.0.0.1:1");
    libera.nick = Some("al".to_owned());
    libera.username = Some("alu".to_owned());
    libera.realname = Some("Al \"the\" O'B \\ ; $HOME".to_owned());
    libera.server_password = Some(Sealed::new("-p w\"\\"));
    libera.sasl = Some(SidecarSasl { username: "-acc".to_owned(), password: Sealed::new("-pa \"ss\\'") });
    libera.connect_commands = vec!["PRIVMSG x :y 'z' \"q\"".to_owned(), "MODE al +x".to_owned()];
    libera.auto_away = false;
    libera.channels = BTreeMap::from([("#a".to_owned(), false), ("#b".to_owned(), true)]);
    let mut idle = network("idle", "irc+insecure://127.0.0.1:2");
    idle.enabled = false;
    SidecarUser {
        password: Some(Sealed::new("hunter \"2\" \\ '")),
        nick: Some("alice".to_owned()),
        realname: Some("Alice Ä".to_owned()),
        max_networks: Some(3),
        networks: vec![libera, idle],
        ..user("alice")
    }
}

#[tokio::test]
async fn users_and_networks_are_made_whole_and_only_once() {
    for part in versions() {
        let soju = Soju::start(part).await;
        let wanted = [alice(), SidecarUser { admin: true, ..user("bob") }];
        for policy in [SeedPolicy::CreateOnly, SeedPolicy::Enforce] {
            let (report, left) = pass(&soju, policy, &wanted, &mut Memory::default()).await;
            assert_eq!(report.errors(), Vec::<String>::new());
            let done = if policy == SeedPolicy::CreateOnly { 4 } else { 1 };
            // Whether the password is the one wanted nobody can see: it is sent once after a start.
            assert_eq!(report.outcomes.len(), done, "{part:?}: {report:?}");
            assert_eq!(left, Plan::default(), "{part:?}");
        }
        let rows = Rows::open(&soju.target()).unwrap().users().await.unwrap();
        let (row, libera) = (&rows["alice"].networks["libera"], &wanted[0].networks[0]);
        assert_eq!(row.realname, libera.realname);
        assert_eq!(row.server_password, libera.server_password);
        assert_eq!(row.sasl_password.as_ref(), libera.sasl.as_ref().map(|sasl| &sasl.password));
        assert_eq!(row.connect_commands, libera.connect_commands);
        let mut client = testkit::irc::Client::connect(soju.port).await.unwrap();
        client.register_sasl("alice", "hunter \"2\" \\ '", "").await.unwrap();
    }
}

#[tokio::test]
async fn a_pinned_certificate_is_told_once_however_it_is_written() {
    for part in versions() {
        let soju = Soju::start(part).await;
        let mut wanted = [alice()];
        for fingerprint in ["ab".repeat(32), "AB:".repeat(32).trim_end_matches(':').to_owned()] {
            let pinned = &mut wanted[0].networks[1];
            (pinned.address, pinned.fingerprint) = ("ircs://127.0.0.1:3".to_owned(), Some(fingerprint));
            let (report, left) = pass(&soju, SeedPolicy::Enforce, &wanted, &mut Memory::default()).await;
            assert_eq!((report.errors(), left), (Vec::new(), Plan::default()), "{part:?}");
        }
    }
}

/// soju keeps nothing of a network where it says what its user says.
#[tokio::test]
async fn a_network_called_as_its_user_is_needs_nothing_more() {
    for part in versions() {
        let soju = Soju::start(part).await;
        let mut wanted = [alice()];
        let mut memory = Memory::default();
        pass(&soju, SeedPolicy::Enforce, &wanted, &mut memory).await;
        let names = |user: &SidecarUser| (user.nick.clone(), user.realname.clone());
        (wanted[0].networks[0].nick, wanted[0].networks[0].realname) = names(&wanted[0]);
        let (report, left) = pass(&soju, SeedPolicy::Enforce, &wanted, &mut memory).await;
        assert_eq!((report.errors(), left), (Vec::new(), Plan::default()), "{part:?}");
        // The user is called something else now; the network is not.
        (wanted[0].nick, wanted[0].realname) = (Some("ally".to_owned()), Some("Ally".to_owned()));
        let (report, left) = pass(&soju, SeedPolicy::Enforce, &wanted, &mut memory).await;
        assert_eq!((report.errors(), left), (Vec::new(), Plan::default()), "{part:?}");
        let rows = Rows::open(&soju.target()).unwrap().users().await.unwrap();
        let row = &rows["alice"].networks["libera"];
        assert_eq!(
            (row.nick.as_deref(), row.realname.as_deref()),
            (Some("alice"), Some("Alice Ä")),
            "{part:?}"
        );
    }
}

#[tokio::test]
async fn what_people_change_stays_or_is_put_back_as_the_policy_says() {
    for part in versions() {
        let soju = Soju::start(part).await;
        let wanted = [alice()];
        let mut memory = Memory::default();
        pass(&soju, SeedPolicy::Enforce, &wanted, &mut memory).await;
        let before = Rows::open(&soju.target()).unwrap().users().await.unwrap();
        let mut admin = soju.admin().await;
        let run = |words| Command::run_as("alice", words).unwrap();
        for command in [
            run(
                "network update libera -nick=other -pass=other -auto-away=true -connect-command=QUIT -enabled=false",
            ),
            run("sasl set-plain -network=libera acc2 other"),
            run("channel update #a/libera -detached=true"),
            run("channel delete #b/libera"),
            run("user update -nick=x -realname=y"),
            run("network create -addr=irc+insecure://127.0.0.1:9 -name=own"),
            Command::new("user update alice -password=other -max-networks=9 -admin=true"),
        ] {
            admin.run(&command).await.unwrap();
        }
        let (report, left) = pass(&soju, SeedPolicy::CreateOnly, &wanted, &mut memory).await;
        assert_eq!((report.outcomes.len(), left), (0, Plan::default()));
        let (report, left) = pass(&soju, SeedPolicy::Enforce, &wanted, &mut memory).await;
        assert_eq!(report.errors(), Vec::<String>::new());
        assert_eq!(left, Plan::default(), "{part:?}");
        let mut after = Rows::open(&soju.target()).unwrap().users().await.unwrap();
        let user = after.get_mut("alice").unwrap();
        assert!(user.networks.remove("own").is_some(), "networks that are not listed are left alone");
        assert_ne!(user.user.password_hash, before["alice"].user.password_hash);
        user.user.password_hash.clone_from(&before["alice"].user.password_hash);
        assert_eq!(after, before, "{part:?}");
        let mut client = testkit::irc::Client::connect(soju.port).await.unwrap();
        client.register_sasl("alice", "hunter \"2\" \\ '", "").await.unwrap();
    }
}

#[tokio::test]
async fn a_network_whose_making_was_interrupted_is_made_again() {
    for part in versions() {
        let soju = Soju::start(part).await;
        pass(&soju, SeedPolicy::CreateOnly, &[user("alice")], &mut Memory::default()).await;
        let mut admin = soju.admin().await;
        let half = "network create -addr=irc+insecure://127.0.0.1:1 -nick=al -name=ircnow-unfinished-libera -enabled=false";
        admin.run(&Command::run_as("alice", half).unwrap()).await.unwrap();
        let (report, left) = pass(&soju, SeedPolicy::CreateOnly, &[alice()], &mut Memory::default()).await;
        assert_eq!((report.errors(), left), (Vec::new(), Plan::default()), "{part:?}");
    }
}

#[tokio::test]
async fn what_soju_refuses_is_said_and_stops_nothing_else() {
    for part in versions() {
        let soju = Soju::start(part).await;
        let mut wanted = [alice(), user("bob")];
        let mut twin = wanted[0].networks[0].clone();
        twin.name = "twin".to_owned();
        let mut bad = network("bad", "irc+insecure://127.0.0.1:3");
        bad.fingerprint = Some("no fingerprint".to_owned());
        wanted[0].networks[1].channels = BTreeMap::from([("#b/c".to_owned(), true)]);
        wanted[0].networks.extend([twin, bad, network("x/y", "irc+insecure://127.0.0.1:4")]);
        let (report, _) = pass(&soju, SeedPolicy::CreateOnly, &wanted, &mut Memory::default()).await;
        let errors = report.errors();
        assert_eq!(errors.len(), 4, "{errors:?}");
        assert!(
            errors
                .iter()
                .any(|error| error.contains("network twin of alice") && error.contains("another nick"))
        );
        assert!(
            errors
                .iter()
                .any(|error| error.contains("network bad of alice") && error.contains("fingerprint"))
        );
        assert!(errors.iter().any(|error| error.contains("network x/y of alice")));
        assert!(errors.iter().any(|error| error.contains("channel #b/c on idle of alice")));
        let rows = Rows::open(&soju.target()).unwrap().users().await.unwrap();
        assert_eq!(rows["alice"].networks.keys().collect::<Vec<_>>(), ["idle", "libera"]);
        assert!(rows.contains_key("bob"));
    }
}

#[tokio::test]
async fn a_socket_that_says_nothing_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let patience = std::time::Duration::from_millis(50);
    let mut admin = soju_sidecar::admin::Admin::connect_with(&path, patience).await.unwrap();
    let error = admin.run(&Command::new("server status")).await.unwrap_err();
    assert!(matches!(error, AdminError::TimedOut(_)), "{error}");
    drop(listener);
    let error = admin.run(&Command::new("server status")).await.unwrap_err();
    assert!(matches!(error, AdminError::Closed(_) | AdminError::TimedOut(_)), "{error}");
}
