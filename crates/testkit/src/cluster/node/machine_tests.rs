use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{Action, BackOff, Exit, Machine, Phase, Probe, Restart, Role, Seed, State};

const GRACE: Duration = Duration::from_secs(30);

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

fn seed(name: &str, role: Role) -> Seed {
    Seed { name: name.into(), role, startup: false, readiness: false }
}

fn machine(seeds: Vec<Seed>, restart: Restart) -> Machine {
    let back_off = BackOff { first: Duration::from_secs(10), most: Duration::from_secs(300) };
    Machine::new(seeds, restart, GRACE, back_off)
}

fn exit(code: i32, started: i64, finished: i64) -> Exit {
    Exit {
        code,
        reason: "Error".into(),
        message: String::new(),
        started: at(started),
        finished: at(finished),
    }
}

#[test]
fn init_containers_come_one_by_one_and_a_sidecar_is_waited_for_until_it_has_started() {
    let side = Seed { startup: true, ..seed("side", Role::Sidecar) };
    let mut pod = machine(
        vec![seed("one", Role::Init), side, seed("two", Role::Init), seed("main", Role::Main)],
        Restart::Always,
    );
    assert_eq!(pod.next(at(0)), [Action::Start(0)]);
    pod.started(0, at(0));
    assert_eq!(pod.next(at(1)), []);
    pod.exited(0, exit(0, 0, 1), at(1));
    assert_eq!(pod.next(at(1)), [Action::Start(1)]);
    pod.started(1, at(1));
    assert_eq!(pod.next(at(2)), [], "the startup probe has not passed");
    assert_eq!(pod.probed(1, Probe::Startup, true), None);
    assert_eq!(pod.next(at(2)), [Action::Start(2)]);
    assert_eq!(pod.phase(), Phase::Pending);
    pod.started(2, at(2));
    pod.exited(2, exit(0, 2, 3), at(3));
    assert_eq!(pod.next(at(3)), [Action::Start(3)]);
    pod.started(3, at(3));
    assert_eq!((pod.phase(), pod.initialized()), (Phase::Running, true));
    assert!(pod.units.iter().all(super::Unit::ready));
}

#[test]
fn a_sidecar_that_ends_later_holds_nothing_up_and_starts_again() {
    let mut pod = machine(vec![seed("side", Role::Sidecar), seed("main", Role::Main)], Restart::Never);
    pod.next(at(0));
    pod.started(0, at(0));
    assert_eq!(pod.next(at(0)), [Action::Start(1)]);
    pod.started(1, at(0));
    pod.exited(0, exit(0, 0, 1), at(1));
    assert_eq!(pod.next(at(1)), [Action::Start(0)]);
    pod.started(0, at(1));
    assert_eq!(pod.units[0].restarts, 1);
    pod.exited(1, exit(0, 0, 2), at(2));
    assert_eq!(pod.next(at(2)), [Action::Stop(0, GRACE)], "the last one has gone");
    pod.exited(0, exit(137, 1, 3), at(3));
    assert!(pod.over());
    assert_eq!(pod.phase(), Phase::Succeeded, "how a sidecar ends does not count");
}

#[test]
fn each_wait_is_twice_the_one_before_and_a_long_run_is_forgiven() {
    let mut pod = machine(vec![seed("main", Role::Main)], Restart::Always);
    let mut now = 0;
    for wait in [0, 10, 20, 40, 80, 160, 300, 300] {
        assert_eq!(pod.next(at(now)), [Action::Start(0)], "at {now}");
        pod.started(0, at(now));
        pod.exited(0, exit(1, now, now + 1), at(now + 1));
        now += 1;
        if wait > 0 {
            assert_eq!(pod.next(at(now + wait - 1)), []);
            assert_eq!(pod.wake(), Some(at(now + wait)));
        }
        now += wait;
    }
    assert_eq!(pod.units[0].restarts, 7);
    pod.next(at(now));
    pod.started(0, at(now));
    pod.exited(0, exit(1, now, now + 600), at(now + 600));
    assert_eq!(pod.next(at(now + 600)), [Action::Start(0)]);
}

#[test]
fn the_policy_says_what_starts_again_and_how_the_pod_ends() {
    let table = [
        (Restart::Always, 0, Phase::Running),
        (Restart::Always, 1, Phase::Running),
        (Restart::OnFailure, 0, Phase::Succeeded),
        (Restart::OnFailure, 1, Phase::Running),
        (Restart::Never, 0, Phase::Succeeded),
        (Restart::Never, 1, Phase::Failed),
    ];
    for (restart, code, phase) in table {
        let mut pod = machine(vec![seed("main", Role::Main)], restart);
        pod.next(at(0));
        pod.started(0, at(0));
        pod.exited(0, exit(code, 0, 1), at(1));
        let again = pod.next(at(1)) == [Action::Start(0)];
        assert_eq!(
            (pod.phase(), again, pod.over()),
            (phase, phase == Phase::Running, phase != Phase::Running)
        );
    }
}

#[test]
fn a_failed_init_container_ends_a_pod_that_never_restarts() {
    let mut pod = machine(vec![seed("one", Role::Init), seed("main", Role::Main)], Restart::Never);
    pod.next(at(0));
    pod.started(0, at(0));
    pod.exited(0, exit(1, 0, 1), at(1));
    assert_eq!(pod.next(at(1)), []);
    assert_eq!((pod.phase(), pod.over()), (Phase::Failed, true));
}

#[test]
fn what_cannot_be_made_is_tried_again_and_is_no_restart() {
    let mut pod = machine(vec![seed("main", Role::Main)], Restart::Always);
    pod.next(at(0));
    pod.not_started(0, "CreateContainerConfigError", "secret \"a\" not found", at(0));
    assert_eq!((pod.next(at(0)), pod.phase()), (vec![], Phase::Pending));
    assert_eq!(pod.next(at(1)), [Action::Start(0)]);
    pod.started(0, at(1));
    assert_eq!(pod.units[0].restarts, 0);
}

#[test]
fn an_unhealthy_container_is_stopped_once_and_then_starts_again() {
    let live = Seed { readiness: true, ..seed("main", Role::Main) };
    let mut pod = machine(vec![live], Restart::Always);
    pod.next(at(0));
    pod.started(0, at(0));
    assert!(!pod.units[0].ready());
    pod.probed(0, Probe::Readiness, true);
    assert!(pod.units[0].ready());
    assert_eq!(pod.probed(0, Probe::Liveness, false), Some(Action::Stop(0, GRACE)));
    assert_eq!(pod.probed(0, Probe::Liveness, false), None);
    pod.exited(0, exit(137, 0, 5), at(5));
    assert!(!pod.units[0].ready());
    assert_eq!(pod.next(at(5)), [Action::Start(0)]);
    pod.started(0, at(5));
    assert!(!pod.units[0].ready(), "the new run has to answer for itself");
}

#[test]
fn a_deleted_pod_stops_its_containers_first_and_its_sidecars_last_first() {
    let seeds = vec![
        seed("s1", Role::Sidecar),
        seed("s2", Role::Sidecar),
        seed("a", Role::Main),
        seed("b", Role::Main),
    ];
    let mut pod = machine(seeds, Restart::Always);
    for index in 0..4 {
        pod.next(at(0));
        pod.started(index, at(0));
    }
    pod.delete(Duration::from_secs(5));
    let grace = Duration::from_secs(5);
    assert_eq!(pod.next(at(1)), [Action::Stop(2, grace), Action::Stop(3, grace)]);
    assert_eq!(pod.next(at(1)), []);
    pod.exited(2, exit(0, 0, 2), at(2));
    assert_eq!(pod.next(at(2)), []);
    pod.delete(Duration::ZERO);
    assert_eq!(pod.next(at(2)), [Action::Stop(3, Duration::ZERO)], "hurried");
    pod.exited(3, exit(0, 0, 2), at(2));
    assert_eq!(pod.next(at(2)), [Action::Stop(1, Duration::ZERO)]);
    pod.exited(1, exit(0, 0, 2), at(2));
    assert_eq!(pod.next(at(2)), [Action::Stop(0, Duration::ZERO)]);
    assert!(!pod.over());
    pod.exited(0, exit(0, 0, 2), at(2));
    assert!(pod.over());
}

#[test]
fn one_that_is_just_starting_is_stopped_when_it_runs() {
    let mut pod = machine(vec![seed("main", Role::Main)], Restart::Always);
    pod.next(at(0));
    pod.delete(GRACE);
    assert_eq!(pod.next(at(0)), []);
    assert!(!pod.over());
    pod.started(0, at(1));
    assert_eq!(pod.next(at(1)), [Action::Stop(0, GRACE)]);
}

proptest! {
    /// Whatever happens in whatever order: nothing is started twice at a time, and a deleted Pod comes to its end.
    #[test]
    fn no_order_of_events_breaks_a_pod(
        roles in proptest::collection::vec(0..3, 0..4),
        policy in 0..3,
        events in proptest::collection::vec((0_usize..5, 0..6, 0_i64..20), 0..60),
    ) {
        let mut seeds: Vec<Seed> = roles
            .iter()
            .map(|role| seed("i", if *role == 0 { Role::Sidecar } else { Role::Init }))
            .collect();
        seeds.push(seed("main", Role::Main));
        let count = seeds.len();
        let restart = [Restart::Always, Restart::OnFailure, Restart::Never][policy as usize];
        let mut pod = machine(seeds, restart);
        let mut running = vec![false; count];
        let mut now = 0;
        let carry_out = |pod: &mut Machine, running: &mut Vec<bool>, now: i64| {
            for action in pod.next(at(now)) {
                if let Action::Start(index) = action {
                    assert!(!running[index], "started twice");
                    running[index] = true;
                }
            }
        };
        for (index, what, pause) in events {
            now += pause;
            let index = index % count;
            carry_out(&mut pod, &mut running, now);
            match what {
                0 if matches!(pod.units[index].state, State::Starting) => pod.started(index, at(now)),
                1 if matches!(pod.units[index].state, State::Starting) => {
                    running[index] = false;
                    pod.not_started(index, "No", "no", at(now));
                }
                2 | 3 if matches!(pod.units[index].state, State::Running { .. }) => {
                    running[index] = false;
                    pod.exited(index, exit(what - 2, now, now), at(now));
                }
                4 => { pod.probed(index, Probe::Liveness, false); }
                _ => {}
            }
            let _ = pod.phase();
        }
        pod.delete(GRACE);
        for _ in 0..2 * count {
            carry_out(&mut pod, &mut running, now);
            for (index, running) in running.iter_mut().enumerate() {
                match pod.units[index].state {
                    State::Starting => pod.started(index, at(now)),
                    State::Running { .. } => { *running = false; pod.exited(index, exit(0, now, now), at(now)); }
                    _ => {}
                }
            }
        }
        prop_assert!(pod.over());
        prop_assert_eq!(pod.next(at(now + 1000)), []);
        prop_assert_eq!(pod.wake(), None);
    }
}
