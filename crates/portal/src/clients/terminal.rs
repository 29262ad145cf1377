//! Clients in a terminal: what to type.

use super::guide::{Guide, Step};
use super::setup::Setup;

pub(super) fn irssi(s: &Setup) -> Guide {
    // A pin alone is not enough: irssi 1.4 also asks the authorities unless it is told not to. It checks the pin either way.
    let pin = if s.local.is_some() { " -notls_verify -tls_pinned_cert {pin}" } else { " -tls_verify" };
    let text = format!(
        "/network add -sasl_username {{login}} -sasl_password {{secret}} -sasl_mechanism PLAIN {{label}}\n\
         /server add -auto -tls{pin} -network {{label}} {{host}} {{port}}\n\
         /save\n\
         /connect {{label}}"
    );
    Guide {
        id: "irssi",
        name: "irssi",
        about: "In a terminal. It has no history of its own: what you missed comes as ordinary lines, with the time they were said.",
        steps: vec![Step { text: "Start irssi and type:".to_owned(), what: s.block("irssi", &text) }],
    }
}

pub(super) fn weechat(s: &Setup) -> Guide {
    let lines = |word: &str| {
        let pin = if s.local.is_some() {
            format!("/set irc.server.{{label}}.{word}_fingerprint {{hex}}\n")
        } else {
            String::new()
        };
        format!(
            "/server add {{label}} {{host}}/{{port}} -{word} -autoconnect\n{pin}\
             /set irc.server.{{label}}.sasl_mechanism plain\n\
             /set irc.server.{{label}}.sasl_username {{login}}\n\
             /set irc.server.{{label}}.sasl_password {{secret}}\n\
             /save\n\
             /connect {{label}}"
        )
    };
    Guide {
        id: "weechat",
        name: "WeeChat",
        about: "In a terminal. It has no history of its own: what you missed comes as ordinary lines, with the time they were said.",
        steps: vec![
            Step {
                text: "WeeChat 3 (Debian 12 has 3.8): start it and type".to_owned(),
                what: s.block("weechat", &lines("ssl")),
            },
            Step {
                text: "WeeChat 4 and later calls the same options tls:".to_owned(),
                what: s.block("weechat-4", &lines("tls")),
            },
        ],
    }
}

pub(super) fn senpai(s: &Setup) -> Guide {
    let mut steps: Vec<Step> = s.fetch_authority("senpai-authority").into_iter().collect();
    steps.push(Step {
        text: "Put this into ~/.config/senpai/senpai.scfg:".to_owned(),
        what: s.block(
            "senpai",
            "address ircs://{host}:{port}\nnickname {user}\nusername {user}\npassword \"{secret}\"",
        ),
    });
    steps.push(match &s.local {
        Some(_) => Step {
            text: "Start it so that it trusts that authority:".to_owned(),
            what: s.block("senpai-run", "SSL_CERT_FILE=~/irc-now.pem senpai"),
        },
        None => Step { text: "Start it:".to_owned(), what: s.block("senpai-run", "senpai") },
    });
    Guide {
        id: "senpai",
        name: "senpai",
        about: "In a terminal, made for bouncers: all your networks over one connection, history and read markers shared with your other devices, search.",
        steps,
    }
}
