//! The authorization endpoint: checks the wish, sends who is not signed in to the sign-in page, and sends a code back.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Redirect, Response};
use service::clock::now_s;
use service::sites::Origin;
use service::web::Problem;
use url::Url;

use crate::Gatekeeper;
use crate::clients::Client;
use crate::error::Result;
use crate::pages::{session_cookie, trouble};
use crate::secret::sha256;
use crate::sessions::SignedIn;
use crate::store::CodeRow;
use crate::text::unbase64url;

/// Seconds a code may be on its way.
const CODE_SECONDS: i64 = 60;
/// The scopes there are; others are left out of what is granted (RFC 6749 §3.3).
const SCOPES: [&str; 6] = ["openid", "profile", "email", "irc", "upload", "offline_access"];

/// What a relying party wishes, checked.
#[derive(Clone, Debug)]
pub struct Wish {
    pub client: String,
    pub redirect_uri: Url,
    state: Option<String>,
    scope: String,
    nonce: Option<String>,
    challenge: String,
    prompt: Option<String>,
    max_age: Option<i64>,
    login_hint: Option<String>,
}

/// Why a wish is not granted.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The client or its redirect URI is not known: nothing may be sent there.
    Here(&'static str),
    /// Told to the relying party, at this address.
    Back(Box<Url>),
}

impl Wish {
    /// The wish in a query, as far as it can be granted to anybody; `client` looks one up by its id.
    pub(crate) fn read<'a>(
        query: &str,
        client: impl Fn(&str) -> Option<&'a Client>,
        issuer: &str,
    ) -> std::result::Result<Self, Refused> {
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
            .map(|(k, v)| (k.into_owned(), v.into_owned()))
            .collect();
        let get = |name: &str| {
            pairs
                .iter()
                .find(|(known, value)| known == name && !value.is_empty())
                .map(|(_, value)| value.as_str())
        };
        let client = get("client_id").and_then(client);
        let client = client.ok_or(Refused::Here("The site that sent you here is not known."))?;
        let redirect_uri = get("redirect_uri").and_then(|uri| client.redirects_to(uri));
        let redirect_uri = redirect_uri
            .ok_or(Refused::Here("The site that sent you here gave a way back that is not known."))?
            .clone();
        let state = get("state").map(str::to_owned);
        let back = |code, text| {
            let answer = [("error", code), ("error_description", text)];
            Refused::Back(Box::new(way_back(issuer, &redirect_uri, state.as_deref(), &answer)))
        };
        for (index, (name, _)) in pairs.iter().enumerate() {
            if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(back("invalid_request", "A parameter came twice."));
            }
        }
        if get("response_type") != Some("code") {
            return Err(back("unsupported_response_type", "Only response_type=code is offered."));
        }
        if get("request").is_some() || get("request_uri").is_some() {
            return Err(back("request_not_supported", "Request objects are not offered."));
        }
        if get("code_challenge_method") != Some("S256") {
            return Err(back("invalid_request", "PKCE with S256 is required."));
        }
        let challenge =
            get("code_challenge").filter(|text| unbase64url(text).is_some_and(|hash| hash.len() == 32));
        let challenge =
            challenge.ok_or_else(|| back("invalid_request", "The code challenge is no SHA-256."))?;
        let asked: Vec<&str> = get("scope").unwrap_or_default().split(' ').collect();
        let scope: Vec<&str> = SCOPES.into_iter().filter(|scope| asked.contains(scope)).collect();
        if !scope.contains(&"openid") {
            return Err(back("invalid_scope", "The scope openid is required."));
        }
        Ok(Wish {
            client: client.id.clone(),
            redirect_uri: redirect_uri.clone(),
            state: state.clone(),
            scope: scope.join(" "),
            nonce: get("nonce").map(str::to_owned),
            challenge: challenge.to_owned(),
            prompt: get("prompt").map(str::to_owned),
            max_age: get("max_age").and_then(|age| age.parse().ok()),
            login_hint: get("login_hint").map(str::to_owned),
        })
    }
}

/// The address at the relying party that an answer goes to.
fn way_back(issuer: &str, redirect_uri: &Url, state: Option<&str>, answer: &[(&str, &str)]) -> Url {
    let mut url = redirect_uri.clone();
    {
        let mut query = url.query_pairs_mut();
        query.extend_pairs(answer);
        if let Some(state) = state {
            query.append_pair("state", state);
        }
        // RFC 9207: so that one provider's answer cannot be passed off as another's.
        query.append_pair("iss", issuer);
    }
    url
}

impl Gatekeeper {
    fn wish(&self, query: &str) -> std::result::Result<Wish, Refused> {
        Wish::read(query, |id| self.client(id), self.issuer())
    }

    /// A code for somebody who is signed in, and the way back with it.
    async fn granted(&self, wish: &Wish, who: &SignedIn, now: i64) -> Result<Url> {
        let code = service::secrets::random_token()?;
        let row = CodeRow {
            client: wish.client.clone(),
            redirect_uri: wish.redirect_uri.to_string(),
            sub: who.account.sub,
            sid: who.session.sid.clone(),
            scope: wish.scope.clone(),
            nonce: wish.nonce.clone(),
            challenge: wish.challenge.clone(),
            auth_time: who.session.auth_time,
            expires_at: now + CODE_SECONDS,
        };
        let mut tx = self.0.store.begin().await?;
        self.0.store.insert_code(&mut tx, &sha256(code.as_bytes()), &row).await?;
        self.0.store.session_joined(&mut tx, &who.session.sid, &wish.client).await?;
        self.0.store.commit(tx).await?;
        Ok(way_back(self.issuer(), &wish.redirect_uri, wish.state.as_deref(), &[("code", &code)]))
    }

    /// The origin a sign-in that began at `next` finally leads to: pages name it in their `form-action`.
    fn origin_after(&self, next: &str) -> Option<Origin> {
        let query = next.strip_prefix("/authorize?")?;
        self.wish(query).ok().map(|wish| Origin::of(&wish.redirect_uri))
    }
}

/// The origin a page's form may lead to besides our own, if any.
pub fn redirect_origin(gate: &Gatekeeper, next: &str) -> Option<Origin> {
    gate.origin_after(next)
}

pub async fn authorize(
    State(gate): State<Gatekeeper>,
    RawQuery(query): RawQuery,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let now = now_s();
    let wish = match gate.wish(query.as_deref().unwrap_or_default()) {
        Ok(wish) => wish,
        Err(Refused::Here(what)) => {
            let advice = "Go back to the page you came from and try again from there.";
            return Problem::new(StatusCode::BAD_REQUEST, what, advice).into_response();
        }
        Err(Refused::Back(back)) => return see_other(&back),
    };
    let who = match session_cookie(&headers) {
        Some(cookie) => match gate.signed_in(&cookie, now).await {
            Ok(who) => who,
            Err(error) => return trouble(error),
        },
        None => None,
    };
    let fresh_enough = |who: &SignedIn| {
        wish.prompt.as_deref() != Some("login")
            && wish.max_age.is_none_or(|age| now - who.session.auth_time <= age)
    };
    let who = who.filter(fresh_enough);
    match (who, wish.prompt.as_deref()) {
        (Some(who), _) => match gate.granted(&wish, &who, now).await {
            Ok(back) => see_other(&back),
            Err(error) => trouble(error),
        },
        (None, Some("none")) => {
            let answer = [("error", "login_required"), ("error_description", "Nobody is signed in.")];
            see_other(&way_back(gate.issuer(), &wish.redirect_uri, wish.state.as_deref(), &answer))
        }
        (None, prompt) => {
            let page = if prompt == Some("create") { "/sign-up" } else { "/sign-in" };
            Redirect::to(&sign_in_url(page, &uri, &wish)).into_response()
        }
    }
}

/// The sign-in page, with the way back here. What forced the sign-in is left out of it: it is fulfilled by then.
fn sign_in_url(page: &str, uri: &Uri, wish: &Wish) -> String {
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(|(name, _)| !matches!(&**name, "prompt" | "max_age"));
    let next = format!(
        "/authorize?{}",
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish()
    );
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    pairs.append_pair("next", &next);
    if let Some(hint) = &wish.login_hint {
        pairs.append_pair("username", hint);
    }
    format!("{page}?{}", pairs.finish())
}

fn see_other(url: &Url) -> Response {
    Redirect::to(url.as_str()).into_response()
}
