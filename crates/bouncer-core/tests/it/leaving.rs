//! A client without chathistory goes, at any moment and in any manner: nothing is missing when it comes back, and nothing
//! it has answered for comes twice.

use std::collections::{BTreeSet, VecDeque};

use bouncer_core::{ConnId, Input};
use proptest::prelude::*;

use crate::world::World;

#[test]
fn what_was_written_but_not_answered_before_a_quit_comes_again() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.take(1);
    world.said(":bob!b@h PRIVMSG #c :one");
    // It says QUIT without having looked, and goes.
    world.say(1, "QUIT :bye");
    world.input(Input::Detach { conn: ConnId(1) });
    world.attach(2, 1, &[]);
    assert_eq!(world.taken(2, "PRIVMSG"), [":bob!b@h PRIVMSG #c :one"]);
}

#[test]
fn a_line_said_between_a_quit_and_its_end_comes_the_next_time() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.said(":bob!b@h PRIVMSG #c :one");
    world.take(1);
    world.say(1, "QUIT :bye");
    world.said(":bob!b@h PRIVMSG #c :two");
    assert!(world.take(1).is_empty(), "it is given nothing more");
    world.tick(5_000);
    assert_eq!(world.closed[&ConnId(1)], "Quit");
    world.attach(2, 1, &[]);
    assert_eq!(world.taken(2, "PRIVMSG").len(), 2);
}

#[test]
fn one_that_answers_after_its_quit_is_let_go_at_once_and_gets_nothing_twice() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.said(":bob!b@h PRIVMSG #c :one");
    world.said(":bob!b@h PRIVMSG #c :two");
    world.say(1, "QUIT :bye");
    assert!(!world.closed.contains_key(&ConnId(1)), "it may still answer");
    world.pong(1);
    world.pong(1);
    assert_eq!(world.closed[&ConnId(1)], "Quit");
    world.attach(2, 1, &[]);
    assert!(world.taken(2, "PRIVMSG").is_empty());
}

#[test]
fn one_that_has_answered_everything_is_let_go_with_its_quit() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.said(":bob!b@h PRIVMSG #c :one");
    world.pong(1);
    world.say(1, "QUIT :bye");
    assert_eq!(world.closed[&ConnId(1)], "Quit");
}

#[test]
fn its_own_line_needs_no_answer() {
    let mut world = World::connected(&[]);
    world.attach(1, 1, &[]);
    world.said(":bob!b@h PRIVMSG #c :one");
    world.say(1, "PRIVMSG #c :hello");
    world.run();
    world.pong(1);
    // It closes together with its QUIT.
    world.say(1, "QUIT :bye");
    world.input(Input::Detach { conn: ConnId(1) });
    world.attach(2, 1, &[]);
    assert!(world.taken(2, "PRIVMSG").is_empty());
}

#[test]
fn a_new_device_is_given_nothing_before_it_is_kept_where_it_begins() {
    let mut world = World::connected(&[]);
    world.attach_as(1, 1, &[], None);
    world.line(":bob!b@h PRIVMSG #c :one");
    world.commit_one();
    assert!(world.take(1).is_empty(), "not a line");
    let begin = world.begins[0].3;
    world.run();
    let got = world.take(1);
    assert!(got[0].contains(" 001 ") && got.iter().any(|line| line.ends_with(":one")), "{got:?}");
    assert_eq!(world.seen.values().copied().collect::<Vec<_>>(), [begin], "where it came, before `one`");
    // It is known now, and waits for nobody.
    world.attach_as(2, 1, &[], None);
    assert!(world.begins.is_empty() && world.take(2)[0].contains(" 001 "));
}

#[test]
fn a_new_device_is_let_in_though_it_cannot_be_kept_where_it_begins() {
    let mut world = World::connected(&[]);
    world.mood = crate::world::Mood::Refuses;
    world.attach(1, 1, &[]);
    assert!(world.take(1)[0].contains(" 001 "));
    assert_eq!(world.seen.len(), 1, "the shell tries again");
}

/// What a client does with what comes after its QUIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// It closes at once: what is under way is never read. (WeeChat)
    Closes,
    /// It throws away what comes until the other side closes. (irssi)
    Discards,
    /// It reads and answers on.
    Reads,
}

#[derive(Clone, Debug)]
enum Step {
    Said,
    Own,
    /// The client reads so many of the lines under way to it, and answers the PINGs among them.
    Read(u8),
    /// So many of its lines reach the bouncer.
    Deliver(u8),
    Commit(u8),
    Answer(u8),
    Tick(u16),
    Lag,
    Drain,
    Quit(Manner),
    /// The connection ends on the way; nothing under way arrives.
    Cut,
    /// What the client said arrives, and that it is gone.
    End,
    Attach,
}

fn step() -> impl Strategy<Value = Step> {
    let manner = prop_oneof![Just(Manner::Closes), Just(Manner::Discards), Just(Manner::Reads)];
    prop_oneof![
        8 => Just(Step::Said),
        2 => Just(Step::Own),
        6 => (1u8..6).prop_map(Step::Read),
        6 => (1u8..4).prop_map(Step::Deliver),
        8 => (1u8..5).prop_map(Step::Commit),
        4 => (1u8..4).prop_map(Step::Answer),
        2 => (0u16..400).prop_map(Step::Tick),
        1 => Just(Step::Lag),
        1 => Just(Step::Drain),
        3 => manner.prop_map(Step::Quit),
        1 => Just(Step::Cut),
        2 => Just(Step::End),
        4 => Just(Step::Attach),
    ]
}

/// A client, and what is under way on either side of its connection.
struct Client {
    conn: u64,
    to_client: VecDeque<String>,
    /// With how much it had read when it said it.
    to_bouncer: VecDeque<(String, usize)>,
    read: Vec<u32>,
    /// So much of it the bouncer has been told is read.
    answered: usize,
    quit: Option<Manner>,
}

#[derive(Default)]
struct Life {
    client: Option<Client>,
    conns: u64,
    number: u32,
    /// What any of its connections has read.
    had: BTreeSet<u32>,
    /// What it said itself.
    own: BTreeSet<u32>,
    /// What may come no second time.
    answered: BTreeSet<u32>,
}

impl Life {
    fn apply(&mut self, world: &mut World, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Said => {
                self.number += 1;
                world.line(&format!(":bob!b@h PRIVMSG #c :n{}", self.number));
            }
            Step::Commit(count) => (0..*count).for_each(|_| _ = world.commit_one()),
            Step::Answer(count) => (0..*count).for_each(|_| _ = world.answer_one()),
            Step::Tick(ms) => {
                while world.commit_one() {}
                world.tick(i64::from(*ms));
            }
            Step::Attach if self.client.is_none() => {
                self.conns += 1;
                world.attach_as(self.conns, 1, &[], None);
                self.client = Some(Client {
                    conn: self.conns,
                    to_client: VecDeque::new(),
                    to_bouncer: VecDeque::new(),
                    read: Vec::new(),
                    answered: 0,
                    quit: None,
                });
            }
            _ => self.client_does(world, step)?,
        }
        if let Some(client) = &mut self.client {
            client.to_client.extend(world.take(client.conn));
        }
        Ok(())
    }

    fn client_does(&mut self, world: &mut World, step: &Step) -> Result<(), TestCaseError> {
        let Some(client) = &mut self.client else { return Ok(()) };
        match step {
            Step::Own if client.quit.is_none() => {
                self.number += 1;
                self.own.insert(self.number);
                let line = format!("PRIVMSG #c :n{}", self.number);
                client.to_bouncer.push_back((line, client.read.len()));
            }
            Step::Read(count) => {
                for _ in 0..*count {
                    let Some(line) = client.to_client.pop_front() else { break };
                    if matches!(client.quit, Some(Manner::Closes | Manner::Discards)) {
                        continue;
                    }
                    if let Some(token) = line.strip_prefix("PING :") {
                        client.to_bouncer.push_back((format!("PONG :{token}"), client.read.len()));
                    }
                    let Some(number) = number(&line).filter(|number| !self.own.contains(number)) else {
                        continue;
                    };
                    let last = client.read.last().copied();
                    prop_assert!(last.is_none_or(|last| last < number), "{last:?}, then {number}");
                    prop_assert!(!self.answered.contains(&number), "{number} came again");
                    client.read.push(number);
                    self.had.insert(number);
                }
            }
            Step::Deliver(count) => (0..*count).for_each(|_| client.deliver(world)),
            Step::Lag => world.input(Input::Lagging { conn: ConnId(client.conn) }),
            Step::Drain => world.input(Input::Drained { conn: ConnId(client.conn) }),
            Step::Quit(manner) if client.quit.is_none() => {
                client.quit = Some(*manner);
                client.to_bouncer.push_back(("QUIT :bye".to_owned(), client.read.len()));
            }
            Step::Cut => self.over(world),
            Step::End => {
                while !client.to_bouncer.is_empty() {
                    client.deliver(world);
                }
                self.over(world);
            }
            _ => {}
        }
        Ok(())
    }

    fn over(&mut self, world: &mut World) {
        let Some(client) = self.client.take() else { return };
        world.input(Input::Detach { conn: ConnId(client.conn) });
        self.answered.extend(&client.read[..client.answered]);
    }
}

impl Client {
    fn deliver(&mut self, world: &mut World) {
        let Some((line, read)) = self.to_bouncer.pop_front() else { return };
        // What is said past the end of a connection nobody hears.
        if line.starts_with("PONG") && !world.closed.contains_key(&ConnId(self.conn)) {
            self.answered = read;
        }
        world.say(self.conn, &line);
    }
}

fn number(line: &str) -> Option<u32> {
    line.contains("PRIVMSG ").then(|| line.rsplit_once(":n")?.1.parse().ok())?
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn whenever_a_client_goes_nothing_is_missing_and_nothing_it_answered_for_comes_twice(
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut world = World::connected(&[]);
        // Its life begins with its first visit.
        world.attach(1, 1, &[]);
        world.pong(1);
        world.take(1);
        world.detach(1, true);
        let mut life = Life { conns: 1, ..Life::default() };
        for step in &steps {
            life.apply(&mut world, step)?;
        }
        life.over(&mut world);
        world.run();
        life.apply(&mut world, &Step::Attach)?;
        for _ in 0..1_000 {
            world.run();
            let before = world.queries.len();
            life.apply(&mut world, &Step::Read(100))?;
            if before == 0 && life.client.as_ref().is_some_and(|client| client.to_client.is_empty()) {
                break;
            }
        }
        let all: BTreeSet<u32> = (1..=life.number).filter(|number| !life.own.contains(number)).collect();
        prop_assert_eq!(all.difference(&life.had).collect::<Vec<_>>(), Vec::<&u32>::new(), "never read");
    }
}
