//! What a person does in a browser.

use anyhow::{Context as _, Result};
use serde_json::json;
use testkit::browser::Browser;

use crate::installation::Installation;

/// The password every test's account has.
pub const PASSWORD: &str = "correct horse battery";

/// Signs up at the landing page and ends on the first run.
pub async fn sign_up(browser: &mut Browser, at: &Installation, username: &str) -> Result<()> {
    browser.goto(&at.url("", "/")).await?;
    browser.click("Sign up").await?;
    browser.fill("Username", username).await?;
    browser.fill("Password", PASSWORD).await?;
    browser.click(".card button.primary").await?;
    browser.wait_for("Your first message").await.with_context(|| at.output())
}

/// Adds a network by hand, in the clear, and waits until the portal says it is connected.
pub async fn add_network(
    browser: &mut Browser,
    at: &Installation,
    name: &str,
    port: u16,
    nick: &str,
) -> Result<()> {
    browser.goto(&at.url("my", "/networks/new")).await?;
    browser.fill("Nick", nick).await?;
    browser.fill("Server", "127.0.0.1").await?;
    browser.fill("Port", &port.to_string()).await?;
    browser.fill("Name", name).await?;
    browser.command("click", json!({"what": "details.more summary"})).await?;
    browser.command("select", json!({"field": "Encryption", "value": "off"})).await?;
    browser.click("Add network").await?;
    browser.goto(&at.url("my", "/")).await?;
    browser.wait_for(&format!("as {nick}")).await.with_context(|| at.output())
}

/// Makes an app password on a client's connection page and gives the text of its block, filled in.
pub async fn connection_lines(
    browser: &mut Browser,
    at: &Installation,
    client: &str,
    network: &str,
    password_name: &str,
) -> Result<String> {
    browser.goto(&at.url("my", &format!("/connect/{client}?network={network}"))).await?;
    browser.fill("Its name", password_name).await?;
    browser.click("Make a password").await?;
    let lines = browser.text(&format!("pre[data-client={client}]")).await?;
    anyhow::ensure!(!lines.contains("YOUR-APP-PASSWORD"), "the password is not filled in: {lines}");
    Ok(lines)
}
