//! One account on several devices (issue "From sign-up to the first message", test 8.2): senpai, which knows
//! bouncers, WeeChat, which knows no history, and plain connections. Each is set up by the very lines of its page.

use anyhow::{Context as _, Result};
use testkit::irc::Client;
use testkit::networks::{self, Network};
use testkit::terminal::Terminal;
use testkit::{eventually, part};

use crate::account::Account;
use crate::installation::{Installation, Layout};

/// An account that is on two networks, one of them with somebody to talk to.
struct Desk {
    at: Installation,
    alice: Account,
    inspircd: Network,
    _ergo: Network,
    /// A device that stays, and is in `#lobby`.
    laptop: Client,
    bob: Client,
}

impl Desk {
    async fn set_up() -> Result<Self> {
        let (inspircd, ergo) = (networks::inspircd()?, networks::ergo()?);
        let allowed = format!("127.0.0.1:{},127.0.0.1:{}", inspircd.port(), ergo.port());
        let at = Installation::start(Layout::OneProcess, &[("IRCNOW_DIAL_ALLOW", &allowed)])?;
        let alice = Account::sign_up(&at, "alice").await?;
        alice.add_network("insp", inspircd.port(), "alice").await?;
        alice.add_network("ergo", ergo.port(), "alice_e").await?;
        let mut bob = Client::connect(inspircd.port()).await?;
        bob.register("bob").await?;
        bob.send("JOIN #lobby").await?;
        bob.wait_for(" 366 ").await?;
        let password = alice.app_password("laptop").await?;
        let mut laptop = Client::connect_tls(at.irc_tls).await?;
        laptop.register_sasl("alice/insp@laptop", &password, MODERN).await?;
        laptop.send("JOIN #lobby").await?;
        laptop.wait_for(" 366 ").await?;
        Ok(Self { at, alice, inspircd, _ergo: ergo, laptop, bob })
    }

    /// Bob says it in `#lobby`, and the device that stays has it.
    async fn bob_says(&mut self, text: &str) -> Result<()> {
        self.bob.send(&format!("PRIVMSG #lobby :{text}")).await?;
        self.laptop.wait_for(&format!("PRIVMSG #lobby :{text}")).await.map(drop)
    }

    /// Waits until the bouncer knows that the others have gone.
    async fn only_the_laptop_is_left(&mut self) -> Result<()> {
        for _ in 0..1_000 {
            self.laptop.send("PRIVMSG BouncerServ :user status").await?;
            if self.laptop.wait_for("connections right now").await?.contains(" 1 connections") {
                return Ok(());
            }
        }
        anyhow::bail!("the others are still there")
    }

    /// Another plain connection of a device of its own.
    async fn connection(&self, name: &str) -> Result<Client> {
        let password = self.alice.app_password(name).await?;
        let mut client = Client::connect_tls(self.at.irc_tls).await?;
        client.register_sasl(&format!("alice/insp@{name}"), &password, MODERN).await?;
        client.wait_for(" 366 ").await?;
        Ok(client)
    }

    /// The blocks of a client's connection page, filled in with a fresh app password.
    async fn lines(&self, client: &str) -> Result<Lines> {
        let next = format!("/connect/{client}?network=insp");
        let page = self.alice.post("/passwords", &[("name", client), ("next", &next)]).await?;
        anyhow::ensure!(!page.text.contains("YOUR-APP-PASSWORD"), "the password is not filled in");
        Ok(Lines(page.text))
    }

    /// senpai, started in a shell by what its page says; and the line that starts it.
    async fn senpai(&self) -> Result<(Terminal, String)> {
        let lines = self.lines("senpai").await?;
        let shell = Terminal::shell()?;
        shell.line(&lines.block("senpai-authority")?)?;
        let authority = shell.home.path().join("irc-now.pem");
        eventually("the authority's certificate", || async {
            std::fs::read_to_string(&authority).ok().filter(|pem| pem.contains("END CERTIFICATE"))
        })
        .await;
        let file = shell.home.path().join(".config/senpai/senpai.scfg");
        std::fs::create_dir_all(file.parent().context("a folder")?)?;
        std::fs::write(&file, lines.block("senpai")?)?;
        let run = lines.block("senpai-run")?;
        shell.line(&run)?;
        shell.wait_for("#lobby")?;
        Ok((shell, run))
    }
}

/// What a client that knows bouncers asks for.
const MODERN: &str = "batch server-time message-tags echo-message draft/chathistory draft/read-marker";

/// A connection page.
struct Lines(String);

impl Lines {
    /// The text of one block, as a browser shows it.
    fn block(&self, tag: &str) -> Result<String> {
        let (_, rest) = self.0.split_once(&format!("data-client=\"{tag}\">")).context("no such block")?;
        let (block, _) = rest.split_once("</pre>").context("an open block")?;
        let plain = [("<u>", ""), ("</u>", ""), ("&#34;", "\""), ("&quot;", "\""), ("&#39;", "'")];
        Ok(plain.iter().fold(block.to_owned(), |text, (from, to)| text.replace(from, to)))
    }
}

/// Goes to `#lobby` on senpai's screen.
fn open_lobby(senpai: &Terminal) -> Result<String> {
    senpai.line("/buffer lobby")?;
    senpai.wait_for("Leave")
}

/// Types one line and waits until it is taken: WeeChat asks back when several come at once, as it does for a paste.
async fn type_alone(weechat: &Terminal, line: &str) {
    weechat.type_text(line).unwrap();
    let end: String = line.chars().rev().take(12).collect::<Vec<_>>().into_iter().rev().collect();
    let typed = |screen: &str| screen.trim_end().lines().last().is_some_and(|input| input.contains(&end));
    wait_until(weechat, line, typed).await;
    weechat.key("Enter").unwrap();
    wait_until(weechat, line, |screen| !typed(screen)).await;
}

/// The lines of a screen that hold `text`.
fn count(screen: &str, text: &str) -> usize {
    screen.lines().filter(|line| line.contains(text)).count()
}

#[tokio::test]
async fn senpai_has_every_network_over_one_login_and_catches_up_on_what_it_missed() {
    part!(InspIrcd, Ergo, Senpai, Tmux);
    let mut desk = Desk::set_up().await.unwrap();
    desk.bob_says("said before senpai came").await.unwrap();

    let (senpai, run) = desk.senpai().await.unwrap();
    let screen = senpai.wait_for("ergo").unwrap();
    assert!(screen.contains("insp") && !screen.contains("Error"), "{screen}");
    open_lobby(&senpai).unwrap();
    senpai.wait_for("said before senpai came").unwrap();
    senpai.line("hello from senpai").unwrap();
    desk.bob.wait_for("PRIVMSG #lobby :hello from senpai").await.unwrap();
    desk.laptop.wait_for("PRIVMSG #lobby :hello from senpai").await.unwrap();

    senpai.line("/quit").unwrap();
    wait_until(&senpai, "the shell to be back", |screen| !screen.contains("#lobby")).await;
    for n in 1..=3 {
        desk.bob_says(&format!("while senpai was away {n}")).await.unwrap();
    }
    senpai.line(&run).unwrap();
    senpai.wait_for("#lobby").unwrap();
    open_lobby(&senpai).unwrap();
    let screen = senpai.wait_for("while senpai was away 3").unwrap();
    for n in 1..=3 {
        assert_eq!(count(&screen, &format!("while senpai was away {n}")), 1, "{screen}");
    }
}

#[tokio::test]
async fn senpai_finds_what_was_said_by_a_search_on_the_bouncer() {
    part!(InspIrcd, Ergo, Senpai, Tmux);
    let mut desk = Desk::set_up().await.unwrap();
    desk.bob_says("the needle is in this line").await.unwrap();
    desk.bob_says("and here is only hay").await.unwrap();
    let (senpai, _) = desk.senpai().await.unwrap();
    open_lobby(&senpai).unwrap();
    senpai.wait_for("only hay").unwrap();
    senpai.line("/search needle").unwrap();
    let screen = senpai.wait_for("close the search results").unwrap();
    assert!(screen.contains("the needle is in this line") && !screen.contains("only hay"), "{screen}");
}

#[tokio::test]
async fn a_network_added_on_the_page_appears_in_senpai_at_once() {
    part!(InspIrcd, Ergo, Senpai, Tmux);
    let desk = Desk::set_up().await.unwrap();
    let (senpai, _) = desk.senpai().await.unwrap();
    desk.alice.add_network("second", desk.inspircd.port(), "alice_2").await.unwrap();
    senpai.wait_for("second").unwrap();
}

#[tokio::test]
async fn weechat_catches_up_on_exactly_what_it_missed_though_it_knows_no_history() {
    part!(InspIrcd, Ergo, WeeChat, Tmux);
    let mut desk = Desk::set_up().await.unwrap();
    let weechat = Terminal::weechat().unwrap();
    weechat.wait_for("WeeChat").unwrap();
    for line in desk.lines("weechat").await.unwrap().block("weechat").unwrap().lines() {
        type_alone(&weechat, line).await;
    }
    weechat.wait_for("#lobby").unwrap();
    weechat.line("/buffer #lobby").unwrap();
    desk.bob_says("weechat sees this live").await.unwrap();
    weechat.wait_for("weechat sees this live").unwrap();
    weechat.line("hello from weechat").unwrap();
    // What a device has for certain is stored before the device goes.
    desk.laptop.wait_for("PRIVMSG #lobby :hello from weechat").await.unwrap();
    desk.bob.wait_for("PRIVMSG #lobby :hello from weechat").await.unwrap();

    weechat.line("/disconnect insp").unwrap();
    weechat.wait_for("disconnected from server").unwrap();
    desk.only_the_laptop_is_left().await.unwrap();
    desk.laptop.send("PRIVMSG #lobby :said on the laptop").await.unwrap();
    desk.bob.wait_for("said on the laptop").await.unwrap();
    for n in 1..=3 {
        desk.bob_says(&format!("while weechat was away {n}")).await.unwrap();
    }
    weechat.line("/connect insp").unwrap();
    let screen = weechat.wait_for("while weechat was away 3").unwrap();
    for text in ["while weechat was away 1", "while weechat was away 2", "said on the laptop"] {
        assert_eq!(count(&screen, text), 1, "{text}: {screen}");
    }
    assert_eq!(
        count(&screen, "weechat sees this live"),
        1,
        "what it had seen comes no second time: {screen}"
    );
    assert_eq!(count(&screen, "hello from weechat"), 1, "{screen}");
    desk.bob_says("and live again").await.unwrap();
    weechat.wait_for("and live again").unwrap();
}

#[tokio::test]
async fn read_markers_move_together_on_every_device() {
    part!(InspIrcd, Ergo, Senpai, Tmux);
    let mut desk = Desk::set_up().await.unwrap();
    let mut tablet = desk.connection("tablet").await.unwrap();
    let (senpai, _) = desk.senpai().await.unwrap();

    // senpai reads: the others follow.
    desk.bob_says("read this on senpai").await.unwrap();
    open_lobby(&senpai).unwrap();
    senpai.wait_for("read this on senpai").unwrap();
    let marker = format!("MARKREAD #lobby timestamp={}", time_of(&desk.laptop, "read this on senpai"));
    desk.laptop.wait_for(&marker).await.unwrap();
    tablet.wait_for(&marker).await.unwrap();

    // A plain connection reads: the other one and senpai follow. senpai shows an unread buffer in bold.
    senpai.line("/buffer 1").unwrap();
    wait_until(&senpai, "another buffer", |screen| !screen.contains("Leave")).await;
    desk.bob_says("read this on the laptop").await.unwrap();
    wait_until(&senpai, "#lobby to be unread", is_unread).await;
    let marker = format!("MARKREAD #lobby timestamp={}", time_of(&desk.laptop, "read this on the laptop"));
    desk.laptop.send(&marker).await.unwrap();
    desk.laptop.wait_for(&marker).await.unwrap();
    tablet.wait_for(&marker).await.unwrap();
    wait_until(&senpai, "#lobby to be read", |screen| !is_unread(screen)).await;
}

/// When a line was said, by its tag.
fn time_of(client: &Client, text: &str) -> String {
    let line = client.seen.iter().rev().find(|line| line.contains(text)).unwrap();
    let (_, rest) = line.split_once("time=").unwrap();
    rest.split([';', ' ']).next().unwrap().to_owned()
}

/// Whether the list of buffers shows `#lobby` as unread.
fn is_unread(styled: &str) -> bool {
    let line = styled.lines().find(|line| line.contains("#lobby")).unwrap_or_default();
    let before = line.split("#lobby").next().unwrap_or_default();
    before.contains("\u{1b}[1m") || before.contains("\u{1b}[1;")
}

async fn wait_until(terminal: &Terminal, what: &str, wanted: impl Fn(&str) -> bool) {
    eventually(what, || async { terminal.styled_screen().ok().filter(|screen| wanted(screen)) }).await;
}
