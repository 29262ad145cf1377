//! Introspection (RFC 7662) as soju and Ergo ask: who shows this token, and is it worth anything now?
//!
//! App passwords count as tokens: soju passes the password of a SASL PLAIN login here. The answer for a suspended account
//! is `active: false`, because soju enables a user again at every login that succeeds.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Form, Json};
use contracts::{Scope, Status};
use serde_json::{Value, json};
use service::clock::now_s;

use super::client_auth::{Fields, OAuthError};
use crate::Gatekeeper;
use crate::secret::{as_app_password, sha256};

impl Gatekeeper {
    async fn worth(&self, token: &str, now: i64) -> Result<Value, OAuthError> {
        if let Some(typed) = as_app_password(token) {
            return self.worth_of_app_password(&typed, now).await;
        }
        let Some(access) = self.live_access(token, now).await? else { return Ok(nothing()) };
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

    async fn worth_of_app_password(&self, typed: &str, now: i64) -> Result<Value, OAuthError> {
        let Some(credential) = self.0.store.app_password(&sha256(typed.as_bytes())).await? else {
            return Ok(nothing());
        };
        let account = self.0.store.account(credential.sub).await?;
        let Some(account) = account.filter(|account| account.status == Status::Active) else {
            return Ok(nothing());
        };
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
    let client = gate.proven_client(&headers, &fields)?;
    if !client.may_introspect || client.secret.is_none() {
        return Err(OAuthError::INVALID_CLIENT);
    }
    let token = fields.get("token").ok_or(OAuthError::new("invalid_request", "There is no token."))?;
    let worth = gate.worth(token, now_s()).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(worth)).into_response())
}
