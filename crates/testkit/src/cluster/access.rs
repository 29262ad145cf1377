//! Clients: an administrator's, and those of a ServiceAccount with a token the API server gave it.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::Cluster;

/// A day: longer than any test.
const TOKEN_SECONDS: i64 = 86_400;

impl Cluster {
    /// A client that may do everything. It belongs to the runtime it is made in: ask again in each test.
    pub async fn admin(&self) -> Result<Client> {
        client(self.admin.clone()).await
    }

    /// The same, by way of a [`crate::proxy::Proxy`] in front of [`Cluster::address`].
    pub async fn as_admin_through(&self, proxy: SocketAddr) -> Result<Client> {
        let mut config = self.admin.clone();
        config["clusters"][0]["cluster"]["server"] = format!("https://{proxy}").into();
        client(config).await
    }

    /// A client of a ServiceAccount that exists, with a real token: it may do what RBAC allows it.
    pub async fn as_service_account(&self, namespace: &str, name: &str) -> Result<Client> {
        self.as_service_account_through(namespace, name, self.address()).await
    }

    /// The same, by way of a [`crate::proxy::Proxy`] in front of [`Cluster::address`]: so that one client loses its
    /// watches, or the API server altogether, while every other test goes on.
    pub async fn as_service_account_through(
        &self,
        namespace: &str,
        name: &str,
        proxy: SocketAddr,
    ) -> Result<Client> {
        client(self.plane.token_config(&self.token(namespace, name).await?, proxy)).await
    }

    /// A client of a user with a certificate.
    pub async fn as_user(&self, user: &str, groups: &[&str]) -> Result<Client> {
        client(self.plane.certificate_config(&self.plane.authority().client(user, groups)?)).await
    }

    /// A kubeconfig file with a ServiceAccount's token, for programs (`KUBECONFIG`).
    pub async fn kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        self.kubeconfig_through(namespace, name, self.address()).await
    }

    /// The same, by way of a [`crate::proxy::Proxy`] in front of [`Cluster::address`].
    pub async fn kubeconfig_through(
        &self,
        namespace: &str,
        name: &str,
        proxy: SocketAddr,
    ) -> Result<PathBuf> {
        let file = format!("kubeconfig-{namespace}-{name}-{}.json", proxy.port());
        let file = self.plane.folder().join(file);
        let config = self.plane.token_config(&self.token(namespace, name).await?, proxy);
        std::fs::write(&file, config.to_string()).with_context(|| format!("writing {}", file.display()))?;
        Ok(file)
    }

    /// A kubeconfig file of the administrator, for programs (`KUBECONFIG`).
    pub fn admin_kubeconfig(&self) -> Result<PathBuf> {
        let file = self.plane.folder().join("kubeconfig-admin.json");
        std::fs::write(&file, self.admin.to_string())
            .with_context(|| format!("writing {}", file.display()))?;
        Ok(file)
    }

    /// A token of a ServiceAccount that exists, by a TokenRequest.
    pub async fn token(&self, namespace: &str, name: &str) -> Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin().await?, namespace);
        let spec =
            TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let answer =
            accounts.create_token_request(name, &PostParams::default(), &request).await.with_context(
                || format!("asking for a token of the ServiceAccount {namespace}/{name}: does it exist?"),
            )?;
        answer.status.and_then(|status| status.token).context("the answer to the TokenRequest holds no token")
    }
}

/// A client by a kubeconfig.
pub(super) async fn client(kubeconfig: serde_json::Value) -> Result<Client> {
    let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}
