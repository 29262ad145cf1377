//! From the first line to an open session: registration's rules run over the wire, logins are the backend's.

use irc::Message;

use super::End;
use super::reader::{Input, Reader};
use crate::backend::{Backend, Mechanism, NewClient, Peer, SaslAnswer, SaslStep};
use crate::framing::Piece;
use crate::metrics::Login;
use crate::registration::{Act, Answer, Context, Introduced, Registration, Step};

/// What this client may log in with: nothing where others can read along.
pub(super) fn mechanisms<B: Backend>(backend: &B, peer: &Peer) -> Vec<Mechanism> {
    if !peer.confidential() {
        return Vec::new();
    }
    let fits = |mechanism: &Mechanism| *mechanism != Mechanism::External || peer.certificate.is_some();
    backend.mechanisms(peer).into_iter().filter(fits).collect()
}

/// Takes lines until the client is in, or has to go.
pub(super) async fn register<B: Backend>(
    reader: &mut Reader<'_, B>,
    mechanisms: &[Mechanism],
) -> Result<B::Session, End> {
    let backend = reader.setting.backend;
    let config = reader.setting.config;
    let peer = reader.peer;
    let early = |command: &[u8]| backend.early(&command.to_ascii_uppercase());
    let context = Context {
        server: &config.server_name,
        mechanisms,
        confidential: peer.confidential(),
        login_required: config.login_required,
        login_hint: &config.login_hint,
        early: &early,
    };
    let mut registration = Registration::default();
    let mut login = None;
    let introduced = loop {
        let mut act = match reader.next().await? {
            Input::Piece(Piece::Line(line)) => reader.outbox.negotiate(|caps, out| {
                if is_cap(&line) {
                    out.extend(caps.change_offer(backend.offer(peer)));
                }
                registration.line(&line, &context, caps, out)
            }),
            Input::Piece(Piece::TooLong) => {
                reader.too_long("*");
                registration.nonsense()
            }
            Input::Piece(Piece::Endless) => return Err(End::endless()),
            // There is nobody yet whom it would concern.
            Input::Notices { .. } => continue,
        };
        while let Act::Sasl(step) = act {
            let (answer, found) = ask(reader, step).await;
            login = found.or(login);
            act = reader.outbox.negotiate(|caps, out| registration.answered(answer, &context, caps, out));
        }
        match act {
            Act::Continue | Act::Sasl(_) => {}
            Act::Ready => break registration.introduced(),
            Act::End(text) => return Err(End::by_door("registration", text)),
        }
    };
    let (caps, cap_version) = reader.outbox.negotiate(|caps, _| {
        caps.set_registered();
        (caps.active(), caps.version())
    });
    // The backend is told them in `open`.
    reader.outbox.changed_caps();
    let Introduced { nick, user, realname, early } = introduced;
    let client = NewClient { login, nick, user, realname, caps, cap_version, early, peer: peer.clone() };
    match backend.open(client, reader.outbox.clone()).await {
        Ok(session) => Ok(session),
        Err(refusal) => {
            reader.outbox.push_own(refusal.lines);
            Err(End::by_backend(refusal.text))
        }
    }
}

/// Asks the backend for one step of SASL.
async fn ask<B: Backend>(reader: &Reader<'_, B>, step: Step) -> (Answer, Option<B::Login>) {
    let Step { mechanism, continuation, payload } = step;
    let step = SaslStep { mechanism, continuation, payload, peer: reader.peer.clone() };
    let count = |result| {
        let label = Login { mechanism: mechanism.name(), result };
        reader.setting.metrics.logins.get_or_create(&label).inc();
    };
    match reader.setting.backend.sasl(step).await {
        SaslAnswer::Challenge { payload, continuation } => {
            (Answer::Challenge { payload, continuation }, None)
        }
        SaslAnswer::Success { account, login } => {
            count("success");
            (Answer::Success { account }, Some(login))
        }
        SaslAnswer::Refused { text } => {
            count("refused");
            (Answer::Refused { text }, None)
        }
        SaslAnswer::Unavailable { text } => {
            count("unavailable");
            (Answer::Unavailable { text }, None)
        }
    }
}

fn is_cap(line: &[u8]) -> bool {
    Message::parse(line).is_ok_and(|message| message.is("CAP"))
}
