//! What holds for every word and every plan.

use crds::sidecar::{Sealed, SidecarNetwork, SidecarUser};
use crds::soju::SeedPolicy;
use proptest::prelude::*;
use soju_sidecar::admin::{Answer, Command, parse_line};
use soju_sidecar::seed::{Memory, Plan, Rules, Seen, Step, plan};

use crate::world::{World, network, user};

/// Splits as soju does, written on its own: quotes group, a backslash makes the next character literal outside of
/// single quotes.
fn split(text: &str) -> Vec<String> {
    let mut words: Vec<Option<String>> = vec![None];
    let mut quote = None;
    let mut literal = false;
    for c in text.chars() {
        let (word, fresh) = (words.last_mut().unwrap(), c.is_whitespace());
        if literal {
            word.get_or_insert_default().push(c);
            literal = false;
        } else if c == '\\' && quote != Some('\'') {
            literal = true;
        } else if Some(c) == quote {
            quote = None;
        } else if quote.is_none() && matches!(c, '"' | '\'') {
            word.get_or_insert_default();
            quote = Some(c);
        } else if quote.is_none() && fresh {
            words.push(None);
        } else {
            word.get_or_insert_default().push(c);
        }
    }
    words.into_iter().flatten().collect()
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,20}",
        "[\"'\\\\ \\-=a$`#;]{0,12}",
        any::<String>().prop_map(|text| text.replace(['\r', '\n', '\0'], "")),
    ]
}

proptest! {
    #[test]
    fn every_word_arrives_as_it_was_sent(words in prop::collection::vec(word(), 0..6), flag in word()) {
        let mut command = Command::new("user create");
        for word in &words {
            command = command.word(word).unwrap();
        }
        let command = command.flag("password", &flag).unwrap();
        let mut expected = vec!["user".to_owned(), "create".to_owned()];
        expected.extend(words);
        expected.push(format!("-password={flag}"));
        prop_assert_eq!(split(command.text()), expected);
        let shown = format!("{command:?}");
        prop_assert!(!shown.contains("-password"), "it shows {}", shown);
    }

    #[test]
    fn what_would_end_the_line_is_refused(before in word(), after in word(), end in "[\r\n\0]") {
        let word = format!("{before}{end}{after}");
        prop_assert!(Command::new("user create").word(&word).is_err());
        prop_assert!(Command::new("user create").flag("nick", &word).is_err());
        prop_assert!(Command::run_as(&word, "network status").is_err());
    }

    #[test]
    fn the_text_of_an_answer_arrives_whole(text in word()) {
        let line = |head: &str| format!(":bnc.test {head} :{text}\r\n").into_bytes();
        prop_assert_eq!(parse_line(&line("PRIVMSG *")), Answer::Text(text.clone()));
        prop_assert_eq!(parse_line(&line("FAIL BOUNCERSERV")), Answer::Refused(text.clone()));
    }

    #[test]
    fn a_plan_carried_out_leaves_nothing_to_plan(
        wanted in wanted(),
        before in wanted(),
        drift in wanted(),
        enforce in any::<bool>(),
        rows in any::<bool>(),
        users_may_sleep in any::<bool>(),
    ) {
        let policy = if enforce { SeedPolicy::Enforce } else { SeedPolicy::CreateOnly };
        let rules = Rules { policy, users_may_sleep };
        let mut world = World::new(rows);
        let mut memory = Memory::default();
        let put_back = Rules { policy: SeedPolicy::Enforce, users_may_sleep: false };
        // What stands in the middle is what others do, of which the sidecar remembers nothing.
        for (wanted, rules, ours) in [(&before, put_back, true), (&drift, put_back, false), (&wanted, rules, true)] {
            let mut own = if ours { memory.clone() } else { Memory::default() };
            let seen = world.seen(wanted);
            own.settle(&seen);
            for step in &plan(rules, wanted, &seen, &own).steps {
                world.carry_out(step);
                step.note(&mut own);
            }
            let seen = world.seen(wanted);
            own.settle(&seen);
            prop_assert_eq!(plan(rules, wanted, &seen, &own), Plan::default());
            if ours {
                memory = own;
            }
        }
        if policy == SeedPolicy::Enforce && rows && !users_may_sleep {
            world.assert_holds(&wanted);
        }
    }

    #[test]
    fn what_exists_is_never_touched_where_it_is_only_to_be_made(before in wanted(), wanted in wanted()) {
        let mut world = World::new(true);
        let (create, enforce) = (SeedPolicy::CreateOnly, SeedPolicy::Enforce);
        for step in plan(rules(enforce), &before, &Seen::default(), &Memory::default()).steps {
            world.carry_out(&step);
        }
        let there = world.clone();
        let plan = plan(rules(create), &wanted, &world.seen(&wanted), &Memory::default());
        for step in &plan.steps {
            prop_assert!(matches!(step, Step::CreateUser(_) | Step::CreateNetwork { .. }), "{:?}", step);
            world.carry_out(step);
        }
        world.assert_contains(&there);
    }
}

fn rules(policy: SeedPolicy) -> Rules {
    Rules { policy, users_may_sleep: false }
}

fn maybe_word() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[a-c]{1,2}")
}

fn secret() -> impl Strategy<Value = Option<Sealed>> {
    maybe_word().prop_map(|word| word.map(Sealed::new))
}

fn networks() -> impl Strategy<Value = Vec<SidecarNetwork>> {
    let one = (
        ("[a-b]{1}", maybe_word(), maybe_word(), secret(), secret()),
        prop::collection::vec("[a-c]{1,2}", 0..3),
        (any::<bool>(), any::<bool>()),
        prop::collection::btree_map("#[a-c]", any::<bool>(), 0..3),
    );
    let one =
        one.prop_map(|((host, nick, realname, password, sasl), commands, (auto_away, enabled), channels)| {
            SidecarNetwork {
                nick,
                realname,
                server_password: password,
                sasl: sasl
                    .map(|password| crds::sidecar::SidecarSasl { username: "acc".to_owned(), password }),
                connect_commands: commands,
                auto_away,
                enabled,
                channels,
                ..network("", &format!("ircs://{host}.example"))
            }
        });
    prop::collection::vec(one, 0..3).prop_map(|mut networks| {
        for (index, network) in networks.iter_mut().enumerate() {
            network.name = format!("net{index}");
        }
        networks
    })
}

fn wanted() -> impl Strategy<Value = Vec<SidecarUser>> {
    let one = (networks(), secret(), maybe_word(), any::<bool>(), any::<bool>(), prop::option::of(0..4_u32));
    let one = one.prop_map(|(networks, password, nick, admin, enabled, max_networks)| SidecarUser {
        admin,
        enabled,
        password,
        nick,
        max_networks,
        networks,
        ..user("")
    });
    prop::collection::vec(one, 0..3).prop_map(|mut users| {
        for (index, user) in users.iter_mut().enumerate() {
            user.username = format!("user{index}");
        }
        users
    })
}

#[test]
fn names_that_soju_would_read_as_something_else_are_refused_in_words() {
    let mut wanted = vec![user("a/b"), user("a@b"), user(""), user("-x"), user("a b"), user("ok")];
    wanted[5].networks =
        vec![network("x/y", "a"), network("ircnow-unfinished-x", "a"), network("z", "a"), network("z", "b")];
    let plan = plan(rules(SeedPolicy::CreateOnly), &wanted, &Seen::default(), &Memory::default());
    assert_eq!(plan.steps.len(), 2, "{:?}", plan.steps);
    assert_eq!(plan.impossible.len(), 8, "{:?}", plan.impossible);
}

#[test]
fn a_user_whom_soju_put_to_sleep_is_not_woken() {
    let wanted = [user("alice")];
    let mut world = World::new(true);
    let enforce = rules(SeedPolicy::Enforce);
    for step in plan(enforce, &wanted, &Seen::default(), &Memory::default()).steps {
        world.carry_out(&step);
    }
    world.users.get_mut("alice").unwrap().enabled = false;
    let seen = world.seen(&wanted);
    let sleepy = Rules { users_may_sleep: true, ..enforce };
    assert_eq!(plan(sleepy, &wanted, &seen, &Memory::default()).steps, []);
    assert_eq!(plan(enforce, &wanted, &seen, &Memory::default()).steps.len(), 1);
}
