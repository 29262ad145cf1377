//! Who the members of a network are: the accounts of this installation, by their app passwords, and its doorkeeper.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use async_trait::async_trait;
use contracts::{Accounts, CallError, SaslAnswer, SaslPeer, SaslStep};
use ergo_operator::sidecar::answers::Passwords;

use super::doorkeeper::{self, Key};

/// How many groups of four an app password has.
const GROUPS: usize = 7;

/// Asks gatekeeper.
pub struct Members {
    /// Who knows the members.
    pub accounts: Arc<dyn Accounts>,
    /// The doorkeeper's.
    pub door: Key,
}

#[async_trait]
impl Passwords for Members {
    async fn whose(
        &self,
        account: &str,
        passphrase: &str,
        address: Option<IpAddr>,
    ) -> Result<Option<String>, String> {
        if doorkeeper::is_doorkeeper(account) {
            return Ok(self.door.proves(account, passphrase).then(doorkeeper::account));
        }
        // Passwords of the network's own accounts are none of gatekeeper's business: it would count them as failures.
        if account.is_empty() || !is_app_password(passphrase) {
            return Ok(None);
        }
        let step = SaslStep {
            mechanism: "PLAIN".to_owned(),
            continuation: None,
            payload: format!("\0{account}\0{passphrase}").into_bytes(),
            peer: SaslPeer {
                address: address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                tls: true,
                certificate: None,
            },
        };
        match self.accounts.sasl(step).await {
            Ok(SaslAnswer::Success { login }) => Ok(Some(login.account.username)),
            Ok(SaslAnswer::Refused { .. } | SaslAnswer::Challenge { .. }) => Ok(None),
            Err(error @ CallError::Unavailable { .. }) => Err(error.to_string()),
            Err(_) => Ok(None),
        }
    }
}

/// Whether it has the form of an app password.
fn is_app_password(text: &str) -> bool {
    let mut groups = 0;
    text.split('-').all(|group| {
        groups += 1;
        group.len() == 4 && group.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }) && groups == GROUPS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_an_app_password_is_asked_about() {
        assert!(is_app_password("kq7m-3xvd-91hf-tz0c-ap4w-e6ry-0abc"));
        for other in ["", "hunter2", "kq7m-3xvd-91hf-tz0c-ap4w-e6ry", "kq7m-3xvd-91hf-tz0c-ap4w-e6ry-0ab"] {
            assert!(!is_app_password(other), "{other}");
        }
    }
}
