//! The account's streams in history: one append at a time for each, in order, everything that waits in one piece.
//! History's own writer makes one commit of what all accounts append.

use std::collections::VecDeque;
use std::time::Instant;

use bouncer_core::{Commit, Entry, Input, Ticket};
use contracts::NetworkId;
use history::{AccountId, NewEntry, StreamId, StreamWriter};

use super::actor::{Actor, Done};
use crate::log;

/// Entries handed to history at once.
const BATCH: usize = 500;

/// One network's stream.
#[derive(Default)]
pub(super) struct Stream {
    writer: Option<StreamWriter>,
    /// Bounded by the core, which says that the stream is not kept when too much is under way.
    waiting: VecDeque<Step>,
    busy: bool,
}

enum Step {
    Append(Waiting),
    NewEpoch,
}

struct Waiting {
    ticket: Ticket,
    /// What is to be stored, or what became of it without history: answers keep the order of the questions.
    entry: Result<Box<NewEntry>, Commit>,
    redacts: Option<Box<str>>,
}

pub(super) struct OpenDone {
    network: NetworkId,
    writer: history::Result<StreamWriter>,
}

pub(super) struct AppendDone {
    network: NetworkId,
    results: Vec<(Ticket, Commit)>,
}

impl Actor {
    pub(super) fn append(&mut self, network: NetworkId, ticket: Ticket, entry: &Entry) {
        let redacts = entry.redacts.clone();
        let Some(net) = self.networks.get_mut(&network) else { return };
        let entry = match log::new_entry(entry) {
            None => Err(Commit::Rejected),
            Some(entry) => Ok(Box::new(entry)),
        };
        self.context.metrics.appends_waiting.inc();
        net.stream.waiting.push_back(Step::Append(Waiting { ticket, entry, redacts }));
    }

    pub(super) fn new_epoch(&mut self, network: NetworkId) {
        if let Some(net) = self.networks.get_mut(&network) {
            net.stream.waiting.push_back(Step::NewEpoch);
        }
    }

    /// Starts what can be started.
    pub(super) fn pump_streams(&mut self) {
        let account = AccountId(self.resident.sub.0);
        let mut begun = Vec::new();
        for (&network, net) in &mut self.networks {
            let stream = &mut net.stream;
            if stream.busy || stream.waiting.is_empty() {
                continue;
            }
            while matches!(stream.waiting.front(), Some(Step::NewEpoch)) {
                stream.waiting.pop_front();
                stream.writer = None;
            }
            if stream.waiting.is_empty() {
                continue;
            }
            stream.busy = true;
            let batch = if stream.writer.is_some() { stream.take() } else { Vec::new() };
            begun.push((network, stream.writer, batch));
        }
        for (network, writer, batch) in begun {
            let history = self.context.history.clone();
            match writer {
                None => self.run_beside(async move {
                    let writer = history.open_stream(account, StreamId(network.0)).await;
                    Done::Opened(OpenDone { network, writer })
                }),
                Some(writer) => {
                    let metrics = self.context.metrics.clone();
                    metrics.appends_waiting.dec_by(i64::try_from(batch.len()).unwrap_or(0));
                    self.run_beside(async move {
                        let began = Instant::now();
                        let results = append(&history, writer, batch).await;
                        metrics.append_seconds.observe(began.elapsed().as_secs_f64());
                        let refused = results.iter().filter(|(_, commit)| *commit == Commit::Refused).count();
                        metrics.appends_refused.inc_by(refused as u64);
                        Done::Appended(AppendDone { network, results })
                    });
                }
            }
        }
    }

    pub(super) fn stream_opened(&mut self, done: OpenDone) {
        let Some(net) = self.networks.get_mut(&done.network) else { return };
        net.stream.busy = false;
        match done.writer {
            Ok(writer) => net.stream.writer = Some(writer),
            Err(error) => {
                tracing::warn!(sub = %self.resident.sub, network = %done.network, %error, "a stream cannot be opened");
                let refused: Vec<_> =
                    net.stream.take().into_iter().map(|waiting| (waiting.ticket, Commit::Refused)).collect();
                self.context.metrics.appends_waiting.dec_by(i64::try_from(refused.len()).unwrap_or(0));
                self.context.metrics.appends_refused.inc_by(refused.len() as u64);
                self.commit(done.network, &refused);
            }
        }
    }

    pub(super) fn appended(&mut self, done: AppendDone) {
        if let Some(net) = self.networks.get_mut(&done.network) {
            net.stream.busy = false;
        }
        self.commit(done.network, &done.results);
    }

    fn commit(&mut self, network: NetworkId, results: &[(Ticket, Commit)]) {
        self.input(Input::Committed { network: bouncer_core::NetworkId(network.0), results });
    }
}

impl Stream {
    fn take(&mut self) -> Vec<Waiting> {
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(Step::Append(waiting)) =
                self.waiting.pop_front_if(|step| matches!(step, Step::Append(_)))
        {
            batch.push(waiting);
        }
        batch
    }
}

async fn append(
    history: &history::History,
    writer: StreamWriter,
    batch: Vec<Waiting>,
) -> Vec<(Ticket, Commit)> {
    let mut entries = Vec::with_capacity(batch.len());
    let mut redactions = Vec::new();
    let mut answers: Vec<(Ticket, Result<String, Commit>)> = Vec::with_capacity(batch.len());
    for Waiting { ticket, entry, redacts } in batch {
        let answer = entry.map(|entry| {
            let msgid = entry.msgid.clone().unwrap_or_default();
            entries.push(*entry);
            redactions.extend(redacts);
            msgid
        });
        answers.push((ticket, answer));
    }
    let mut results = match history.append(&writer, entries).await {
        Ok(results) => results.into_iter(),
        Err(error) => {
            tracing::warn!(%error, "history did not take an append");
            Vec::new().into_iter()
        }
    };
    for msgid in redactions {
        redact(history, writer, &msgid).await;
    }
    let commit = |(ticket, answer): (Ticket, Result<String, Commit>)| match answer {
        Err(commit) => (ticket, commit),
        Ok(msgid) => (ticket, results.next().map_or(Commit::Refused, |result| log::commit(&msgid, result))),
    };
    answers.into_iter().map(commit).collect()
}

/// What was taken back goes from the log too, before anybody is told.
async fn redact(history: &history::History, writer: StreamWriter, msgid: &str) {
    match history.redact(writer.account, writer.stream, msgid).await {
        Ok(_) | Err(history::Error::NoSuchMessage) => {}
        Err(error) => tracing::error!(%error, "a redacted message is still in history"),
    }
}
