//! The tokens themselves: what they claim, how long they live, and whether one is still worth anything.

use auth::jwt::{ACCESS_TOKEN, Expect, ID_TOKEN, OneOrMany};
use contracts::{Role, Status, Sub};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Gatekeeper;
use crate::error::Result;
use crate::store::AccountRow;

/// Seconds an access token lives, a user's and a service's.
pub const ACCESS_SECONDS: i64 = 300;
/// Seconds an ID token may be shown at a first login.
const ID_SECONDS: i64 = 300;

/// The claims of a user's access token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessClaims {
    pub iss: String,
    pub sub: String,
    pub aud: OneOrMany,
    pub exp: i64,
    pub iat: i64,
    pub jti: String,
    pub client_id: String,
    pub scope: String,
    pub sid: String,
    pub username: String,
}

#[derive(Serialize)]
struct ServiceClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
    iat: i64,
    jti: String,
    client_id: &'a str,
}

#[derive(Serialize)]
struct IdClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    exp: i64,
    iat: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    sid: &'a str,
    #[serde(flatten)]
    user: UserClaims,
}

/// What relying parties learn of a user, in ID tokens and at the userinfo endpoint.
#[derive(Clone, Debug, Serialize)]
pub struct UserClaims {
    pub sub: String,
    pub preferred_username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    pub email_verified: bool,
    pub plan: String,
    pub roles: Vec<Role>,
}

impl UserClaims {
    pub fn of(account: &AccountRow) -> Self {
        Self {
            sub: account.sub.to_string(),
            preferred_username: account.username.clone(),
            email: account.email.clone(),
            email_verified: account.email_verified,
            plan: account.plan.clone(),
            roles: if account.admin { vec![Role::Admin] } else { Vec::new() },
        }
    }
}

/// An access token that is still worth something, and whose it is.
#[derive(Clone, Debug)]
pub struct LiveAccess {
    pub claims: AccessClaims,
    pub account: AccountRow,
}

/// What a token is made for.
pub struct Grant<'a> {
    pub account: &'a AccountRow,
    pub client: &'a str,
    pub sid: &'a str,
    pub scope: &'a str,
    pub auth_time: i64,
    pub nonce: Option<&'a str>,
}

impl Gatekeeper {
    pub(super) fn access_token(&self, grant: &Grant<'_>, now: i64) -> Result<String> {
        let claims = AccessClaims {
            iss: self.issuer().to_owned(),
            sub: grant.account.sub.to_string(),
            aud: OneOrMany::Many(vec![self.issuer().to_owned(), grant.client.to_owned()]),
            exp: now + ACCESS_SECONDS,
            iat: now,
            jti: Uuid::now_v7().to_string(),
            client_id: grant.client.to_owned(),
            scope: grant.scope.to_owned(),
            sid: grant.sid.to_owned(),
            username: grant.account.username.clone(),
        };
        self.0.keys.sign(ACCESS_TOKEN, &claims, now)
    }

    pub(super) fn id_token(&self, grant: &Grant<'_>, now: i64) -> Result<String> {
        let claims = IdClaims {
            iss: self.issuer(),
            aud: grant.client,
            exp: now + ID_SECONDS,
            iat: now,
            auth_time: grant.auth_time,
            nonce: grant.nonce,
            sid: grant.sid,
            user: UserClaims::of(grant.account),
        };
        self.0.keys.sign(ID_TOKEN, &claims, now)
    }

    /// A token with which one service calls another.
    pub(crate) fn client_token(&self, caller: &str, audience: &str, now: i64) -> Result<String> {
        let claims = ServiceClaims {
            iss: self.issuer(),
            sub: caller,
            aud: audience,
            exp: now + ACCESS_SECONDS,
            iat: now,
            jti: Uuid::now_v7().to_string(),
            client_id: caller,
        };
        self.0.keys.sign(ACCESS_TOKEN, &claims, now)
    }

    /// An access token whose session lives and whose account is active.
    pub(crate) async fn live_access(&self, token: &str, now: i64) -> Result<Option<LiveAccess>> {
        let expect =
            Expect { issuer: self.issuer(), audience: self.issuer(), types: &[ACCESS_TOKEN], now_s: now };
        let Some(claims) = self.0.keys.verify::<AccessClaims>(token, &expect) else { return Ok(None) };
        let Ok(sub) = Uuid::parse_str(&claims.sub) else { return Ok(None) };
        if self.0.store.session_by_sid(&claims.sid, now).await?.is_none() {
            return Ok(None);
        }
        let account =
            self.0.store.account(Sub(sub)).await?.filter(|account| account.status == Status::Active);
        Ok(account.map(|account| LiveAccess { claims, account }))
    }
}
