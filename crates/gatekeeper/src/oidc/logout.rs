//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0). With a hint that fits the session it happens at once; else
//! the user is asked, so that no page elsewhere can sign anybody out.

use askama::Template;
use askama_web::WebTemplate;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use service::sites::Origin;
use service::view::Form;
use service::web::{FormAction, SiteShell};
use url::Url;

use crate::Gatekeeper;
use crate::error::Result;
use crate::pages::{COOKIE, Posted, Visit, query, set_cookie, trouble};
use crate::sessions::{SignedIn, UPSTREAM_TOKEN};
use crate::text::{base64url, unbase64url};

#[derive(Template, WebTemplate)]
#[template(path = "logout.html")]
struct Page {
    shell: SiteShell,
    client_id: String,
    back: String,
    state: String,
}

#[derive(Template, WebTemplate)]
#[template(path = "notice.html")]
struct Gone {
    shell: SiteShell,
    title: &'static str,
    text: &'static str,
    link: &'static str,
    button: &'static str,
}

/// What the way on after a logout at the upstream provider is sealed for.
const ONWARD: &str = "gatekeeper:after-upstream-logout";

#[derive(Deserialize)]
struct Hint {
    aud: String,
    sid: String,
}

/// Where a browser goes after it logged out, checked.
#[derive(Clone, Debug, Default)]
pub struct Farewell {
    to: Option<Url>,
}

impl Gatekeeper {
    fn farewell(&self, client_id: &str, back: &str, state: &str) -> Farewell {
        let client = self.client(client_id);
        let known = client
            .and_then(|client| client.post_logout_redirect_uris.iter().find(|uri| uri.as_str() == back));
        let to = known.cloned().map(|mut uri| {
            if !state.is_empty() {
                uri.query_pairs_mut().append_pair("state", state);
            }
            uri
        });
        Farewell { to }
    }

    async fn log_out(&self, visit: Visit, who: Option<SignedIn>, farewell: &Farewell) -> Result<Response> {
        let mut upstream = None;
        if let Some(who) = who {
            // A hint that cannot be opened any more (the keys were changed) only means that the provider asks first.
            let sealed = who.session.upstream_id_token.as_deref().unwrap_or_default();
            let hint = self.0.keyring.unseal(UPSTREAM_TOKEN, sealed).ok();
            let hint = hint.and_then(|hint| String::from_utf8(hint.to_vec()).ok());
            upstream = self.0.upstream.as_ref().zip(hint);
            self.end_session(who.account.sub, &who.session.sid, visit.now).await?;
        }
        let after = farewell.to.as_ref().map(Url::to_string);
        let mut response = match (upstream, after) {
            (Some((provider, hint)), after) => {
                let onward = self.0.keyring.seal(ONWARD, after.unwrap_or_default().as_bytes())?;
                let here = self.0.sites.auth.url("/signed-out");
                let there = provider.logout_url(&hint, &here, &base64url(&onward)).await;
                Redirect::to(&there.unwrap_or(here)).into_response()
            }
            (None, Some(after)) => Redirect::to(&after).into_response(),
            (None, None) => gone(visit),
        };
        set_cookie(&mut response, COOKIE, "", 0);
        Ok(response)
    }
}

fn gone(visit: Visit) -> Response {
    Gone {
        shell: visit.shell,
        title: "You are signed out",
        text: "This browser is signed out of irc.now. Your bouncer stays connected.",
        link: "/sign-in",
        button: "Sign in again",
    }
    .into_response()
}

/// Where the upstream provider sends a browser it has signed out: on to where the relying party wanted it.
pub async fn signed_out(visit: Visit, State(gate): State<Gatekeeper>, RawQuery(asked): RawQuery) -> Response {
    let onward = unbase64url(&query(asked.as_deref(), "state"));
    let onward = onward.and_then(|sealed| gate.0.keyring.unseal(ONWARD, &sealed).ok());
    match onward.and_then(|url| String::from_utf8(url.to_vec()).ok()).filter(|url| !url.is_empty()) {
        Some(url) => Redirect::to(&url).into_response(),
        None => gone(visit),
    }
}

pub async fn page(visit: Visit, State(gate): State<Gatekeeper>, RawQuery(text): RawQuery) -> Response {
    let asked = Form::from_pairs(
        url::form_urlencoded::parse(text.unwrap_or_default().as_bytes())
            .map(|(k, v)| (k.into_owned(), v.into_owned())),
    );
    let hint: Option<Hint> = gate.0.keys.verify_old(asked.value("id_token_hint"));
    let client_id = match &hint {
        Some(hint) => hint.aud.clone(),
        None => asked.value("client_id").to_owned(),
    };
    let farewell = gate.farewell(&client_id, asked.value("post_logout_redirect_uri"), asked.value("state"));
    let who = match visit.signed_in(&gate).await {
        Ok(who) => who,
        Err(error) => return trouble(error),
    };
    let sure = match (&who, &hint) {
        (None, _) => true,
        (Some(who), Some(hint)) => who.session.sid == hint.sid,
        (Some(_), None) => false,
    };
    if sure {
        return gate.log_out(visit, who, &farewell).await.unwrap_or_else(trouble);
    }
    let leads_to = FormAction::to(farewell.to.as_ref().map(Origin::of));
    let page = Page {
        shell: visit.shell,
        client_id,
        back: asked.value("post_logout_redirect_uri").to_owned(),
        state: asked.value("state").to_owned(),
    };
    (leads_to, page).into_response()
}

pub async fn confirmed(visit: Visit, State(gate): State<Gatekeeper>, axum::Form(pairs): Posted) -> Response {
    let form = Form::from_pairs(pairs);
    let farewell =
        gate.farewell(form.value("client_id"), form.value("post_logout_redirect_uri"), form.value("state"));
    match visit.signed_in(&gate).await {
        Ok(who) => gate.log_out(visit, who, &farewell).await.unwrap_or_else(trouble),
        Err(error) => trouble(error),
    }
}
