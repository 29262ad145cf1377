//! Asking a container whether it has started, lives and is ready.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::machine::Probe;
use super::plan::{Check, ProbePlan};
use super::runc::Runc;

/// The container that is asked.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The Pod's address.
    pub address: String,
    /// The container's id.
    pub id: String,
    /// Where it runs.
    pub runc: Runc,
}

/// Asks for as long as it is not dropped, and tells `tell` each time an answer changes: the startup probe first, and
/// the others once that has passed.
pub async fn watch(subject: Subject, probes: Vec<ProbePlan>, tell: impl Fn(Probe, bool) + Clone) {
    let (startup, others): (Vec<_>, Vec<_>) =
        probes.into_iter().partition(|probe| probe.kind == Probe::Startup);
    for probe in startup {
        // A container that does not start is killed by whoever hears of it, and this future goes with it.
        if !follow(&subject, &probe, &tell, true).await {
            return;
        }
    }
    let mut others = others.into_iter();
    let first = others.next();
    let second = others.next();
    let one = |probe: Option<ProbePlan>| {
        let (subject, tell) = (subject.clone(), tell.clone());
        async move {
            if let Some(probe) = probe {
                follow(&subject, &probe, &tell, false).await;
            }
        }
    };
    tokio::join!(one(first), one(second));
}

/// One probe; `once` ends it at its first verdict, which it gives back.
async fn follow(subject: &Subject, probe: &ProbePlan, tell: &impl Fn(Probe, bool), once: bool) -> bool {
    tokio::time::sleep(probe.delay).await;
    let mut tally = Tally::new(probe.successes, probe.failures);
    loop {
        let began = tokio::time::Instant::now();
        let healthy = ask(subject, probe).await.is_ok();
        if let Some(verdict) = tally.count(healthy) {
            tell(probe.kind, verdict);
            if once {
                return verdict;
            }
        }
        tokio::time::sleep_until(began + probe.period).await;
    }
}

/// Answers in a row.
#[derive(Debug)]
pub struct Tally {
    successes: u32,
    failures: u32,
    row: (bool, u32),
    verdict: Option<bool>,
}

impl Tally {
    /// So many in a row make a verdict.
    pub fn new(successes: u32, failures: u32) -> Self {
        Self { successes, failures, row: (false, 0), verdict: None }
    }

    /// Counts an answer; a verdict that differs from the last one comes out. A failure verdict comes each time the row
    /// is full again, so that a container that was killed for it and lives on is killed again.
    pub fn count(&mut self, healthy: bool) -> Option<bool> {
        self.row = if self.row.0 == healthy { (healthy, self.row.1 + 1) } else { (healthy, 1) };
        let needed = if healthy { self.successes } else { self.failures };
        if self.row.1 < needed || (healthy && self.verdict == Some(true)) {
            return None;
        }
        self.row.1 = 0;
        self.verdict = Some(healthy);
        self.verdict
    }
}

/// One question: an error says why the answer is no.
async fn ask(subject: &Subject, probe: &ProbePlan) -> Result<()> {
    let limited = tokio::time::timeout(probe.timeout, answer(subject, &probe.check, probe.timeout));
    limited.await.context("no answer in time")?
}

async fn answer(subject: &Subject, check: &Check, timeout: Duration) -> Result<()> {
    match check {
        Check::Exec(words) => {
            let output = subject.runc.exec(&subject.id, words, timeout).await?;
            ensure!(output.status.success(), "the command ended with {}", output.status);
            Ok(())
        }
        Check::Tcp { host, port } => {
            let host = host.as_deref().unwrap_or(&subject.address);
            TcpStream::connect((host, *port)).await.context("connecting").map(drop)
        }
        Check::Http { host, port, path, tls, headers } => {
            let host = host.as_deref().unwrap_or(&subject.address);
            let stream = TcpStream::connect((host, *port)).await.context("connecting")?;
            let request = request(host, *port, path, headers);
            if *tls {
                let name = rustls::pki_types::ServerName::try_from(host.to_owned())?;
                let connector = tokio_rustls::TlsConnector::from(Arc::new(crate::irc::any_certificate()?));
                page(connector.connect(name, stream).await?, &request).await
            } else {
                page(stream, &request).await
            }
        }
    }
}

fn request(host: &str, port: u16, path: &str, headers: &[(String, String)]) -> String {
    let mut text = format!("GET {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str(&format!("Host: {host}:{port}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("User-Agent: kube-probe/testkit\r\nConnection: close\r\n\r\n");
    text
}

async fn page(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Result<()> {
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    let mut chunk = [0; 256];
    while !head.contains(&b'\n') && head.len() < 4096 {
        match stream.read(&mut chunk).await? {
            0 => break,
            count => head.extend_from_slice(&chunk[..count]),
        }
    }
    match status(&head) {
        Some(200..=399) => Ok(()),
        Some(status) => bail!("it answered {status}"),
        None => bail!("it answered no HTTP"),
    }
}

/// The status in the first line of an answer.
pub fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    words.next()?.strip_prefix("HTTP/1.")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
