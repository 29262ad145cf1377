//! Making and revoking app passwords and device certificates.

use contracts::{CallError, Credential, CredentialKind, NewCredential, Scope, Sub};
use entitlements::Limit;
use irc::scram::Verifier;
use uuid::Uuid;

use crate::Gatekeeper;
use crate::error::{Result, invalid};
use crate::secret;
use crate::store::{AccountRow, NewCredentialRow, Tx};
use crate::text::{tidy, unhex};

/// Nobody needs more, and each is tried at a SCRAM login.
const MOST: i64 = 100;

impl Gatekeeper {
    pub(crate) async fn new_app_password(
        &self,
        tx: &mut Tx,
        account: &AccountRow,
        name: &str,
        scopes: &[Scope],
        now: i64,
    ) -> Result<NewCredential> {
        let name = self.checked_name(tx, account.sub, name).await?;
        if scopes.is_empty() {
            return Err(invalid("scopes", "Choose what the app password is for."));
        }
        let secret = secret::new_app_password()?;
        let verifier = Verifier::derive(&secret, &account.scram_salt, account.scram_iterations);
        let id = Uuid::now_v7();
        self.0
            .store
            .insert_credential(
                tx,
                &NewCredentialRow {
                    id,
                    sub: account.sub,
                    name: &name,
                    certificate: false,
                    lookup: &secret::sha256(secret.as_bytes()),
                    verifier: Some((&verifier.stored_key, &verifier.server_key)),
                    scopes,
                    now,
                },
            )
            .await?;
        let text = format!("An app password named {name} was made.");
        self.note_in(tx, account.sub, "app_password_created", &text, None, now).await?;
        let credential = fresh(id, name, CredentialKind::AppPassword, scopes, now);
        Ok(NewCredential { credential, secret: secret.to_string() })
    }

    pub(crate) async fn new_certificate(
        &self,
        tx: &mut Tx,
        account: &AccountRow,
        name: &str,
        fingerprint: &str,
        now: i64,
    ) -> Result<Credential> {
        let name = self.checked_name(tx, account.sub, name).await?;
        let Some(lookup) = unhex(fingerprint.trim()).filter(|bytes| bytes.len() == 32) else {
            return Err(invalid("fingerprint", "A fingerprint is SHA-256: 64 hexadecimal digits."));
        };
        let id = Uuid::now_v7();
        let kept = NewCredentialRow {
            id,
            sub: account.sub,
            name: &name,
            certificate: true,
            lookup: &lookup,
            verifier: None,
            scopes: &[Scope::Irc],
            now,
        };
        match self.0.store.insert_credential(tx, &kept).await {
            Err(error) if error.is_taken() => {
                return Err(CallError::Conflict {
                    message: "This certificate is in use already.".to_owned(),
                }
                .into());
            }
            other => other?,
        }
        let text = format!("A device certificate named {name} was added.");
        self.note_in(tx, account.sub, "certificate_added", &text, None, now).await?;
        let kind = CredentialKind::Certificate { fingerprint: crate::text::hex(&lookup) };
        Ok(fresh(id, name, kind, &[Scope::Irc], now))
    }

    pub(crate) async fn revoke(&self, tx: &mut Tx, sub: Sub, id: Uuid, now: i64) -> Result<()> {
        if !self.0.store.delete_credential(tx, sub, id, now).await? {
            return Err(CallError::not_found("app password").into());
        }
        let text = "An app password or certificate was revoked.";
        self.note_in(tx, sub, "credential_revoked", text, None, now).await
    }

    async fn checked_name(&self, tx: &mut Tx, sub: Sub, name: &str) -> Result<String> {
        let name = tidy(name, 60);
        if name.is_empty() {
            return Err(invalid("name", "Name the device or program it is for."));
        }
        let used = self.0.store.count_credentials(tx, sub).await?;
        if used >= MOST {
            return Err(CallError::Quota {
                limit: Limit::Devices.key().to_owned(),
                message: format!(
                    "An account has at most {MOST} app passwords and certificates. Revoke one first."
                ),
            }
            .into());
        }
        Ok(name)
    }
}

fn fresh(id: Uuid, name: String, kind: CredentialKind, scopes: &[Scope], now: i64) -> Credential {
    let scopes = scopes.to_vec();
    Credential { id, name, kind, scopes, created_at: now, last_used_at: None, last_used_client: None }
}
