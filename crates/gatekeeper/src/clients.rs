//! Who may ask the OpenID provider for anything: our own sites, our services, and what an operator adds (soju, Ergo).

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use service::secrets::same;
use url::Url;

/// Says whether a secret is good.
pub type Proof = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// A client of the provider. All of them are first-party: nobody is asked for consent.
#[derive(Clone)]
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// Its secret; a client without one is public and proves itself by PKCE alone.
    pub secret: Option<SecretString>,
    /// What else counts as its secret: those of keys that were rotated, before and after.
    pub also: Option<Proof>,
    /// Where codes may be sent: exact matches only.
    pub redirect_uris: Vec<Url>,
    /// Where a browser may go after it logged out: exact matches only.
    pub post_logout_redirect_uris: Vec<Url>,
    /// Where it is told that a session ended (OpenID Connect Back-Channel Logout).
    pub backchannel_logout_uri: Option<Url>,
    /// The services it may call with client credentials; each is an audience.
    pub may_call: Vec<String>,
    /// Whether it may ask what a token is worth (RFC 7662).
    pub may_introspect: bool,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .field("redirect_uris", &self.redirect_uris)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client that may do nothing yet.
    pub fn new(id: impl Into<String>, secret: Option<SecretString>) -> Self {
        Self {
            id: id.into(),
            secret,
            also: None,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            backchannel_logout_uri: None,
            may_call: Vec::new(),
            may_introspect: false,
        }
    }

    /// A site of ours that logs people in: its call-back, the page after a logout, and where it hears of ended sessions.
    pub fn site(
        id: impl Into<String>,
        secret: SecretString,
        callback: Url,
        after_logout: Url,
        backchannel: Url,
    ) -> Self {
        Self {
            redirect_uris: vec![callback],
            post_logout_redirect_uris: vec![after_logout],
            backchannel_logout_uri: Some(backchannel),
            ..Self::new(id, Some(secret))
        }
    }

    /// The same client, allowed to call these services.
    pub fn calling(mut self, services: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.may_call.extend(services.into_iter().map(Into::into));
        self
    }

    /// The same client, allowed to introspect tokens.
    pub fn introspecting(mut self) -> Self {
        self.may_introspect = true;
        self
    }

    /// The same client, which may prove itself with whatever `good` takes, too.
    pub fn proven_by(mut self, good: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.also = Some(Arc::new(good));
        self
    }

    pub(crate) fn has_secret(&self, given: &str) -> bool {
        let kept = self.secret.as_ref();
        kept.is_some_and(|kept| same(kept.expose_secret().as_bytes(), given.as_bytes()))
            || self.also.as_ref().is_some_and(|good| good(given))
    }

    pub(crate) fn redirects_to(&self, uri: &str) -> Option<&Url> {
        self.redirect_uris.iter().find(|known| known.as_str() == uri)
    }
}
