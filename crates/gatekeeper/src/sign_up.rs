//! How accounts come to be: by sign-up here, or by a first login through the upstream provider.

use contracts::{CallError, Sub};
use secrecy::{ExposeSecret as _, SecretString};
use service::rate::Neighbourhood;
use uuid::Uuid;

use crate::config::Registration;
use crate::error::{Error, Result, forbidden, invalid};
use crate::names::Username;
use crate::sasl::{ITERATIONS, SALT_LENGTH};
use crate::secret::sha256;
use crate::sessions::Visitor;
use crate::store::{AccountRow, NewAccount};
use crate::{Gatekeeper, password};

/// What somebody typed.
pub struct SignUp<'a> {
    pub username: &'a str,
    pub email: &'a str,
    pub password: &'a SecretString,
    pub invitation: &'a str,
}

/// What a new account begins with, whoever vouches for it.
struct Beginning<'a> {
    username: &'a Username,
    email: Option<&'a str>,
    email_verified: bool,
    password: Option<&'a str>,
    upstream: Option<(&'a str, &'a str)>,
    invitation: Option<Vec<u8>>,
}

impl Gatekeeper {
    /// A new account with a password of ours.
    pub(crate) async fn sign_up(
        &self,
        typed: &SignUp<'_>,
        visitor: &Visitor,
        now: i64,
    ) -> Result<AccountRow> {
        let invitation = self.may_sign_up(typed.invitation, now).await?;
        let username =
            Username::parse(typed.username).map_err(|error| invalid("username", error.to_string()))?;
        let email = checked_email(typed.email, self.0.mailer.really_sends())?;
        password::check_new(typed.password.expose_secret(), username.as_str())?;
        if !self.username_is_free(&username).await? {
            return Err(taken());
        }
        self.count_sign_up(visitor)?;
        let hash = self.0.hasher.hash(typed.password).await?;
        let beginning = Beginning {
            username: &username,
            email: email.as_deref(),
            email_verified: false,
            password: Some(&hash),
            upstream: None,
            invitation,
        };
        let account = self.begin_account(&beginning, visitor, now).await?;
        self.send_verification(&account, now).await?;
        Ok(account)
    }

    /// A new account for somebody the upstream provider vouches for.
    pub(crate) async fn sign_up_from_upstream(
        &self,
        username: &str,
        email: Option<(&str, bool)>,
        identity: (&str, &str),
        visitor: &Visitor,
        now: i64,
    ) -> Result<AccountRow> {
        let username = Username::parse(username).map_err(|error| invalid("username", error.to_string()))?;
        if !self.username_is_free(&username).await? {
            return Err(taken());
        }
        self.count_sign_up(visitor)?;
        let beginning = Beginning {
            username: &username,
            email: email.map(|(email, _)| email),
            email_verified: email.is_some_and(|(_, verified)| verified),
            password: None,
            upstream: Some(identity),
            invitation: None,
        };
        self.begin_account(&beginning, visitor, now).await
    }

    /// Whether accounts are given out, and the hash of the invitation where one is needed.
    async fn may_sign_up(&self, invitation: &str, now: i64) -> Result<Option<Vec<u8>>> {
        if self.0.upstream.is_some() {
            return Err(forbidden(format!("Accounts are made at {}.", self.0.config.keycloak_name)));
        }
        match self.0.config.registration {
            Registration::Open => Ok(None),
            Registration::Closed => Err(forbidden("Nobody can sign up here at present.")),
            Registration::Invitation => {
                let hash = sha256(invitation.trim().as_bytes());
                if self.0.store.is_invited(&hash, now).await? {
                    Ok(Some(hash))
                } else {
                    Err(invalid(
                        "invitation",
                        "This invitation is not known, or was used. Ask for another one.",
                    ))
                }
            }
        }
    }

    fn count_sign_up(&self, visitor: &Visitor) -> Result<()> {
        let Some(address) = visitor.address else { return Ok(()) };
        self.0.sign_ups.take(Neighbourhood::from(address), 1.0).map_err(|wait| {
            let wait = service::view::span(i64::try_from(wait.as_secs()).unwrap_or(i64::MAX).max(60));
            crate::error::unavailable(format!(
                "Too many accounts were made from your address today. Try again in {wait}."
            ))
        })
    }

    async fn begin_account(&self, new: &Beginning<'_>, visitor: &Visitor, now: i64) -> Result<AccountRow> {
        let sub = Sub(Uuid::now_v7());
        let name_hash = self.0.pepper.hash("former-name", new.username.as_str());
        let salt = service::secrets::random_bytes::<SALT_LENGTH>()?;
        let mut tx = self.0.store.begin().await?;
        if self.0.store.is_former_name(&mut tx, &name_hash).await? {
            return Err(taken());
        }
        if let Some(invitation) = &new.invitation
            && !self.0.store.accept_invitation(&mut tx, invitation, now).await?
        {
            return Err(invalid("invitation", "This invitation was used meanwhile. Ask for another one."));
        }
        let row = NewAccount {
            sub,
            username: new.username.as_str(),
            email: new.email,
            email_verified: new.email_verified,
            password: new.password,
            plan: &self.0.config.new_account_plan,
            scram_salt: &salt,
            scram_iterations: ITERATIONS,
            upstream: new.upstream,
            now,
        };
        match self.0.store.insert_account(&mut tx, &row).await {
            Err(error) if error.is_taken() => return Err(taken()),
            other => other?,
        }
        self.note_in(&mut tx, sub, "sign_up", "You made this account.", visitor.shown_address(), now).await?;
        self.0.store.commit(tx).await?;
        self.0.figures.sign_up();
        let row = self.0.store.account(sub).await?;
        row.ok_or_else(|| Error::Internal("a new account is not there".to_owned()))
    }
}

fn taken() -> Error {
    let message = "This username is taken. Choose another.".to_owned();
    Error::Answer(CallError::Invalid { field: "username".to_owned(), message })
}

/// An address in small letters; none where none was typed and none is needed.
pub(crate) fn checked_email(typed: &str, needed: bool) -> Result<Option<String>> {
    let email = typed.trim().to_lowercase();
    if email.is_empty() {
        return if needed {
            Err(invalid("email", "Give an e-mail address. A link is sent there."))
        } else {
            Ok(None)
        };
    }
    let good = email.len() <= 254 && email.parse::<lettre::Address>().is_ok();
    if good { Ok(Some(email)) } else { Err(invalid("email", "This is not an e-mail address.")) }
}
