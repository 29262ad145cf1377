//! The token endpoint: a code for tokens, a refresh token for the next, a service's secret for five minutes with another.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Form, Json};
use contracts::{ServerId, ServerKind, Status};
use serde_json::json;
use service::clock::now_s;
use service::secrets::same;

use super::client_auth::{Asker, Fields, OAuthError};
use super::tokens::{ACCESS_SECONDS, Grant};
use crate::Gatekeeper;
use crate::clients::Client;
use crate::secret::sha256;
use crate::store::{AccountRow, RefreshRow, Tx};
use crate::text::base64url;

const REFRESH_SECONDS: i64 = 30 * 24 * 3600;
/// An answer may get lost on the way: for so long the same refresh token gets another successor.
const REPEAT_SECONDS: i64 = 20;

const NOT_ALLOWED: OAuthError = OAuthError::new("invalid_target", "This client may not call this audience.");

type Answer = Result<Response, OAuthError>;

pub async fn token(
    State(gate): State<Gatekeeper>,
    headers: HeaderMap,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Answer {
    let fields = Fields::new(pairs)?;
    let now = now_s();
    let client = match gate.asker(&headers, &fields)? {
        Asker::Client(client) => client,
        Asker::Server(server) => return gate.by_server(server, &fields, now).await,
    };
    match fields.get("grant_type") {
        Some("authorization_code") => gate.by_code(client, &fields, now).await,
        Some("refresh_token") => gate.by_refresh_token(client, &fields, now).await,
        Some("client_credentials") => gate.by_client_credentials(client, &fields, now),
        _ => Err(OAuthError::new("unsupported_grant_type", "This grant is not offered.")),
    }
}

impl Gatekeeper {
    async fn by_code(&self, client: &Client, fields: &Fields, now: i64) -> Answer {
        const BAD: OAuthError = OAuthError::grant("The code is not known, was used, or has expired.");
        let code = fields.get("code").ok_or(BAD)?;
        let verifier = fields.get("code_verifier").unwrap_or_default();
        let mut tx = self.0.store.begin().await?;
        let Some((row, first)) = self.0.store.use_code(&mut tx, &sha256(code.as_bytes())).await? else {
            return Err(BAD);
        };
        if row.client != client.id {
            return Err(BAD);
        }
        if !first {
            // Somebody else has the code too: what the first use got is taken back.
            self.0.store.revoke_family(&mut tx, &row.sid, &row.client).await?;
            self.0.store.commit(tx).await?;
            tracing::warn!(client = %row.client, "an authorization code came twice");
            return Err(BAD);
        }
        let proven = verifier.len() >= 43
            && same(base64url(&sha256(verifier.as_bytes())).as_bytes(), row.challenge.as_bytes());
        let fits =
            row.expires_at >= now && fields.get("redirect_uri") == Some(row.redirect_uri.as_str()) && proven;
        let account = self.0.store.account_in(&mut tx, row.sub).await?;
        let account = account.filter(|account| fits && account.status == Status::Active);
        let Some(account) = account else {
            // A wrong try spends the code.
            self.0.store.commit(tx).await?;
            return Err(BAD);
        };
        let refresh = RefreshRow {
            sub: row.sub,
            sid: row.sid.clone(),
            client: client.id.clone(),
            scope: row.scope.clone(),
            auth_time: row.auth_time,
            expires_at: now + REFRESH_SECONDS,
            used_at: None,
        };
        let refresh_token = self.new_refresh_token(&mut tx, &refresh).await?;
        self.0.store.commit(tx).await?;
        self.tokens(&account, &refresh, row.nonce.as_deref(), &refresh_token, now)
    }

    async fn by_refresh_token(&self, client: &Client, fields: &Fields, now: i64) -> Answer {
        const BAD: OAuthError =
            OAuthError::grant("The refresh token is not known, was used, or has expired.");
        let token = fields.get("refresh_token").ok_or(BAD)?;
        let mut tx = self.0.store.begin().await?;
        let row = self.0.store.use_refresh(&mut tx, &sha256(token.as_bytes()), now).await?;
        let Some(row) = row.filter(|row| row.client == client.id && row.expires_at >= now) else {
            return Err(BAD);
        };
        if row.used_at.is_some_and(|used| now - used > REPEAT_SECONDS) {
            self.0.store.revoke_family(&mut tx, &row.sid, &row.client).await?;
            self.0.store.commit(tx).await?;
            tracing::warn!(client = %row.client, "a refresh token came twice: the whole family is revoked");
            return Err(BAD);
        }
        let alive = self.0.store.account_in(&mut tx, row.sub).await?;
        let Some(account) = alive.filter(|account| account.status == Status::Active) else { return Err(BAD) };
        let next = RefreshRow { expires_at: now + REFRESH_SECONDS, used_at: None, ..row };
        let refresh_token = self.new_refresh_token(&mut tx, &next).await?;
        self.0.store.commit(tx).await?;
        self.tokens(&account, &next, None, &refresh_token, now)
    }

    fn by_client_credentials(&self, client: &Client, fields: &Fields, now: i64) -> Answer {
        let audience = fields.get("audience").unwrap_or_default();
        // Who may call the shared bouncer may call dedicated ones: each is an audience of its own.
        let callee = match ServerId::parse(audience) {
            Some(ServerId { kind: ServerKind::Bouncer, .. }) => "bouncer",
            Some(_) | None => audience,
        };
        if client.secret.is_none() || !client.may_call.iter().any(|known| known == callee) {
            return Err(NOT_ALLOWED);
        }
        self.token_of(&client.id, audience, now)
    }

    /// A dedicated bouncer of the engine `Ircnow` gets a token for what [`crate::dedicated`] offers, and no other.
    async fn by_server(&self, server: ServerId, fields: &Fields, now: i64) -> Answer {
        if fields.get("grant_type") != Some("client_credentials") {
            return Err(OAuthError::new("unauthorized_client", "This client gets no tokens of users."));
        }
        let known = self.owner_of_bouncer(server).await?.is_some();
        if !known || fields.get("audience") != Some(crate::dedicated::AUDIENCE) {
            return Err(NOT_ALLOWED);
        }
        self.token_of(&server.to_string(), crate::dedicated::AUDIENCE, now)
    }

    fn token_of(&self, caller: &str, audience: &str, now: i64) -> Answer {
        let token = self.client_token(caller, audience, now)?;
        let body = json!({ "access_token": token, "token_type": "Bearer", "expires_in": ACCESS_SECONDS });
        Ok(secret_answer(body))
    }

    async fn new_refresh_token(&self, tx: &mut Tx, row: &RefreshRow) -> Result<String, OAuthError> {
        let token = service::secrets::random_token()?;
        self.0.store.insert_refresh(tx, &sha256(token.as_bytes()), row).await?;
        Ok(token)
    }

    fn tokens(
        &self,
        account: &AccountRow,
        row: &RefreshRow,
        nonce: Option<&str>,
        refresh_token: &str,
        now: i64,
    ) -> Answer {
        let grant = Grant {
            account,
            client: &row.client,
            sid: &row.sid,
            scope: &row.scope,
            auth_time: row.auth_time,
            nonce,
        };
        Ok(secret_answer(json!({
            "access_token": self.access_token(&grant, now)?,
            "token_type": "Bearer",
            "expires_in": ACCESS_SECONDS,
            "id_token": self.id_token(&grant, now)?,
            "refresh_token": refresh_token,
            "scope": row.scope,
        })))
    }
}

fn secret_answer(body: serde_json::Value) -> Response {
    ([(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")], Json(body)).into_response()
}
