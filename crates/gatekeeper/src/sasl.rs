//! SASL for every IRC door. What must be remembered between two steps travels sealed, so any replica takes any step.
//!
//! A name that does not exist answers exactly as one that does, up to the last step. Only failures count against an
//! address; an address that failed too often is told "unavailable" and never "refused", because clients stop for ever
//! at a refusal.

use contracts::{DoorLogin, Login, SaslAnswer, SaslPeer, SaslStep, Scope, Status, Sub};
use irc::sasl::{OauthBearer, Plain, external};
use irc::scram::{ClientFirst, Exchange, NONCE_LEN, Verifier};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Gatekeeper;
use crate::error::{Error, Result};
use crate::secret;
use crate::store::{AccountRow, CredentialRow};
use crate::text::{hex, unhex};

const SEALED_FOR: &str = "gatekeeper:sasl";
/// How long an exchange may take.
const PATIENCE_SECONDS: i64 = 60;
/// Payloads are short; what is longer is not for us.
const LONGEST_PAYLOAD: usize = 8 * 1024;

#[derive(Serialize, Deserialize)]
struct Sealed {
    until: i64,
    address: std::net::IpAddr,
    state: State,
}

#[derive(Serialize, Deserialize)]
enum State {
    /// The server's first SCRAM message is out.
    Scram { login: Login, exchange: Vec<u8> },
    /// The server's last SCRAM message is out; the client has only to nod.
    Proven { sub: Sub, credential: Uuid, login: Login },
}

/// A try that failed, in words for the user; or one that could not be made.
enum Outcome {
    Answer(SaslAnswer),
    Wrong(String),
}

impl Gatekeeper {
    /// One step of a SASL exchange.
    pub(crate) async fn sasl_step(&self, step: SaslStep, now: i64) -> Result<SaslAnswer> {
        if step.payload.len() > LONGEST_PAYLOAD {
            return Ok(refused("The SASL message is too long."));
        }
        let state = match &step.continuation {
            None => None,
            Some(sealed) => match self.open_state(sealed, &step.peer, now) {
                Some(state) => Some(state),
                None => return Ok(refused("The login took too long. Connect again.")),
            },
        };
        if let Some(State::Proven { sub, credential, login }) = state {
            return self.admit_again(sub, credential, login, now).await;
        }
        if let (None, "SCRAM-SHA-256") = (&state, step.mechanism.as_str()) {
            // Nothing is tried yet, so nothing counts.
            return self.scram_first(&step, now).await;
        }
        self.0.throttle.may_try(step.peer.address, now).await?;
        let outcome = match (state, step.mechanism.as_str()) {
            (Some(State::Scram { login, exchange }), "SCRAM-SHA-256") => {
                self.scram_last(&step, &login, &exchange, now).await?
            }
            (None, "PLAIN") => self.plain(&step, now).await?,
            (None, "EXTERNAL") => self.external(&step, now).await?,
            (None, "OAUTHBEARER") => self.oauth_bearer(&step, now).await?,
            _ => Outcome::Wrong(
                "This SASL mechanism is not known here. Use PLAIN or SCRAM-SHA-256.".to_owned(),
            ),
        };
        Ok(match outcome {
            Outcome::Answer(answer) => answer,
            Outcome::Wrong(text) => {
                self.0.throttle.failed(step.peer.address, now).await?;
                tracing::info!(mechanism = %step.mechanism, "a login at an IRC door was refused");
                SaslAnswer::Refused { text }
            }
        })
    }

    async fn plain(&self, step: &SaslStep, now: i64) -> Result<Outcome> {
        let Ok(plain) = Plain::parse(&step.payload) else {
            return Ok(Outcome::Wrong("The PLAIN message is not well-formed.".to_owned()));
        };
        let Some(login) = Login::parse(plain.authcid).filter(|login| acts_as_itself(plain.authzid, login))
        else {
            return Ok(Outcome::Wrong(BAD_NAME.to_owned()));
        };
        let Some(typed) = secret::as_app_password(plain.password) else {
            return Ok(Outcome::Wrong(self.not_an_app_password()));
        };
        let found = self.0.store.app_password(&secret::sha256(typed.as_bytes())).await?;
        self.admit(found, login, now).await
    }

    async fn external(&self, step: &SaslStep, now: i64) -> Result<Outcome> {
        let Some(fingerprint) = step.peer.certificate.as_deref().and_then(unhex) else {
            return Ok(Outcome::Wrong(
                "The client showed no certificate. Give it one, or log in with an app password.".to_owned(),
            ));
        };
        let found = self.0.store.certificate(&fingerprint).await?;
        let Some(owner) = self.owner(found.as_ref()).await? else {
            return Ok(Outcome::Wrong(format!(
                "This certificate belongs to no account. Add its fingerprint {} at {}.",
                hex(&fingerprint),
                self.0.sites.my.url("/passwords"),
            )));
        };
        let named = match external(&step.payload) {
            Ok("") => Login::parse(&owner.username),
            Ok(name) => Login::parse(name),
            Err(_) => None,
        };
        match named {
            Some(login) => self.admit(found, login, now).await,
            None => Ok(Outcome::Wrong(BAD_NAME.to_owned())),
        }
    }

    async fn scram_first(&self, step: &SaslStep, now: i64) -> Result<SaslAnswer> {
        let Ok(first) = ClientFirst::parse(&step.payload) else {
            return Ok(refused("The SCRAM message is not well-formed."));
        };
        let login = Login::parse(&first.username)
            .filter(|login| acts_as_itself(first.authzid.as_deref().unwrap_or_default(), login));
        let Some(login) = login else { return Ok(refused(BAD_NAME)) };
        let (salt, iterations) = match self.0.store.account_by_name(&login.user).await? {
            Some(account) => (account.scram_salt, account.scram_iterations),
            None => {
                let made_up = self.0.pepper.hash("scram-salt", &login.user);
                (made_up[..SALT_LENGTH].to_vec(), ITERATIONS)
            }
        };
        let exchange = first.challenge(&service::secrets::random_bytes::<NONCE_LEN>()?, &salt, iterations);
        let state = State::Scram { login, exchange: exchange.to_bytes() };
        Ok(SaslAnswer::Challenge {
            payload: exchange.challenge().to_vec(),
            continuation: self.seal_state(state, &step.peer, now)?,
        })
    }

    async fn scram_last(&self, step: &SaslStep, login: &Login, exchange: &[u8], now: i64) -> Result<Outcome> {
        let finished = Exchange::from_bytes(exchange).and_then(|exchange| exchange.finish(&step.payload));
        let Ok(proof) = finished else {
            return Ok(Outcome::Wrong("The SCRAM message is not well-formed.".to_owned()));
        };
        let Some(account) = self.0.store.account_by_name(&login.user).await? else {
            return Ok(Outcome::Wrong(self.wrong_password()));
        };
        let proven = self.0.store.credentials(account.sub).await?.into_iter().find_map(|credential| {
            let (stored_key, server_key) = credential.verifier.as_ref()?;
            let verifier = Verifier {
                stored_key: stored_key.as_slice().try_into().ok()?,
                server_key: server_key.as_slice().try_into().ok()?,
            };
            proof.check(&verifier).map(|server_final| (credential, server_final))
        });
        let Some((credential, server_final)) = proven else {
            return Ok(Outcome::Wrong(self.wrong_password()));
        };
        let id = credential.shown.id;
        // Whether the account may come in is said before the server proves itself, not after.
        match self.admit(Some(credential), login.clone(), now).await? {
            Outcome::Answer(SaslAnswer::Success { .. }) => {}
            other => return Ok(other),
        }
        let state = State::Proven { sub: account.sub, credential: id, login: login.clone() };
        Ok(Outcome::Answer(SaslAnswer::Challenge {
            payload: server_final,
            continuation: self.seal_state(state, &step.peer, now)?,
        }))
    }

    async fn oauth_bearer(&self, step: &SaslStep, now: i64) -> Result<Outcome> {
        let Ok(asked) = OauthBearer::parse(&step.payload) else {
            return Ok(Outcome::Wrong("The OAUTHBEARER message is not well-formed.".to_owned()));
        };
        let name = Some(asked.authzid.as_str()).filter(|name| !name.is_empty());
        if let Some(typed) = secret::as_app_password(asked.token) {
            let found = self.0.store.app_password(&secret::sha256(typed.as_bytes())).await?;
            let Some(owner) = self.owner(found.as_ref()).await? else {
                return Ok(Outcome::Wrong(self.wrong_password()));
            };
            let login = Login::parse(name.unwrap_or(&owner.username));
            return match login {
                Some(login) => self.admit(found, login, now).await,
                None => Ok(Outcome::Wrong(BAD_NAME.to_owned())),
            };
        }
        let Some(access) = self.live_access(asked.token, now).await? else {
            return Ok(Outcome::Wrong("The access token is not valid any more. Sign in again.".to_owned()));
        };
        if !access.claims.scope.split(' ').any(|scope| scope == "irc") {
            return Ok(Outcome::Wrong("The access token was not made for IRC (scope irc).".to_owned()));
        }
        let Some(login) = Login::parse(name.unwrap_or(&access.account.username))
            .filter(|login| login.user == access.account.username)
        else {
            return Ok(Outcome::Wrong(BAD_NAME.to_owned()));
        };
        let credential = Uuid::parse_str(&access.claims.sid).unwrap_or_default();
        Ok(Outcome::Answer(self.success(&access.account, credential, login)?))
    }

    async fn owner(&self, found: Option<&CredentialRow>) -> Result<Option<AccountRow>> {
        match found {
            Some(credential) => Ok(self.0.store.account(credential.sub).await?),
            None => Ok(None),
        }
    }

    /// The one place where a proven credential becomes a login.
    async fn admit(&self, found: Option<CredentialRow>, login: Login, now: i64) -> Result<Outcome> {
        let owner = self.owner(found.as_ref()).await?;
        let (Some(credential), Some(account)) = (found, owner) else {
            return Ok(Outcome::Wrong(self.wrong_password()));
        };
        if account.username != login.user {
            return Ok(Outcome::Wrong(self.wrong_password()));
        }
        if !credential.shown.scopes.contains(&Scope::Irc) {
            return Ok(Outcome::Wrong(
                "This app password was not made for IRC. Make one that is.".to_owned(),
            ));
        }
        if account.status != Status::Active {
            return Ok(Outcome::Wrong(not_active(account.status).to_owned()));
        }
        let id = credential.shown.id;
        if credential.shown.last_used_at.is_none() {
            let text = format!(
                "The app password or certificate {} logged in for the first time.",
                credential.shown.name
            );
            self.note(account.sub, "irc_first_sign_in", &text, None, now).await?;
        }
        self.0.store.credential_used(account.sub, id, login.client.as_deref(), now).await?;
        Ok(Outcome::Answer(self.success(&account, id, login)?))
    }

    /// After the server's last message: whatever was revoked meanwhile counts.
    async fn admit_again(&self, sub: Sub, credential: Uuid, login: Login, now: i64) -> Result<SaslAnswer> {
        let found = self.0.store.credentials(sub).await?.into_iter().find(|row| row.shown.id == credential);
        Ok(match self.admit(found, login, now).await? {
            Outcome::Answer(answer) => answer,
            Outcome::Wrong(text) => SaslAnswer::Refused { text },
        })
    }

    fn success(&self, account: &AccountRow, credential: Uuid, login: Login) -> Result<SaslAnswer> {
        Ok(SaslAnswer::Success {
            login: Box::new(DoorLogin {
                account: self.shown(account),
                credential,
                network: login.network,
                client: login.client,
            }),
        })
    }

    fn seal_state(&self, state: State, peer: &SaslPeer, now: i64) -> Result<Vec<u8>> {
        let sealed = Sealed { until: now + PATIENCE_SECONDS, address: peer.address, state };
        let plain = serde_json::to_vec(&sealed).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(self.0.keyring.seal(SEALED_FOR, &plain)?)
    }

    fn open_state(&self, sealed: &[u8], peer: &SaslPeer, now: i64) -> Option<State> {
        let plain = self.0.keyring.unseal(SEALED_FOR, sealed).ok()?;
        let opened: Sealed = serde_json::from_slice(&plain).ok()?;
        (opened.until >= now && opened.address == peer.address).then_some(opened.state)
    }

    fn wrong_password(&self) -> String {
        format!(
            "Wrong user name or app password. Make a new app password at {}.",
            self.0.sites.my.url("/passwords")
        )
    }

    fn not_an_app_password(&self) -> String {
        format!(
            "This is not an app password. The password of your account is never used on IRC: make an app password at {} and use it here.",
            self.0.sites.my.url("/passwords")
        )
    }
}

/// Bytes of a salt, and the count RFC 7677 asks for at least: app passwords have 140 random bits, more would only cost
/// time.
pub(crate) const SALT_LENGTH: usize = 16;
pub(crate) const ITERATIONS: u32 = irc::scram::MIN_ITERATIONS;

const BAD_NAME: &str = "The login name must be your username, username/network or username/network@client.";

/// Why an account that is not active does not come in.
pub(crate) fn not_active(status: Status) -> &'static str {
    match status {
        Status::Deleting => "This account is being deleted.",
        Status::Active | Status::Suspended => "This account is suspended. Write to the administrator.",
    }
}

/// Acting as another account is not offered; naming oneself twice is fine.
fn acts_as_itself(authzid: &str, login: &Login) -> bool {
    authzid.is_empty() || Login::parse(authzid).is_some_and(|other| other.user == login.user)
}

fn refused(text: &str) -> SaslAnswer {
    SaslAnswer::Refused { text: text.to_owned() }
}
