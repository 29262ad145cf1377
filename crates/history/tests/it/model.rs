//! Random appends, redactions and prunings against a model in memory.

use std::collections::BTreeMap;

use history::{Anchor, Buffer, Kind, Kinds, NewEntry, Position, Range, Since};
use proptest::prelude::*;

use crate::engines::{Fixture, START, said_in};

/// What may happen to a stream.
#[derive(Clone, Debug)]
enum Step {
    /// Said in some buffers, at some time before now, maybe under a msgid.
    Say {
        buffers: Vec<u8>,
        ago: i64,
        kind: Kind,
        msgid: Option<u8>,
        body: u8,
    },
    Reopen,
    Redact(u8),
    Prune(i64),
    Pass(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![Just(Kind::Privmsg), Just(Kind::Join), Just(Kind::Quit)];
    let say =
        (proptest::collection::vec(0..3u8, 1..3), -2..30i64, kind, proptest::option::of(0..6u8), 0..2u8)
            .prop_map(|(buffers, ago, kind, msgid, body)| Step::Say { buffers, ago, kind, msgid, body });
    let step = prop_oneof![
        12 => say,
        1 => Just(Step::Reopen),
        1 => (0..6u8).prop_map(Step::Redact),
        1 => (0..25i64).prop_map(Step::Prune),
        2 => (0..10i64).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..40)
}

/// An entry as the model keeps it.
#[derive(Clone, Debug)]
struct Kept {
    ts: i64,
    kind: Kind,
    body: String,
    target: String,
    buffers: Vec<String>,
    msgid: String,
    redacted: bool,
}

#[derive(Default)]
struct Model {
    entries: BTreeMap<Position, Kept>,
}

impl Model {
    fn buffer(&self, buffer: &str) -> Vec<&Kept> {
        let mut found: Vec<&Kept> =
            self.entries.values().filter(|kept| kept.buffers.iter().any(|b| b == buffer)).collect();
        found.sort_by_key(|kept| kept.ts);
        found
    }

    fn free(&self, buffers: &[String], mut ts: i64) -> i64 {
        while self.entries.values().any(|k| k.ts == ts && k.buffers.iter().any(|b| buffers.contains(b))) {
            ts += 1;
        }
        ts
    }
}

async fn agrees(f: Fixture, steps: Vec<Step>) {
    let mut model = Model::default();
    let mut writer = f.writer().await;
    let mut now = START;
    for step in steps {
        match step {
            Step::Pass(ms) => {
                f.pass(ms);
                now += ms;
            }
            Step::Reopen => writer = f.writer().await,
            Step::Prune(ago) => {
                let removed = f.history.prune(f.account, now - ago).await.unwrap();
                let before = model.entries.len();
                model.entries.retain(|_, kept| kept.ts >= now - ago);
                assert_eq!(removed, (before - model.entries.len()) as u64);
            }
            Step::Redact(number) => {
                let msgid = format!("m{number}");
                let done = f.history.redact(f.account, f.stream, &msgid).await;
                let kept = model.entries.iter_mut().find(|(_, kept)| kept.msgid == msgid);
                assert_eq!(done.ok(), kept.as_ref().map(|(position, _)| **position));
                if let Some((_, kept)) = kept {
                    kept.redacted = true;
                    kept.body.clear();
                }
            }
            Step::Say { buffers, ago, kind, msgid, body } => {
                let mut buffers: Vec<String> = buffers.iter().map(|b| format!("#{b}")).collect();
                let body = format!("word{body}");
                let msgid = msgid.map(|number| format!("m{number}"));
                let entry = NewEntry {
                    ts_ms: Some(now - ago),
                    kind,
                    msgid: msgid.clone(),
                    buffers: buffers.iter().map(Buffer::from).collect(),
                    ..said_in(&buffers[0], &body)
                };
                let stored = f.put(&writer, entry).await;
                buffers.dedup();
                let target = buffers[0].clone();
                let first = model.entries.iter().find(|(_, kept)| Some(&kept.msgid) == msgid.as_ref());
                if let Some((position, kept)) = first
                    && kept.target == target
                    && kept.kind == kind
                    && (kept.redacted || kept.body == body)
                {
                    assert!(stored.duplicate);
                    assert_eq!((stored.position, stored.ts_ms), (*position, kept.ts));
                    continue;
                }
                assert!(!stored.duplicate);
                assert_eq!(Some(&stored.msgid) == msgid.as_ref(), first.is_none() && msgid.is_some());
                let ts = model.free(&buffers, (now - ago).min(now));
                assert_eq!(stored.ts_ms, ts);
                let newest = model.entries.last_key_value().map(|(position, _)| *position);
                assert!(newest < Some(stored.position));
                let kept = Kept { ts, kind, body, target, buffers, msgid: stored.msgid, redacted: false };
                model.entries.insert(stored.position, kept);
            }
        }
    }
    compare(&f, &model).await;
}

async fn compare(f: &Fixture, model: &Model) {
    for number in 0..3 {
        let name = format!("#{number}");
        let said = model.buffer(&name);
        for at in (-35..40).step_by(5).map(|ms| START + ms) {
            for limit in [1, 3, 100] {
                let before: Vec<i64> = said.iter().map(|k| k.ts).filter(|ts| *ts < at).collect();
                let after: Vec<i64> = said.iter().map(|k| k.ts).filter(|ts| *ts > at).take(limit).collect();
                let read = times(f, &name, Range::Before(Anchor::Time(at)), limit).await;
                assert_eq!(read, before[before.len().saturating_sub(limit)..]);
                assert_eq!(times(f, &name, Range::After(Anchor::Time(at)), limit).await, after);
            }
        }
        let read = f
            .history
            .page(f.account, f.stream, &Buffer::from(&name), Range::Latest, Kinds::MESSAGES, 100)
            .await
            .unwrap();
        let read: Vec<_> = read.iter().map(|e| (e.ts_ms, e.body.clone(), e.msgid.clone())).collect();
        let said: Vec<_> = said
            .iter()
            .filter(|kept| Kinds::MESSAGES.contains(kept.kind))
            .map(|kept| (kept.ts, bytes::Bytes::from(kept.body.clone()), kept.msgid.clone()))
            .collect();
        assert_eq!(read, said);
    }
    let mut read = Vec::new();
    let mut since = Since::Start;
    loop {
        let page = f.history.since(f.account, f.stream, since, Kinds::ALL, 3).await.unwrap();
        read.extend(page.entries.iter().map(|e| (e.position, e.ts_ms)));
        match page.next {
            Some(next) => since = Since::Position(next),
            None => break,
        }
    }
    let said: Vec<_> = model.entries.iter().map(|(position, kept)| (*position, kept.ts)).collect();
    assert_eq!(read, said);
    for word in ["word0", "word1"] {
        let search = history::Search { text: Some(word.into()), limit: 100, ..history::Search::default() };
        let found = f.history.search(f.account, search).await.unwrap().hits.len();
        let said = model.entries.values().filter(|k| k.kind == Kind::Privmsg && k.body == word).count();
        assert_eq!(found, said);
    }
}

async fn times(f: &Fixture, buffer: &str, range: Range, limit: usize) -> Vec<i64> {
    let page = f.history.page(f.account, f.stream, &Buffer::from(buffer), range, Kinds::ALL, limit).await;
    page.unwrap().into_iter().map(|entry| entry.ts_ms).collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_agrees_with_the_model(steps in steps()) {
        runtime().block_on(async { agrees(Fixture::sqlite().await, steps).await });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn postgres_agrees_with_the_model(steps in steps()) {
        runtime().block_on(async {
            if let Some(fixture) = Fixture::postgres().await {
                agrees(fixture, steps).await;
            }
        });
    }
}
