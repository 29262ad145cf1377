//! The writing half: the outbox to the socket, as much in one write as is there.

use std::future::poll_fn;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::timeout;

use super::{End, Setting, lock};
use crate::backend::Backend;
use crate::metrics::DoorMetrics;
use crate::outbox::Outbox;
use crate::wire::Wire;

/// One `writev` for all that was flushed together, until the end.
pub(super) async fn write<B: Backend>(wire: &Mutex<Wire>, outbox: &Outbox, setting: &Setting<'_, B>) -> End {
    let stall = setting.config.stall_timeout;
    loop {
        if !poll_fn(|cx| outbox.poll_take(cx, &mut lock(wire).outgoing)).await {
            return End::by_backend(outbox.closing().unwrap_or_default());
        }
        match write_all(stall, wire, outbox, setting.metrics).await {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                let text = format!("You took in nothing for {} s.", stall.as_secs());
                return End::by_door("stalled", text);
            }
            Err(error) => return End::broken(&error),
        }
    }
}

/// Writes everything taken; `TimedOut` if no byte goes out for `stall`.
async fn write_all(
    stall: Duration,
    wire: &Mutex<Wire>,
    outbox: &Outbox,
    metrics: &DoorMetrics,
) -> io::Result<()> {
    while !lock(wire).is_written() {
        let lagging = outbox.lagging();
        let written = timeout(stall, poll_fn(|cx| lock(wire).poll_write(cx))).await??;
        outbox.wrote(written);
        metrics.bytes_out.inc_by(written as u64);
        if lagging && !outbox.lagging() {
            metrics.lagged.inc();
        }
    }
    timeout(stall, poll_fn(|cx| lock(wire).poll_flush(cx))).await?
}
