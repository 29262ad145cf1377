//! Tokens and app passwords at doors that speak HTTP: pastes, pictures.

use contracts::{Scope, ShownToken, Status, TokenAnswer};
use uuid::Uuid;

use crate::Gatekeeper;
use crate::error::Result;
use crate::sasl::not_active;
use crate::secret::{as_app_password, sha256};
use crate::store::AccountRow;

/// What is shown is short; what is longer is not for us.
const LONGEST: usize = 8 * 1024;

impl Gatekeeper {
    /// Whose it is. Only failures count against the address, as at the IRC doors.
    pub(crate) async fn shown_token(&self, shown: ShownToken, now: i64) -> Result<TokenAnswer> {
        self.0.throttle.may_try(shown.address, now).await?;
        let answer = match as_app_password(&shown.secret) {
            _ if shown.secret.len() > LONGEST => refused("The token is too long."),
            Some(typed) => self.shown_app_password(&shown, &typed, now).await?,
            None => self.shown_access_token(&shown, now).await?,
        };
        match &answer {
            TokenAnswer::Good { .. } => self.0.figures.login("http", true),
            TokenAnswer::Refused { .. } => {
                self.0.figures.login("http", false);
                self.0.throttle.failed(shown.address, now).await?;
                tracing::info!("a token at an HTTP door was refused");
            }
        }
        Ok(answer)
    }

    async fn shown_app_password(&self, shown: &ShownToken, typed: &str, now: i64) -> Result<TokenAnswer> {
        let Some(credential) = self.0.store.app_password(&sha256(typed.as_bytes())).await? else {
            return Ok(refused(&self.wrong_token()));
        };
        let owner = self.0.store.account(credential.sub).await?;
        let Some(account) = owner.filter(|account| is_theirs(shown, account)) else {
            return Ok(refused(&self.wrong_token()));
        };
        if !credential.shown.scopes.contains(&shown.scope) {
            return Ok(refused(&format!(
                "This app password was not made for this. Make a new one at {}.",
                self.0.sites.my.url("/passwords")
            )));
        }
        if account.status != Status::Active {
            return Ok(refused(not_active(account.status)));
        }
        self.0.store.credential_used(account.sub, credential.shown.id, None, now).await?;
        Ok(TokenAnswer::Good { account: Box::new(self.shown(&account)), credential: credential.shown.id })
    }

    async fn shown_access_token(&self, shown: &ShownToken, now: i64) -> Result<TokenAnswer> {
        let live = self.live_access(&shown.secret, now).await?;
        let Some(access) = live.filter(|access| is_theirs(shown, &access.account)) else {
            return Ok(refused(&self.wrong_token()));
        };
        let scope = match shown.scope {
            Scope::Irc => "irc",
            Scope::Upload => "upload",
        };
        if !access.claims.scope.split(' ').any(|has| has == scope) {
            return Ok(refused(&format!("The access token was not made for this (scope {scope}).")));
        }
        let credential = Uuid::parse_str(&access.claims.sid).unwrap_or_default();
        Ok(TokenAnswer::Good { account: Box::new(self.shown(&access.account)), credential })
    }

    fn wrong_token(&self) -> String {
        format!(
            "Wrong user name, app password or token. The password of your account is not taken here: make an app password at {}.",
            self.0.sites.my.url("/passwords")
        )
    }
}

fn is_theirs(shown: &ShownToken, account: &AccountRow) -> bool {
    shown.username.as_ref().is_none_or(|name| name.eq_ignore_ascii_case(&account.username))
}

fn refused(text: &str) -> TokenAnswer {
    TokenAnswer::Refused { text: text.to_owned() }
}
