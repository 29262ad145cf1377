//! Asking the sidecar in a resource's Pod how its server is.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;

use crate::{Context, Operator, Seen, kinds};

/// The client sidecars are asked by: they are near, or not there.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .timeout(Duration::from_secs(2))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap_or_default()
}

/// The Pods that are this resource's, and not going.
pub fn pods<'a, O: Operator>(context: &'a Context<'_, O>) -> impl Iterator<Item = &'a Seen> {
    let ours = move |pod: &&Seen| !pod.deleting && *pod.owner_uid == *context.parent.uid;
    context.children_of(&kinds::POD).map(|(_, pod)| pod).filter(ours)
}

/// Asks the sidecar for its state. That none answers is nothing unusual.
pub async fn state<O: Operator, S: DeserializeOwned>(
    client: &reqwest::Client,
    context: &Context<'_, O>,
    port: u16,
    token: Option<&SecretString>,
) -> Option<S> {
    let address = pods(context).find_map(|pod| pod.facts.get("ip"))?;
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let mut request = client.get(format!("http://{host}:{port}/state"));
    if let Some(token) = token {
        request = request.bearer_auth(token.expose_secret());
    }
    request.send().await.ok()?.error_for_status().ok()?.json().await.ok()
}
