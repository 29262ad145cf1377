//! An account as a program sees it: forms over plain HTTP, with cookies and redirects, without a browser.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::{Client, Method, Response, StatusCode, Url, redirect};
use testkit::eventually;

use crate::installation::Installation;
use crate::person::PASSWORD;

/// The password of the operator of every hosted network.
pub const OPERATOR_PASSWORD: &str = "correct-horse-battery";

/// The most redirects a request may take before it counts as a circle.
const REDIRECTS: usize = 20;

/// The cookies of one browser, by host.
type Jar = BTreeMap<String, BTreeMap<String, String>>;

/// Somebody at a keyboard: a cookie jar and a client that sends it to the host it came from.
pub struct Account {
    pub username: String,
    my: String,
    auth: String,
    txt: String,
    http: Client,
    jar: std::sync::Mutex<Jar>,
}

/// What a page answered, once every redirect was followed.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub url: Url,
    pub text: String,
}

impl Account {
    /// Somebody who is not signed in.
    pub fn stranger(at: &Installation) -> Result<Self> {
        service::tls::install_provider();
        let mut http = Client::builder().redirect(redirect::Policy::none()).timeout(Duration::from_secs(60));
        // The port of the URL is used; glibc does not know these names.
        for host in ["localhost", "my.localhost", "auth.localhost", "txt.localhost", "raw.txt.localhost"] {
            http = http.resolve(host, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        }
        Ok(Self {
            username: String::new(),
            my: at.url("my", ""),
            auth: at.url("auth", ""),
            txt: at.url("txt", ""),
            http: http.build()?,
            jar: std::sync::Mutex::default(),
        })
    }

    /// Signs up, and is signed in at the portal.
    pub async fn sign_up(at: &Installation, username: &str) -> Result<Self> {
        Self::sign_up_from(at, username, "").await
    }

    /// The same with an e-mail address.
    pub async fn sign_up_from(at: &Installation, username: &str, email: &str) -> Result<Self> {
        let mut this = Self::stranger(at)?;
        username.clone_into(&mut this.username);
        let page = this.get("/auth/login?prompt=create&return_to=/start").await?;
        let form = [("username", username), ("email", email), ("password", PASSWORD)];
        this.submit_to_issuer(&page, "/sign-up", &form).await?;
        Ok(this)
    }

    /// The same account in another browser.
    pub async fn sign_in(at: &Installation, username: &str) -> Result<Self> {
        let mut this = Self::stranger(at)?;
        username.clone_into(&mut this.username);
        let page = this.get("/auth/login?return_to=/account").await?;
        this.submit_to_issuer(&page, "/sign-in", &[("username", username), ("password", PASSWORD)]).await?;
        Ok(this)
    }

    /// Proves once more who is there, as deletion asks for.
    pub async fn prove(&self, return_to: &str) -> Result<Answer> {
        let page = self.get(&format!("/auth/login?prompt=login&return_to={return_to}")).await?;
        let form = [("username", self.username.as_str()), ("password", PASSWORD)];
        self.submit_to_issuer(&page, "/sign-in", &form).await
    }

    async fn submit_to_issuer(&self, page: &Answer, path: &str, form: &[(&str, &str)]) -> Result<Answer> {
        let next = page.field("next").with_context(|| format!("no form on {}: {}", page.url, page.text))?;
        let form = [form, &[("next", next.as_str())]].concat();
        let answer = self.follow(Method::POST, &format!("{}{path}", self.auth), Some(&form)).await?;
        ensure!(answer.url.as_str().starts_with(&self.my), "{path} led to {}: {}", answer.url, answer.text);
        Ok(answer)
    }

    /// A page of the portal, redirects followed.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.follow(Method::GET, &format!("{}{path}", self.my), None).await
    }

    /// A form of the portal, redirects followed; refused forms are errors.
    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Answer> {
        let answer = self.try_post(path, form).await?;
        ensure!(answer.status.is_success(), "{path}: {} {}", answer.status, answer.text);
        Ok(answer)
    }

    /// A form of the portal, redirects followed, whatever comes of it.
    pub async fn try_post(&self, path: &str, form: &[(&str, &str)]) -> Result<Answer> {
        self.follow(Method::POST, &format!("{}{path}", self.my), Some(form)).await
    }

    /// One request with this browser's cookies, no redirect followed. The body is there to be streamed.
    pub async fn send(&self, method: Method, url: &str, form: Option<&[(&str, &str)]>) -> Result<Response> {
        let url = Url::parse(url)?;
        let host = url.host_str().context("a host")?.to_owned();
        let mut request = self.http.request(method, url.clone());
        let cookies = self.jar.lock().unwrap().get(&host).map(|jar| {
            jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
        });
        request = request.header("accept", "text/html").header("user-agent", "irc.now tests");
        if let Some(cookies) = cookies.filter(|cookies| !cookies.is_empty()) {
            request = request.header("cookie", cookies);
        }
        if let Some(form) = form {
            request = request.header("origin", url.origin().ascii_serialization()).form(form);
        }
        let response = request.send().await?;
        let mut jar = self.jar.lock().unwrap();
        let jar = jar.entry(host).or_default();
        for cookie in response.headers().get_all("set-cookie") {
            let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').context("a cookie without a value")?;
            if value.is_empty() {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(response)
    }

    /// An empty JSON call as services make them, with this in `Authorization`.
    pub async fn post_as(&self, url: &str, authorization: Option<&str>) -> Result<StatusCode> {
        let mut request = self.http.post(url).header("content-type", "application/json").body("{}");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        Ok(request.send().await?.status())
    }

    /// What gatekeeper says to somebody who asks what a token is worth, with this in Basic authorization.
    pub async fn introspect(&self, url: &str, basic: &str) -> Result<StatusCode> {
        let request = self.http.post(url).header("authorization", format!("Basic {basic}"));
        Ok(request.form(&[("token", "anything")]).send().await?.status())
    }

    /// A request with every redirect followed.
    pub async fn follow(&self, method: Method, url: &str, form: Option<&[(&str, &str)]>) -> Result<Answer> {
        let (mut method, mut form, mut url) = (method, form, Url::parse(url)?);
        for _ in 0..REDIRECTS {
            let response = self.send(method, url.as_str(), form).await?;
            let status = response.status();
            let Some(to) = response.headers().get("location").filter(|_| status.is_redirection()) else {
                return Ok(Answer { status, url, text: response.text().await? });
            };
            url = url.join(to.to_str()?)?;
            (method, form) = (Method::GET, None);
        }
        bail!("{url} redirects without end");
    }

    /// Puts up a paste of this account's, and gives its id.
    pub async fn paste(&self, text: &str) -> Result<String> {
        let mine = self.follow(Method::GET, &format!("{}/mine", self.txt), None).await?;
        ensure!(mine.text.contains("My pastes"), "{}: {}", mine.url, mine.text);
        let host = Url::parse(&self.txt)?.host_str().context("a host")?.to_owned();
        let cookies = self.jar.lock().unwrap().get(&host).cloned().unwrap_or_default();
        let cookies: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let put = self.http.post(&self.txt).header("cookie", cookies.join("; ")).body(text.to_owned());
        let url = put.send().await?.error_for_status()?.text().await?;
        Ok(url.trim().rsplit('/').next().context("an id")?.to_owned())
    }

    /// Adds a network by hand, in the clear, and waits until the portal says that it is connected. Gives its id.
    pub async fn add_network(&self, name: &str, port: u16, nick: &str) -> Result<String> {
        let id = self.add_network_unchecked(name, port, nick).await?;
        self.wait_until_connected(&id, nick).await;
        Ok(id)
    }

    /// Waits until the portal says that the network is connected under this nick.
    pub async fn wait_until_connected(&self, id: &str, nick: &str) {
        let page = format!("/networks/{id}");
        eventually(format!("{nick} to be connected"), || async {
            let answer = self.get(&page).await.ok()?;
            (answer.text.contains("class=\"grow ok\"") && answer.text.contains(nick)).then_some(())
        })
        .await;
    }

    /// Adds a network by hand, in the clear, wherever it leads. Gives its id.
    pub async fn add_network_unchecked(&self, name: &str, port: u16, nick: &str) -> Result<String> {
        self.add_network_with(&[("name", name), ("port", &port.to_string()), ("nick", nick)]).await
    }

    /// Adds a network with the fields given; host, encryption and the rest are those of a test's network.
    pub async fn add_network_with(&self, fields: &[(&str, &str)]) -> Result<String> {
        let usual = [("host", "127.0.0.1"), ("tls", "off"), ("sasl", "none"), ("enabled", "on")];
        let usual = usual.iter().filter(|(key, _)| fields.iter().all(|(named, _)| named != key));
        let form: Vec<(&str, &str)> = fields.iter().chain(usual).copied().collect();
        let answer = self.post("/networks", &form).await?;
        let id = answer.url.path().strip_prefix("/networks/").map(str::to_owned);
        id.with_context(|| format!("adding a network led to {}: {}", answer.url, answer.text))
    }

    /// Hosts a network with the operator `root`. Gives its id.
    pub async fn host_network(&self, name: &str, access: &str) -> Result<String> {
        let form = [
            ("name", name),
            ("access", access),
            ("motd", "Be kind."),
            ("operator_name", "root"),
            ("operator_password", OPERATOR_PASSWORD),
            ("operator_role", "admin"),
        ];
        let answer = self.post("/hosting", &form).await?;
        let id = answer.url.path().strip_prefix("/hosting/").map(str::to_owned);
        id.with_context(|| format!("hosting a network led to {}: {}", answer.url, answer.text))
    }

    /// Waits until the portal says that a hosted network runs, and gives its ports: with TLS and without.
    pub async fn wait_until_hosted(&self, id: &str) -> (u16, u16) {
        let page = format!("/hosting/{id}");
        eventually("the hosted network to run", || async {
            let text = self.get(&page).await.ok()?.text;
            let port = |kind: &str| {
                let (before, _) = text.split_once(&format!("</span> <span class=\"muted small\">{kind}"))?;
                before.rsplit_once(':')?.1.parse().ok()
            };
            text.contains("class=\"grow ok\"").then_some(())?;
            Some((port("with TLS")?, port("without TLS")?))
        })
        .await
    }

    /// Makes an app password and reads it from the page.
    pub async fn app_password(&self, name: &str) -> Result<String> {
        let answer = self.post("/passwords", &[("name", name)]).await?;
        between(&answer.text, "id=\"fresh-password\"", "</")
            .and_then(|element| element.split_once('>'))
            .map(|(_, secret)| secret.trim().to_owned())
            .with_context(|| format!("no app password on the page: {}", answer.text))
    }

    /// The ids of this account's app passwords and certificates, as its page lists them.
    pub async fn credential_ids(&self) -> Result<Vec<String>> {
        Ok(self.get("/passwords").await?.ids("/passwords/", "/revoke\""))
    }

    /// The ids of this account's sessions at the portal, as its page lists them.
    pub async fn session_ids(&self) -> Result<Vec<String>> {
        Ok(self.get("/account").await?.ids("/sessions/", "/revoke\""))
    }

    /// The account's page at gatekeeper.
    pub async fn security_page(&self) -> Result<Answer> {
        self.follow(Method::GET, &format!("{}/account", self.auth), None).await
    }

    /// Opens the event stream of the portal's pages, and waits until it speaks.
    pub async fn live(&self) -> Result<Live> {
        let mut response = self.send(Method::GET, &format!("{}/live", self.my), None).await?;
        ensure!(response.status().is_success(), "/live: {}", response.status());
        ensure!(response.chunk().await?.is_some(), "the stream ended before it began");
        Ok(Live(response))
    }

    /// Revokes an app password or certificate by its id; the page asks for its name.
    pub async fn revoke(&self, id: &str, name: &str) -> Result<()> {
        self.post(&format!("/passwords/{id}/revoke"), &[("confirm", name)]).await.map(drop)
    }

    /// Whether the portal still knows who this is.
    pub async fn is_signed_in(&self) -> Result<bool> {
        let response = self.send(Method::GET, &format!("{}/account", self.my), None).await?;
        Ok(response.status().is_success())
    }
}

/// An open event stream.
pub struct Live(Response);

impl Live {
    /// Waits until it says this.
    pub async fn wait_for(&mut self, text: &str) {
        let heard = async {
            let mut heard = String::new();
            while !heard.contains(text) {
                let chunk = self.0.chunk().await.unwrap().expect("the stream goes on");
                heard.push_str(&String::from_utf8_lossy(&chunk));
            }
        };
        let heard = tokio::time::timeout(testkit::wait::PATIENCE, heard).await;
        assert!(heard.is_ok(), "the pages never said {text:?}");
    }

    /// Waits until the server ends it.
    pub async fn ended(mut self) {
        while let Ok(Some(_)) = self.0.chunk().await {}
    }
}

impl Answer {
    /// The value of a hidden field.
    pub fn field(&self, name: &str) -> Option<String> {
        let value = between(&self.text, &format!("name=\"{name}\" value=\""), "\"")?;
        Some(unescape(value))
    }

    /// Where the page's form goes, if its address holds `part`.
    pub fn form_action(&self, part: &str) -> Option<String> {
        let actions = self.text.split("action=\"").skip(1).filter_map(|rest| rest.split('"').next());
        actions.map(unescape).find(|action| action.contains(part))
    }

    /// The ids in links that begin and end so.
    pub fn ids(&self, before: &str, after: &str) -> Vec<String> {
        let starts = self.text.match_indices(before).map(|(at, _)| &self.text[at + before.len()..]);
        starts
            .filter_map(|rest| {
                rest.get(..36).filter(|_| rest.get(36..).is_some_and(|end| end.starts_with(after)))
            })
            .map(str::to_owned)
            .collect()
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

/// What askama escapes in an attribute.
fn unescape(text: &str) -> String {
    [("&#38;", "&"), ("&amp;", "&"), ("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}
