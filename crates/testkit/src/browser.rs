//! Chromium, driven through `tools/browser/driver.mjs` by one JSON line a command.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::parts::{self, Part};

/// The longest a command may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A browser with one profile and one open page; more pages by [`Browser::open`].
pub struct Browser {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Browser {
    /// Starts Chromium with an empty profile.
    pub async fn start() -> Result<Self> {
        Self::start_with(json!({})).await
    }

    /// Starts it with options of the driver: `{"ignoreCertificates": true, "javaScript": false, "hosts": {"name": "127.0.0.1:1"}}`.
    pub async fn start_with(options: Value) -> Result<Self> {
        let chromium = Part::Chromium.find().context("Chromium is missing: run tools/parts test")?;
        let modules = parts::cache().join("parts/browser/node_modules");
        let mut child = Command::new("node")
            .arg(driver())
            .env("IRCNOW_NODE_MODULES", modules)
            .env("IRCNOW_CHROMIUM", chromium)
            .env("IRCNOW_BROWSER", options.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting node")?;
        let input = child.stdin.take().context("no standard input")?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        Ok(Self { child, input, output })
    }

    /// Sends one command of the driver and gives its result.
    pub async fn command(&mut self, name: &str, args: Value) -> Result<Value> {
        let line = format!("{}\n", json!({"command": name, "args": args}));
        self.input.write_all(line.as_bytes()).await.context("the browser's driver is gone")?;
        let answer = tokio::time::timeout(LIMIT, self.output.next_line())
            .await
            .with_context(|| format!("{name} {args}"))??;
        let answer: Value = serde_json::from_str(&answer.context("the browser's driver ended")?)?;
        if let Some(error) = answer.get("error").and_then(Value::as_str) {
            bail!("{name} {args}: {error}");
        }
        Ok(answer.get("result").cloned().unwrap_or(Value::Null))
    }

    /// Goes to `url` and gives the HTTP status.
    pub async fn goto(&mut self, url: &str) -> Result<u64> {
        Ok(self.command("goto", json!({"url": url})).await?.as_u64().unwrap_or(0))
    }

    /// Fills the field with this label (or this CSS selector).
    pub async fn fill(&mut self, field: &str, value: &str) -> Result<()> {
        self.command("fill", json!({"field": field, "value": value})).await.map(drop)
    }

    /// Clicks the button or link with this name (or this CSS selector) and waits for what it loads.
    pub async fn click(&mut self, what: &str) -> Result<()> {
        self.command("click", json!({"what": what})).await.map(drop)
    }

    /// Waits until the page shows `text`.
    pub async fn wait_for(&mut self, text: &str) -> Result<()> {
        self.command("waitForText", json!({"text": text})).await.map(drop)
    }

    /// The text of the first element `selector` finds, waiting for it.
    pub async fn text(&mut self, selector: &str) -> Result<String> {
        let text = self.command("text", json!({"selector": selector})).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// The page's address.
    pub async fn url(&mut self) -> Result<String> {
        Ok(self.command("url", json!({})).await?.as_str().unwrap_or_default().to_owned())
    }

    /// What accessibility rules the page breaks (axe-core), one line each.
    pub async fn axe(&mut self) -> Result<Vec<String>> {
        let found = self.command("axe", json!({})).await?;
        Ok(found.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Takes a picture of the page.
    pub async fn screenshot(&mut self, path: &Path) -> Result<()> {
        self.command("screenshot", json!({"path": path})).await.map(drop)
    }

    /// Sets the window's width and height and the theme (`light` or `dark`).
    pub async fn view(&mut self, width: u32, height: u32, theme: &str) -> Result<()> {
        self.command("view", json!({"width": width, "height": height, "theme": theme})).await.map(drop)
    }

    /// Opens another page in the same profile and works in it from now on.
    pub async fn open(&mut self, url: &str) -> Result<u64> {
        Ok(self.command("open", json!({"url": url})).await?.as_u64().unwrap_or(0))
    }

    /// Runs JavaScript in the page and gives its value.
    pub async fn eval(&mut self, script: &str) -> Result<Value> {
        self.command("eval", json!({"script": script})).await
    }

    /// Ends the browser.
    pub async fn close(mut self) -> Result<()> {
        drop(self.input);
        tokio::time::timeout(LIMIT, self.child.wait()).await.context("the browser did not end")??;
        Ok(())
    }
}

fn driver() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/browser/driver.mjs")
}
