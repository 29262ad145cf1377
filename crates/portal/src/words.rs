//! Sentences made of states: the headline of the dashboard, the line of a network, the names of things.

use contracts::{CredentialKind, Network, Phase};
use service::view::{self, Moment};

/// The first sentence of the dashboard and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headline {
    /// The dot's kind: "", "warn", "bad" or "off".
    pub dot: &'static str,
    /// "One thing needs you."
    pub title: String,
    /// Which, and how the rest is.
    pub detail: String,
}

/// Is everything all right? If not, what is to be done?
pub fn headline(networks: &[Network]) -> Headline {
    let mut needs = Vec::new();
    let (mut coming, mut off, mut fine) = (Vec::new(), Vec::new(), 0_usize);
    for network in networks {
        let name = network.spec.name.as_str();
        if network.state.needs_user {
            needs.push(trouble(network));
            continue;
        }
        match network.state.phase {
            Phase::Connected => fine += 1,
            Phase::Connecting | Phase::Waiting { .. } => coming.push(name),
            Phase::Off => off.push(name),
        }
    }
    let (dot, title) = match (needs.len(), coming.len(), fine, off.len()) {
        (0, 0, 0, 0) => ("off", "Nothing is connected yet.".to_owned()),
        (1, ..) => ("bad", "One thing needs you.".to_owned()),
        (n, ..) if n > 1 => ("bad", format!("{} things need you.", capital(&number(n)))),
        (_, 0, 0, _) => ("off", "Nothing is connected.".to_owned()),
        (_, 0, ..) => ("", "Everything is connected.".to_owned()),
        (_, 1, ..) => ("warn", format!("{} is on its way back.", coming[0])),
        (_, n, ..) => ("warn", format!("{} networks are on their way back.", capital(&number(n)))),
    };
    let mut detail: Vec<String> = needs.iter().take(3).cloned().collect();
    if needs.len() > 3 {
        detail.push(format!("{} more below.", capital(&number(needs.len() - 3))));
    }
    if !coming.is_empty() && (!needs.is_empty() || coming.len() > 1) {
        let verb = if coming.len() == 1 { "is on its way back" } else { "are on their way back" };
        detail.push(format!("{} {verb}.", list(&coming)));
    } else if !coming.is_empty() {
        detail.push("Nothing needs you: it connects by itself.".to_owned());
    }
    let others = needs.len() + coming.len() > 0;
    match fine {
        0 => {}
        n if !others => detail.push(match n {
            1 => "One network, and nothing needs you.".to_owned(),
            n => format!("{} networks, and nothing needs you.", capital(&number(n))),
        }),
        1 => detail.push("The other one is fine.".to_owned()),
        n => detail.push(format!("The other {} are fine.", number(n))),
    }
    if !off.is_empty() {
        let verb = if off.len() == 1 { "is turned off" } else { "are turned off" };
        detail.push(format!("{} {verb}.", list(&off)));
    }
    if networks.is_empty() {
        detail.push("Add a network, and the bouncer stays on it day and night.".to_owned());
    }
    Headline { dot, title, detail: detail.join(" ") }
}

/// What is wrong with a network that only its user can mend.
fn trouble(network: &Network) -> String {
    match &network.state.last_error {
        Some(error) => sentence(error),
        None => format!("{} needs you.", network.spec.name),
    }
}

/// How a network is, as its row says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Registered.
    Connected {
        /// "41 days", or empty in its first seconds.
        span: String,
        /// Since when.
        since: Moment,
        /// The nick it has.
        nick: String,
        /// "12 channels".
        channels: String,
    },
    /// Dialing or registering.
    Connecting {
        /// What went wrong before, if anything did.
        error: Option<String>,
    },
    /// Waiting to try again.
    Waiting {
        /// When, seconds since 1970.
        until: i64,
        /// "in 12 s".
        words: String,
        /// What went wrong.
        error: Option<String>,
    },
    /// Only the user can mend it.
    NeedsUser {
        /// What went wrong.
        error: String,
    },
    /// Not wanted.
    Off {
        /// Why, if it was not the user's wish.
        error: Option<String>,
    },
}

impl State {
    /// The state of `network` at `now`.
    pub fn of(network: &Network, now: i64) -> Self {
        let state = &network.state;
        let error = state.last_error.as_deref().map(sentence);
        if state.needs_user {
            return Self::NeedsUser { error: trouble(network) };
        }
        match state.phase {
            Phase::Off => Self::Off { error },
            Phase::Connecting => Self::Connecting { error },
            Phase::Waiting { until } => Self::Waiting { until, words: soon(until, now), error },
            Phase::Connected => Self::Connected {
                span: if now - state.since < 5 { String::new() } else { view::span(now - state.since) },
                since: Moment::new(state.since, now),
                nick: state.nick.clone().unwrap_or_else(|| network.spec.nick.clone()),
                channels: view::count(u64::from(state.channels), "channel", "channels"),
            },
        }
    }

    /// The class of the row's words and dot.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Connected { .. } => "ok",
            Self::Connecting { .. } | Self::Waiting { .. } => "warn",
            Self::NeedsUser { .. } => "bad",
            Self::Off { .. } => "muted",
        }
    }
}

/// "in 12 s", as the script on the page goes on counting it.
pub fn soon(until: i64, now: i64) -> String {
    match until - now {
        left if left <= 0 => "now".to_owned(),
        left if left < 120 => format!("in {left} s"),
        left => format!("in {}", view::span(left)),
    }
}

/// `text` as a sentence: it begins with a capital only if it did, and it ends.
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    match text.chars().last() {
        Some('.' | '!' | '?' | '…' | ':') | None => text.to_owned(),
        Some(_) => format!("{text}."),
    }
}

/// What a credential is, for people.
pub fn kind_of(kind: &CredentialKind) -> &'static str {
    match kind {
        CredentialKind::AppPassword => "app password",
        CredentialKind::Certificate { .. } => "certificate",
    }
}

/// "a", "a and b", "a, b and c".
pub fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Small numbers as words.
fn number(n: usize) -> String {
    const WORDS: [&str; 11] =
        ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    WORDS.get(n).map_or_else(|| n.to_string(), |word| (*word).to_owned())
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// `text` in pieces, those that are `nick` marked: how a mention shows why it is one.
pub fn marked(text: &str, nick: &str) -> Vec<(bool, String)> {
    let (lower, needle) = (text.to_ascii_lowercase(), nick.to_ascii_lowercase());
    if needle.is_empty() {
        return vec![(false, text.to_owned())];
    }
    let mut pieces = Vec::new();
    let mut from = 0;
    for (at, found) in lower.match_indices(&needle) {
        if at < from {
            continue;
        }
        if at > from {
            pieces.push((false, text[from..at].to_owned()));
        }
        pieces.push((true, text[at..at + found.len()].to_owned()));
        from = at + found.len();
    }
    if from < text.len() {
        pieces.push((false, text[from..].to_owned()));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use contracts::{NetworkId, NetworkSpec, NetworkState, Sasl, Tls};
    use uuid::Uuid;

    use super::*;

    fn network(name: &str, phase: Phase, error: Option<&str>) -> Network {
        Network {
            id: NetworkId(Uuid::nil()),
            spec: NetworkSpec {
                name: name.into(),
                host: "irc.example".into(),
                port: 6697,
                tls: Tls::Verified,
                nick: "alice".into(),
                realname: String::new(),
                server_password: None,
                sasl: Sasl::None,
                channels: Vec::new(),
                on_connect: Vec::new(),
                enabled: true,
            },
            state: NetworkState {
                phase,
                since: 0,
                nick: None,
                channels: 3,
                lag_ms: Vec::new(),
                last_error: error.map(str::to_owned),
                needs_user: error.is_some(),
            },
            version: 1,
            created_at: 0,
            deleted_at: None,
        }
    }

    #[test]
    fn the_headline_says_what_needs_the_user_first() {
        let networks = [
            network("Libera", Phase::Connected, None),
            network("OFTC", Phase::Off, Some("OFTC refused the password for alice")),
            network("hackint", Phase::Waiting { until: 12 }, None),
            network("irc.now", Phase::Connected, None),
        ];
        let headline = headline(&networks);
        assert_eq!(headline.title, "One thing needs you.");
        assert_eq!(
            headline.detail,
            "OFTC refused the password for alice. hackint is on its way back. The other two are fine."
        );
    }

    #[test]
    fn all_connected_is_said_in_one_breath() {
        let networks = [network("a", Phase::Connected, None), network("b", Phase::Connected, None)];
        let said = headline(&networks);
        assert_eq!((said.dot, said.title.as_str()), ("", "Everything is connected."));
        assert_eq!(said.detail, "Two networks, and nothing needs you.");
        assert_eq!(headline(&[]).title, "Nothing is connected yet.");
    }

    #[test]
    fn a_wait_is_counted_down_and_an_error_beats_the_phase() {
        let waiting = network("a", Phase::Waiting { until: 112 }, None);
        assert_eq!(
            State::of(&waiting, 100),
            State::Waiting { until: 112, words: "in 12 s".into(), error: None }
        );
        let refused = network("a", Phase::Connected, Some("Banned"));
        assert_eq!(State::of(&refused, 100), State::NeedsUser { error: "Banned.".into() });
    }

    #[test]
    fn the_nick_is_marked_wherever_it_stands() {
        assert_eq!(
            marked("ping Alice, alice", "alice"),
            [
                (false, "ping ".to_owned()),
                (true, "Alice".to_owned()),
                (false, ", ".to_owned()),
                (true, "alice".to_owned())
            ]
        );
        assert_eq!(marked("é", ""), [(false, "é".to_owned())]);
    }
}
