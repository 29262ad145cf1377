//! The public addresses of every site, all from one base.

use std::fmt;
use std::sync::Arc;

use url::Url;

use crate::config::ConfigError;

crate::config! {
    /// Under which addresses the sites are reached.
    pub struct SitesConfig in "sites" {
        /// The address of irc.now itself; the other sites are sub-domains of it.
        pub base: Url = "http://localhost:8080",
        /// The portal, where it is not `my.` before the base.
        pub my: Option<Url>,
        /// The issuer and its pages, where it is not `auth.` before the base.
        pub auth: Option<Url>,
        /// The web client, where it is not `chat.` before the base.
        pub chat: Option<Url>,
        /// Pastes, where they are not `txt.` before the base.
        pub txt: Option<Url>,
        /// What users pasted, raw, where it is not `raw.txt.` before the base.
        pub raw_txt: Option<Url>,
        /// Images, where they are not `pics.` before the base.
        pub pics: Option<Url>,
        /// What users uploaded, where it is not `i.pics.` before the base.
        pub i_pics: Option<Url>,
        /// Bots, where they are not `bot.` before the base.
        pub bot: Option<Url>,
        /// The host name IRC clients connect to, where it is not the base's.
        pub irc_host: Option<String>,
        /// The port IRC clients connect to without TLS, as they see it.
        pub irc_port: u16 = "6667",
        /// The port IRC clients connect to with TLS, as they see it.
        pub irc_tls_port: u16 = "6697",
    }
}

/// Scheme, host and port of a site. Shown without a trailing slash: `{{ shell.sites.my }}/networks`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    text: Arc<str>,
    scheme_len: usize,
}

impl Origin {
    /// Takes scheme, host and port of a URL; path and query are left out.
    pub fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or("localhost");
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Self { text: format!("{}://{host}{port}", url.scheme()).into(), scheme_len: url.scheme().len() }
    }

    /// The whole, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        &self.text[..self.scheme_len]
    }

    /// Whether it is served over TLS.
    pub fn is_https(&self) -> bool {
        self.scheme() == "https"
    }

    /// Host and, where it is not the scheme's own, port: what browsers send as `Host`.
    pub fn authority(&self) -> &str {
        &self.text[self.scheme_len + 3..]
    }

    /// The host name alone.
    pub fn host(&self) -> &str {
        let authority = self.authority();
        match authority.rfind(':') {
            Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
            _ => authority,
        }
    }

    /// The port, said or implied.
    pub fn port(&self) -> u16 {
        self.authority()
            .strip_prefix(self.host())
            .and_then(|rest| rest.strip_prefix(':'))
            .and_then(|port| port.parse().ok())
            .unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// A URL below it; `path` begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where IRC clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IrcAddress {
    /// The host name.
    pub host: String,
    /// Without TLS.
    pub port: u16,
    /// With TLS.
    pub tls_port: u16,
}

/// The public addresses of an installation. Cheap enough to clone with every page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sites {
    /// irc.now itself: landing pages.
    pub root: Origin,
    /// The portal.
    pub my: Origin,
    /// The issuer and its pages.
    pub auth: Origin,
    /// The web client.
    pub chat: Origin,
    /// Pastes.
    pub txt: Origin,
    /// What users pasted, without cookies.
    pub raw_txt: Origin,
    /// Images.
    pub pics: Origin,
    /// What users uploaded, without cookies.
    pub i_pics: Origin,
    /// Bots.
    pub bot: Origin,
    /// Where IRC clients connect.
    pub irc: Arc<IrcAddress>,
}

impl Sites {
    /// The addresses as configured.
    pub fn new(config: &SitesConfig) -> Result<Self, ConfigError> {
        if !matches!(config.base.scheme(), "http" | "https") || config.base.host_str().is_none() {
            return Err(ConfigError::Invalid {
                key: "sites.base".to_owned(),
                origin: "the configuration".to_owned(),
                kind: "an address (https://irc.now)".to_owned(),
                message: format!("`{}` is none", config.base),
            });
        }
        let root = Origin::of(&config.base);
        let sub = |label: &str, own: &Option<Url>| match own {
            Some(url) => Origin::of(url),
            None => Origin {
                text: format!("{}://{label}.{}", root.scheme(), root.authority()).into(),
                scheme_len: root.scheme_len,
            },
        };
        Ok(Self {
            my: sub("my", &config.my),
            auth: sub("auth", &config.auth),
            chat: sub("chat", &config.chat),
            txt: sub("txt", &config.txt),
            raw_txt: sub("raw.txt", &config.raw_txt),
            pics: sub("pics", &config.pics),
            i_pics: sub("i.pics", &config.i_pics),
            bot: sub("bot", &config.bot),
            irc: Arc::new(IrcAddress {
                host: config.irc_host.clone().unwrap_or_else(|| root.host().to_owned()),
                port: config.irc_port,
                tls_port: config.irc_tls_port,
            }),
            root,
        })
    }

    /// Everything from one base (`http://localhost:8080`), with the usual IRC ports.
    pub fn from_base(base: &str) -> Result<Self, ConfigError> {
        let source = crate::config::Source::default().with_env("IRCNOW_SITES_BASE", base);
        Self::new(&SitesConfig::load(&source)?)
    }

    /// Every site with its name.
    pub fn all(&self) -> [(&'static str, &Origin); 9] {
        [
            ("root", &self.root),
            ("my", &self.my),
            ("auth", &self.auth),
            ("chat", &self.chat),
            ("txt", &self.txt),
            ("raw_txt", &self.raw_txt),
            ("pics", &self.pics),
            ("i_pics", &self.i_pics),
            ("bot", &self.bot),
        ]
    }
}
