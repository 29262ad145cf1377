//! A registered client: its lines go to the session, what concerns it comes back.

use super::End;
use super::reader::{Input, Reader};
use crate::backend::{Backend, Session as _};

/// Hands the client's lines to its session until the end.
pub(super) async fn serve<B: Backend>(reader: &mut Reader<'_, B>, session: &mut B::Session) -> End {
    loop {
        // Everything of one read goes over in one piece.
        let mut lines = Vec::new();
        let mut next = reader.next().await;
        while let Ok(Input::Piece(piece)) = next {
            match reader.sort(piece) {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => {}
                Err(end) => return end,
            }
            // What the client says after a CAP REQ it says with the new capabilities.
            if let Some(caps) = reader.outbox.changed_caps() {
                if !lines.is_empty() {
                    session.lines(std::mem::take(&mut lines)).await;
                }
                session.caps_changed(caps).await;
            }
            let nothing = Ok(Input::Notices { drained: false, caps: None });
            next = reader.ready().map_or(nothing, |ready| ready.map(Input::Piece));
        }
        if !lines.is_empty() {
            session.lines(lines).await;
        }
        match next {
            Ok(Input::Piece(_)) => {}
            Ok(Input::Notices { drained, caps }) => {
                if let Some(caps) = caps {
                    session.caps_changed(caps).await;
                }
                if drained {
                    session.drained().await;
                }
            }
            Err(end) => return end,
        }
    }
}
