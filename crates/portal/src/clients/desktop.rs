//! Clients with windows: which field takes what.

use super::guide::{Guide, Step, What};
use super::setup::Setup;

pub(super) fn halloy(s: &Setup) -> Guide {
    let mut steps: Vec<Step> = s.fetch_authority("halloy-authority").into_iter().collect();
    let root = if s.local.is_some() { "root_cert_path = \"/home/you/irc-now.pem\"\n" } else { "" };
    let text = format!(
        "[servers.\"{{label}}\"]\nnickname = \"{{user}}\"\nserver = \"{{host}}\"\nport = {{port}}\n{root}chathistory = true\n\n\
         [servers.\"{{label}}\".sasl.plain]\nusername = \"{{login}}\"\npassword = \"{{secret}}\""
    );
    let path = if s.local.is_some() {
        " Halloy wants the whole path of the certificate: put your own home folder there."
    } else {
        ""
    };
    steps.push(Step {
        text: format!("Add this to config.toml (in Halloy: Open Config File) and reload.{path}"),
        what: s.block("halloy", &text),
    });
    Guide {
        id: "halloy",
        name: "Halloy",
        about: "On Linux, macOS and Windows. It knows chathistory: older lines load as you scroll up.",
        steps,
    }
}

pub(super) fn hexchat(s: &Setup) -> Guide {
    let mut steps: Vec<Step> = s
        .trust_in_system(
            "add it to the authorities of your system (on Debian: as irc-now.crt into /usr/local/share/ca-certificates, then update-ca-certificates)",
        )
        .into_iter()
        .collect();
    steps.push(Step {
        text: "HexChat, Network List, Add, Edit. Untick \"Use global user information\", then fill in:"
            .to_owned(),
        what: What::Fields(vec![
            ("Servers", format!("{}/{}", s.host, s.tls_port)),
            ("Use SSL for all the servers on this network", "ticked".to_owned()),
            ("User name", s.login()),
            ("Login method", "SASL PLAIN (username + password)".to_owned()),
            ("Password", s.secret().to_owned()),
        ]),
    });
    Guide {
        id: "hexchat",
        name: "HexChat",
        about: "On Linux and Windows. It has no history of its own: what you missed comes as ordinary lines, with the time they were said.",
        steps,
    }
}

pub(super) fn textual(s: &Setup) -> Guide {
    let mut steps: Vec<Step> = s
        .trust_in_system("open it in Keychain Access, where you set it to \"Always Trust\"")
        .into_iter()
        .collect();
    steps.push(Step {
        text: "Server, Add Server, then fill in:".to_owned(),
        what: What::Fields(vec![
            ("Server address", s.host.clone()),
            ("Port", s.tls_port.to_string()),
            ("Connect securely", "ticked".to_owned()),
            ("Nickname (Identity)", s.username.clone()),
            ("Username (Identity)", s.login()),
            ("Personal password (Identity)", s.secret().to_owned()),
        ]),
    });
    Guide {
        id: "textual",
        name: "Textual",
        about: "On macOS. It has no history of its own: what you missed comes as ordinary lines, with the time they were said.",
        steps,
    }
}

pub(super) fn mirc(s: &Setup) -> Guide {
    let mut steps: Vec<Step> = s
        .trust_in_system("install it under \"Trusted Root Certification Authorities\"")
        .into_iter()
        .collect();
    steps.push(Step {
        text: "File, Select Server, Add. The port has a plus for TLS; the second password holds both, with a colon between:".to_owned(),
        what: What::Fields(vec![
            ("Description", s.label()),
            ("Address", s.host.clone()),
            ("Ports", format!("+{}", s.tls_port)),
            ("Login Method", "SASL (/CAP)".to_owned()),
            ("Password (the second)", format!("{}:{}", s.login(), s.secret())),
        ]),
    });
    Guide {
        id: "mirc",
        name: "mIRC",
        about: "On Windows, from version 7.51 on. It has no history of its own: what you missed comes as ordinary lines, with the time they were said.",
        steps,
    }
}
