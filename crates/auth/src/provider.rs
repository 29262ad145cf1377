//! The issuer as a relying party sees it: discovered at first use, asked for codes and tokens, its answers checked.
//!
//! Gatekeeper uses the same type towards Keycloak. Everything goes over the process's one HTTP client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType, CoreGenderClaim,
    CoreJsonWebKey, CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IdTokenFields, IssuerUrl, LogoutRequest, Nonce,
    OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, PostLogoutRedirectUrl,
    ProviderMetadataWithLogout, RedirectUrl, RefreshToken, RequestTokenError, Scope, StandardErrorResponse,
    StandardTokenResponse, TokenResponse as _,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use service::http::HttpClient;
use tokio::sync::Mutex;

use crate::error::AuthError;

/// How long what was discovered is believed.
const BELIEVED: Duration = Duration::from_secs(3600);
/// How soon keys are looked up again because a token names an unknown one.
const SOONEST: Duration = Duration::from_secs(10);

/// What our issuer puts into ID tokens besides the standard claims. Another issuer leaves them out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OurClaims {
    /// The issuer's session, named again when it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The plan's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The customer at the payment provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_customer_id: Option<String>,
}

impl AdditionalClaims for OurClaims {}

type Fields = IdTokenFields<
    OurClaims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

type Tokens = StandardTokenResponse<Fields, CoreTokenType>;

type OidcClient = Client<
    OurClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What an ID token said, after every check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The issuer's name for the user.
    pub sub: String,
    /// `preferred_username`.
    pub username: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// Whether the issuer has proven it.
    pub email_verified: bool,
    /// When the user last proved who they are, seconds since 1970.
    pub auth_time: Option<i64>,
    /// What our issuer adds.
    pub ours: OurClaims,
}

/// A sign-in that came to its end.
#[derive(Clone, Debug)]
pub struct Login {
    /// Who it is.
    pub identity: Identity,
    /// The ID token itself, for a later logout.
    pub id_token: SecretString,
    /// For [`Provider::refresh`].
    pub refresh_token: Option<SecretString>,
    /// How long the issuer vouches for it before it wants to be asked again.
    pub expires_in: Option<Duration>,
}

/// A sign-in that begins: where to send the browser, and what to remember until it comes back.
#[derive(Debug)]
pub struct Authorization {
    /// Where to.
    pub url: url::Url,
    /// Comes back with the browser.
    pub state: String,
    /// Comes back in the ID token.
    pub nonce: String,
    /// Proves to the issuer that who asks is who was sent (PKCE).
    pub verifier: SecretString,
}

struct Discovered {
    metadata: ProviderMetadataWithLogout,
    at: Instant,
}

/// An issuer and our client there. Cheap to clone.
#[derive(Clone)]
pub struct Provider {
    inner: Arc<Inner>,
}

struct Inner {
    http: HttpClient,
    issuer: IssuerUrl,
    client: ClientId,
    secret: ClientSecret,
    redirect: RedirectUrl,
    discovered: Mutex<Option<Arc<Discovered>>>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.inner.issuer).finish_non_exhaustive()
    }
}

impl Provider {
    /// An issuer by its URL. It is not asked before it is needed.
    pub fn new(
        http: HttpClient,
        issuer: &str,
        client_id: &str,
        client_secret: &SecretString,
        redirect_uri: &str,
    ) -> Result<Self, AuthError> {
        let bad = |error: url::ParseError| AuthError::Settings(error.to_string());
        Ok(Self {
            inner: Arc::new(Inner {
                http,
                issuer: IssuerUrl::new(issuer.to_owned()).map_err(bad)?,
                client: ClientId::new(client_id.to_owned()),
                secret: ClientSecret::new(client_secret.expose_secret().to_owned()),
                redirect: RedirectUrl::new(redirect_uri.to_owned()).map_err(bad)?,
                discovered: Mutex::new(None),
            }),
        })
    }

    /// The issuer's URL.
    pub fn issuer(&self) -> &str {
        self.inner.issuer.as_str()
    }

    /// Our client's id there.
    pub fn client_id(&self) -> &str {
        self.inner.client.as_str()
    }

    /// Begins a sign-in. `prompt` is OpenID Connect's (`login`, `create`, …).
    pub async fn authorize(&self, scopes: &[&str], prompt: Option<&str>) -> Result<Authorization, AuthError> {
        let client = self.client().await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .set_pkce_challenge(challenge)
            .add_scopes(scopes.iter().map(|scope| Scope::new((*scope).to_owned())));
        if let Some(prompt) = prompt {
            request = request.add_extra_param("prompt", prompt.to_owned());
        }
        let (url, state, nonce) = request.url();
        Ok(Authorization {
            url,
            state: state.secret().clone(),
            nonce: nonce.secret().clone(),
            verifier: SecretString::from(verifier.secret().as_str()),
        })
    }

    /// Turns a code into a checked [`Login`]. The nonce is checked here and nowhere else: issuers leave it out of
    /// refreshed tokens.
    pub async fn exchange(
        &self,
        code: &str,
        verifier: &SecretString,
        nonce: &str,
    ) -> Result<Login, AuthError> {
        let client = self.client().await?;
        let http = self.exchanger();
        let tokens = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|error| AuthError::Issuer(error.to_string()))?
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose_secret().to_owned()))
            .request_async(&http)
            .await
            .map_err(token_error)?;
        let nonce = Nonce::new(nonce.to_owned());
        self.login(tokens, Some(&nonce)).await
    }

    /// Asks the issuer whether it still vouches. [`AuthError::Refused`] means that it does not.
    pub async fn refresh(&self, refresh_token: &SecretString) -> Result<Login, AuthError> {
        let client = self.client().await?;
        let http = self.exchanger();
        let tokens = client
            .exchange_refresh_token(&RefreshToken::new(refresh_token.expose_secret().to_owned()))
            .map_err(|error| AuthError::Issuer(error.to_string()))?
            .request_async(&http)
            .await
            .map_err(token_error)?;
        self.login(tokens, None).await
    }

    /// A token for the service `audience`, as the service our client stands for (RFC 6749 §4.4).
    pub async fn client_credentials(
        &self,
        audience: &str,
    ) -> Result<(SecretString, Option<Duration>), AuthError> {
        let client = self.client().await?;
        let http = self.exchanger();
        let tokens = client
            .exchange_client_credentials()
            .map_err(|error| AuthError::Issuer(error.to_string()))?
            .add_extra_param("audience", audience)
            .request_async(&http)
            .await
            .map_err(token_error)?;
        Ok((SecretString::from(tokens.access_token().secret().as_str()), tokens.expires_in()))
    }

    /// Where to send the browser so that the issuer's session ends too; `None` if the issuer offers no such thing.
    pub async fn end_session_url(
        &self,
        id_token_hint: Option<&SecretString>,
        post_logout: Option<&str>,
    ) -> Result<Option<url::Url>, AuthError> {
        let discovered = self.discovered().await?;
        let Some(endpoint) = discovered.metadata.additional_metadata().end_session_endpoint.clone() else {
            return Ok(None);
        };
        let mut request = LogoutRequest::from(endpoint).set_client_id(self.inner.client.clone());
        if let Some(url) = post_logout {
            let url = PostLogoutRedirectUrl::new(url.to_owned())
                .map_err(|error| AuthError::Settings(error.to_string()))?;
            request = request.set_post_logout_redirect_uri(url);
        }
        let mut url = request.http_get_url();
        if let Some(hint) = id_token_hint {
            url.query_pairs_mut().append_pair("id_token_hint", hint.expose_secret());
        }
        Ok(Some(url))
    }

    /// The issuer's keys as last read.
    pub async fn keys(&self) -> Result<CoreJsonWebKeySet, AuthError> {
        Ok(self.discovered().await?.metadata.jwks().clone())
    }

    /// The keys read anew, because a token names one that is not among those last read; at most every ten seconds.
    pub async fn newer_keys(&self) -> Result<CoreJsonWebKeySet, AuthError> {
        Ok(self.discover(SOONEST).await?.metadata.jwks().clone())
    }

    async fn login(&self, tokens: Tokens, nonce: Option<&Nonce>) -> Result<Login, AuthError> {
        let id_token =
            tokens.id_token().ok_or_else(|| AuthError::Untrusted("there is no ID token".to_owned()))?;
        let mut identity = self.identity(id_token, nonce, &self.client().await?);
        if identity.is_err() {
            // The keys may have been rotated since they were read.
            self.discover(SOONEST).await?;
            identity = self.identity(id_token, nonce, &self.client().await?);
        }
        Ok(Login {
            identity: identity?,
            id_token: SecretString::from(id_token.to_string()),
            refresh_token: tokens.refresh_token().map(|token| SecretString::from(token.secret().as_str())),
            expires_in: tokens.expires_in(),
        })
    }

    fn identity(
        &self,
        id_token: &openidconnect::IdToken<
            OurClaims,
            CoreGenderClaim,
            CoreJweContentEncryptionAlgorithm,
            CoreJwsSigningAlgorithm,
        >,
        nonce: Option<&Nonce>,
        client: &OidcClient,
    ) -> Result<Identity, AuthError> {
        // Not what the issuer's metadata allows, but what we do: never a shared secret, never none.
        let verifier = client.id_token_verifier().set_allowed_algs([
            CoreJwsSigningAlgorithm::EdDsa,
            CoreJwsSigningAlgorithm::EcdsaP256Sha256,
            CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
            CoreJwsSigningAlgorithm::RsaSsaPssSha256,
        ]);
        let untrusted =
            |error: openidconnect::ClaimsVerificationError| AuthError::Untrusted(error.to_string());
        let claims = match nonce {
            Some(nonce) => id_token.claims(&verifier, nonce).map_err(untrusted)?,
            None => {
                id_token.claims(&verifier, |_: Option<&Nonce>| Ok::<(), String>(())).map_err(untrusted)?
            }
        };
        Ok(Identity {
            sub: claims.subject().as_str().to_owned(),
            username: claims.preferred_username().map(|name| name.as_str().to_owned()),
            email: claims.email().map(|email| email.as_str().to_owned()),
            email_verified: claims.email_verified().unwrap_or(false),
            auth_time: claims.auth_time().map(|time| time.timestamp()),
            ours: claims.additional_claims().clone(),
        })
    }

    async fn client(&self) -> Result<OidcClient, AuthError> {
        let discovered = self.discovered().await?;
        Ok(Client::from_provider_metadata(
            discovered.metadata.clone(),
            self.inner.client.clone(),
            Some(self.inner.secret.clone()),
        )
        .set_redirect_uri(self.inner.redirect.clone()))
    }

    async fn discovered(&self) -> Result<Arc<Discovered>, AuthError> {
        self.discover(BELIEVED).await
    }

    /// What was discovered, if it is younger than `oldest`, else read anew. One asks, the others wait for it. An issuer
    /// that is away is known by what it said last.
    async fn discover(&self, oldest: Duration) -> Result<Arc<Discovered>, AuthError> {
        let mut slot = self.inner.discovered.lock().await;
        if let Some(known) = slot.as_ref().filter(|known| known.at.elapsed() < oldest) {
            return Ok(Arc::clone(known));
        }
        let http = self.exchanger();
        match ProviderMetadataWithLogout::discover_async(self.inner.issuer.clone(), &http).await {
            Ok(metadata) => {
                let fresh = Arc::new(Discovered { metadata, at: Instant::now() });
                *slot = Some(Arc::clone(&fresh));
                Ok(fresh)
            }
            Err(error) => match slot.as_ref() {
                Some(known) => {
                    tracing::warn!(%error, "the issuer cannot be discovered anew");
                    Ok(Arc::clone(known))
                }
                None => Err(AuthError::Issuer(error.to_string())),
            },
        }
    }

    fn exchanger(
        &self,
    ) -> impl Fn(
        openidconnect::HttpRequest,
    ) -> futures_util::future::BoxFuture<
        'static,
        Result<openidconnect::HttpResponse, service::http::HttpError>,
    > + use<> {
        let http = self.inner.http.clone();
        move |request| {
            let http = http.clone();
            Box::pin(async move { http.exchange(request).await })
        }
    }
}

fn token_error<E: std::error::Error + 'static>(
    error: RequestTokenError<E, StandardErrorResponse<CoreErrorResponseType>>,
) -> AuthError {
    match error {
        RequestTokenError::ServerResponse(answer) => AuthError::Refused(answer.error().to_string()),
        RequestTokenError::Request(error) => AuthError::Issuer(error.to_string()),
        // Neither holds the answer itself: it may have a token in it.
        RequestTokenError::Parse(..) => AuthError::Issuer("it answers nothing that can be read".to_owned()),
        RequestTokenError::Other(error) => AuthError::Issuer(error),
    }
}
