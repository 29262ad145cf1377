//! How to connect each client, filled in for one user: what to type, what to put into which file or field.
//!
//! The command lines were checked against the manuals of irssi 1.4, WeeChat 3.8 and senpai 0.5; tests type the very
//! text of the blocks whose `tag` is `irssi`, `weechat` and `senpai`. `docs/clients.md` says which clients were run.

/// What the steps are filled in with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The host clients connect to.
    pub host: String,
    /// The port with TLS.
    pub tls_port: u16,
    /// Where clients in a browser connect (`wss://…`), if this installation has such a door.
    pub websocket: Option<String>,
    /// The account's user name.
    pub username: String,
    /// The network the steps are for, by its name; none if the account has no network yet.
    pub network: Option<String>,
    /// The app password just made; else a placeholder stands in its place.
    pub secret: Option<String>,
    /// Set if clients do not trust the server's certificate by themselves.
    pub local: Option<LocalCertificate>,
}

/// A certificate signed by the installation's own authority.
#[derive(Clone, Debug)]
pub struct LocalCertificate {
    /// SHA-256 of the server certificate, lower-case hex without colons.
    pub fingerprint: String,
    /// Where the authority's certificate can be fetched.
    pub authority_url: String,
}

impl LocalCertificate {
    /// The fingerprint in pairs, upper case, with colons: as irssi and most clients print it.
    pub fn pairs(&self) -> String {
        let upper = self.fingerprint.to_ascii_uppercase();
        upper.as_bytes().chunks(2).map(String::from_utf8_lossy).collect::<Vec<_>>().join(":")
    }
}

/// A client and its steps.
#[derive(Clone, Debug)]
pub struct Guide {
    /// In URLs and `data-client`.
    pub id: &'static str,
    /// What it calls itself.
    pub name: &'static str,
    /// Where it runs, and what it can do with the bouncer.
    pub about: &'static str,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// One step: a sentence, and what to type or fill in.
#[derive(Clone, Debug)]
pub struct Step {
    /// What to do.
    pub text: String,
    /// With what.
    pub what: What,
}

/// What a step holds beside its sentence.
#[derive(Clone, Debug)]
pub enum What {
    /// Nothing more.
    Nothing,
    /// Text to type or to put into a file. `tag` is the block's `data-client`.
    Block {
        /// Names the block for scripts and tests.
        tag: &'static str,
        /// The text in pieces; the filled-in ones are marked.
        pieces: Vec<Piece>,
    },
    /// Fields of a dialog, label and value.
    Fields(Vec<(&'static str, String)>),
}

/// A piece of a block's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether it was filled in for this user.
    pub filled: bool,
}

/// What stands where the app password goes while none was just made.
pub const PLACEHOLDER: &str = "YOUR-APP-PASSWORD";

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
        "irssi" => irssi(setup),
        "weechat" => weechat(setup),
        "senpai" => senpai(setup),
        "halloy" => halloy(setup),
        "goguma" => goguma(setup),
        "gamja" => gamja(setup),
        "hexchat" => hexchat(setup),
        "textual" => textual(setup),
        "mirc" => mirc(setup),
        _ => return None,
    })
}

/// All guides.
pub fn guides(setup: &Setup) -> Vec<Guide> {
    CLIENTS.iter().filter_map(|(id, _)| guide(id, setup)).collect()
}

impl Setup {
    fn secret(&self) -> &str {
        self.secret.as_deref().unwrap_or(PLACEHOLDER)
    }

    /// The name to log in with for one network: `alice/libera`.
    pub fn login(&self) -> String {
        match &self.network {
            Some(network) => format!("{}/{network}", self.username),
            None => self.username.clone(),
        }
    }

    /// What the client may call this connection: the network's name.
    fn label(&self) -> String {
        self.network.clone().unwrap_or_else(|| "irc-now".to_owned())
    }

    /// Fills `{host}`, `{port}`, `{login}`, `{user}`, `{secret}`, `{label}`, `{pin}`, `{hex}`, `{authority}` and
    /// `{websocket}` into a block's text.
    fn block(&self, tag: &'static str, text: &str) -> What {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, tail) = after.split_once('}').unwrap_or((after, ""));
            match self.value(name) {
                Some(value) => {
                    push(&mut pieces, before, false);
                    push(&mut pieces, &value, true);
                    rest = tail;
                }
                // A brace of the text itself.
                None => {
                    push(&mut pieces, before, false);
                    push(&mut pieces, "{", false);
                    rest = after;
                }
            }
        }
        push(&mut pieces, rest, false);
        What::Block { tag, pieces }
    }

    fn value(&self, name: &str) -> Option<String> {
        Some(match name {
            "host" => self.host.clone(),
            "port" => self.tls_port.to_string(),
            "login" => self.login(),
            "user" => self.username.clone(),
            "secret" => self.secret().to_owned(),
            "label" => self.label(),
            "pin" => self.local.as_ref()?.pairs(),
            "hex" => self.local.as_ref()?.fingerprint.clone(),
            "authority" => self.local.as_ref()?.authority_url.clone(),
            "websocket" => self.websocket.clone()?,
            _ => return None,
        })
    }

    /// The step that fetches the authority's certificate, where it is needed.
    fn fetch_authority(&self, tag: &'static str) -> Option<Step> {
        self.local.as_ref()?;
        Some(Step {
            text: "This server's certificate is signed by its own authority. Fetch the authority's certificate once:".to_owned(),
            what: self.block(tag, "curl -o ~/irc-now.pem {authority}"),
        })
    }

    fn trust_in_system(&self, system: &str) -> Option<Step> {
        let local = self.local.as_ref()?;
        Some(Step {
            text: format!(
                "This server's certificate is signed by its own authority. Download {} and {system}.",
                local.authority_url
            ),
            what: What::Nothing,
        })
    }
}

fn push(pieces: &mut Vec<Piece>, text: &str, filled: bool) {
    match pieces.last_mut() {
        Some(last) if last.filled == filled => last.text.push_str(text),
        _ if text.is_empty() => {}
        _ => pieces.push(Piece { text: text.to_owned(), filled }),
    }
}

fn irssi(s: &Setup) -> Guide {
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

fn weechat(s: &Setup) -> Guide {
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

fn senpai(s: &Setup) -> Guide {
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

fn halloy(s: &Setup) -> Guide {
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

fn goguma(s: &Setup) -> Guide {
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

fn gamja(s: &Setup) -> Guide {
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

fn hexchat(s: &Setup) -> Guide {
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

fn textual(s: &Setup) -> Guide {
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

fn mirc(s: &Setup) -> Guide {
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

/// Whether a host name is this very machine.
pub(crate) fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.") || host == "::1"
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
