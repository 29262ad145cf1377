//! An OpenID provider small enough to lie on demand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use auth::jwt::{ACCESS_TOKEN, ID_TOKEN, LOGOUT_TOKEN, SigningKey, key_set};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use contracts::Account;
use serde_json::{Value, json};
use service::clock::now_s;
use service::http::{HttpClient, Target};
use service::shutdown::Shutdown;
use service::sites::Sites;
use tokio::net::TcpListener;

/// How the issuer behaves.
#[derive(Default)]
pub(crate) struct Mood {
    /// Says no to every refresh.
    pub(crate) refuses_refresh: bool,
    /// Answers nothing but 503.
    pub(crate) is_down: bool,
    /// Puts these over the claims of ID tokens.
    pub(crate) claims: serde_json::Map<String, Value>,
    /// How long access tokens last.
    pub(crate) expires_in: Option<i64>,
    /// How often it was asked to refresh.
    pub(crate) refreshed: u32,
    /// How often it gave out service tokens.
    pub(crate) service_tokens: u32,
}

struct Code {
    claims: Value,
    challenge: String,
    redirect_uri: String,
}

pub(crate) struct Issuer {
    pub(crate) sites: Sites,
    pub(crate) http: HttpClient,
    pub(crate) key: Mutex<SigningKey>,
    pub(crate) mood: Mutex<Mood>,
    codes: Mutex<HashMap<String, Code>>,
    refresh: Mutex<HashMap<String, Value>>,
}

impl Issuer {
    pub(crate) async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sites = Sites::from_base(&format!("http://localhost:{}", address.port())).unwrap();
        let http = HttpClient::new().unwrap();
        http.map_site(&sites.auth, Target { address, tls: false });
        let this = Arc::new(Self {
            sites,
            http,
            key: Mutex::new(SigningKey::generate().unwrap().0),
            mood: Mutex::default(),
            codes: Mutex::default(),
            refresh: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .with_state(this.clone());
        tokio::spawn(service::serve::serve(listener, router, None, Shutdown::new()));
        this
    }

    pub(crate) fn url(&self) -> String {
        self.sites.auth.to_string()
    }

    /// What the authorization endpoint does once `account` has signed in: the code for the request in `url`.
    pub(crate) fn approve(&self, url: &url::Url, account: &Account, sid: &str) -> String {
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(url.path(), "/authorize");
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["code_challenge_method"], "S256");
        assert!(query["scope"].split(' ').any(|scope| scope == "openid"));
        let code = service::secrets::random_token().unwrap();
        let claims = json!({
            "sub": account.sub.to_string(), "preferred_username": account.username, "email": account.email,
            "email_verified": true, "sid": sid, "plan": "pro", "roles": [], "auth_time": now_s(), "nonce": query["nonce"],
        });
        let code_row = Code {
            claims,
            challenge: query["code_challenge"].clone(),
            redirect_uri: query["redirect_uri"].clone(),
        };
        self.codes.lock().unwrap().insert(code.clone(), code_row);
        code
    }

    pub(crate) fn sign(&self, typ: &str, claims: &Value) -> String {
        self.key.lock().unwrap().sign(typ, claims).unwrap()
    }

    /// A logout token as the standard wants it, with `over` over its claims.
    pub(crate) fn logout_token(&self, over: Value) -> String {
        let mut claims = json!({
            "iss": self.url(), "aud": "portal", "iat": now_s(), "exp": now_s() + 120,
            "jti": service::secrets::random_token().unwrap(),
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        merge(&mut claims, over);
        self.sign(LOGOUT_TOKEN, &claims)
    }

    fn tokens(&self, mut claims: Value) -> Value {
        let mood = self.mood.lock().unwrap();
        merge(
            &mut claims,
            json!({ "iss": self.url(), "aud": "portal", "iat": now_s(), "exp": now_s() + 300 }),
        );
        merge(&mut claims, Value::Object(mood.claims.clone()));
        let mut kept = claims.clone();
        // As Keycloak does: no nonce in what is refreshed.
        kept.as_object_mut().unwrap().remove("nonce");
        let refresh = service::secrets::random_token().unwrap();
        self.refresh.lock().unwrap().insert(refresh.clone(), kept);
        json!({
            "access_token": "opaque", "token_type": "Bearer", "expires_in": mood.expires_in.unwrap_or(300),
            "refresh_token": refresh, "id_token": self.sign(ID_TOKEN, &claims),
        })
    }
}

fn merge(claims: &mut Value, over: Value) {
    for (key, value) in over.as_object().unwrap() {
        let claims = claims.as_object_mut().unwrap();
        if value.is_null() {
            claims.remove(key);
        } else {
            claims.insert(key.clone(), value.clone());
        }
    }
}

async fn metadata(State(issuer): State<Arc<Issuer>>) -> Response {
    if issuer.mood.lock().unwrap().is_down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let base = issuer.url();
    Json(json!({
        "issuer": base, "authorization_endpoint": format!("{base}/authorize"), "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/jwks"), "end_session_endpoint": format!("{base}/logout"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
    }))
    .into_response()
}

async fn jwks(State(issuer): State<Arc<Issuer>>) -> Response {
    Json(key_set([&*issuer.key.lock().unwrap()])).into_response()
}

async fn token(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let refuse = |error: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    if issuer.mood.lock().unwrap().is_down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if headers["authorization"] != format!("Basic {}", STANDARD.encode("portal:s3cret")) {
        return refuse("invalid_client");
    }
    match form["grant_type"].as_str() {
        "authorization_code" => {
            let Some(code) = issuer.codes.lock().unwrap().remove(&form["code"]) else {
                return refuse("invalid_grant");
            };
            let challenge =
                URL_SAFE_NO_PAD.encode(service::secrets::sha256(form["code_verifier"].as_bytes()));
            if challenge != code.challenge || form["redirect_uri"] != code.redirect_uri {
                return refuse("invalid_grant");
            }
            Json(issuer.tokens(code.claims)).into_response()
        }
        "refresh_token" => {
            {
                let mut mood = issuer.mood.lock().unwrap();
                mood.refreshed += 1;
                if mood.refuses_refresh {
                    return refuse("invalid_grant");
                }
            }
            let claims = issuer.refresh.lock().unwrap().remove(&form["refresh_token"]);
            match claims {
                Some(claims) => Json(issuer.tokens(claims)).into_response(),
                None => refuse("invalid_grant"),
            }
        }
        "client_credentials" => {
            issuer.mood.lock().unwrap().service_tokens += 1;
            let claims = json!({
                "iss": issuer.url(), "sub": "portal", "client_id": "portal", "aud": form["audience"],
                "iat": now_s(), "exp": now_s() + 300, "jti": "1",
            });
            Json(json!({
                "access_token": issuer.sign(ACCESS_TOKEN, &claims), "token_type": "Bearer", "expires_in": 300,
            }))
            .into_response()
        }
        _ => refuse("unsupported_grant_type"),
    }
}
