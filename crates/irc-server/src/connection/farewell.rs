//! The end of a connection: its last lines arrive if they can.

use std::future::poll_fn;
use std::sync::Mutex;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::time::timeout;

use super::{End, lock};
use crate::outbox::Outbox;
use crate::wire::Wire;

/// How much of a parting client is read and dropped, and for how long.
const MOST_DROPPED: u64 = 1024 * 1024;
const LAST_LOOK: Duration = Duration::from_secs(1);

/// The last lines, ERROR, and the end of our side. Whether all of it was written.
pub(super) async fn say_last(wire: &Mutex<Wire>, outbox: &Outbox, end: &End, linger: Duration) -> bool {
    let rest = outbox.finish();
    let Some(last) = end.last_line() else { return false };
    {
        let mut wire = lock(wire);
        wire.outgoing.extend(rest);
        wire.outgoing.push_back(last);
    }
    let said = timeout(linger, async {
        while !lock(wire).is_written() {
            poll_fn(|cx| lock(wire).poll_write(cx)).await?;
        }
        poll_fn(|cx| lock(wire).poll_flush(cx)).await?;
        poll_fn(|cx| lock(wire).poll_close(cx)).await
    });
    matches!(said.await, Ok(Ok(())))
}

/// What the client still sends is read and dropped for a moment, because a socket closed with unread bytes in it takes
/// its last words back.
pub(super) async fn last_look(wire: &Mutex<Wire>) {
    let mut dropped = 0_u64;
    let drain = poll_fn(|cx| {
        loop {
            let mut wire = lock(wire);
            let before = wire.read;
            let open = ready!(wire.poll_read(cx, &mut |_| {}));
            dropped += wire.read - before;
            if !matches!(open, Ok(true)) || dropped > MOST_DROPPED {
                return Poll::Ready(());
            }
        }
    });
    let _ = timeout(LAST_LOOK, drain).await;
}
