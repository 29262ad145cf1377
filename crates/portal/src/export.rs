//! The export of an account: one `tar.gz` over what every service keeps, written as it is read. No more than a
//! megabyte of it is in memory at once: a file whose size is not known yet waits in a temporary file.

use std::io::{self, Seek as _, SeekFrom, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contracts::{AccountData, Call, CallResult, ExportChunk};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use tempfile::SpooledTempFile;
use tokio::sync::mpsc;

/// How long one service may take for its part.
const PATIENCE: Duration = Duration::from_secs(600);
/// How much of one file stays in memory.
const IN_MEMORY: usize = 1 << 20;
/// How much of the archive waits for a slow reader, in pieces of at most 64 KiB.
const QUEUE: usize = 8;

/// One service's files, not read yet.
type Source = (&'static str, BoxStream<'static, CallResult<ExportChunk>>);

/// What goes to the thread that writes the archive.
enum Piece {
    Bytes { service: &'static str, chunk: ExportChunk },
    Failed(String),
    End,
}

/// Asks every service for its files, then streams the archive. A service that does not answer fails the whole before
/// the first byte; one that stops half-way cuts the download, so that nobody takes half an archive for a whole one.
pub(crate) async fn archive(
    services: &[Arc<dyn AccountData>],
    call: &Call,
    at: i64,
) -> CallResult<impl Stream<Item = io::Result<Bytes>> + Send + 'static> {
    let mut call = call.clone();
    call.timeout = PATIENCE;
    let mut sources: Vec<Source> = Vec::with_capacity(services.len());
    for service in services {
        sources.push((service.service(), service.export(&call).await?));
    }
    let (pieces, from_services) = mpsc::channel(QUEUE);
    let (out, archive) = mpsc::channel(QUEUE);
    tokio::spawn(read_all(sources, pieces));
    let failed = out.clone();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = write_archive(from_services, out, at) {
            tracing::warn!(%error, "an export ended early");
            // The reader may be gone, which is no news.
            let _ = failed.blocking_send(Err(error));
        }
    });
    Ok(futures_util::stream::unfold(archive, |mut archive| async move {
        archive.recv().await.map(|piece| (piece, archive))
    }))
}

async fn read_all(sources: Vec<Source>, pieces: mpsc::Sender<Piece>) {
    for (service, mut chunks) in sources {
        while let Some(chunk) = chunks.next().await {
            let piece = match chunk {
                Ok(chunk) => Piece::Bytes { service, chunk },
                Err(error) => Piece::Failed(format!("{service}: {error}")),
            };
            let last = matches!(piece, Piece::Failed(_));
            if pieces.send(piece).await.is_err() || last {
                return;
            }
        }
    }
    // Whoever reads is gone if this fails.
    let _ = pieces.send(Piece::End).await;
}

fn write_archive(
    mut pieces: mpsc::Receiver<Piece>,
    out: mpsc::Sender<io::Result<Bytes>>,
    at: i64,
) -> io::Result<()> {
    let writer = io::BufWriter::with_capacity(64 << 10, ChannelWriter(out));
    let mut archive = tar::Builder::new(GzEncoder::new(writer, Compression::default()));
    let mut open: Option<(String, SpooledTempFile)> = None;
    loop {
        match pieces.blocking_recv() {
            Some(Piece::Bytes { service, chunk }) => {
                let path = path_of(service, &chunk.path);
                if open.as_ref().is_none_or(|(name, _)| *name != path) {
                    close(&mut archive, open.take(), at)?;
                    open = Some((path, SpooledTempFile::new(IN_MEMORY)));
                }
                if let Some((_, file)) = &mut open {
                    file.write_all(&chunk.bytes)?;
                }
            }
            Some(Piece::Failed(reason)) => return Err(io::Error::other(reason)),
            Some(Piece::End) => break,
            None => return Err(io::Error::other("the services stopped answering")),
        }
    }
    close(&mut archive, open.take(), at)?;
    archive.into_inner()?.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(())
}

fn close<W: Write>(
    archive: &mut tar::Builder<W>,
    file: Option<(String, SpooledTempFile)>,
    at: i64,
) -> io::Result<()> {
    let Some((path, mut file)) = file else { return Ok(()) };
    let size = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(at).unwrap_or(0));
    archive.append_data(&mut header, path, &mut file)
}

/// The file's place in the archive: below the service's folder, whatever the service calls it.
pub(crate) fn path_of(service: &str, path: &str) -> String {
    let safe: Vec<&str> =
        path.split(['/', '\\']).filter(|part| !part.is_empty() && *part != "." && *part != "..").collect();
    format!("irc-now/{service}/{}", if safe.is_empty() { "data".to_owned() } else { safe.join("/") })
}

/// Hands written bytes to the response; waits while the reader is slow.
struct ChannelWriter(mpsc::Sender<io::Result<Bytes>>);

impl Write for ChannelWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .blocking_send(Ok(Bytes::copy_from_slice(bytes)))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_never_leaves_its_service_folder() {
        assert_eq!(path_of("bouncer", "../../etc/passwd"), "irc-now/bouncer/etc/passwd");
        assert_eq!(path_of("history", "/libera/#rust.jsonl"), "irc-now/history/libera/#rust.jsonl");
        assert_eq!(path_of("auth", ""), "irc-now/auth/data");
    }
}
