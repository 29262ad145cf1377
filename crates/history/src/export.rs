//! An account's history as JSON lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use serde::Serialize;

use crate::{AccountId, Buffer, Entry, Error, History, Kind, Position, Result, StreamId};

/// How many entries are held in memory at once.
const PIECE: usize = 500;

/// One line of the export. What is not UTF-8 is given as base64 beside an empty text.
#[derive(Serialize)]
struct Line<'a> {
    stream: StreamId,
    position: String,
    time_ms: i64,
    kind: Kind,
    buffers: Vec<String>,
    source: String,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_base64: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    meta: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta_base64: Option<String>,
    msgid: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    redacted: bool,
}

/// Where the export stands.
struct Walk {
    history: History,
    account: AccountId,
    left: Option<Vec<StreamId>>,
    at: Option<(StreamId, Option<Position>)>,
}

pub(crate) fn lines(history: History, account: AccountId) -> BoxStream<'static, Result<Bytes>> {
    let walk = Walk { history, account, left: None, at: None };
    stream::try_unfold(walk, |mut walk| async move {
        let piece = walk.next().await?;
        Ok::<_, Error>(piece.map(|bytes| (bytes, walk)))
    })
    .boxed()
}

impl Walk {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.left.is_none() {
                self.left = Some(self.history.store.streams(self.account).await?);
            }
            let (stream, after) = match self.at {
                Some(at) => at,
                None => match self.left.as_mut().and_then(Vec::pop) {
                    Some(stream) => (stream, None),
                    None => return Ok(None),
                },
            };
            let rows = self.history.store.export(self.account, stream, after, PIECE).await?;
            let Some(last) = rows.last() else {
                self.at = None;
                continue;
            };
            self.at = Some((stream, Some(last.0.position)));
            let mut out = Vec::with_capacity(rows.len() * 200);
            for (entry, buffers) in &rows {
                write_line(&mut out, stream, entry, buffers)?;
            }
            return Ok(Some(Bytes::from(out)));
        }
    }
}

fn write_line(out: &mut Vec<u8>, stream: StreamId, entry: &Entry, buffers: &[Buffer]) -> Result<()> {
    let text = std::str::from_utf8(&entry.body).ok();
    let meta = std::str::from_utf8(&entry.meta).ok();
    let line = Line {
        stream,
        position: entry.position.to_string(),
        time_ms: entry.ts_ms,
        kind: entry.kind,
        buffers: buffers.iter().map(|buffer| String::from_utf8_lossy(&buffer.0).into_owned()).collect(),
        source: String::from_utf8_lossy(&entry.source).into_owned(),
        target: String::from_utf8_lossy(&entry.target).into_owned(),
        text,
        text_base64: text.is_none().then(|| STANDARD.encode(&entry.body)),
        meta: meta.unwrap_or_default(),
        meta_base64: meta.is_none().then(|| STANDARD.encode(&entry.meta)),
        msgid: &entry.msgid,
        redacted: entry.redacted,
    };
    serde_json::to_writer(&mut *out, &line).map_err(|cause| Error::Unavailable(cause.to_string()))?;
    out.push(b'\n');
    Ok(())
}
