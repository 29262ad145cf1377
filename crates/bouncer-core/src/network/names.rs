//! A channel's members as NAMES shows them, taken down at one moment.

use super::channel::Channel;
use super::isupport::Isupport;
use super::users::Users;
use crate::wire::{Text, Writer};
use crate::{Cap, CapSet};

/// A channel's members at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub channel: Box<[u8]>,
    symbol: u8,
    /// All prefixes, the highest first; nick; `user@host` where known.
    members: Vec<(Text, Text, Text)>,
}

/// How long a 353 may get, CR LF not counted.
const MAX_LINE: usize = 500;

impl Names {
    pub fn of(channel: &Channel, users: &Users, support: &Isupport) -> Self {
        let members = channel.members().iter().map(|member| {
            let prefixes = support.symbols(member.prefixes).collect();
            (prefixes, users.nick(member.user).into(), users.host(member.user).into())
        });
        Self { channel: channel.name.clone(), symbol: channel.symbol, members: members.collect() }
    }

    /// 353 and 366 for a device with these capabilities.
    pub fn render(
        &self,
        out: &mut Vec<u8>,
        server: &[u8],
        nick: &[u8],
        caps: CapSet,
        tag: Option<(&str, &[u8])>,
    ) {
        let (all, hosts) = (caps.has(Cap::MultiPrefix), caps.has(Cap::UserhostInNames));
        let fixed = server.len() + nick.len() + self.channel.len() + 16;
        let room = MAX_LINE.saturating_sub(fixed).max(64);
        let mut list: Vec<u8> = Vec::with_capacity(room);
        let mut flush = |list: &mut Vec<u8>| {
            let mut writer = tagged(tag);
            writer.command(server, b"353");
            writer.param(nick);
            writer.param(&[self.symbol]);
            writer.param(&self.channel);
            writer.last(list);
            out.extend_from_slice(&writer.finish());
            list.clear();
        };
        for (prefixes, nick, host) in &self.members {
            let prefixes = if all { &prefixes[..] } else { prefixes.get(..1).unwrap_or_default() };
            let host = if hosts { &host[..] } else { b"" };
            if !list.is_empty() && list.len() + prefixes.len() + nick.len() + host.len() + 2 > room {
                flush(&mut list);
            }
            if !list.is_empty() {
                list.push(b' ');
            }
            list.extend_from_slice(prefixes);
            list.extend_from_slice(nick);
            if !host.is_empty() {
                list.push(b'!');
                list.extend_from_slice(host);
            }
        }
        if !list.is_empty() {
            flush(&mut list);
        }
        end_of_names(out, server, nick, &self.channel, tag);
    }
}

/// 366.
pub(crate) fn end_of_names(
    out: &mut Vec<u8>,
    server: &[u8],
    nick: &[u8],
    channel: &[u8],
    tag: Option<(&str, &[u8])>,
) {
    let mut writer = tagged(tag);
    writer.command(server, b"366");
    writer.param(nick);
    writer.param(channel);
    writer.last(b"End of /NAMES list");
    out.extend_from_slice(&writer.finish());
}

fn tagged(tag: Option<(&str, &[u8])>) -> Writer {
    let mut writer = Writer::default();
    if let Some((key, value)) = tag {
        writer.tag(key.as_bytes(), value);
    }
    writer
}
