//! The tokens by type, with what holds when the server says nothing.

use super::Isupport;
use crate::casemap::{Casemapping, Folded};
use crate::mode::ModeSpec;

/// Which references `CHATHISTORY` takes (`MSGREFTYPES`, draft `chathistory`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MsgRefTypes {
    /// `msgid=…`
    pub msgid: bool,
    /// `timestamp=…`
    pub timestamp: bool,
}

/// How extended bans look (`EXTBAN`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extban<'a> {
    /// The byte in front of each; some networks have none.
    pub prefix: Option<u8>,
    /// The letters of the known kinds.
    pub types: &'a [u8],
}

impl Isupport {
    /// `CASEMAPPING`; `rfc1459` if not said, `ascii` if it is one we do not know.
    pub fn casemapping(&self) -> Casemapping {
        self.casemapping
    }

    /// The key of a nick or channel on this network.
    pub fn fold(&self, name: impl AsRef<[u8]>) -> Folded {
        self.casemapping.fold(name)
    }

    /// `CHANMODES` and `PREFIX`.
    pub fn mode_spec(&self) -> &ModeSpec {
        &self.modes
    }

    /// `CHANTYPES`; `#&` if not said.
    pub fn chantypes(&self) -> &[u8] {
        self.get("CHANTYPES").unwrap_or(b"#&")
    }

    /// Whether a target is a channel.
    pub fn is_channel(&self, target: &[u8]) -> bool {
        target.first().is_some_and(|first| self.chantypes().contains(first))
    }

    /// Takes the rank off `@#channel` (`STATUSMSG`).
    pub fn split_statusmsg<'a>(&self, target: &'a [u8]) -> (Option<u8>, &'a [u8]) {
        match target {
            [rank, channel @ ..] if self.statusmsg().contains(rank) && self.is_channel(channel) => {
                (Some(*rank), channel)
            }
            _ => (None, target),
        }
    }

    /// `NICKLEN`, in bytes.
    pub fn nicklen(&self) -> Option<usize> {
        self.number("NICKLEN").or_else(|| self.number("MAXNICKLEN"))
    }

    /// `CHANNELLEN`, in bytes.
    pub fn channellen(&self) -> Option<usize> {
        self.number("CHANNELLEN")
    }

    /// `TOPICLEN`, in bytes.
    pub fn topiclen(&self) -> Option<usize> {
        self.number("TOPICLEN")
    }

    /// `KICKLEN`, in bytes.
    pub fn kicklen(&self) -> Option<usize> {
        self.number("KICKLEN")
    }

    /// `AWAYLEN`, in bytes.
    pub fn awaylen(&self) -> Option<usize> {
        self.number("AWAYLEN")
    }

    /// `USERLEN`, in bytes.
    pub fn userlen(&self) -> Option<usize> {
        self.number("USERLEN")
    }

    /// `HOSTLEN`, in bytes.
    pub fn hostlen(&self) -> Option<usize> {
        self.number("HOSTLEN")
    }

    /// `NAMELEN` (realname), in bytes.
    pub fn namelen(&self) -> Option<usize> {
        self.number("NAMELEN")
    }

    /// `LINELEN`: bytes of a line without its tags; 512 if not said.
    pub fn linelen(&self) -> usize {
        self.number("LINELEN").filter(|len| *len >= 512).unwrap_or(crate::limits::MAX_REST)
    }

    /// `MODES`: parameters in one MODE. `None` is no limit; 3 if not said.
    pub fn modes(&self) -> Option<usize> {
        match self.get("MODES") {
            None => Some(3),
            Some([]) => None,
            Some(_) => self.number("MODES").or(Some(3)),
        }
    }

    /// `STATUSMSG`: ranks that can stand before a channel as a target.
    pub fn statusmsg(&self) -> &[u8] {
        self.get("STATUSMSG").unwrap_or_default()
    }

    /// `BOT`: the user mode of bots (ircv3 `bot-mode`).
    pub fn bot(&self) -> Option<u8> {
        self.get("BOT")?.first().copied()
    }

    /// `NETWORK`: its name, for people.
    pub fn network(&self) -> Option<&[u8]> {
        self.get("NETWORK").filter(|name| !name.is_empty())
    }

    /// `BOUNCER_NETID` (`soju.im/bouncer-networks`).
    pub fn bouncer_netid(&self) -> Option<&[u8]> {
        self.get("BOUNCER_NETID").filter(|id| !id.is_empty())
    }

    /// `UTF8ONLY`: everything else is refused.
    pub fn utf8only(&self) -> bool {
        self.has("UTF8ONLY")
    }

    /// `WHOX`: WHO takes fields.
    pub fn whox(&self) -> bool {
        self.has("WHOX")
    }

    /// `MSGREFTYPES`.
    pub fn msgreftypes(&self) -> MsgRefTypes {
        let listed = |name: &[u8]| self.list("MSGREFTYPES").any(|item| item == name);
        MsgRefTypes { msgid: listed(b"msgid"), timestamp: listed(b"timestamp") }
    }

    /// `CHATHISTORY` or `draft/CHATHISTORY`: messages in one answer; 0 is no limit, `None` is no history.
    pub fn chathistory(&self) -> Option<usize> {
        let name = if self.has("CHATHISTORY") { "CHATHISTORY" } else { "draft/CHATHISTORY" };
        self.get(name).map(|_| self.number(name).unwrap_or(0))
    }

    /// `EXCEPTS`: the mode of ban exceptions.
    pub fn excepts(&self) -> Option<u8> {
        self.get("EXCEPTS").map(|value| value.first().copied().unwrap_or(b'e'))
    }

    /// `INVEX`: the mode of invite exceptions.
    pub fn invex(&self) -> Option<u8> {
        self.get("INVEX").map(|value| value.first().copied().unwrap_or(b'I'))
    }

    /// `MONITOR`: `Some(None)` is no limit, `None` is no MONITOR.
    pub fn monitor(&self) -> Option<Option<usize>> {
        self.get("MONITOR").map(|_| self.number("MONITOR"))
    }

    /// `TARGMAX`: targets a command takes. `None` is no limit, or nothing said.
    pub fn targmax(&self, command: &str) -> Option<usize> {
        self.list("TARGMAX").find_map(|item| {
            let at = memchr::memchr(b':', item)?;
            item[..at].eq_ignore_ascii_case(command.as_bytes()).then(|| number(&item[at + 1..]))?
        })
    }

    /// `ACCOUNTEXTBAN`: names and letters of the extended ban on accounts (ircv3 `account-extban`).
    pub fn account_extbans(&self) -> impl Iterator<Item = &[u8]> {
        self.list("ACCOUNTEXTBAN")
    }

    /// `EXTBAN`: `prefix,letters`.
    pub fn extban(&self) -> Option<Extban<'_>> {
        let value = self.get("EXTBAN")?;
        let at = memchr::memchr(b',', value)?;
        Some(Extban { prefix: value[..at].first().copied(), types: &value[at + 1..] })
    }

    /// `CLIENTTAGDENY`: whether the server drops this client tag (name without `+`).
    pub fn denies_client_tag(&self, tag: &str) -> bool {
        self.list("CLIENTTAGDENY").fold(false, |denied, item| match item {
            b"*" => true,
            [b'-', name @ ..] if name == tag.as_bytes() => false,
            name => denied || name == tag.as_bytes(),
        })
    }

    /// `draft/ACCOUNTREQUIRED` or `soju.im/…`: nobody gets in without an account.
    pub fn account_required(&self) -> bool {
        ["ACCOUNTREQUIRED", "draft/ACCOUNTREQUIRED"].iter().any(|name| self.has(name))
    }

    /// A token's value as a number.
    pub fn number(&self, name: &str) -> Option<usize> {
        number(self.get(name)?)
    }

    /// A token's value as a list separated by commas.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.get(name).unwrap_or_default().split(|b| *b == b',').filter(|item| !item.is_empty())
    }
}

fn number(text: &[u8]) -> Option<usize> {
    str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denied_client_tags_have_exceptions() {
        let isupport = Isupport::new().with("CLIENTTAGDENY", "*,-typing,-draft/react");
        assert!(isupport.denies_client_tag("other"));
        assert!(!isupport.denies_client_tag("typing") && !isupport.denies_client_tag("draft/react"));
        assert!(!Isupport::new().denies_client_tag("typing"));
    }

    #[test]
    fn odd_values_fall_back() {
        let isupport =
            Isupport::new().with("MODES", "many").with("LINELEN", "5").with("CASEMAPPING", "precis");
        assert_eq!(isupport.modes(), Some(3));
        assert_eq!(isupport.linelen(), 512);
        assert_eq!(isupport.casemapping(), Casemapping::Ascii);
        assert_eq!(
            Isupport::new().with("EXTBAN", ",ABC").extban(),
            Some(Extban { prefix: None, types: b"ABC" })
        );
    }
}
