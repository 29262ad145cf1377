//! Links by mail, handed in to a mail server that keeps what it is given (RFC 5321, as far as one message needs it).

use std::sync::{Arc, Mutex};

use service::sites::Sites;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::world::{PASSWORD, Wishes, World, until};

/// The messages handed in so far.
type Letters = Arc<Mutex<Vec<String>>>;

/// A mail server on a free port. The first `refused` messages are turned away for now (451).
async fn mail_server(refused: usize) -> (u16, Letters) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let letters = Letters::default();
    let kept = Arc::clone(&letters);
    tokio::spawn(async move {
        let mut refused = refused;
        while let Ok((stream, _)) = listener.accept().await {
            let (reader, mut writer) = stream.into_split();
            let mut lines = BufReader::new(reader).lines();
            writer.write_all(b"220 test\r\n").await.unwrap();
            let mut letter: Option<String> = None;
            while let Ok(Some(line)) = lines.next_line().await {
                let answer = match (&mut letter, line.as_str()) {
                    (Some(text), ".") => {
                        kept.lock().unwrap().push(std::mem::take(text));
                        letter = None;
                        "250 kept"
                    }
                    (Some(text), line) => {
                        text.push_str(line);
                        text.push('\n');
                        continue;
                    }
                    (None, "DATA") if refused > 0 => {
                        refused -= 1;
                        "451 not now"
                    }
                    (None, "DATA") => {
                        letter = Some(String::new());
                        "354 go on"
                    }
                    (None, _) => "250 ok",
                };
                writer.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
            }
        }
    });
    (port, letters)
}

/// The link in the newest letter, with the soft line ends of quoted-printable undone.
fn link(letters: &Letters) -> String {
    let letter = letters.lock().unwrap().last().unwrap().replace("=\n", "").replace("=3D", "=");
    letter.split_whitespace().find(|word| word.contains("://")).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_mail_server_an_account_dials_out_once_its_address_is_proven() {
    let (port, letters) = mail_server(0).await;
    let wishes = Wishes::default()
        .set("smtp_url", &format!("smtp://127.0.0.1:{port}"))
        .set("mail_from", "irc.now <no-reply@irc.now>");
    let world = World::make("http://localhost:8080", None, wishes).await;
    let mut browser = world.browser();
    let form =
        [("username", "alice"), ("email", "alice@example.org"), ("password", PASSWORD), ("next", "/account")];
    let page = browser.post("/sign-up", &form).await;
    assert_eq!(page.location.as_deref(), Some("/account"), "{}", page.body);
    assert!(!world.account("alice").await.may_dial_out);

    until("the letter arrives", || async { letters.lock().unwrap().len() == 1 }).await;
    let letter = letters.lock().unwrap()[0].clone();
    assert!(
        letter.contains("To: alice@example.org") && letter.contains("Subject: Confirm your address"),
        "{letter}"
    );
    let link = link(&letters);
    let auth = Sites::from_base("http://localhost:8080").unwrap().auth;
    let path = link.strip_prefix(auth.as_str()).unwrap();
    let token = browser.get(path).await.hidden("token");
    assert!(!world.account("alice").await.may_dial_out, "opening the link alone changes nothing");
    let page = browser.post("/verify", &[("token", &token)]).await;
    assert!(page.body.contains("Your address is confirmed"), "{}", page.body);
    let account = world.account("alice").await;
    assert!(account.may_dial_out && account.email_verified);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_link_comes_by_mail_even_if_the_server_first_has_no_time() {
    let (port, letters) = mail_server(1).await;
    let wishes = Wishes::default()
        .set("smtp_url", &format!("smtp://127.0.0.1:{port}"))
        .set("mail_from", "irc.now <no-reply@irc.now>");
    let world = World::make("http://localhost:8080", None, wishes).await;
    let mut browser = world.browser();
    let form =
        [("username", "alice"), ("email", "alice@example.org"), ("password", PASSWORD), ("next", "/account")];
    browser.post("/sign-up", &form).await;
    until("the letter arrives at the second try", || async { letters.lock().unwrap().len() == 1 }).await;
    let page = world.browser().post("/forgot", &[("who", "alice")]).await;
    assert_eq!(page.status, 200, "{}", page.body);
    until("the second letter arrives", || async { letters.lock().unwrap().len() == 2 }).await;
    assert!(link(&letters).contains("/reset?token="), "{}", link(&letters));
}
