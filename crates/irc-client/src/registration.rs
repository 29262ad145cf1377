//! What is said between the connection and 001: CAP, SASL, PASS, NICK, USER. Pure: lines in, acts out.

use bytes::Bytes;
use irc::Message;
use irc::cap::{Cap, CapSet, Negotiation};
use irc::sasl::{Mechanism, OAUTH_GIVE_UP, OauthBearer, Plain, Reassembler, chunks};
use irc::scram::{self, ScramError};
use secrecy::ExposeSecret as _;

use crate::client::Registered;
use crate::config::{ClientConfig, Sasl, Tls};
use crate::error::{ClientError, ErrorKind};
use crate::sts::StsValue;
use crate::words;

/// More than any challenge needs.
const LONGEST_CHALLENGE: usize = 4096;
/// Random bytes a registration wants.
pub(crate) const NONCE_LEN: usize = scram::NONCE_LEN;
/// Underscores hung on a nick that is taken, before it becomes another one.
const MOST_UNDERSCORES: usize = 3;
const MOST_NICKS: usize = 8;

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Act {
    /// Send a line.
    Send(Bytes),
    /// Do this work where it stops nobody, then [`Registration::derived`].
    Derive(Box<Derivation>),
    /// Hang up and come back over TLS on this port, within STS.
    Upgrade(u16),
    /// The upstream wants TLS for so many seconds more; 0 takes it back.
    Keep(u64),
    /// 001 is here: it and all that follows is for others.
    Done(Box<Registered>),
    /// It cannot be done.
    Fail(ClientError),
}

/// The work SCRAM asks for between the server's word and ours: milliseconds, or a second if the server wants it so.
#[derive(Debug)]
pub(crate) struct Derivation {
    scram: scram::Client,
    challenge: Vec<u8>,
}

impl Derivation {
    /// Does it.
    pub fn run(mut self) -> Derived {
        let answer = self.scram.answer(&self.challenge);
        Derived { scram: self.scram, answer }
    }
}

/// What came of a [`Derivation`].
#[derive(Debug)]
pub(crate) struct Derived {
    scram: scram::Client,
    answer: Result<Vec<u8>, ScramError>,
}

/// One registration.
#[derive(Debug)]
pub(crate) struct Registration<'a> {
    config: &'a ClientConfig,
    /// Whether the connection is encrypted.
    encrypted: bool,
    caps: Negotiation,
    nonce: [u8; NONCE_LEN],
    challenge: Reassembler,
    sasl: State,
    /// CAP END was said, or is not needed.
    ended: bool,
    /// What 908 named.
    mechanisms: Option<String>,
    /// SCRAM: the server has proven itself.
    proven: bool,
    account: Option<String>,
    failure: Option<ClientError>,
    nicks: usize,
    nick: String,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    /// `AUTHENTICATE <mechanism>` is out.
    Asked(Mechanism),
    /// Our message is out; the next may be a challenge.
    Said(Mechanism, Challenged),
    /// Over, either way.
    Over,
}

/// What a challenge would mean now.
#[derive(Debug)]
enum Challenged {
    /// The salt.
    ScramFirst(Box<scram::Client>),
    /// [`Act::Derive`] is out.
    ScramWorking,
    /// The server's own proof.
    ScramFinal(Box<scram::Client>),
    /// Nothing is expected; OAUTHBEARER explains its refusal so.
    Nothing,
}

impl<'a> Registration<'a> {
    /// A registration over a connection that is encrypted or not; `nonce` is new and random each time.
    pub fn new(config: &'a ClientConfig, encrypted: bool, nonce: [u8; NONCE_LEN]) -> Self {
        let mut wanted = config.wanted.with(Cap::CapNotify);
        if !matches!(config.sasl, Sasl::None) {
            wanted.insert(Cap::Sasl);
        }
        Self {
            config,
            encrypted,
            caps: Negotiation::new(wanted),
            nonce,
            challenge: Reassembler::new(LONGEST_CHALLENGE),
            sasl: State::Idle,
            ended: false,
            mechanisms: None,
            proven: false,
            account: None,
            failure: None,
            nicks: 0,
            nick: config.nick.clone(),
        }
    }

    /// The first lines.
    pub fn begin(&self) -> Vec<Bytes> {
        let mut lines = vec![self.caps.begin().to_bytes()];
        if let Some(password) = &self.config.server_password {
            lines.push(irc::line("PASS").trailing(password.expose_secret()).to_bytes());
        }
        lines.push(irc::line("NICK").param(&self.nick).to_bytes());
        let realname = if self.config.realname.is_empty() { &self.nick } else { &self.config.realname };
        lines.push(
            irc::line("USER").param(&self.config.ident).param("0").param("*").trailing(realname).to_bytes(),
        );
        lines
    }

    /// The negotiation, to be kept up after registration.
    pub fn into_caps(self) -> Negotiation {
        self.caps
    }

    /// Takes a line in.
    pub fn line(&mut self, message: &Message<'_>) -> Vec<Act> {
        let mut acts = Vec::new();
        let offered_before = self.caps.available().set();
        let progress = self.caps.handle(message);
        if let Some(act) = self.strict_transport(offered_before) {
            let leave = matches!(act, Act::Upgrade(_));
            acts.push(act);
            if leave {
                return acts;
            }
        }
        acts.extend(progress.send.iter().map(|line| Act::Send(line.to_bytes())));
        if progress.ready {
            self.capabilities_are_known(message, &mut acts);
        }
        let text = message.last().map(lossy).unwrap_or_default();
        match &*message.upper() {
            "PING" => {
                let token = message.last().unwrap_or_default();
                acts.push(Act::Send(irc::line("PONG").trailing(token).to_bytes()));
            }
            "AUTHENTICATE" => self.challenge(message.param(0).unwrap_or_default(), &mut acts),
            "900" => self.account = message.param(2).map(lossy),
            "903" if self.must_prove() => {
                self.abort("it did not prove that it knows the password", &mut acts)
            }
            "903" | "907" => self.finish_sasl(None, &mut acts),
            "902" => {
                let account = self.account_name();
                self.finish_sasl(Some(words::sasl_locked(self.config, account, &text)), &mut acts);
            }
            "908" => self.mechanisms = message.param(1).map(lossy),
            "904" | "905" | "906" => self.sasl_failed(&text, &mut acts),
            "432" | "433" | "436" | "437" if self.concerns_nick(message) => self.next_nick(&text, &mut acts),
            "464" => acts.push(Act::Fail(words::server_password(self.config))),
            "463" | "465" | "466" => {
                let mut failure = words::closed(self.config, &text);
                if failure.kind == ErrorKind::Closed {
                    failure = words::closed(self.config, &format!("You are banned: {text}"));
                }
                acts.push(Act::Fail(failure));
            }
            "ERROR" => acts.push(Act::Fail(words::closed(self.config, &text))),
            "001" => self.welcomed(message, &mut acts),
            _ => {}
        }
        acts
    }

    /// The work of [`Act::Derive`] is done.
    pub fn derived(&mut self, derived: Derived) -> Vec<Act> {
        let mut acts = Vec::new();
        if matches!(self.sasl, State::Said(_, Challenged::ScramWorking)) {
            match derived.answer {
                Ok(answer) => {
                    say(&answer, &mut acts);
                    let scram = Box::new(derived.scram);
                    self.sasl = State::Said(Mechanism::ScramSha256, Challenged::ScramFinal(scram));
                }
                Err(error) => self.abort(&error.to_string(), &mut acts),
            }
        }
        acts
    }

    /// What the capability `sts` wants, when it is first seen.
    fn strict_transport(&self, before: CapSet) -> Option<Act> {
        let offer = self.caps.available();
        if before.has(Cap::Sts) || !offer.set().has(Cap::Sts) {
            return None;
        }
        let value = StsValue::parse(str::from_utf8(offer.value(Cap::Sts)?).ok()?);
        if self.encrypted {
            Some(Act::Keep(value.duration?.as_secs()))
        } else {
            Some(Act::Upgrade(value.port?))
        }
    }

    /// Every CAP REQ is answered: log in if that is wanted, else go on.
    fn capabilities_are_known(&mut self, message: &Message<'_>, acts: &mut Vec<Act>) {
        // A server without CAP is told no CAP END.
        let has_cap = message.is("CAP");
        self.ended = !has_cap;
        if matches!(self.config.sasl, Sasl::None) {
            return self.end(acts);
        }
        match self.choose() {
            Ok(mechanism) => self.start(mechanism, acts),
            Err(failure) => self.finish_sasl(Some(failure), acts),
        }
    }

    fn start(&mut self, mechanism: Mechanism, acts: &mut Vec<Act>) {
        acts.push(Act::Send(irc::line("AUTHENTICATE").param(mechanism.name()).to_bytes()));
        self.sasl = State::Asked(mechanism);
    }

    fn choose(&self) -> Result<Mechanism, ClientError> {
        let config = self.config;
        if !self.caps.enabled().has(Cap::Sasl) {
            return Err(words::sasl_unavailable(config, "does not offer SASL"));
        }
        let offers = |mechanism: Mechanism| self.caps.offers_mechanism(mechanism.name());
        // A server that speaks only CAP 3.1 names no mechanisms; PLAIN is what all of those have.
        let silent = self.caps.available().value(Cap::Sasl).is_none_or(<[u8]>::is_empty);
        let lacking = |name: &str| words::sasl_unavailable(config, &format!("does not offer SASL {name}"));
        match &config.sasl {
            Sasl::None => Err(words::sasl_unavailable(config, "does not need SASL")),
            Sasl::Password { .. } if offers(Mechanism::ScramSha256) && !(silent && self.encrypted) => {
                Ok(Mechanism::ScramSha256)
            }
            Sasl::Password { .. } if offers(Mechanism::Plain) && self.encrypted => Ok(Mechanism::Plain),
            Sasl::Password { .. } if offers(Mechanism::Plain) => Err(words::insecure(config)),
            Sasl::Password { .. } => Err(lacking("with a password")),
            Sasl::External if !self.encrypted => Err(words::insecure(config)),
            Sasl::External if offers(Mechanism::External) => Ok(Mechanism::External),
            Sasl::External => Err(lacking("EXTERNAL (a certificate)")),
            Sasl::OauthBearer { .. } if !self.encrypted => Err(words::insecure(config)),
            Sasl::OauthBearer { .. } if offers(Mechanism::OauthBearer) => Ok(Mechanism::OauthBearer),
            Sasl::OauthBearer { .. } => Err(lacking("OAUTHBEARER")),
        }
    }

    fn challenge(&mut self, chunk: &[u8], acts: &mut Vec<Act>) {
        match std::mem::take(&mut self.sasl) {
            State::Asked(mechanism) => match self.first_message(mechanism) {
                Ok((message, expects)) => {
                    say(&message, acts);
                    self.sasl = State::Said(mechanism, expects);
                }
                Err(error) => self.abort(&error, acts),
            },
            State::Said(mechanism, expects) => match self.challenge.push(chunk) {
                Ok(Some(message)) => self.answer(mechanism, expects, &message, acts),
                Ok(None) => self.sasl = State::Said(mechanism, expects),
                Err(error) => self.abort(&error.to_string(), acts),
            },
            other => self.sasl = other,
        }
    }

    fn first_message(&self, mechanism: Mechanism) -> Result<(Vec<u8>, Challenged), String> {
        let nothing = |message: Vec<u8>| (message, Challenged::Nothing);
        match (mechanism, &self.config.sasl) {
            (Mechanism::ScramSha256, Sasl::Password { account, password }) => {
                let scram = scram::Client::new(account, password.expose_secret(), "", &self.nonce);
                Ok((scram.first(), Challenged::ScramFirst(Box::new(scram))))
            }
            (Mechanism::Plain, Sasl::Password { account, password }) => {
                let plain = Plain { authzid: "", authcid: account, password: password.expose_secret() };
                plain.to_payload().map(|message| nothing(message.to_vec())).map_err(|error| error.to_string())
            }
            (Mechanism::OauthBearer, Sasl::OauthBearer { account, token }) => {
                let authzid = account.clone();
                let bearer = OauthBearer { authzid, host: None, port: None, token: token.expose_secret() };
                bearer
                    .to_payload()
                    .map(|message| nothing(message.to_vec()))
                    .map_err(|error| error.to_string())
            }
            // EXTERNAL: the certificate says it all.
            _ => Ok(nothing(Vec::new())),
        }
    }

    fn answer(&mut self, mechanism: Mechanism, expects: Challenged, message: &[u8], acts: &mut Vec<Act>) {
        let expects = match expects {
            Challenged::ScramFirst(scram) => {
                acts.push(Act::Derive(Box::new(Derivation { scram: *scram, challenge: message.to_vec() })));
                Challenged::ScramWorking
            }
            Challenged::ScramFinal(mut scram) => match scram.verify(message) {
                Ok(()) => {
                    self.proven = true;
                    say(b"", acts);
                    Challenged::Nothing
                }
                Err(error) => return self.abort(&error.to_string(), acts),
            },
            Challenged::ScramWorking => Challenged::ScramWorking,
            Challenged::Nothing => {
                say(if mechanism == Mechanism::OauthBearer { OAUTH_GIVE_UP } else { b"" }, acts);
                Challenged::Nothing
            }
        };
        self.sasl = State::Said(mechanism, expects);
    }

    /// The other side breaks the rules of the mechanism.
    fn abort(&mut self, why: &str, acts: &mut Vec<Act>) {
        acts.push(Act::Send(Bytes::from_static(b"AUTHENTICATE *\r\n")));
        let failure = words::sasl_unavailable(self.config, &format!("cannot be logged in to: {why}"));
        self.finish_sasl(Some(failure), acts);
    }

    /// Whether the server still owes the proof that SCRAM wants of it; without it a 903 is not to be believed.
    fn must_prove(&self) -> bool {
        matches!(self.sasl, State::Asked(Mechanism::ScramSha256) | State::Said(Mechanism::ScramSha256, _))
            && !self.proven
    }

    fn sasl_failed(&mut self, text: &str, acts: &mut Vec<Act>) {
        let tried = match &self.sasl {
            State::Asked(mechanism) | State::Said(mechanism, _) => *mechanism,
            State::Idle | State::Over => return,
        };
        // Accounts older than SCRAM have no verifier: the same password by PLAIN is another question. It is asked only
        // where the other side has proven who it is.
        let proven = matches!(self.config.tls, Tls::Verified | Tls::Pinned(_)) && self.encrypted;
        if tried == Mechanism::ScramSha256 && proven && self.has_plain() {
            return self.start(Mechanism::Plain, acts);
        }
        let unknown = matches!(self.sasl, State::Asked(_)) && self.mechanisms.is_some();
        let failure = if unknown {
            words::sasl_unavailable(self.config, &format!("does not offer SASL {}", tried.name()))
        } else {
            words::sasl_refused(self.config, self.account_name(), text)
        };
        self.finish_sasl(Some(failure), acts);
    }

    fn has_plain(&self) -> bool {
        match &self.mechanisms {
            Some(names) => names.split(',').any(|name| name.eq_ignore_ascii_case("PLAIN")),
            None => self.caps.offers_mechanism("PLAIN"),
        }
    }

    fn finish_sasl(&mut self, failure: Option<ClientError>, acts: &mut Vec<Act>) {
        if matches!(self.sasl, State::Over) {
            return;
        }
        self.sasl = State::Over;
        match failure {
            Some(failure) if !self.config.sasl_optional => acts.push(Act::Fail(failure)),
            failure => {
                self.failure = failure;
                self.end(acts);
            }
        }
    }

    fn end(&mut self, acts: &mut Vec<Act>) {
        if !std::mem::replace(&mut self.ended, true) {
            acts.push(Act::Send(self.caps.end().to_bytes()));
        }
    }

    /// `433 * nick :text`: about the nick that was tried last, not about a channel or an older one.
    fn concerns_nick(&self, message: &Message<'_>) -> bool {
        message.param(1).is_none_or(|nick| nick == self.nick.as_bytes()) || message.params.len() < 3
    }

    fn next_nick(&mut self, text: &str, acts: &mut Vec<Act>) {
        self.nicks += 1;
        if self.nicks > MOST_NICKS {
            return acts.push(Act::Fail(words::nick(self.config, text)));
        }
        self.nick = fallback(&self.config.nick, self.nicks);
        acts.push(Act::Send(irc::line("NICK").param(&self.nick).to_bytes()));
    }

    fn welcomed(&mut self, message: &Message<'_>, acts: &mut Vec<Act>) {
        if !matches!(self.config.sasl, Sasl::None)
            && !matches!(self.sasl, State::Over)
            && !self.config.sasl_optional
        {
            let failure = words::sasl_unavailable(self.config, "went on before the login was done");
            return acts.push(Act::Fail(failure));
        }
        // Some welcome nobody by name: then it is who we asked to be.
        let named = message.param(0).map(lossy).filter(|nick| !nick.is_empty() && nick != "*");
        let nick = named.unwrap_or_else(|| self.nick.clone());
        acts.push(Act::Done(Box::new(Registered {
            nick,
            caps: self.caps.enabled(),
            account: self.account.clone(),
            sasl_failure: self.failure.clone(),
            fingerprint: None,
        })));
    }

    fn account_name(&self) -> &'a str {
        match &self.config.sasl {
            Sasl::Password { account, .. } | Sasl::OauthBearer { account, .. } => account,
            Sasl::None | Sasl::External => "",
        }
    }
}

/// `nick_`, `nick__`, `nick___`, then shorter ones with a number, for networks with short nicks.
fn fallback(nick: &str, round: usize) -> String {
    if round <= MOST_UNDERSCORES {
        return format!("{nick}{}", "_".repeat(round));
    }
    let stem: String = nick.chars().take(7).collect();
    format!("{stem}{}", round - MOST_UNDERSCORES + 1)
}

/// A message in AUTHENTICATE lines.
fn say(message: &[u8], acts: &mut Vec<Act>) {
    acts.extend(
        chunks(message).iter().map(|chunk| Act::Send(Bytes::from(format!("AUTHENTICATE {chunk}\r\n")))),
    );
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
#[path = "registration_tests.rs"]
mod tests;
