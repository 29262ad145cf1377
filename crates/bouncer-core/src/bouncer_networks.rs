//! `soju.im/bouncer-networks`, from its public description: networks listed, added, changed, removed, and told of.

use crate::device::burst::plain_line;
use crate::network::{Network, Phase};
use crate::user::User;
use crate::wire::{Line, Writer, attributes as parse, escape};
use crate::{Cap, CapSet, ConnId, Effect, NetworkChange, NetworkId, NetworkSetup, Request, RequestId};

/// Who waits for a wish, and how it is answered.
#[derive(Debug, Clone)]
pub(crate) enum Wish {
    /// `BOUNCER <subcommand>`.
    Bouncer { conn: ConnId, subcommand: &'static str, netid: Box<str>, label: Option<Vec<u8>> },
    /// A command to `BouncerServ`: what is said once it is done.
    Service { conn: ConnId, done: String },
}

impl Wish {
    pub fn conn(&self) -> ConnId {
        match self {
            Self::Bouncer { conn, .. } | Self::Service { conn, .. } => *conn,
        }
    }
}

fn put(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    if !out.is_empty() {
        out.push(b';');
    }
    out.extend_from_slice(key.as_bytes());
    if !value.is_empty() {
        out.push(b'=');
        escape(out, value);
    }
}

fn put_state(out: &mut Vec<u8>, network: &Network) {
    let state = match network.phase {
        Phase::Up => "connected",
        Phase::Connecting => "connecting",
        Phase::Down => "disconnected",
    };
    put(out, "state", state.as_bytes());
    put(out, "error", network.last_error.as_deref().unwrap_or_default().as_bytes());
}

/// A network's attributes, all of them.
pub(crate) fn attributes(network: &Network) -> Vec<u8> {
    let mut out = Vec::new();
    let setup = &network.setup;
    put(&mut out, "name", setup.name.as_bytes());
    put_state(&mut out, network);
    put(&mut out, "host", setup.host.as_bytes());
    put(&mut out, "port", setup.port.to_string().as_bytes());
    put(&mut out, "tls", if setup.tls { b"1" } else { b"0" });
    put(&mut out, "nickname", setup.nick.as_bytes());
    put(&mut out, "realname", setup.realname.as_bytes());
    out
}

/// What is another in `now`.
pub(crate) fn changes(before: &NetworkSetup, now: &NetworkSetup) -> Vec<u8> {
    let mut out = Vec::new();
    let mut differ = |key: &str, before: &str, now: &str| {
        if before != now {
            put(&mut out, key, now.as_bytes());
        }
    };
    differ("name", &before.name, &now.name);
    differ("host", &before.host, &now.host);
    differ("port", &before.port.to_string(), &now.port.to_string());
    differ("tls", if before.tls { "1" } else { "0" }, if now.tls { "1" } else { "0" });
    differ("nickname", &before.nick, &now.nick);
    differ("realname", &before.realname, &now.realname);
    out
}

/// `BOUNCER NETWORK` for each network, in a batch.
pub(crate) fn list(cx: &crate::cx::Cx, networks: &[Network], caps: CapSet, batch: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let batched = caps.has(Cap::Batch);
    if batched {
        out = plain_line(&cx.server, "BATCH", &[format!("+{batch}").as_bytes(), b"soju.im/bouncer-networks"]);
    }
    for network in networks {
        let mut writer = Writer::default();
        if batched {
            writer.tag(b"batch", batch.as_bytes());
        }
        writer.command(&cx.server, b"BOUNCER");
        writer.param(b"NETWORK");
        writer.param(network.id.to_string().as_bytes());
        writer.param(&attributes(network));
        out.extend(writer.finish());
    }
    if batched {
        out.extend(plain_line(&cx.server, "BATCH", &[format!("-{batch}").as_bytes()]));
    }
    out
}

impl User {
    /// Tells all devices that want to know of a network.
    pub(crate) fn tell_networks(&mut self, id: NetworkId, attributes: &[u8]) {
        if attributes.is_empty() {
            return;
        }
        let line =
            plain_line(&self.cx.server, "BOUNCER", &[b"NETWORK", id.to_string().as_bytes(), attributes]);
        let line = bytes::Bytes::from(line);
        let told: Vec<_> =
            self.conns.iter().filter(|c| c.caps.has(Cap::SojuBouncerNetworksNotify)).map(|c| c.id).collect();
        told.into_iter().for_each(|conn| self.reply(conn, line.clone()));
    }

    /// A network connects or does not.
    pub(crate) fn tell_phase(&mut self, id: NetworkId) {
        let Some(network) = self.network(id).and_then(|at| self.networks.get(at)) else { return };
        let mut text = Vec::new();
        put_state(&mut text, network);
        self.tell_networks(id, &text);
    }

    /// `BOUNCER`.
    pub(crate) fn bouncer_command(&mut self, conn: ConnId, line: &Line<'_>) {
        let subcommand = line.param(0).to_ascii_uppercase();
        let (netid, label) = (line.param(1), line.tag("label"));
        match &subcommand[..] {
            b"LISTNETWORKS" => {
                let name = self.cx.ids.token();
                let list = list(&self.cx, &self.networks, self.caps_of(conn), &name);
                self.reply(conn, list);
            }
            b"BIND" => {
                let text = "Cannot bind to a network after registration";
                self.bouncer_fail(conn, &[b"REGISTRATION_IS_COMPLETED", b"BIND"], text);
            }
            b"ADDNETWORK" => match self.change(conn, "ADDNETWORK", b"*", line.param(1)) {
                Some(change) if change.host.as_deref().is_none_or(str::is_empty) => {
                    self.bouncer_fail(
                        conn,
                        &[b"NEED_ATTRIBUTE", b"ADDNETWORK", b"host"],
                        "Missing required attribute",
                    );
                }
                Some(mut change) => {
                    let host = change.host.clone().unwrap_or_default();
                    change.name.get_or_insert_with(|| crate::bouncerserv::name_of_host(&host));
                    self.wish_bouncer(conn, "ADDNETWORK", b"*", label, Request::AddNetwork(change));
                }
                None => {}
            },
            b"CHANGENETWORK" => {
                let Some(id) = self.netid(conn, "CHANGENETWORK", netid) else { return };
                if let Some(change) = self.change(conn, "CHANGENETWORK", netid, line.param(2)) {
                    if change == NetworkChange::default() {
                        return self.bouncer_fail(
                            conn,
                            &[b"NEED_ATTRIBUTE", b"CHANGENETWORK", b"*"],
                            "Nothing to change",
                        );
                    }
                    self.wish_bouncer(
                        conn,
                        "CHANGENETWORK",
                        netid,
                        label,
                        Request::ChangeNetwork(id, change),
                    );
                }
            }
            b"DELNETWORK" => {
                let Some(id) = self.netid(conn, "DELNETWORK", netid) else { return };
                self.wish_bouncer(conn, "DELNETWORK", netid, label, Request::DeleteNetwork(id));
            }
            _ => {
                let name = if line.param(0).is_empty() { &b"*"[..] } else { line.param(0) };
                self.bouncer_fail(conn, &[b"UNKNOWN_COMMAND", name], "Unknown subcommand");
            }
        }
    }

    fn bouncer_fail(&mut self, conn: ConnId, context: &[&[u8]], text: &str) {
        let params = [&[&b"BOUNCER"[..]], context, &[text.as_bytes()]].concat();
        let bytes = crate::wire::line(&self.cx.server, "FAIL", &params);
        self.reply(conn, bytes);
    }

    fn netid(&mut self, conn: ConnId, subcommand: &str, netid: &[u8]) -> Option<NetworkId> {
        let found = self.networks.iter().find(|network| network.id.to_string().as_bytes() == netid);
        let id = found.map(|network| network.id);
        if id.is_none() {
            let shown = if netid.is_empty() { &b"*"[..] } else { netid };
            self.bouncer_fail(conn, &[b"INVALID_NETID", subcommand.as_bytes(), shown], "Network not found");
        }
        id
    }

    /// Attributes as a change; what is wrong with them is answered.
    fn change(&mut self, conn: ConnId, subcommand: &str, netid: &[u8], text: &[u8]) -> Option<NetworkChange> {
        let mut change = NetworkChange::default();
        for (key, value) in parse(text) {
            let context = |code: &'static [u8]| [code, subcommand.as_bytes(), netid, key];
            let Some(value) = String::from_utf8(value).ok().filter(|v| !v.contains(['\r', '\n', '\0']))
            else {
                self.bouncer_fail(conn, &context(b"INVALID_ATTRIBUTE"), "Invalid attribute value");
                return None;
            };
            let valid = match key {
                b"name" => {
                    change.name = Some(value);
                    true
                }
                b"host" => {
                    change.host = Some(value);
                    true
                }
                b"port" => {
                    change.port = value.parse().ok().filter(|port| *port > 0);
                    change.port.is_some() || value.is_empty()
                }
                b"tls" => {
                    change.tls = Some(value != "0");
                    matches!(&*value, "0" | "1" | "")
                }
                b"nickname" => {
                    change.nick = Some(value);
                    true
                }
                b"username" => {
                    change.username = Some(value);
                    true
                }
                b"realname" => {
                    change.realname = Some(value);
                    true
                }
                b"pass" => {
                    change.pass = Some(value);
                    true
                }
                b"state" | b"error" => {
                    self.bouncer_fail(conn, &context(b"READ_ONLY_ATTRIBUTE"), "Read-only attribute");
                    return None;
                }
                _ => {
                    self.bouncer_fail(conn, &context(b"UNKNOWN_ATTRIBUTE"), "Unknown attribute");
                    return None;
                }
            };
            if !valid {
                self.bouncer_fail(conn, &context(b"INVALID_ATTRIBUTE"), "Invalid attribute value");
                return None;
            }
        }
        Some(change)
    }

    fn wish_bouncer(
        &mut self,
        conn: ConnId,
        subcommand: &'static str,
        netid: &[u8],
        label: Option<Vec<u8>>,
        request: Request,
    ) {
        let netid = String::from_utf8_lossy(netid).as_ref().into();
        self.wish(Wish::Bouncer { conn, subcommand, netid, label }, request);
    }

    /// Hands a wish to the shell.
    pub(crate) fn wish(&mut self, wish: Wish, request: Request) {
        let id = self.cx.request_id();
        self.wishes.insert(id, wish);
        self.cx.push(Effect::Request { id, request });
    }

    /// The shell answered a wish.
    pub(crate) fn wish_answered(&mut self, id: RequestId, result: Result<NetworkId, String>) {
        match (self.wishes.remove(&id), result) {
            (Some(Wish::Bouncer { conn, subcommand, label, .. }), Ok(network)) => {
                let mut writer = Writer::default();
                if let Some(label) = label.filter(|_| self.caps_of(conn).has(Cap::LabeledResponse)) {
                    writer.tag(b"label", &label);
                }
                writer.command(&self.cx.server, b"BOUNCER");
                writer.param(subcommand.as_bytes());
                writer.param(network.to_string().as_bytes());
                self.reply(conn, writer.finish());
            }
            (Some(Wish::Bouncer { conn, subcommand, netid, .. }), Err(text)) => {
                self.bouncer_fail(conn, &[b"UNKNOWN_ERROR", subcommand.as_bytes(), netid.as_bytes()], &text);
            }
            (Some(Wish::Service { conn, done }), Ok(_)) => self.service_says(conn, &[done]),
            (Some(Wish::Service { conn, .. }), Err(text)) => self.service_says(conn, &[text]),
            (None, _) => {}
        }
    }
}
