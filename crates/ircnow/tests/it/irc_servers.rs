//! IRC servers of others that ask gatekeeper who comes in (issue "From sign-up to the first message", section 5): soju by
//! RFC 8414 metadata and RFC 7662 introspection, Ergo by introspection.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use testkit::irc::{Client, base64};
use testkit::parts::Part;
use testkit::{Process, eventually, net, part};

use crate::account::Account;
use crate::installation::{Installation, Layout};

const SECRET: &str = "a-secret-of-this-test-only";
/// What the operators, and gatekeeper, derive the secrets of customers' servers from.
const DERIVED_FROM: &str = "another-secret-of-this-test-only";
const UID: &str = "5a0dd2a4-33cb-4a5e-9b2f-3d0a9d3b8a11";
/// The configuration of the tests' Ergo, to which the accounts of gatekeeper are added.
const ERGO: &str = include_str!("../../../testkit/src/networks/ergo.yaml");

/// A server that asks gatekeeper.
struct Server {
    _process: Process,
    port: u16,
    _folder: TempDir,
}

impl Server {
    /// Runs it; `configured` writes its configuration and gives the command.
    fn start(at: &Installation, configured: impl FnOnce(&TempDir, u16) -> Result<Command>) -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, net::free_port()?);
        let mut command = configured(&folder, port)?;
        // Go does not resolve `auth.localhost`. Our listener takes the requests of a proxy's client as they are, so that
        // the address in the configuration is the issuer's real one.
        command.env("HTTP_PROXY", format!("http://127.0.0.1:{}", at.http)).current_dir(folder.path());
        let process = Process::spawn(&mut command, &folder.path().join("log"))?;
        net::wait_for_irc(port, testkit::wait::PATIENCE).with_context(|| process.output())?;
        Ok(Self { _process: process, port, _folder: folder })
    }

    fn soju(at: &Installation) -> Result<Self> {
        Self::soju_as(at, "irc-server", SECRET)
    }

    /// soju with the client the operator gives a `SojuBouncer` of this UID.
    fn bouncer(at: &Installation) -> Result<Self> {
        let id = soju_operator::credentials::client_id(UID);
        let secret = soju_operator::credentials::client_secret(&DERIVED_FROM.into(), &id);
        Self::soju_as(at, &id, secret.expose_secret())
    }

    fn soju_as(at: &Installation, id: &str, secret: &str) -> Result<Self> {
        Self::start(at, |folder, port| {
            let issuer = at.url("auth", "").replace("http://", &format!("http://{id}:{secret}@"));
            let text = format!(
                "hostname soju.test\nlisten irc+insecure://127.0.0.1:{port}\ndb sqlite3 {0}/soju.db\n\
                 message-store memory\nauth oauth2 {issuer}\nenable-user-on-auth true\n",
                folder.path().display()
            );
            let config = folder.path().join("config");
            std::fs::write(&config, text)?;
            let mut command = Command::new(Part::Soju.find().context("soju")?);
            command.arg("-config").arg(config);
            Ok(command)
        })
    }

    fn ergo(at: &Installation) -> Result<Self> {
        Self::ergo_as(at, "irc-server", SECRET)
    }

    /// Ergo with the client the operator gives an `ErgoNetwork` of this UID.
    fn network(at: &Installation) -> Result<Self> {
        use ergo_operator::credentials::{Purpose, client_id, derive};
        let secret = derive(&DERIVED_FROM.into(), UID, Purpose::Client);
        Self::ergo_as(at, &client_id(UID), secret.expose_secret())
    }

    fn ergo_as(at: &Installation, id: &str, secret: &str) -> Result<Self> {
        Self::start(at, |folder, port| {
            let asks = format!(
                "accounts:\n  oauth2:\n    enabled: true\n    autocreate: true\n    introspection-url: \"{}\"\n    \
                 introspection-timeout: 10s\n    client-id: {id}\n    client-secret: {secret}\n",
                at.url("auth", "/introspect")
            );
            let text = ERGO.replace("@PORT@", &port.to_string()).replace("accounts:\n", &asks);
            let config = folder.path().join("config");
            std::fs::write(&config, text)?;
            let program = Part::Ergo.find().context("Ergo")?;
            let mut initdb = Command::new(&program);
            initdb.args(["initdb", "--quiet", "--conf"]).arg(&config).current_dir(folder.path());
            let made = initdb.output()?;
            anyhow::ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            let mut command = Command::new(program);
            command.args(["run", "--quiet", "--conf"]).arg(config);
            Ok(command)
        })
    }

    /// `ircnow bouncer` for one account, with what the operator gives a `SojuBouncer` of the engine `Ircnow`: nothing of the
    /// installation but its addresses.
    fn dedicated(at: &Installation, sub: &str) -> Result<Self> {
        let id = soju_operator::credentials::client_id(UID);
        let secret = soju_operator::credentials::client_secret(&DERIVED_FROM.into(), &id);
        Self::start(at, |folder, port| {
            let mut command = at.command(&["bouncer"]);
            command
                .env_remove("IRCNOW_GATEKEEPER_CLIENT_SECRET")
                .env("IRCNOW_DATA_DIR", folder.path().join("data"))
                .env("IRCNOW_BOUNCER_ACCOUNT", sub)
                .env("IRCNOW_BOUNCER_LISTEN", format!("127.0.0.1:{port}"))
                .env("IRCNOW_BOUNCER_LISTEN_TLS", "127.0.0.1:0")
                .env("IRCNOW_ROLE_ADMIN_LISTEN", "127.0.0.1:0")
                .env("IRCNOW_ROLE_GATEKEEPER", at.url("auth", "/dedicated/"))
                .env("IRCNOW_ROLE_GATEKEEPER_SITE", format!("127.0.0.1:{}", at.http))
                .env("IRCNOW_ROLE_CLIENT_ID", id)
                .env("IRCNOW_ROLE_CLIENT_SECRET", secret.expose_secret());
            Ok(command)
        })
    }

    /// Logs in with a token by OAUTHBEARER, up to the welcome.
    async fn bearer(&self, name: &str, token: &str) -> Result<Client> {
        let mut client = Client::connect(self.port).await?;
        client.send("CAP LS 302").await?;
        client.send(&format!("NICK {name}")).await?;
        client.send(&format!("USER {name} 0 * :{name}")).await?;
        client.send("CAP REQ :sasl").await?;
        client.wait_for(" ACK ").await?;
        client.send("AUTHENTICATE OAUTHBEARER").await?;
        client.wait_for("AUTHENTICATE +").await?;
        let payload = format!("n,a={name},\u{1}auth=Bearer {token}\u{1}\u{1}");
        client.send(&format!("AUTHENTICATE {}", base64(payload.as_bytes()))).await?;
        loop {
            let ends = [" 903 ", " 904 ", " 902 ", " 905 ", "AUTHENTICATE "];
            let line = client.wait_where("an answer", |l| ends.iter().any(|end| l.contains(end))).await?;
            if line.contains("AUTHENTICATE ") {
                // RFC 7628 §3.2.3: the refusal comes as JSON, which the client acknowledges.
                client.send("AUTHENTICATE AQ==").await?;
            } else if line.contains(" 903 ") {
                client.send("CAP END").await?;
                client.wait_for(" 001 ").await?;
                return Ok(client);
            } else {
                bail!("refused: {line}");
            }
        }
    }

    /// Logs in with a token in the place of a password, up to the welcome.
    async fn plain(&self, name: &str, token: &str) -> Result<Client> {
        let mut client = Client::connect(self.port).await?;
        client.register_sasl(name, token, "").await?;
        Ok(client)
    }
}

/// An installation that servers may ask, with alice and carol and their app passwords.
async fn installation() -> (Installation, String, String) {
    let environment = [
        ("IRCNOW_GATEKEEPER_INTROSPECTION_SECRET", SECRET),
        ("IRCNOW_GATEKEEPER_CLIENT_SECRET", DERIVED_FROM),
        ("IRCNOW_UP_LOCAL_NETWORK", "false"),
    ];
    let at = Installation::start(Layout::OneProcess, &environment).unwrap();
    let mut passwords = Vec::new();
    for name in ["alice", "carol"] {
        passwords.push(Account::sign_up(&at, name).await.unwrap().app_password("soju").await.unwrap());
    }
    let [alice, carol] = passwords.try_into().unwrap();
    (at, alice, carol)
}

#[tokio::test]
async fn soju_finds_the_metadata_and_lets_in_who_gatekeeper_vouches_for() {
    part!(Soju);
    let (at, alice, carol) = installation().await;
    // It asks for the metadata while it starts, and ends if there is none.
    let soju = Server::soju(&at).unwrap();
    soju.plain("alice", &alice).await.unwrap();
    soju.bearer("alice", &alice).await.unwrap();
    soju.plain("carol", &carol).await.unwrap();
    assert!(soju.plain("alice", &carol).await.is_err(), "the token is somebody else's");
    assert!(soju.bearer("alice", &carol).await.is_err(), "the token is somebody else's");
    assert!(soju.plain("alice", "nothing").await.is_err());
    assert!(soju.bearer("alice", "nothing").await.is_err());

    // soju enables a user again at every login that succeeds: so none may.
    at.admin(&["suspend", "alice", "for a test"]).unwrap();
    assert!(soju.plain("alice", &alice).await.is_err());
    assert!(soju.bearer("alice", &alice).await.is_err());
    soju.plain("carol", &carol).await.unwrap();
    at.admin(&["resume", "alice"]).unwrap();
    soju.plain("alice", &alice).await.unwrap();
}

#[tokio::test]
async fn ergo_lets_in_who_gatekeeper_vouches_for() {
    part!(Ergo);
    let (at, alice, carol) = installation().await;
    let ergo = Server::ergo(&at).unwrap();
    let client = ergo.bearer("alice", &alice).await.unwrap();
    assert!(
        client.seen.iter().any(|line| line.contains(" 900 ") && line.contains("alice")),
        "{:?}",
        client.seen
    );
    drop(client);
    assert!(ergo.bearer("alice", &carol).await.is_err(), "the token is somebody else's");
    assert!(ergo.bearer("alice", "nothing").await.is_err());
    at.admin(&["suspend", "alice", "for a test"]).unwrap();
    assert!(ergo.bearer("alice", &alice).await.is_err());
    ergo.bearer("carol", &carol).await.unwrap();
    at.admin(&["resume", "alice"]).unwrap();
    ergo.bearer("alice", &alice).await.unwrap();
}

#[tokio::test]
async fn a_dedicated_soju_lets_in_its_owner_and_nobody_else() {
    part!(Soju);
    let (at, alice, carol) = installation().await;
    let soju = Server::bouncer(&at).unwrap();
    assert!(soju.plain("alice", &alice).await.is_err(), "nobody said whose it is");
    let id = format!("bouncer-{UID}");
    at.admin(&["server", "alice", &id]).unwrap();
    soju.plain("alice", &alice).await.unwrap();
    soju.bearer("alice", &alice).await.unwrap();
    // carol's password is good, at the shared bouncer and at her own.
    assert!(soju.plain("carol", &carol).await.is_err(), "it is not hers");
    assert!(soju.bearer("carol", &carol).await.is_err(), "it is not hers");
    assert!(at.admin(&["server", "carol", &id]).is_err(), "a server is never given away");
    at.admin(&["suspend", "alice", "for a test"]).unwrap();
    assert!(soju.plain("alice", &alice).await.is_err());
    at.admin(&["resume", "alice"]).unwrap();
    soju.plain("alice", &alice).await.unwrap();
    at.admin(&["server", "alice", &id, "--access", "none"]).unwrap();
    assert!(soju.plain("alice", &alice).await.is_err());
}

#[tokio::test]
async fn a_bouncer_of_ones_own_lets_in_its_account_and_nobody_else() {
    let (at, alice, carol) = installation().await;
    let shown = at.admin(&["show", "alice"]).unwrap();
    let sub = shown.lines().find_map(|line| line.strip_prefix("id")).unwrap().trim().to_owned();
    at.admin(&["server", "alice", &format!("bouncer-{UID}")]).unwrap();
    let bouncer = Server::dedicated(&at, &sub).unwrap();
    let mut device =
        eventually("it follows gatekeeper", || async { bouncer.plain("alice", &alice).await.ok() }).await;
    let mut carols = Client::connect(bouncer.port).await.unwrap();
    assert!(carols.register_sasl("carol", &carol, "").await.is_err(), "it is not hers");
    let said = carols.seen.join("\n");
    assert!(said.contains("belongs to another account"), "{said}");

    // Who is suspended is gone at once, and comes back with the account.
    at.admin(&["suspend", "alice", "for a test"]).unwrap();
    device.wait_for_end().await.unwrap();
    assert!(bouncer.plain("alice", &alice).await.is_err());
    at.admin(&["resume", "alice"]).unwrap();
    eventually("alice is back", || async { bouncer.plain("alice", &alice).await.ok() }).await;
    // A bouncer gatekeeper was told to forget asks in vain.
    at.admin(&["server", "alice", &format!("bouncer-{UID}"), "--access", "none"]).unwrap();
    assert!(bouncer.plain("alice", &alice).await.is_err());
}

#[tokio::test]
async fn a_hosted_ergo_lets_in_its_members_or_everybody() {
    part!(Ergo);
    let (at, alice, carol) = installation().await;
    let ergo = Server::network(&at).unwrap();
    assert!(ergo.bearer("alice", &alice).await.is_err(), "nobody said whose it is");
    let id = format!("network-{UID}");
    at.admin(&["server", "alice", &id, "--access", "members"]).unwrap();
    ergo.bearer("alice", &alice).await.unwrap();
    assert!(ergo.bearer("carol", &carol).await.is_err(), "she is no member");
    at.admin(&["server", "alice", &id, "--access", "members", "--member", "carol"]).unwrap();
    ergo.bearer("carol", &carol).await.unwrap();
    at.admin(&["suspend", "carol", "for a test"]).unwrap();
    assert!(ergo.bearer("carol", &carol).await.is_err());
    at.admin(&["resume", "carol"]).unwrap();
    at.admin(&["server", "alice", &id]).unwrap();
    assert!(ergo.bearer("carol", &carol).await.is_err(), "it is its owner's alone now");
    at.admin(&["server", "alice", &id, "--access", "accounts"]).unwrap();
    ergo.bearer("carol", &carol).await.unwrap();
}

#[tokio::test]
async fn nobody_asks_without_the_secret() {
    let at = Installation::up().unwrap();
    let stranger = Account::stranger(&at).unwrap();
    let url = at.url("auth", "/introspect");
    // "irc-server:" and "irc-server:irc-server"
    for basic in ["aXJjLXNlcnZlcjo=", "aXJjLXNlcnZlcjppcmMtc2VydmVy"] {
        let status = stranger.introspect(&url, basic).await.unwrap();
        assert_eq!(status, reqwest::StatusCode::UNAUTHORIZED);
    }
}
