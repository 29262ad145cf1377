//! Thousands of generated days in the life of a bouncer.

use std::collections::{BTreeMap, BTreeSet};

use bouncer_core::{ConnId, DeviceId, Input};
use proptest::prelude::*;
use uuid::Uuid;

use crate::world::{NET, World};

#[derive(Clone, Debug)]
enum Step {
    /// Somebody says the next number: in a channel, in another, to us alone.
    Said(u8),
    /// We say the next number from a connection that is there.
    Own(u8),
    /// Somebody comes, goes, is renamed.
    Moves(u8),
    Attach {
        device: u8,
        history: bool,
    },
    Detach {
        which: u8,
        clean: bool,
    },
    Lag(u8),
    Drain(u8),
    Pong(u8),
    Commit(u8),
    Answer(u8),
    Tick(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u8..3).prop_map(Step::Said),
        2 => any::<u8>().prop_map(Step::Own),
        2 => (0u8..5).prop_map(Step::Moves),
        3 => (0u8..4, any::<bool>()).prop_map(|(device, history)| Step::Attach { device, history }),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(which, clean)| Step::Detach { which, clean }),
        1 => any::<u8>().prop_map(Step::Lag),
        2 => any::<u8>().prop_map(Step::Drain),
        3 => any::<u8>().prop_map(Step::Pong),
        8 => (1u8..5).prop_map(Step::Commit),
        4 => (1u8..4).prop_map(Step::Answer),
        1 => (0u16..400).prop_map(Step::Tick),
    ]
}

/// A connection as its client sees it.
struct Client {
    conn: u64,
    device: u8,
    history: bool,
    lagging: bool,
    /// Numbers seen, in order.
    seen: Vec<u32>,
    /// Numbers of its own that it shows by itself.
    own: BTreeSet<u32>,
    began_at: u32,
}

#[derive(Default)]
struct Day {
    clients: Vec<Client>,
    gone: Vec<Client>,
    next_conn: u64,
    number: u32,
    /// Which devices were ever cut, and so may get a tail twice.
    cut: BTreeSet<u8>,
    first: BTreeMap<u8, u32>,
}

fn numbers(line: &str) -> Option<u32> {
    if !line.contains(" PRIVMSG ") {
        return None;
    }
    line.rsplit_once(":n")?.1.parse().ok()
}

impl Day {
    fn pick(&self, which: u8) -> Option<usize> {
        if self.clients.is_empty() { None } else { Some(usize::from(which) % self.clients.len()) }
    }

    fn collect(&mut self, world: &mut World) -> Result<(), TestCaseError> {
        let kept: BTreeSet<u32> = world.logs[&NET]
            .entries
            .iter()
            .filter_map(|(stored, _)| {
                String::from_utf8_lossy(&stored.entry.body).strip_prefix('n')?.parse().ok()
            })
            .collect();
        for client in &mut self.clients {
            let got = world.got.entry(ConnId(client.conn)).or_default();
            for line in got.iter() {
                let Some(number) = numbers(line) else { continue };
                prop_assert!(kept.contains(&number), "{} reached a device before its commit", number);
                let last = client.seen.last().copied();
                prop_assert!(
                    last.is_none_or(|last| last < number),
                    "{:?} then {}: out of order or twice",
                    last,
                    number
                );
                client.seen.push(number);
            }
            got.retain(|line| line.starts_with("PING"));
        }
        Ok(())
    }

    fn apply(&mut self, world: &mut World, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Said(place) => {
                self.number += 1;
                let target = ["#c", "#d", "alice"][usize::from(*place)];
                world.line(&format!(":bob!b@h PRIVMSG {target} :n{}", self.number));
            }
            Step::Own(which) => {
                let Some(at) = self.pick(*which) else { return Ok(()) };
                self.number += 1;
                let number = self.number;
                self.clients[at].own.insert(number);
                world.say(self.clients[at].conn, &format!("PRIVMSG #c :n{number}"));
            }
            Step::Moves(what) => {
                let line = [
                    ":dave!d@h JOIN #c",
                    ":dave!d@h PART #c",
                    ":carol!c@h MODE #c +v bob",
                    ":carol!c@h TOPIC #c :t",
                    ":bob!b@h AWAY :x",
                ];
                world.line(line[usize::from(*what)]);
            }
            Step::Attach { device, history } => {
                // A device that has chathistory is another one than one that has not.
                let device = device * 2 + u8::from(*history);
                self.next_conn += 1;
                let caps: &[&str] = if *history { &["draft/chathistory"] } else { &[] };
                world.attach_as(self.next_conn, u128::from(device) + 1, caps, None);
                self.first.entry(device).or_insert(self.number);
                self.clients.push(Client {
                    conn: self.next_conn,
                    device,
                    history: *history,
                    lagging: false,
                    seen: Vec::new(),
                    own: BTreeSet::new(),
                    began_at: self.number,
                });
            }
            Step::Detach { which, clean } => {
                let Some(at) = self.pick(*which) else { return Ok(()) };
                let client = self.clients.remove(at);
                let shared = self.clients.iter().any(|other| other.device == client.device);
                // One that does not read answers nothing.
                if !clean || shared || client.lagging {
                    self.cut.insert(client.device);
                }
                world.detach(client.conn, *clean);
                self.gone.push(client);
            }
            Step::Lag(which) => {
                let Some(at) = self.pick(*which) else { return Ok(()) };
                self.clients[at].lagging = true;
                world.input(Input::Lagging { conn: ConnId(self.clients[at].conn) });
            }
            Step::Drain(which) => {
                let Some(at) = self.pick(*which) else { return Ok(()) };
                self.clients[at].lagging = false;
                world.input(Input::Drained { conn: ConnId(self.clients[at].conn) });
            }
            Step::Pong(which) => {
                let Some(at) = self.pick(*which) else { return Ok(()) };
                let conn = self.clients[at].conn;
                world.pong(conn);
                world.got.entry(ConnId(conn)).or_default().retain(|line| !line.starts_with("PING"));
            }
            Step::Commit(count) => (0..*count).for_each(|_| _ = world.commit_one()),
            Step::Answer(count) => (0..*count).for_each(|_| _ = world.answer_one()),
            Step::Tick(ms) => {
                // The store answers within its time here; what happens else is told elsewhere.
                while world.commit_one() {}
                world.tick(i64::from(*ms));
            }
        }
        self.collect(world)
    }

    /// Everybody reads on, goes and comes once more: then all has been seen.
    fn end(&mut self, world: &mut World) -> Result<(), TestCaseError> {
        world.run();
        self.collect(world)?;
        for at in 0..self.clients.len() {
            world.input(Input::Drained { conn: ConnId(self.clients[at].conn) });
        }
        world.run();
        self.collect(world)?;
        for client in &self.clients {
            // While it was there, it got every line but its own, whatever it reads from.
            let expected: Vec<u32> =
                (client.began_at + 1..=self.number).filter(|n| !client.own.contains(n)).collect();
            let seen: Vec<u32> = client.seen.iter().copied().filter(|n| *n > client.began_at).collect();
            prop_assert_eq!(seen, expected, "connection {} of device {}", client.conn, client.device);
        }
        let devices: Vec<u8> = self.first.keys().copied().filter(|device| device % 2 == 0).collect();
        while let Some(client) = self.clients.pop() {
            world.detach(client.conn, true);
            self.gone.push(client);
        }
        for device in devices {
            self.apply(world, &Step::Attach { device: device / 2, history: false })?;
        }
        world.run();
        self.collect(world)?;
        self.gone.append(&mut self.clients);
        for (device, first) in self.first.iter().filter(|(device, _)| **device % 2 == 0) {
            let mine: Vec<&Client> = self.gone.iter().filter(|c| c.device == *device && !c.history).collect();
            let mut times: BTreeMap<u32, u32> = BTreeMap::new();
            for number in mine.iter().flat_map(|client| client.seen.iter().chain(&client.own)) {
                *times.entry(*number).or_default() += 1;
            }
            for number in first + 1..=self.number {
                let seen = times.get(&number).copied().unwrap_or_default();
                prop_assert!(seen > 0, "device {} never saw {}", device, number);
                prop_assert!(
                    seen == 1 || self.cut.contains(device) || mine.len() > 1 && self.shares(*device),
                    "device {} saw {} {} times",
                    device,
                    number,
                    seen
                );
            }
        }
        Ok(())
    }

    /// Whether two connections of a device were ever there at once (then each got the lines).
    fn shares(&self, device: u8) -> bool {
        self.gone.iter().filter(|client| client.device == device).count() > 1
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_device_sees_each_body_in_order_after_its_commit_and_nothing_is_missing(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::connected(&["away-notify"]);
        world.join("#d");
        let mut day = Day::default();
        for step in &steps {
            day.apply(&mut world, step)?;
        }
        day.end(&mut world)?;
    }

    /// One device, one connection at a time, always leaving cleanly: then it is exactly once.
    #[test]
    fn after_clean_detaches_a_device_sees_each_body_exactly_once(
        visits in prop::collection::vec((0u8..12, 0u8..12, 0u8..4, any::<bool>()), 1..12),
    ) {
        let mut world = World::connected(&[]);
        let mut number = 0;
        let mut seen = Vec::new();
        let mut say = |world: &mut World, count: u8| for _ in 0..count {
            number += 1;
            world.line(&format!(":bob!b@h PRIVMSG #c :n{number}"));
        };
        for (visit, (away, there, commits, answers)) in visits.iter().enumerate() {
            let conn = visit as u64 + 1;
            world.attach_as(conn, 1, &[], None);
            say(&mut world, *there);
            (0..*commits).for_each(|_| _ = world.commit_one());
            if *answers {
                world.run();
            }
            world.detach(conn, true);
            seen.extend(world.take(conn).iter().filter_map(|line| numbers(line)));
            say(&mut world, *away);
            if *answers {
                world.run();
            }
        }
        world.run();
        world.attach(99, 1, &[]);
        seen.extend(world.take(99).iter().filter_map(|line| numbers(line)));
        // What the device sees begins with its first visit; nothing was said before.
        prop_assert_eq!(seen, (1..=number).collect::<Vec<_>>());
        prop_assert!(world.seen.contains_key(&(DeviceId(Uuid::from_u128(1)), NET)));
    }
}
