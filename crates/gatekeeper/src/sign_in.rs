//! How people come in with a password: the check, the second factor, the forgotten password.
//!
//! A user who does not exist takes as long and is told the same as one whose password is wrong.

use contracts::{CallError, Status, Sub};
use secrecy::SecretString;

use crate::error::{Result, forbidden, invalid};
use crate::names::Username;
use crate::sasl::not_active;
use crate::secret::{as_recovery_code, new_recovery_code, sha256};
use crate::sessions::Visitor;
use crate::store::{AccountRow, MailToken};
use crate::totp::Seed;
use crate::{Gatekeeper, password};

const RESET: &str = "reset";
const VERIFY: &str = "verify";
const RESET_SECONDS: i64 = 3600;
const VERIFY_SECONDS: i64 = 3 * 24 * 3600;
const RECOVERY_CODES: usize = 10;
const WRONG: &str = "The username or the password is wrong. Try again, or reset the password.";

/// Where a sign-in stands after the password.
#[derive(Debug)]
pub enum SignIn {
    /// Nothing else is asked.
    Done(Box<AccountRow>),
    /// The one-time code is.
    SecondFactor(Box<AccountRow>),
}

fn totp_context(sub: Sub) -> String {
    format!("gatekeeper:totp:{sub}")
}

impl Gatekeeper {
    /// The password step.
    pub(crate) async fn check_password(
        &self,
        username: &str,
        typed: &SecretString,
        visitor: &Visitor,
        now: i64,
    ) -> Result<SignIn> {
        let name = username.trim().to_ascii_lowercase();
        let from = match visitor.address {
            Some(address) => Some(self.0.throttle.address(address, now).await?),
            None => None,
        };
        let counted = self.0.throttle.account("password", &name, now).await?;
        let account = self.0.store.account_by_name(&name).await?;
        let kept = account.as_ref().and_then(|account| account.password.as_deref());
        let right = self.0.hasher.verify(typed, kept).await?;
        let Some(account) = account.filter(|_| right) else {
            self.0.figures.login("browser", false);
            self.wrong_password_for(&name, visitor, now).await?;
            return Err(forbidden(WRONG));
        };
        self.0.throttle.succeeded(counted).await?;
        if let Some(from) = from {
            self.0.throttle.succeeded(from).await?;
        }
        if account.status != Status::Active {
            return Err(forbidden(not_active(account.status)));
        }
        Ok(if account.totp.is_some() {
            SignIn::SecondFactor(Box::new(account))
        } else {
            SignIn::Done(Box::new(account))
        })
    }

    async fn wrong_password_for(&self, name: &str, visitor: &Visitor, now: i64) -> Result<()> {
        // Looked up again so that the answer takes as long whether or not there is such a user.
        if let Some(account) = self.0.store.account_by_name(name).await? {
            let text = "Somebody tried to sign in with a wrong password.";
            self.note(account.sub, "sign_in_failed", text, visitor.shown_address(), now).await?;
        }
        Ok(())
    }

    /// The second step: a code of the authenticator app, or a recovery code.
    pub(crate) async fn check_second_factor(&self, sub: Sub, typed: &str, now: i64) -> Result<AccountRow> {
        let counted = self.0.throttle.account("totp", &sub.to_string(), now).await?;
        let account = self.0.store.account(sub).await?.filter(|account| account.status == Status::Active);
        let Some(account) = account else { return Err(forbidden(not_active(Status::Suspended))) };
        let Some(sealed) = &account.totp else { return Ok(account) };
        let seed = Seed::from_bytes(self.0.keyring.unseal(&totp_context(sub), sealed)?);
        let mut tx = self.0.store.begin().await?;
        let passed = match (seed.verify(typed, now, account.totp_step), as_recovery_code(typed)) {
            (Some(step), _) => self.0.store.use_totp_step(&mut tx, sub, step).await?,
            (None, Some(code)) => {
                let hash = self.0.pepper.hash("recovery", &code);
                let used = self.0.store.use_recovery_code(&mut tx, sub, &hash).await?;
                if used {
                    let text = "A recovery code was used to sign in.";
                    self.note_in(&mut tx, sub, "recovery_code_used", text, None, now).await?;
                }
                used
            }
            (None, None) => false,
        };
        if !passed {
            return Err(invalid(
                "code",
                "The code is wrong or was used already. Wait for the next one and try again.",
            ));
        }
        self.0.store.commit(tx).await?;
        self.0.throttle.succeeded(counted).await?;
        Ok(account)
    }

    /// Turns the second factor on, once a code shows that the app has the seed. Returns the recovery codes.
    pub(crate) async fn enable_totp(
        &self,
        sub: Sub,
        seed: &Seed,
        typed: &str,
        now: i64,
    ) -> Result<Vec<String>> {
        let counted = self.0.throttle.account("totp", &sub.to_string(), now).await?;
        let Some(step) = seed.verify(typed, now, 0) else {
            return Err(invalid(
                "code",
                "The code is wrong. Check the clock of your device and type the present code.",
            ));
        };
        self.0.throttle.succeeded(counted).await?;
        let codes: Vec<String> = (0..RECOVERY_CODES)
            .map(|_| new_recovery_code().map(|code| code.to_string()))
            .collect::<std::result::Result<_, _>>()?;
        let hashes: Vec<Vec<u8>> = codes.iter().map(|code| self.0.pepper.hash("recovery", code)).collect();
        let sealed = self.0.keyring.seal(&totp_context(sub), seed.as_bytes())?;
        let mut tx = self.0.store.begin().await?;
        self.0.store.set_totp(&mut tx, sub, Some((&sealed, step)), &hashes).await?;
        self.note_in(&mut tx, sub, "totp_enabled", "Two-step sign-in was turned on.", None, now).await?;
        self.0.store.commit(tx).await?;
        Ok(codes)
    }

    /// Turns the second factor off.
    pub(crate) async fn disable_totp(&self, sub: Sub, now: i64) -> Result<()> {
        let mut tx = self.0.store.begin().await?;
        self.0.store.set_totp(&mut tx, sub, None, &[]).await?;
        self.note_in(&mut tx, sub, "totp_disabled", "Two-step sign-in was turned off.", None, now).await?;
        Ok(self.0.store.commit(tx).await?)
    }

    /// Asks for the password again before something that cannot be taken back.
    pub(crate) async fn confirm_password(
        &self,
        account: &AccountRow,
        typed: &SecretString,
        now: i64,
    ) -> Result<()> {
        let counted = self.0.throttle.account("password", &account.username, now).await?;
        if !self.0.hasher.verify(typed, account.password.as_deref()).await? {
            return Err(invalid("current", "This is not your present password."));
        }
        self.0.throttle.succeeded(counted).await
    }

    /// A new password; every other session ends.
    pub(crate) async fn change_password(
        &self,
        account: &AccountRow,
        new: &SecretString,
        keep_session: Option<&str>,
        now: i64,
    ) -> Result<()> {
        use secrecy::ExposeSecret as _;
        password::check_new(new.expose_secret(), &account.username)?;
        let hash = self.0.hasher.hash(new).await?;
        let mut tx = self.0.store.begin().await?;
        self.0.store.set_password(&mut tx, account.sub, &hash).await?;
        self.0.store.drop_mail_tokens(&mut tx, account.sub, RESET).await?;
        self.end_sessions_in(&mut tx, account.sub, keep_session, now).await?;
        let text = "Your password was changed. Other browsers were signed out.";
        self.note_in(&mut tx, account.sub, "password_changed", text, None, now).await?;
        self.0.store.commit(tx).await?;
        self.0.work.notify_waiters();
        Ok(())
    }

    /// Sends a link for a new password to whoever this may be. Says nothing about whether there is such an account, and
    /// takes no longer if there is.
    pub(crate) fn forgot_password(&self, typed: &str, now: i64) {
        let (this, typed) = (self.clone(), typed.trim().to_ascii_lowercase());
        tokio::spawn(async move {
            if let Err(error) = this.send_reset_links(&typed, now).await {
                tracing::warn!(%error, "a reset link could not be sent");
            }
        });
    }

    async fn send_reset_links(&self, typed: &str, now: i64) -> Result<()> {
        let accounts = if typed.contains('@') {
            self.0.store.accounts_by_email(typed).await?
        } else {
            self.0.store.account_by_name(typed).await?.into_iter().collect()
        };
        for account in accounts {
            if account.status != Status::Active || account.password.is_none() {
                continue;
            }
            let link = self.reset_link(&account, now).await?;
            self.0.mailer.reset(account.email.as_deref(), &account.username, &link).await;
        }
        Ok(())
    }

    /// A one-use link that lets its reader choose a new password, good for an hour.
    pub(crate) async fn reset_link(&self, account: &AccountRow, now: i64) -> Result<String> {
        let email = account.email.clone().unwrap_or_default();
        let token = self.mail_link(account.sub, RESET, email, now + RESET_SECONDS).await?;
        Ok(self.0.sites.auth.url(&format!("/reset?token={token}")))
    }

    /// Mails the link that proves an address.
    pub(crate) async fn send_verification(&self, account: &AccountRow, now: i64) -> Result<()> {
        let Some(email) = account.email.clone().filter(|_| !account.email_verified) else { return Ok(()) };
        let token = self.mail_link(account.sub, VERIFY, email.clone(), now + VERIFY_SECONDS).await?;
        let link = self.0.sites.auth.url(&format!("/verify?token={token}"));
        let (mailer, username) = (self.0.mailer.clone(), account.username.clone());
        tokio::spawn(async move { mailer.verify(&email, &username, &link).await });
        Ok(())
    }

    async fn mail_link(&self, sub: Sub, purpose: &str, email: String, until: i64) -> Result<String> {
        let token = service::secrets::random_token()?;
        let mut tx = self.0.store.begin().await?;
        let kept = MailToken { sub, email };
        self.0.store.insert_mail_token(&mut tx, &sha256(token.as_bytes()), purpose, &kept, until).await?;
        self.0.store.commit(tx).await?;
        Ok(token)
    }

    /// Whose reset link this is, while it is good.
    pub(crate) async fn reset_of(&self, token: &str, now: i64) -> Result<Option<AccountRow>> {
        match self.0.store.mail_token(&sha256(token.as_bytes()), RESET, now).await? {
            Some(kept) => {
                Ok(self.0.store.account(kept.sub).await?.filter(|account| account.status == Status::Active))
            }
            None => Ok(None),
        }
    }

    /// Spends a reset link.
    pub(crate) async fn reset_password(
        &self,
        token: &str,
        new: &SecretString,
        now: i64,
    ) -> Result<AccountRow> {
        let Some(account) = self.reset_of(token, now).await? else {
            return Err(CallError::not_found("link").into());
        };
        // The change drops every reset link of the account, this one with them.
        self.change_password(&account, new, None, now).await?;
        Ok(account)
    }

    /// Spends the link that proves an address; `false` if it is not good any more.
    pub(crate) async fn verify_email(&self, token: &str, now: i64) -> Result<bool> {
        let hash = sha256(token.as_bytes());
        let Some(kept) = self.0.store.mail_token(&hash, VERIFY, now).await? else { return Ok(false) };
        let mut tx = self.0.store.begin().await?;
        let account = self.0.store.account_in(&mut tx, kept.sub).await?;
        let same = account.is_some_and(|account| account.email.as_deref() == Some(kept.email.as_str()));
        if !self.0.store.use_mail_token(&mut tx, &hash).await? || !same {
            return Ok(false);
        }
        self.0.store.set_email(&mut tx, kept.sub, Some(&kept.email), true).await?;
        self.0.store.touch(&mut tx, kept.sub, now).await?;
        self.note_in(&mut tx, kept.sub, "email_verified", "Your e-mail address was verified.", None, now)
            .await?;
        self.0.store.commit(tx).await?;
        Ok(true)
    }

    /// Another e-mail address, not yet proven; the account learns it at once and a link goes out.
    pub(crate) async fn change_email(&self, account: &AccountRow, typed: &str, now: i64) -> Result<()> {
        let email = crate::sign_up::checked_email(typed, self.0.mailer.really_sends())?;
        let mut tx = self.0.store.begin().await?;
        self.0.store.set_email(&mut tx, account.sub, email.as_deref(), false).await?;
        self.0.store.drop_mail_tokens(&mut tx, account.sub, VERIFY).await?;
        self.0.store.drop_mail_tokens(&mut tx, account.sub, RESET).await?;
        self.0.store.touch(&mut tx, account.sub, now).await?;
        self.note_in(&mut tx, account.sub, "email_changed", "Your e-mail address was changed.", None, now)
            .await?;
        self.0.store.commit(tx).await?;
        if let Some(changed) = self.0.store.account(account.sub).await? {
            self.send_verification(&changed, now).await?;
        }
        Ok(())
    }

    /// The username somebody typed, if it could be one.
    pub(crate) async fn username_is_free(&self, name: &Username) -> Result<bool> {
        Ok(self.0.store.account_by_name(name.as_str()).await?.is_none())
    }
}
