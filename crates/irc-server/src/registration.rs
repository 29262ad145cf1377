//! What a client says before it is in: NICK, USER, PASS, CAP and AUTHENTICATE. Pure: lines in, replies and acts out.

use bytes::Bytes;
use irc::Message;
use irc::sasl::{Reassembler, SaslError, chunks};

use crate::backend::Mechanism;
use crate::caps::Negotiation;
use crate::reply;

const MOST_EARLY_LINES: usize = 8;
const LONGEST_NICK: usize = 64;
/// Lines that make no sense before the connection is given up.
const MOST_NONSENSE: u8 = 10;
/// Refused logins before the connection is given up.
const MOST_REFUSALS: u8 = 4;

/// What the machine cannot know by itself.
pub(crate) struct Context<'a> {
    pub server: &'a str,
    /// What this connection may log in with; empty where a password would travel in the clear.
    pub mechanisms: &'a [Mechanism],
    /// Whether nobody can read along.
    pub confidential: bool,
    pub login_required: bool,
    pub login_hint: &'a str,
    /// Which other commands to keep.
    pub early: &'a (dyn Fn(&[u8]) -> bool + Sync),
}

/// What is to be done after a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Read on.
    Continue,
    /// Ask the backend, then [`Registration::answered`].
    Sasl(Step),
    /// Registration is complete.
    Ready,
    /// Send ERROR with this and close.
    End(String),
}

/// A step of SASL, and where it came from.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub mechanism: Mechanism,
    pub continuation: Option<Vec<u8>>,
    pub payload: Vec<u8>,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Step").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

/// The backend's answer, without the login itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Challenge { payload: Vec<u8>, continuation: Vec<u8> },
    Success { account: String },
    Refused { text: String },
    Unavailable { text: String },
}

#[derive(Debug, Default)]
enum Sasl {
    #[default]
    Idle,
    /// The client is to send a payload, of which some chunks may be there.
    Payload { mechanism: Mechanism, continuation: Option<Vec<u8>>, chunks: Reassembler },
    /// The backend is asked.
    Asked { mechanism: Mechanism },
}

/// One client's registration.
#[derive(Default)]
pub(crate) struct Registration {
    nick: Option<String>,
    user: Option<(String, String)>,
    pass: Option<Vec<u8>>,
    sasl: Sasl,
    /// PASS is being tried.
    passing: bool,
    logged_in: bool,
    early: Vec<Bytes>,
    nonsense: u8,
    refusals: u8,
}

/// What the client said of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Introduced {
    pub nick: String,
    pub user: String,
    pub realname: String,
    pub early: Vec<Bytes>,
}

impl Registration {
    /// Takes one line in. Replies go to `out`.
    pub fn line(
        &mut self,
        line: &Bytes,
        context: &Context<'_>,
        caps: &mut Negotiation,
        out: &mut Vec<Bytes>,
    ) -> Act {
        let Ok(message) = Message::parse(line) else {
            return self.nonsense();
        };
        let target = self.nick.clone().unwrap_or_else(|| "*".into());
        let r = reply::Replies { server: context.server, target: &target };
        let command = message.upper();
        match &*command {
            "CAP" => {
                let (lines, ended) = caps.command(&message);
                out.extend(lines);
                if ended && !matches!(self.sasl, Sasl::Idle) {
                    self.sasl = Sasl::Idle;
                    out.push(r.numeric("906", &[], "SASL was aborted."));
                }
            }
            "AUTHENTICATE" => return self.authenticate(&message, context, &r, out),
            "NICK" => match message.param(0).map(text).filter(|nick| !nick.is_empty()) {
                None => out.push(r.numeric("431", &[], "No nick was given.")),
                Some(nick) if !reasonable(&nick) => {
                    out.push(r.numeric("432", &[&nick], "That nick cannot be used."));
                }
                Some(nick) => {
                    caps.set_nick(&nick);
                    self.nick = Some(nick);
                }
            },
            "USER" => match (message.param(0), message.param(3)) {
                (Some(user), Some(realname)) if !user.is_empty() => {
                    self.user = Some((text(user), text(realname)));
                }
                _ => out.push(r.numeric("461", &["USER"], "USER wants four parameters.")),
            },
            "PASS" => match message.param(0) {
                Some(pass) => self.pass = Some(pass.to_vec()),
                None => out.push(r.numeric("461", &["PASS"], "PASS wants a parameter.")),
            },
            "PING" => out.push(r.pong(message.last().unwrap_or_default())),
            "PONG" => {}
            // senpai 0.5 sends its registration in one go, this among it, before it knows that we have no metadata.
            "METADATA" => {}
            "QUIT" => return Act::End("You left.".into()),
            "GET" | "POST" | "HEAD" | "PUT" | "OPTIONS" | "CONNECT" | "EHLO" | "HELO" | "SSH" => {
                return Act::End("This port speaks IRC.".into());
            }
            _ if (context.early)(command.as_bytes()) && self.early.len() < MOST_EARLY_LINES => {
                self.early.push(line.clone());
            }
            _ => {
                out.push(r.numeric("451", &[], "You have not registered."));
                return self.nonsense();
            }
        }
        self.proceed(context, caps, &r, out)
    }

    /// Takes the backend's answer to [`Act::Sasl`] in.
    pub fn answered(
        &mut self,
        answer: Answer,
        context: &Context<'_>,
        caps: &Negotiation,
        out: &mut Vec<Bytes>,
    ) -> Act {
        let target = self.nick.clone().unwrap_or_else(|| "*".into());
        let r = reply::Replies { server: context.server, target: &target };
        let asked = std::mem::take(&mut self.sasl);
        let Sasl::Asked { mechanism } = asked else { return Act::Continue };
        match answer {
            Answer::Unavailable { text } => return Act::End(text),
            Answer::Challenge { .. } if self.passing => {
                return Act::End("The password could not be checked. Try again in a minute.".into());
            }
            Answer::Challenge { payload, continuation } => {
                out.extend(challenge(&payload));
                let continuation = Some(continuation);
                self.sasl = Sasl::Payload { mechanism, continuation, chunks: Reassembler::default() };
                return Act::Continue;
            }
            Answer::Success { account } => {
                self.logged_in = true;
                if !self.passing {
                    let mask = format!("{target}!*@*");
                    let words = format!("You are logged in as {account}.");
                    out.push(r.numeric("900", &[&mask, &account], &words));
                    out.push(r.numeric("903", &[], "SASL succeeded."));
                }
            }
            Answer::Refused { text } if self.passing => {
                out.push(r.numeric("464", &[], &text));
                return Act::End(text);
            }
            Answer::Refused { text } => {
                out.push(r.numeric("904", &[], &text));
                self.refusals += 1;
                if self.refusals >= MOST_REFUSALS {
                    return Act::End("Too many logins failed.".into());
                }
            }
        }
        self.proceed(context, caps, &r, out)
    }

    /// What was said, once [`Act::Ready`] was reached.
    pub fn introduced(&mut self) -> Introduced {
        let (user, realname) = self.user.take().unwrap_or_default();
        Introduced {
            nick: self.nick.take().unwrap_or_default(),
            user,
            realname,
            early: std::mem::take(&mut self.early),
        }
    }

    /// Counts a line that is no IRC, or was too long.
    pub fn nonsense(&mut self) -> Act {
        self.nonsense += 1;
        if self.nonsense >= MOST_NONSENSE {
            return Act::End("This does not look like an IRC client.".into());
        }
        Act::Continue
    }

    fn proceed(
        &mut self,
        context: &Context<'_>,
        caps: &Negotiation,
        r: &reply::Replies<'_>,
        out: &mut Vec<Bytes>,
    ) -> Act {
        if caps.is_open() || self.nick.is_none() || !matches!(self.sasl, Sasl::Idle) {
            return Act::Continue;
        }
        let Some((user, _)) = &self.user else { return Act::Continue };
        if self.logged_in {
            return Act::Ready;
        }
        if let Some(pass) = self.pass.take() {
            if !context.confidential {
                let text =
                    "Passwords are taken over TLS only. Turn on TLS in your client and use the TLS port.";
                out.push(r.numeric("464", &[], text));
                return Act::End(text.into());
            }
            self.passing = true;
            self.sasl = Sasl::Asked { mechanism: Mechanism::Plain };
            let payload = pass_as_plain(&pass, user);
            return Act::Sasl(Step { mechanism: Mechanism::Plain, continuation: None, payload });
        }
        if context.login_required {
            let text = if context.confidential {
                format!("You have to log in. {}", context.login_hint)
            } else {
                "You have to log in, and that works over TLS only. Turn on TLS in your client and use the TLS \
                 port."
                    .into()
            };
            out.push(irc::reply::fail("*", "ACCOUNT_REQUIRED", &[], &text).source(context.server).to_bytes());
            out.push(r.numeric("464", &[], &text));
            return Act::End(text);
        }
        Act::Ready
    }

    fn authenticate(
        &mut self,
        message: &Message<'_>,
        context: &Context<'_>,
        r: &reply::Replies<'_>,
        out: &mut Vec<Bytes>,
    ) -> Act {
        let Some(word) = message.param(0) else {
            out.push(r.numeric("461", &["AUTHENTICATE"], "AUTHENTICATE wants a parameter."));
            return Act::Continue;
        };
        if self.logged_in {
            out.push(r.numeric("907", &[], "You are logged in already."));
            return Act::Continue;
        }
        if word == b"*" {
            self.sasl = Sasl::Idle;
            out.push(r.numeric("906", &[], "SASL was aborted."));
            return Act::Continue;
        }
        match std::mem::take(&mut self.sasl) {
            Sasl::Idle => {
                match Mechanism::from_name(word).filter(|wanted| context.mechanisms.contains(wanted)) {
                    Some(mechanism) => {
                        out.push(Bytes::from_static(b"AUTHENTICATE +\r\n"));
                        self.sasl =
                            Sasl::Payload { mechanism, continuation: None, chunks: Reassembler::default() };
                    }
                    None if context.mechanisms.is_empty() => {
                        let text = "Logging in works over TLS only. Turn on TLS in your client and use the TLS \
                                    port.";
                        out.push(r.numeric("904", &[], text));
                    }
                    None => {
                        let names = mechanism_names(context.mechanisms);
                        out.push(r.numeric("908", &[&names], "are the mechanisms there are."));
                        out.push(r.numeric("904", &[], "That SASL mechanism is not known here."));
                    }
                }
                Act::Continue
            }
            Sasl::Payload { mechanism, continuation, mut chunks } => {
                let refusal = match chunks.push(word) {
                    Ok(Some(payload)) => {
                        self.sasl = Sasl::Asked { mechanism };
                        return Act::Sasl(Step { mechanism, continuation, payload: payload.to_vec() });
                    }
                    Ok(None) => {
                        self.sasl = Sasl::Payload { mechanism, continuation, chunks };
                        return Act::Continue;
                    }
                    Err(SaslError::TooLong) => ("905", "That SASL message is too long."),
                    Err(SaslError::Aborted) => ("906", "SASL was aborted."),
                    Err(SaslError::NotBase64 | SaslError::Malformed) => {
                        ("904", "That SASL message is no base64.")
                    }
                };
                out.push(r.numeric(refusal.0, &[], refusal.1));
                Act::Continue
            }
            // Lines are not read while the backend is asked.
            asked @ Sasl::Asked { .. } => {
                self.sasl = asked;
                Act::Continue
            }
        }
    }
}

/// The names, as 908 and the value of the capability `sasl` have them.
pub(crate) fn mechanism_names(mechanisms: &[Mechanism]) -> String {
    mechanisms.iter().map(|mechanism| mechanism.name()).collect::<Vec<_>>().join(",")
}

/// A challenge in AUTHENTICATE lines.
fn challenge(payload: &[u8]) -> impl Iterator<Item = Bytes> {
    chunks(payload).into_iter().map(|chunk| Bytes::from(format!("AUTHENTICATE {chunk}\r\n")))
}

/// `PASS user/network:secret`, or `PASS secret` with the user name of USER, as a PLAIN message.
fn pass_as_plain(pass: &[u8], user: &str) -> Vec<u8> {
    let (name, secret) = match pass.iter().position(|byte| *byte == b':') {
        Some(at) => (&pass[..at], &pass[at + 1..]),
        None => (user.as_bytes(), pass),
    };
    [b"\0", name, b"\0", secret].concat()
}

fn reasonable(nick: &str) -> bool {
    nick.len() <= LONGEST_NICK && !nick.contains(['!', '@', ' ', ',', '*', '?', ':', '#', '&']) && nick != "0"
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
#[path = "registration_tests.rs"]
mod tests;
