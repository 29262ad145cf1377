//! `ircnow paste put` and `ircnow paste get`: the command line beside the pages, with the same encryption.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand};
use paste::client::{decrypt, encrypt, parse};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use service::http::{HttpClient, Target};
use service::sites::{Origin, Sites, SitesConfig};
use url::Url;

use crate::cli::{Common, say};

/// Holds the app password that makes a paste yours.
const APP_PASSWORD: &str = "IRCNOW_APP_PASSWORD";
/// Holds the password of a paste.
const PASTE_PASSWORD: &str = "IRCNOW_PASTE_PASSWORD";

/// What is done without serving anything.
#[derive(Debug, Subcommand)]
pub enum PasteCommand {
    /// Put up a file, or what comes in; prints the address. Yours with an app password in IRCNOW_APP_PASSWORD.
    Put(PutArgs),
    /// Print a paste. What is read once is deleted by it. The password of a locked one is taken from IRCNOW_PASTE_PASSWORD.
    Get {
        /// Its address, with the key behind the # where it is encrypted.
        address: String,
        #[command(flatten)]
        way: Way,
    },
}

/// How the site is reached.
#[derive(Debug, Args)]
pub struct Way {
    /// A PEM file with the authority that signs the site, where the system does not know it.
    #[arg(long, value_name = "FILE")]
    authority: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct PutArgs {
    /// The file; standard input without one.
    file: Option<PathBuf>,
    /// Encrypt it here. The key is only in the address that is printed.
    #[arg(long)]
    encrypt: bool,
    /// A title; the file's name without one.
    #[arg(long)]
    title: Option<String>,
    /// The language; found out without one.
    #[arg(long, default_value = "")]
    language: String,
    /// How long it stays: 10m, 12h, 3d, never; as long as the plan allows without it.
    #[arg(long, default_value = "")]
    expires: String,
    /// Gone after it was read once.
    #[arg(long)]
    burn: bool,
    /// The site; the one of the configuration without it.
    #[arg(long, value_name = "URL")]
    server: Option<Url>,
    #[command(flatten)]
    way: Way,
}

/// Does it.
pub async fn run(common: Common, command: PasteCommand) -> Result<()> {
    match command {
        PasteCommand::Put(args) => put(&common, args).await,
        PasteCommand::Get { address, way } => get(&address, &way).await,
    }
}

async fn put(common: &Common, args: PutArgs) -> Result<()> {
    let site = match &args.server {
        Some(url) => Origin::of(url),
        None => Sites::new(&SitesConfig::load(&common.source()?)?)?.txt,
    };
    let mut text = Vec::new();
    match &args.file {
        Some(path) => text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?,
        None => std::io::stdin().read_to_end(&mut text).map(drop).context("reading standard input")?,
    }
    let named = args.file.as_ref().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let mut wish = json!({ "expires": args.expires, "burn": args.burn });
    let key = if args.encrypt {
        let encrypted = encrypt(&text)?;
        wish["encrypted"] = encrypted.body.into();
        Some(encrypted.key)
    } else {
        wish["text"] =
            String::from_utf8(text).context("this is no text in UTF-8; --encrypt takes anything")?.into();
        wish["title"] = args.title.or(named).unwrap_or_default().into();
        wish["language"] = args.language.into();
        None
    };
    let made = ask(&args.way, &site.url("/"), Some(&wish)).await?;
    let url = made["url"].as_str().context("the site answered without an address")?;
    match key {
        Some(key) => say(&format!("{url}#{}", key.expose_secret())),
        None => say(url),
    }
    Ok(())
}

async fn get(address: &str, way: &Way) -> Result<()> {
    let (site, id, key) = parse(address)?;
    let url = Origin::of(&site).url(&format!("/{id}"));
    let mut shown = ask(way, &url, None).await?;
    if shown["burn"] == true || shown["seal"] == "password" {
        let password = variable(PASTE_PASSWORD);
        let password = password.as_ref().map_or("", |password| password.expose_secret());
        ensure!(
            shown["seal"] != "password" || !password.is_empty(),
            "this paste has a password: put it into {PASTE_PASSWORD}"
        );
        ensure!(
            shown["seal"] != "browser" || key.is_some(),
            "the key is missing: it is the part of the address behind the #"
        );
        shown = ask(way, &format!("{url}/open"), Some(&json!({ "password": password }))).await?;
    }
    let text = match (shown["text"].as_str(), shown["encrypted"].as_str(), key) {
        (Some(text), _, _) => text.as_bytes().to_vec(),
        (None, Some(body), Some(key)) => decrypt(body, &key)?,
        (None, Some(_), None) => bail!("the key is missing: it is the part of the address behind the #"),
        (None, None, _) => bail!("the site answered without a text"),
    };
    // A reader that went away is no error.
    let _ = std::io::stdout().write_all(&text);
    Ok(())
}

async fn ask(way: &Way, url: &str, wish: Option<&Value>) -> Result<Value> {
    let authorities = crate::wiring::authorities(way.authority.as_ref())?;
    let http = HttpClient::trusting(&authorities)?;
    let site = Origin::of(&url.parse()?);
    if site.host() == "localhost" || site.host().ends_with(".localhost") {
        // Systems do not resolve these names; they are this machine.
        let address = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, site.port()));
        http.map_site(&site, Target { address, tls: site.is_https() });
    }
    let mut request = match wish {
        Some(wish) => http.post(url)?.json(wish),
        None => http.get(url)?,
    };
    request = request.header("accept", "application/json");
    if let Some(password) = variable(APP_PASSWORD).filter(|_| wish.is_some()) {
        request = request.bearer_auth(password.expose_secret());
    }
    let answer = request.send().await.with_context(|| format!("{site} does not answer"))?;
    let status = answer.status();
    let said: Value = answer.json().await.with_context(|| format!("{site} answered {status} and no JSON"))?;
    ensure!(
        status.is_success(),
        "{} {}",
        said["message"].as_str().unwrap_or("it was refused"),
        said["advice"].as_str().unwrap_or_default()
    );
    Ok(said)
}

fn variable(name: &str) -> Option<SecretString> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(SecretString::from)
}
