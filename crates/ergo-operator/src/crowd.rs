//! Who is shown out of a full network, by what Ergo tells its operators: its lines in, an operator's lines out.
//!
//! For servers whose clients Ergo's `ip-check-script` is not asked about: those that all come from loopback.

/// More than this many who come in at once are not remembered.
const MOST_WAITING: usize = 10_000;
/// Asks how many are there.
const COUNT: &str = "LUSERS";

/// Who is shown out: the server's lines in, the doorkeeper's out.
#[derive(Debug, Default)]
pub struct Crowd {
    server: String,
    doorkeeper: String,
    /// Whether the server tells the doorkeeper of whoever comes.
    pub watches: bool,
    /// Who came in and is not known to fit yet, in that order.
    newcomers: Vec<String>,
    /// Whether the server was asked how many are there, and whether somebody came since.
    asked: bool,
    came_since: bool,
}

impl Crowd {
    /// On the server of this name, as the doorkeeper of this nick.
    pub fn new(server: &str, doorkeeper: &str) -> Self {
        Self { server: server.to_owned(), doorkeeper: doorkeeper.to_owned(), ..Self::default() }
    }

    /// What the doorkeeper says to a line of the server, where `most` people have room besides it.
    pub fn hear(&mut self, line: &[u8], most: u64) -> Vec<String> {
        let Ok(message) = irc::Message::parse(line) else { return Vec::new() };
        let param = |at| message.param(at).map(String::from_utf8_lossy).unwrap_or_default();
        let Some(source) = message.source else { return Vec::new() };
        if message.command == b"MODE" && source.name() == param(0).as_bytes() && param(1).starts_with("+s") {
            self.watches = true;
        }
        // Anybody may say words like the server's to the doorkeeper.
        if source.raw() != self.server.as_bytes() {
            return Vec::new();
        }
        match message.command {
            // An operator now: it wants to hear of whoever connects.
            b"381" => vec![format!("MODE {} +s cn", param(0))],
            b"NOTICE" => self.noticed(&param(1)),
            b"265" => param(1).parse().map(|there| self.counted(there, most)).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    fn noticed(&mut self, notice: &str) -> Vec<String> {
        if let Some((before, after)) = renamed(notice) {
            let known = self.newcomers.iter_mut().find(|nick| *nick == before);
            known.into_iter().for_each(|nick| after.clone_into(nick));
            return Vec::new();
        }
        let Some(nick) = newcomer(notice).filter(|nick| *nick != self.doorkeeper) else { return Vec::new() };
        if self.newcomers.len() >= MOST_WAITING {
            return Vec::new();
        }
        self.newcomers.push(nick.to_owned());
        self.came_since = self.asked;
        if std::mem::replace(&mut self.asked, true) { Vec::new() } else { vec![COUNT.to_owned()] }
    }

    /// So many are there, the doorkeeper among them.
    fn counted(&mut self, there: u64, most: u64) -> Vec<String> {
        if !self.asked {
            return Vec::new();
        }
        // The newest go: whether those who came since are counted yet or not, at least these are too many.
        let over = usize::try_from(there.saturating_sub(1).saturating_sub(most)).unwrap_or(usize::MAX);
        let stay = self.newcomers.len().saturating_sub(over);
        let reason = format!("This network is full: its plan lets in {most} at once. Try again later.");
        let mut lines: Vec<_> =
            self.newcomers.drain(stay..).rev().map(|nick| format!("KILL {nick} :{reason}")).collect();
        let settled = lines.is_empty() && !self.came_since;
        if settled {
            self.newcomers.clear();
        }
        self.came_since = false;
        self.asked = !self.newcomers.is_empty();
        if self.asked {
            lines.push(COUNT.to_owned());
        }
        lines
    }
}

/// Who calls themselves what now, in what Ergo tells operators: `before changed nickname to after`.
fn renamed(notice: &str) -> Option<(&str, &str)> {
    // With the codes of colours that Ergo writes.
    let between = |c: char| c == ' ' || c.is_control();
    let (before, after) = notice.split_once(" changed nickname to ")?;
    Some((before.trim_end_matches(between).rsplit(between).next()?, after.split(between).next()?))
}

/// The nick in what Ergo tells operators: `Client connected [nick] [u:…] …`.
fn newcomer(notice: &str) -> Option<&str> {
    let (_, rest) = notice.split_once("Client connected [")?;
    let (nick, _) = rest.split_once("] [u:")?;
    (!nick.is_empty() && !nick.contains(' ')).then_some(nick)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "ircnow-door";
    const MOST: u64 = 2;

    fn came(nick: &str) -> String {
        format!(
            ":irc.test NOTICE ircnow-door :\u{3}14-\u{f}CONNECT\u{3}14-\u{3} Client connected [{nick}] [u:~u] [h:127.0.0.1] [ip:127.0.0.1] [r:x]"
        )
    }

    fn there(count: u64) -> String {
        format!(":irc.test 265 ircnow-door {count} 9 :Current local users {count}, max 9")
    }

    fn said(rules: &mut Crowd, line: &str) -> Vec<String> {
        rules.hear(line.as_bytes(), MOST)
    }

    fn out(nick: &str) -> String {
        format!("KILL {nick} :This network is full: its plan lets in {MOST} at once. Try again later.")
    }

    #[test]
    fn who_is_one_too_many_is_shown_out_and_whoever_fits_stays() {
        let mut rules = Crowd::new("irc.test", NAME);
        let oper = said(&mut rules, ":irc.test 381 ircnow-door :You are now an IRC operator");
        assert_eq!(oper, ["MODE ircnow-door +s cn"]);
        assert!(!rules.watches);
        assert!(said(&mut rules, ":ircnow-door!~i@x.pixels MODE ircnow-door +s +cn").is_empty());
        assert!(rules.watches);
        assert_eq!(said(&mut rules, &came("alice")), ["LUSERS"]);
        assert!(said(&mut rules, &there(3)).is_empty());
        assert_eq!(said(&mut rules, &came("bob[1]")), ["LUSERS"]);
        assert_eq!(said(&mut rules, &there(4)), [out("bob[1]")]);
        assert!(said(&mut rules, &there(9)).is_empty(), "a count nobody asked for");
    }

    #[test]
    fn of_several_who_come_at_once_the_newest_go() {
        let mut rules = Crowd::new("irc.test", NAME);
        assert_eq!(said(&mut rules, &came("alice")), ["LUSERS"]);
        // Bob is counted already when the server answers: alice was there before him.
        assert!(said(&mut rules, &came("bob")).is_empty());
        assert_eq!(said(&mut rules, &there(4)), [out("bob"), "LUSERS".to_owned()]);
        assert!(said(&mut rules, &there(3)).is_empty());
        // Carol comes in while dave is counted, and is not counted yet.
        assert_eq!(said(&mut rules, &came("dave")), ["LUSERS"]);
        assert!(said(&mut rules, &came("carol")).is_empty());
        assert_eq!(said(&mut rules, &there(4)), [out("carol"), "LUSERS".to_owned()]);
        assert_eq!(said(&mut rules, &there(4)), [out("dave")]);
    }

    #[test]
    fn who_came_while_there_was_room_is_counted_again_with_whoever_came_since() {
        let mut rules = Crowd::new("irc.test", NAME);
        assert_eq!(said(&mut rules, &came("alice")), ["LUSERS"]);
        assert!(said(&mut rules, &came("bob")).is_empty());
        assert_eq!(said(&mut rules, &there(3)), ["LUSERS"]);
        assert_eq!(said(&mut rules, &there(4)), [out("bob"), "LUSERS".to_owned()]);
        assert!(said(&mut rules, &there(3)).is_empty());
    }

    #[test]
    fn another_name_helps_nobody() {
        let mut rules = Crowd::new("irc.test", NAME);
        assert_eq!(said(&mut rules, &came("alice")), ["LUSERS"]);
        let renamed = ":irc.test NOTICE ircnow-door :\u{3}14-\u{f}NICK\u{3}14-\u{3} alice\u{f} changed nickname to eve[2]";
        assert!(said(&mut rules, renamed).is_empty());
        assert_eq!(said(&mut rules, &there(4)), [out("eve[2]")]);
    }

    #[test]
    fn whoever_was_in_before_the_doorkeeper_stays() {
        let mut rules = Crowd::new("irc.test", NAME);
        assert_eq!(said(&mut rules, &came("alice")), ["LUSERS"]);
        assert_eq!(said(&mut rules, &there(90)), [out("alice")]);
        assert!(said(&mut rules, &there(89)).is_empty());
    }

    #[test]
    fn nobody_is_shown_out_because_somebody_says_so() {
        let mut rules = Crowd::new("irc.test", NAME);
        for source in ["mallory!~m@irc.test", "mallory", "irc.test!~m@irc.test", "other.test"] {
            let lie = came("alice").replacen("irc.test", source, 1);
            assert!(said(&mut rules, &lie).is_empty(), "{source}");
        }
        assert!(said(&mut rules, &came(NAME)).is_empty(), "not even itself");
        assert!(said(&mut rules, "NOTICE ircnow-door :Client connected [alice] [u:x]").is_empty());
    }
}
