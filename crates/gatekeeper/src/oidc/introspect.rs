//! Introspection (RFC 7662) as soju and Ergo ask: who shows this token, and is it worth anything now?
//!
//! App passwords count as tokens: soju passes the password of a SASL PLAIN login here. The answer for a suspended account
//! is `active: false`, because soju enables a user again at every login that succeeds. A customer's server is answered so
//! for every account that may not use that very server, too.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Form, Json};
use contracts::{Scope, ServerId, Status};
use serde_json::{Value, json};
use service::clock::now_s;

use super::client_auth::{Asker, Fields, OAuthError};
use crate::Gatekeeper;
use crate::secret::{as_app_password, sha256};
use crate::store::AccountRow;

/// What is asked about a token: by which server, if it is a customer's.
type Of = Option<ServerId>;

impl Gatekeeper {
    /// Whether a server is told of an account. Our own clients are told of all.
    async fn is_told(&self, of: Of, account: &AccountRow) -> Result<bool, OAuthError> {
        match of {
            None => Ok(true),
            Some(server) => Ok(self.may_use(server, account.sub, account.status).await?),
        }
    }

    async fn worth(&self, of: Of, token: &str, now: i64) -> Result<Value, OAuthError> {
        if let Some(typed) = as_app_password(token) {
            return self.worth_of_app_password(of, &typed, now).await;
        }
        let Some(access) = self.live_access(token, now).await? else { return Ok(nothing()) };
        let for_irc = access.claims.scope.split(' ').any(|scope| scope == "irc");
        if of.is_some() && !for_irc || !self.is_told(of, &access.account).await? {
            return Ok(nothing());
        }
        Ok(json!({
            "active": true,
            "username": access.account.username,
            "sub": access.account.sub.to_string(),
            "iss": self.issuer(),
            "aud": access.claims.aud,
            "client_id": access.claims.client_id,
            "scope": access.claims.scope,
            "token_type": "Bearer",
            "exp": access.claims.exp,
            "iat": access.claims.iat,
        }))
    }

    async fn worth_of_app_password(&self, of: Of, typed: &str, now: i64) -> Result<Value, OAuthError> {
        let Some(credential) = self.0.store.app_password(&sha256(typed.as_bytes())).await? else {
            return Ok(nothing());
        };
        let account = self.0.store.account(credential.sub).await?;
        let Some(account) = account.filter(|account| account.status == Status::Active) else {
            return Ok(nothing());
        };
        let for_irc = credential.shown.scopes.contains(&Scope::Irc);
        if of.is_some() && !for_irc || !self.is_told(of, &account).await? {
            return Ok(nothing());
        }
        self.0.store.credential_used(account.sub, credential.shown.id, None, now).await?;
        let scope: Vec<&str> = credential
            .shown
            .scopes
            .iter()
            .map(|scope| match scope {
                Scope::Irc => "irc",
                Scope::Upload => "upload",
            })
            .collect();
        Ok(json!({
            "active": true,
            "username": account.username,
            "sub": account.sub.to_string(),
            "iss": self.issuer(),
            "scope": scope.join(" "),
            "token_type": "app_password",
            "iat": credential.shown.created_at,
        }))
    }
}

fn nothing() -> Value {
    json!({ "active": false })
}

pub async fn introspect(
    State(gate): State<Gatekeeper>,
    headers: HeaderMap,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, OAuthError> {
    let fields = Fields::new(pairs)?;
    let of = match gate.asker(&headers, &fields)? {
        Asker::Server(server) => Some(server),
        Asker::Client(client) if client.may_introspect && client.secret.is_some() => None,
        Asker::Client(_) => return Err(OAuthError::INVALID_CLIENT),
    };
    let token = fields.get("token").ok_or(OAuthError::new("invalid_request", "There is no token."))?;
    let worth = gate.worth(of, token, now_s()).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(worth)).into_response())
}
