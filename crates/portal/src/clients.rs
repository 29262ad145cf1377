//! How to connect each client, filled in for one user: what to type, what to put into which file or field.
//!
//! The command lines were checked against the manuals of irssi 1.4, WeeChat 3.8 and senpai 0.5; tests type the very
//! text of the blocks whose `tag` is `irssi`, `weechat` and `senpai`. `docs/clients.md` says which clients were run.

mod desktop;
mod elsewhere;
mod guide;
mod setup;
mod terminal;

pub use guide::{Guide, Piece, Step, What};
pub(crate) use setup::is_this_machine;
pub use setup::{LocalCertificate, PLACEHOLDER, Setup};

/// The clients there is a guide for, id and name, in the order of the tabs.
pub const CLIENTS: [(&str, &str); 9] = [
    ("irssi", "irssi"),
    ("weechat", "WeeChat"),
    ("senpai", "senpai"),
    ("halloy", "Halloy"),
    ("goguma", "goguma"),
    ("gamja", "gamja"),
    ("hexchat", "HexChat"),
    ("textual", "Textual"),
    ("mirc", "mIRC"),
];

/// The guide for a client, or `None` if there is none of this id.
pub fn guide(id: &str, setup: &Setup) -> Option<Guide> {
    Some(match id {
        "irssi" => terminal::irssi(setup),
        "weechat" => terminal::weechat(setup),
        "senpai" => terminal::senpai(setup),
        "halloy" => desktop::halloy(setup),
        "goguma" => elsewhere::goguma(setup),
        "gamja" => elsewhere::gamja(setup),
        "hexchat" => desktop::hexchat(setup),
        "textual" => desktop::textual(setup),
        "mirc" => desktop::mirc(setup),
        _ => return None,
    })
}

/// All guides.
pub fn guides(setup: &Setup) -> Vec<Guide> {
    CLIENTS.iter().filter_map(|(id, _)| guide(id, setup)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(local: bool) -> Setup {
        Setup {
            host: "localhost".into(),
            tls_port: 6697,
            websocket: Some("wss://localhost:6697".into()),
            username: "alice".into(),
            network: Some("libera".into()),
            secret: Some("s3cr-et".into()),
            local: local.then(|| LocalCertificate {
                fingerprint: "9f3c51e0".into(),
                authority_url: "http://localhost:8080/authority.pem".into(),
            }),
        }
    }

    fn text(guide: Option<Guide>, wanted: &str) -> String {
        guide
            .into_iter()
            .flat_map(|guide| guide.steps)
            .find_map(|step| match step.what {
                What::Block { tag, pieces } if tag == wanted => {
                    Some(pieces.into_iter().map(|piece| piece.text).collect())
                }
                _ => None,
            })
            .unwrap_or_default()
    }

    #[test]
    fn irssi_gets_the_pin_of_a_certificate_nobody_else_knows() {
        assert_eq!(
            text(guide("irssi", &setup(true)), "irssi"),
            "/network add -sasl_username alice/libera -sasl_password s3cr-et -sasl_mechanism PLAIN libera\n\
             /server add -auto -tls -notls_verify -tls_pinned_cert 9F:3C:51:E0 -network libera localhost 6697\n\
             /save\n\
             /connect libera"
        );
        assert!(text(guide("irssi", &setup(false)), "irssi").contains("-tls -tls_verify -network"));
    }

    #[test]
    fn braces_of_a_file_stay_as_they_are() {
        assert_eq!(
            text(guide("gamja", &setup(false)), "gamja"),
            "{\n  \"server\": {\n    \"url\": \"wss://localhost:6697\",\n    \"auth\": \"mandatory\"\n  }\n}"
        );
    }

    #[test]
    fn every_client_of_the_tabs_has_a_guide() {
        for (id, name) in CLIENTS {
            let guide = guide(id, &setup(true));
            assert_eq!(guide.map(|guide| (guide.id, guide.name)), Some((id, name)));
        }
        assert_eq!(guides(&setup(false)).len(), CLIENTS.len());
    }

    #[test]
    fn without_a_fresh_password_a_placeholder_says_where_it_goes() {
        let mut setup = setup(false);
        setup.secret = None;
        assert!(text(guide("weechat", &setup), "weechat").contains(PLACEHOLDER));
    }
}
