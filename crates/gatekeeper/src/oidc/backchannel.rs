//! Back-channel logout (OpenID Connect Back-Channel Logout 1.0): relying parties are told that a session ended, and told
//! again until they have heard it.

use std::time::Duration;

use auth::jwt::LOGOUT_TOKEN;
use serde::Serialize;
use serde_json::json;
use service::clock::now_s;
use uuid::Uuid;

use crate::Gatekeeper;
use crate::error::Result;
use crate::store::LogoutNotice;

/// After so many tries the session has run out at the relying party by itself.
const TRIES: i64 = 20;
const LONGEST_PAUSE: i64 = 3600;
const TOKEN_SECONDS: i64 = 120;

#[derive(Serialize)]
struct LogoutClaims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
    sid: &'a str,
    events: serde_json::Value,
}

impl Gatekeeper {
    /// Tells who is to be told, now and whenever a session ends.
    pub(crate) async fn tell_logouts(&self) {
        let mut commits = self.0.store.commits();
        loop {
            commits.borrow_and_update();
            if let Err(error) = self.tell_due_logouts().await {
                tracing::warn!(%error, "logout notices did not get on");
            }
            let _ = tokio::time::timeout(Duration::from_secs(2), commits.changed()).await;
        }
    }

    async fn tell_due_logouts(&self) -> Result<()> {
        let due = self.0.store.due_logouts(now_s()).await?;
        let told = due.iter().map(|notice| self.tell(notice));
        // All at once: one relying party that does not answer delays nobody else.
        for (notice, heard) in due.iter().zip(futures_util::future::join_all(told).await) {
            let now = now_s();
            if heard || notice.tries + 1 >= TRIES {
                self.0.store.logout_told(notice.id).await?;
            } else {
                let pause = (2i64 << notice.tries.min(20)).min(LONGEST_PAUSE);
                self.0.store.logout_again_at(notice.id, now + pause).await?;
            }
        }
        Ok(())
    }

    /// Whether the relying party heard it, or never wants to.
    async fn tell(&self, notice: &LogoutNotice) -> bool {
        let uri = self.client(&notice.client).and_then(|client| client.backchannel_logout_uri.clone());
        let Some(uri) = uri else { return true };
        let now = now_s();
        let claims = LogoutClaims {
            iss: self.issuer(),
            sub: notice.sub.to_string(),
            aud: &notice.client,
            iat: now,
            exp: now + TOKEN_SECONDS,
            jti: Uuid::now_v7().to_string(),
            sid: &notice.sid,
            events: json!({ "http://schemas.openid.net/event/backchannel-logout": {} }),
        };
        let Ok(token) = self.0.keys.sign(LOGOUT_TOKEN, &claims, now) else { return false };
        let Ok(request) = self.0.http.post(uri.as_str()) else { return false };
        let answer = request.timeout(Duration::from_secs(5)).form(&[("logout_token", token)]).send().await;
        match answer {
            Ok(answer) if answer.status().is_success() => true,
            // 400: the token is understood and refused. Saying it again changes nothing.
            Ok(answer) if answer.status() == http::StatusCode::BAD_REQUEST => {
                tracing::warn!(client = %notice.client, "a relying party refused a logout notice");
                true
            }
            Ok(answer) => {
                tracing::info!(client = %notice.client, status = %answer.status(), "a logout notice was not taken");
                false
            }
            Err(error) => {
                tracing::info!(client = %notice.client, %error, "a logout notice did not arrive");
                false
            }
        }
    }
}
