//! The connections of the account's devices.

use std::collections::VecDeque;

use bouncer_core::{CapSet, ConnId, Input};
use bytes::Bytes;
use contracts::{Device, Status};
use irc_server::{Outbox, Pushed};
use uuid::Uuid;

use super::Attaching;
use super::actor::{Actor, SUSPENDED};
use crate::store::DeviceRow;

/// A connection of a device.
pub(super) struct Conn {
    pub outbox: Outbox,
    pub device: Uuid,
    pub credential: Uuid,
    /// What the outbox did not take because the connection lags: it goes first when there is room again. Bounded,
    /// because the core is told to stop right after the effects at hand.
    overflow: VecDeque<Bytes>,
    /// The core was told that the connection lags, and is refilling it.
    behind: bool,
}

/// A device as the portal sees it.
pub(super) fn shown(row: &DeviceRow, connections: u32) -> Device {
    Device {
        id: row.id,
        credential: row.credential,
        client: row.client.clone(),
        software: row.software.clone(),
        connections,
        last_seen: row.last_seen_us / 1_000_000,
    }
}

impl Actor {
    pub(super) fn attach(&mut self, attaching: Attaching) {
        let Attaching { conn, mut attach, device, outbox } = attaching;
        if self.account.status != Status::Active {
            outbox.close(SUSPENDED);
            return;
        }
        if self.stopping() {
            outbox.close("The bouncer is being restarted. Your client can connect again in a moment.");
            return;
        }
        let newest = self.seen.entry(device.id).or_default();
        for &(network, cursor) in &attach.cursors {
            newest.entry(network).or_insert(cursor);
        }
        attach.cursors = newest.iter().map(|(network, cursor)| (*network, *cursor)).collect();
        self.context.metrics.devices.inc();
        let of_device = |conns: &std::collections::HashMap<ConnId, Conn>| {
            u32::try_from(conns.values().filter(|conn| conn.device == device.id).count()).unwrap_or(u32::MAX)
        };
        self.conns.insert(
            conn,
            Conn {
                outbox,
                device: device.id,
                credential: device.credential,
                overflow: VecDeque::new(),
                behind: false,
            },
        );
        self.resident.board.set_device(shown(&device, of_device(&self.conns)));
        self.input(Input::Attach { conn, attach });
    }

    pub(super) fn device_lines(&mut self, conn: ConnId, lines: &[Bytes]) {
        for line in lines {
            if !self.conns.contains_key(&conn) {
                return;
            }
            self.input(Input::DeviceLine { conn, line });
        }
    }

    /// Queues lines for a connection. What a lagging one does not take waits here for its turn.
    pub(super) fn push(&mut self, id: ConnId, bytes: Bytes) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if !conn.overflow.is_empty() {
            conn.overflow.push_back(bytes);
            return;
        }
        match conn.outbox.push(bytes.clone()) {
            Pushed::Taken => self.dirty.push(id),
            Pushed::Lagging => conn.overflow.push_back(bytes),
            Pushed::Closed => return,
        }
        if conn.outbox.lagging() && !conn.behind {
            conn.behind = true;
            self.lagging.push_back(id);
        }
    }

    /// A lagging connection has room: first what it was owed, then the core may refill it.
    pub(super) fn device_drained(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        self.dirty.push(id);
        while let Some(bytes) = conn.overflow.pop_front() {
            if conn.outbox.push(bytes.clone()) == Pushed::Lagging {
                conn.overflow.push_front(bytes);
                return;
            }
        }
        if !conn.outbox.lagging() {
            conn.behind = false;
            self.input(Input::Drained { conn: id });
        }
    }

    pub(super) fn offer(&mut self, id: ConnId, caps: CapSet) {
        if let Some(conn) = self.conns.get(&id) {
            // What was pushed before is in order with the CAP NEW and CAP DEL that follow.
            conn.outbox.offer(crate::caps::offer(caps));
        }
    }

    pub(super) fn close_conn(&mut self, id: ConnId, reason: &str) {
        if let Some(conn) = self.conns.get_mut(&id) {
            for bytes in conn.overflow.drain(..) {
                let _ = conn.outbox.push(bytes);
            }
            conn.outbox.flush();
            conn.outbox.close(reason);
        }
    }

    pub(super) fn close_conns(&mut self, which: impl Fn(&Conn) -> bool, reason: &str) {
        for conn in self.conns.values().filter(|conn| which(conn)) {
            conn.outbox.close(reason);
        }
    }

    pub(super) fn device_closed(&mut self, id: ConnId) {
        let Some(conn) = self.conns.remove(&id) else { return };
        self.context.metrics.devices.dec();
        self.input(Input::Detach { conn: id });
        let left = self.conns.values().filter(|other| other.device == conn.device).count();
        self.resident.board.change_device(conn.device, |device| {
            device.connections = u32::try_from(left).unwrap_or(u32::MAX);
            device.last_seen = service::clock::now_s();
        });
        let (context, sub, device) = (self.context.clone(), self.resident.sub, conn.device);
        tokio::spawn(async move {
            if let Err(error) = context.store.device_seen(sub, device, None).await {
                tracing::warn!(%sub, %error, "when a device was last seen could not be kept");
            }
        });
    }
}
