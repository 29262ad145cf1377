//! Mail: handed in by SMTP where that is configured, written to the log where it is not, so that an installation of one's
//! own needs no mail server.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use secrecy::ExposeSecret as _;

use crate::config::Config;
use crate::error::{Error, Result};

const TRIES: u32 = 4;

/// Sends links.
#[derive(Clone)]
pub struct Mailer {
    smtp: Option<(AsyncSmtpTransport<Tokio1Executor>, Mailbox)>,
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer").field("smtp", &self.smtp.is_some()).finish()
    }
}

impl Mailer {
    pub fn new(config: &Config) -> Result<Self> {
        let Some(url) = &config.smtp_url else { return Ok(Self { smtp: None }) };
        let from = config.mail_from.as_deref().unwrap_or_default();
        let from = from.parse::<Mailbox>().map_err(|_| {
            Error::Config("gatekeeper.mail_from must be an address once smtp_url is set.".to_owned())
        })?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret())
            .map_err(|_| Error::Config("gatekeeper.smtp_url is no smtp: or smtps: URL.".to_owned()))?
            .timeout(Some(Duration::from_secs(20)))
            .build();
        Ok(Self { smtp: Some((transport, from)) })
    }

    /// Whether mail leaves the house: then addresses must be proven.
    pub fn really_sends(&self) -> bool {
        self.smtp.is_some()
    }

    /// The link for a new password. Without SMTP, or without an address, it goes to the log, for the administrator.
    pub async fn reset(&self, to: Option<&str>, username: &str, link: &str) {
        let text = format!(
            "Somebody, probably you, asked for a new password for the account {username}.\n\n\
             Choose it here within an hour:\n{link}\n\n\
             If it was not you, do nothing: your password stays as it is.\n"
        );
        match (&self.smtp, to) {
            (Some(_), Some(to)) => self.send(to, "A new password for irc.now", text).await,
            _ => tracing::info!(username, link, "a link for a new password was asked for"),
        }
    }

    /// The link that proves an address.
    pub async fn verify(&self, to: &str, username: &str, link: &str) {
        let text = format!(
            "Welcome to irc.now, {username}.\n\nConfirm that this address is yours:\n{link}\n\n\
             Until then your bouncer connects to no outside network.\n"
        );
        if self.smtp.is_some() {
            self.send(to, "Confirm your address", text).await;
        } else {
            tracing::info!(username, link, "a link that proves an e-mail address was asked for");
        }
    }

    async fn send(&self, to: &str, subject: &str, text: String) {
        let Some((transport, from)) = &self.smtp else { return };
        let Ok(to) = to.parse::<Mailbox>() else { return };
        let built = Message::builder().from(from.clone()).to(to).subject(subject).body(text);
        let Ok(message) = built else { return };
        for attempt in 1..=TRIES {
            match transport.send(message.clone()).await {
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(%error, attempt, "mail could not be handed in");
                    if error.is_permanent() {
                        return;
                    }
                }
            }
            tokio::time::sleep(Duration::from_secs(u64::from(attempt) * 5)).await;
        }
    }
}
