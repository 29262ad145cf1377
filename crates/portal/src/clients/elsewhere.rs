//! Clients on a phone and in a browser.

use super::guide::{Guide, Step, What};
use super::setup::{Setup, is_this_machine};

pub(super) fn goguma(s: &Setup) -> Guide {
    let mut steps = vec![Step {
        text: "On the first screen fill in:".to_owned(),
        what: What::Fields(vec![
            ("Server", format!("{}:{}", s.host, s.tls_port)),
            ("Nickname", s.username.clone()),
            ("Password", s.secret().to_owned()),
        ]),
    }];
    if s.local.is_some() {
        steps.push(Step {
            text: "If it asks about the certificate, compare the fingerprint with the one on this page before you accept.".to_owned(),
            what: What::Nothing,
        });
    }
    if is_this_machine(&s.host) {
        steps.push(Step {
            text: format!(
                "{} means the phone itself, on a phone. Use the address of this machine in your own network, and set sites.irc_host to it.",
                s.host
            ),
            what: What::Nothing,
        });
    }
    Guide {
        id: "goguma",
        name: "goguma",
        about: "On Android and iOS, made for bouncers: all your networks, history and read markers.",
        steps,
    }
}

pub(super) fn gamja(s: &Setup) -> Guide {
    let steps = match &s.websocket {
        Some(_) => vec![
            Step {
                text: "gamja runs from a web server, and this bouncer has to know its address: its operator sets bouncer.websocket_origins to it, for example https://gamja.example.org.".to_owned(),
                what: What::Nothing,
            },
            Step {
                text: "In gamja's config.json:".to_owned(),
                what: s.block(
                    "gamja",
                    "{\n  \"server\": {\n    \"url\": \"{websocket}\",\n    \"auth\": \"mandatory\"\n  }\n}",
                ),
            },
            Step {
                text: "Open it and sign in with:".to_owned(),
                what: What::Fields(vec![
                    ("Username", s.username.clone()),
                    ("Password", s.secret().to_owned()),
                ]),
            },
        ],
        None => vec![Step {
            text: "gamja connects over WebSocket with TLS, and this installation offers none.".to_owned(),
            what: What::Nothing,
        }],
    };
    let trust = s.trust_in_system("let your browser trust it as an authority");
    let steps = trust.filter(|_| s.websocket.is_some()).into_iter().chain(steps).collect();
    Guide {
        id: "gamja",
        name: "gamja",
        about: "In the browser, on your own web server. Made for bouncers: all your networks and history.",
        steps,
    }
}
