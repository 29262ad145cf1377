use std::sync::Arc;

use futures_util::StreamExt as _;
use service::watched::{State, Watched};

/// Numbers, some of them of one watcher and some of another.
#[derive(Default)]
struct Numbers(Vec<(char, u32)>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Everything(Vec<u32>),
    Another(u32),
}

impl State for Numbers {
    type Watcher = char;
    type Change = Told;

    fn everything(&self, of: char) -> Told {
        Told::Everything(self.0.iter().filter(|(owner, _)| *owner == of).map(|(_, n)| *n).collect())
    }
}

fn numbers(most: usize) -> Arc<Watched<Numbers>> {
    Arc::new(Watched::new(Numbers::default(), most))
}

fn add(numbers: &Watched<Numbers>, of: char, n: u32) {
    numbers.write(|state| {
        state.0.push((of, n));
        Some((of, Told::Another(n)))
    });
}

#[tokio::test]
async fn a_watcher_begins_with_everything_and_goes_on_with_changes() {
    let numbers = numbers(8);
    add(&numbers, 'a', 1);
    let mut watch = numbers.watch('a', None);
    assert_eq!(watch.next().await.unwrap().1, Told::Everything(vec![1]));
    add(&numbers, 'a', 2);
    assert_eq!(watch.next().await.unwrap().1, Told::Another(2));
}

#[tokio::test]
async fn a_watcher_comes_back_exactly_where_it_left() {
    let numbers = numbers(100);
    let (cursor, _) = numbers.watch('a', None).next().await.unwrap();
    for n in 1..=70 {
        add(&numbers, 'a', n);
    }
    let mut watch = numbers.watch('a', Some(cursor));
    let mut last = cursor;
    for n in 1..=40 {
        let (cursor, change) = watch.next().await.unwrap();
        assert_eq!(change, Told::Another(n));
        assert!(cursor > last);
        last = cursor;
    }
    assert_eq!(numbers.watch('a', Some(last)).next().await.unwrap().1, Told::Another(41));
}

#[tokio::test]
async fn one_that_was_away_too_long_gets_everything_again_and_then_goes_on() {
    let numbers = numbers(2);
    let (cursor, _) = numbers.watch('a', None).next().await.unwrap();
    for n in 1..=3 {
        add(&numbers, 'a', n);
    }
    let of_another_life = [7, u64::MAX];
    for after in [cursor].into_iter().chain(of_another_life) {
        let mut watch = numbers.watch('a', Some(after));
        assert!(matches!(watch.next().await.unwrap().1, Told::Everything(all) if all.len() >= 3));
        add(&numbers, 'a', 4);
        assert_eq!(watch.next().await.unwrap().1, Told::Another(4));
    }
}

#[tokio::test]
async fn nobody_sees_what_is_anothers_and_it_pushes_nobody_who_waits_out_of_the_ring() {
    let numbers = numbers(4);
    let mut watch = numbers.watch('a', None);
    assert_eq!(watch.next().await.unwrap().1, Told::Everything(Vec::new()));
    for round in 0..10 {
        for n in 0..3 {
            add(&numbers, 'b', n);
        }
        add(&numbers, 'a', round);
        assert_eq!(watch.next().await.unwrap().1, Told::Another(round));
    }
}

#[tokio::test]
async fn what_did_not_change_is_not_told() {
    let numbers = numbers(8);
    let mut watch = numbers.watch('a', None);
    watch.next().await.unwrap();
    numbers.write(|_| None);
    add(&numbers, 'a', 5);
    assert_eq!(watch.next().await.unwrap().1, Told::Another(5));
}

#[tokio::test]
async fn a_watcher_that_reads_nothing_costs_the_writer_nothing() {
    let numbers = numbers(8);
    let mut slow = numbers.watch('a', None);
    slow.next().await.unwrap();
    for n in 0..10_000 {
        add(&numbers, 'a', n);
    }
    assert!(matches!(slow.next().await.unwrap().1, Told::Everything(all) if all.len() == 10_000));
}

#[tokio::test]
async fn every_watch_ends_when_there_is_nothing_to_watch_any_more() {
    let numbers = numbers(8);
    let mut waiting = numbers.watch('a', None);
    waiting.next().await.unwrap();
    add(&numbers, 'a', 1);
    numbers.close(Numbers::default());
    assert_eq!(waiting.next().await, None);
    assert_eq!(numbers.watch('a', None).next().await, None);
    assert!(numbers.read(|state| state.0.is_empty()));
}
