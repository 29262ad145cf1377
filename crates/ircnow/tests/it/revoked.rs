//! What was taken away is gone within a second (test 8.6), and how long it really took. Each figure runs from the moment
//! the wish is sent until the other side sees its connection end, so it holds the request itself too.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use reqwest::Method;
use testkit::irc::Client;
use testkit::{eventually, networks, part};

use crate::access::{Bob, bob};
use crate::account::Account;
use crate::installation::{Installation, Layout};

/// What the design promises.
const PROMISED: Duration = Duration::from_secs(1);
/// How often each is done: the middle one counts, because other tests run on this machine at the same time.
const ROUNDS: usize = 5;

/// How long each thing took to close, in every round.
#[derive(Default)]
struct Figures(Vec<(&'static str, Vec<Duration>)>);

impl Figures {
    fn add(&mut self, what: &'static str, took: Duration) {
        match self.0.iter_mut().find(|(known, _)| *known == what) {
            Some((_, all)) => all.push(took),
            None => self.0.push((what, vec![took])),
        }
    }

    /// Prints them, and holds the middle ones to the promise.
    fn hold(mut self, layout: Layout) {
        let mut table = format!("{layout:?}: ms until closed, least / middle / most of {ROUNDS}\n");
        for (what, all) in &mut self.0 {
            all.sort();
            let ms = |index: usize| all[index].as_millis();
            writeln!(table, "  {what:<52} {} / {} / {}", ms(0), ms(ROUNDS / 2), ms(ROUNDS - 1)).unwrap();
        }
        println!("{table}");
        for (what, all) in &self.0 {
            assert_eq!(all.len(), ROUNDS);
            assert!(all[ROUNDS / 2] < PROMISED, "{what} did not close within a second:\n{table}");
        }
    }
}

/// Waits until the portal does not know this browser any more.
async fn is_signed_out(account: &Account) {
    eventually("the session to end", || async { (!account.is_signed_in().await.ok()?).then_some(()) }).await;
}

async fn attach(at: &Installation, login: &str, password: &str) -> anyhow::Result<Client> {
    let mut client = Client::connect_tls(at.irc_tls).await?;
    client.register_sasl(login, password, "").await?;
    Ok(client)
}

/// An app password: its client goes, the account's other client stays.
async fn a_password_is_revoked(at: &Installation, bob: &mut Bob, figures: &mut Figures) {
    let phone = bob.account.app_password("phone").await.unwrap();
    let id = bob.account.credential_ids().await.unwrap();
    let id = id.into_iter().find(|id| !bob.ids.contains(id)).unwrap();
    let mut on_phone = attach(at, "bob/bobnet", &phone).await.unwrap();
    let start = Instant::now();
    let (revoked, ended) = tokio::join!(bob.account.revoke(&id, "phone"), async {
        on_phone.wait_for_end().await.unwrap();
        start.elapsed()
    });
    revoked.unwrap();
    figures.add("an app password is revoked: its client", ended);
    assert!(attach(at, "bob/bobnet", &phone).await.is_err());
    bob.client.send("PING :the laptop").await.unwrap();
    bob.client.wait_for("the laptop").await.unwrap();
}

/// A session at the portal: its event stream ends, its cookie is worth nothing.
async fn a_session_is_ended_at_the_portal(at: &Installation, bob: &Bob, figures: &mut Figures) {
    let other = Account::sign_in(at, "bob").await.unwrap();
    let id = other.session_ids().await.unwrap();
    let id = id.iter().find(|id| !bob.ids.contains(id)).unwrap();
    let live = other.live().await.unwrap();
    let path = format!("/sessions/{id}/revoke");
    let start = Instant::now();
    let (revoked, stream, pages) = tokio::join!(
        bob.account.post(&path, &[]),
        async {
            live.ended().await;
            start.elapsed()
        },
        async {
            is_signed_out(&other).await;
            start.elapsed()
        }
    );
    revoked.unwrap();
    figures.add("a session is ended at the portal: its event stream", stream);
    figures.add("a session is ended at the portal: its pages", pages);
}

/// A session at gatekeeper: what was signed in with it ends everywhere.
async fn a_session_is_ended_at_gatekeeper(at: &Installation, bob: &Bob, figures: &mut Figures) {
    let other = Account::sign_in(at, "bob").await.unwrap();
    let all = bob.account.security_page().await.unwrap().ids("name=\"sid\" value=\"", "\"");
    let live = other.live().await.unwrap();
    let url = at.url("auth", "/account/sessions/end");
    let start = Instant::now();
    let ending = async {
        for sid in all.iter().filter(|sid| !bob.ids.contains(sid)) {
            bob.account.follow(Method::POST, &url, Some(&[("sid", sid)])).await.unwrap();
        }
    };
    let ((), stream, pages) = tokio::join!(
        ending,
        async {
            live.ended().await;
            start.elapsed()
        },
        async {
            is_signed_out(&other).await;
            start.elapsed()
        }
    );
    figures.add("a session is ended at gatekeeper: its event stream", stream);
    figures.add("a session is ended at gatekeeper: its pages", pages);
    assert!(bob.account.is_signed_in().await.unwrap());
}

/// The account: everything, for everybody who is in it. Nobody else notices. And back: the same password, the same
/// network.
async fn an_account_is_suspended(at: &Installation, bob: Bob, carol: &Account, figures: &mut Figures) -> Bob {
    let Bob { account, password, mut client, .. } = bob;
    let live = account.live().await.unwrap();
    let start = Instant::now();
    // Another process: it runs beside what is waited for.
    let mut suspend = at.command(&["admin", "suspend", "bob", "for a test"]).spawn().unwrap();
    let (irc, stream, pages) = tokio::join!(
        async {
            client.wait_for_end().await.unwrap();
            start.elapsed()
        },
        async {
            live.ended().await;
            start.elapsed()
        },
        async {
            is_signed_out(&account).await;
            start.elapsed()
        }
    );
    assert!(suspend.wait().unwrap().success());
    figures.add("an account is suspended: its clients", irc);
    figures.add("an account is suspended: its event streams", stream);
    figures.add("an account is suspended: its pages", pages);
    assert!(Account::sign_in(at, "bob").await.is_err());
    assert!(attach(at, "bob/bobnet", &password).await.is_err());
    assert!(carol.is_signed_in().await.unwrap());

    at.admin(&["resume", "bob"]).unwrap();
    let account = Account::sign_in(at, "bob").await.unwrap();
    assert!(account.get("/networks").await.unwrap().text.contains("bobnet"));
    let client = attach(at, "bob/bobnet", &password).await.unwrap();
    let mut ids = account.credential_ids().await.unwrap();
    ids.extend(account.session_ids().await.unwrap());
    ids.extend(account.security_page().await.unwrap().ids("name=\"sid\" value=\"", "\""));
    Bob { account, client, ids, password, ..bob }
}

async fn what_is_revoked_closes_at_once(layout: Layout) {
    let inspircd = networks::inspircd().unwrap();
    let allowed = format!("127.0.0.1:{}", inspircd.port());
    // Every round logs in from a new device.
    let environment = [("IRCNOW_DIAL_ALLOW", &*allowed), ("IRCNOW_GATEKEEPER_NEW_ACCOUNT_PLAN", "own")];
    let at = Installation::start(layout, &environment).unwrap();
    let mut bob = bob(&at, &inspircd).await;
    let carol = Account::sign_up(&at, "carol").await.unwrap();
    let mut figures = Figures::default();
    for _ in 0..ROUNDS {
        a_password_is_revoked(&at, &mut bob, &mut figures).await;
        a_session_is_ended_at_the_portal(&at, &bob, &mut figures).await;
        a_session_is_ended_at_gatekeeper(&at, &bob, &mut figures).await;
        bob = an_account_is_suspended(&at, bob, &carol, &mut figures).await;
    }
    figures.hold(layout);
}

#[tokio::test]
async fn what_is_revoked_or_suspended_closes_at_once_in_one_process() {
    part!(InspIrcd);
    what_is_revoked_closes_at_once(Layout::OneProcess).await;
}

#[tokio::test]
async fn what_is_revoked_or_suspended_closes_at_once_in_a_process_a_role() {
    part!(InspIrcd);
    what_is_revoked_closes_at_once(Layout::ThreeProcesses).await;
}
