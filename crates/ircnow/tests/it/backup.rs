//! Everything can be carried elsewhere, and what is deleted is gone (test 8.8).

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use testkit::irc::Client;
use testkit::networks::{self, Network};
use testkit::{Process, eventually, part, postgres};

use crate::account::Account;
use crate::installation::{Installation, Layout};
use crate::person::PASSWORD;

const CAPS: &str = "batch server-time message-tags echo-message draft/chathistory";
const UPSTREAM_SECRET: &str = "the-upstream-secret-of-alice";

fn dialling(inspircd: &Network) -> Installation {
    let allowed = format!("127.0.0.1:{}", inspircd.port());
    Installation::start(Layout::OneProcess, &[("IRCNOW_DIAL_ALLOW", &allowed)]).unwrap()
}

/// Attaches a device of the account.
async fn attach(at: &Installation, login: &str, password: &str) -> Client {
    let mut client = Client::connect_tls(at.irc_tls).await.unwrap();
    client.register_sasl(login, password, CAPS).await.unwrap();
    client
}

/// Joins `channel` through the bouncer, and has somebody on the network say `words` there.
async fn hear(device: &mut Client, inspircd: &Network, speaker: &str, channel: &str, words: &str) {
    device.send(&format!("JOIN {channel}")).await.unwrap();
    device.wait_for(" 366 ").await.unwrap();
    let mut speaker_there = Client::connect(inspircd.port()).await.unwrap();
    speaker_there.register(speaker).await.unwrap();
    speaker_there.send(&format!("JOIN {channel}")).await.unwrap();
    speaker_there.wait_for(" 366 ").await.unwrap();
    speaker_there.send(&format!("PRIVMSG {channel} :{words}")).await.unwrap();
    device.wait_for(words).await.unwrap();
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push(path);
        }
    }
    found
}

/// The files below a folder whose bytes hold `what`.
fn holding(folder: &Path, what: &[u8]) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| fs::read(path).is_ok_and(|bytes| contains(&bytes, what));
    files(folder).into_iter().filter(holds).collect()
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

pub fn unzipped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

async fn is_there_after_a_restore(running: bool) {
    let inspircd = networks::inspircd().unwrap();
    let mut at = dialling(&inspircd);
    let alice = Account::sign_up(&at, "alice").await.unwrap();
    let port = inspircd.port().to_string();
    let fields =
        [("name", "insp"), ("nick", "alice"), ("port", port.as_str()), ("server_password", UPSTREAM_SECRET)];
    let network = alice.add_network_with(&fields).await.unwrap();
    alice.wait_until_connected(&network, "alice").await;
    let password = alice.app_password("laptop").await.unwrap();
    let mut device = attach(&at, "alice/insp", &password).await;
    hear(&mut device, &inspircd, "dora", "#keep", "the word is zanzibar").await;

    let archive = at.data.path().join("backup.tar.gz");
    let archive_name = archive.to_str().unwrap();
    if running {
        at.admin(&["backup", archive_name]).unwrap();
        at.stop().unwrap();
    } else {
        at.stop().unwrap();
        at.admin(&["backup", archive_name]).unwrap();
    }
    let bytes = unzipped(&fs::read(&archive).unwrap());
    assert!(contains(&bytes, b"zanzibar"), "what is searched for below would be found");
    assert!(contains(&bytes, b"\"delete_by\""));
    for secret in [UPSTREAM_SECRET, password.as_str(), PASSWORD] {
        assert!(!contains(&bytes, secret.as_bytes()), "{secret} is in the backup");
    }

    let (data, old) = (at.data.path().join("data"), at.data.path().join("old"));
    fs::rename(&data, &old).unwrap();
    fs::create_dir(&data).unwrap();
    at.admin(&["restore", archive_name]).unwrap();
    assert!(at.admin(&["restore", archive_name]).is_err(), "a folder that is not empty is left alone");

    // Without the key nothing that is sealed opens, and the process says so instead of beginning anew.
    let log = at.data.path().join("keyless.log");
    let mut keyless = Process::spawn(&mut at.command(&["up"]), &log).unwrap();
    eventually("a start without the key to fail", || {
        let running = keyless.is_running();
        async move { (!running).then_some(()) }
    })
    .await;
    assert!(keyless.output().contains("secret.key is missing"), "{}", keyless.output());
    assert!(!data.join("secret.key").exists(), "a fresh key would open nothing");

    fs::copy(old.join("secret.key"), data.join("secret.key")).unwrap();
    at.launch().unwrap();
    assert!(alice.is_signed_in().await.unwrap(), "the browser is still signed in");
    alice.wait_until_connected(&network, "alice").await;
    let mut device = attach(&at, "alice/insp", &password).await;
    device.wait_for(" 366 ").await.unwrap();
    device.send("CHATHISTORY LATEST #keep * 10").await.unwrap();
    device.wait_for("the word is zanzibar").await.unwrap();
    device.send("PRIVMSG #keep :and on it goes").await.unwrap();
    device.wait_for("and on it goes").await.unwrap();
    Account::sign_in(&at, "alice").await.unwrap();
    for file in files(&data) {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "others may read {}", file.display());
    }
}

#[tokio::test]
async fn everything_is_there_after_a_restore_of_what_was_saved_while_it_ran() {
    part!(InspIrcd);
    is_there_after_a_restore(true).await;
}

#[tokio::test]
async fn everything_is_there_after_a_restore_of_what_was_saved_while_it_stood_still() {
    part!(InspIrcd);
    is_there_after_a_restore(false).await;
}

/// The SQLite databases of an installation. The local network beside it has its own kind of files.
fn databases(data: &Path) -> Vec<PathBuf> {
    let is_sqlite = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        path.extension().is_some_and(|end| end == "db") && bytes.starts_with(b"SQLite format 3\0")
    };
    files(data).into_iter().filter(is_sqlite).collect()
}

/// Where in the databases any of `marks` stands: as `file table column`, or as a line of a dump.
fn rows_with(data: &Path, urls: &[String], marks: &[&[u8]]) -> Vec<String> {
    let mut found = Vec::new();
    for url in urls {
        let dump = postgres::dump(url).unwrap();
        let holds = |line: &&str| {
            marks.iter().any(|mark| contains(line.as_bytes(), mark) || line.contains(&hexadecimal(mark)))
        };
        found.extend(dump.lines().filter(holds).map(str::to_owned));
    }
    for file in databases(data) {
        let connection = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        // A virtual table's rows are in the tables it makes beside itself.
        let mut tables = connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'")
            .unwrap();
        let tables: Vec<String> =
            tables.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        for table in tables {
            let mut all = connection.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
            let columns: Vec<String> = all.column_names().into_iter().map(str::to_owned).collect();
            let mut rows = all.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                for (index, column) in columns.iter().enumerate() {
                    let (ValueRef::Text(bytes) | ValueRef::Blob(bytes)) = row.get_ref(index).unwrap() else {
                        continue;
                    };
                    if marks.iter().any(|mark| contains(bytes, mark)) {
                        found.push(format!("{} {table} {column}", file.display()));
                    }
                }
            }
        }
    }
    found
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Moves every log into its database and cuts it to nothing.
fn checkpoint(data: &Path) {
    for file in databases(data) {
        let connection = Connection::open(&file).unwrap();
        connection.busy_timeout(Duration::from_secs(20)).unwrap();
        let busy: i64 =
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
        assert_eq!(busy, 0, "{} is held by a reader", file.display());
    }
}

async fn a_deleted_account_leaves_nothing(layout: Layout, environment: &[(&str, &str)], urls: &[String]) {
    let inspircd = networks::inspircd().unwrap();
    let allowed = format!("127.0.0.1:{}", inspircd.port());
    let environment = [environment, &[("IRCNOW_DIAL_ALLOW", allowed.as_str())]].concat();
    let at = Installation::start(layout, &environment).unwrap();
    let data = at.data.path().join("data");
    let bob = Account::sign_up(&at, "bob").await.unwrap();
    let port = inspircd.port();
    bob.add_network("insp", port, "bob").await.unwrap();
    let bobs = bob.app_password("laptop").await.unwrap();
    let mut bobs_device = attach(&at, "bob/insp", &bobs).await;
    let gone = Account::sign_up(&at, "quentin").await.unwrap();
    gone.add_network("quentins-own", port, "nickq").await.unwrap();
    let password = gone.app_password("quentins laptop").await.unwrap();
    let mut device = attach(&at, "quentin/quentins-own", &password).await;
    hear(&mut bobs_device, &inspircd, "dora", "#both", "for both: wombat").await;
    hear(&mut device, &inspircd, "emma", "#both", "for all: numbat").await;
    bobs_device.wait_for("for all: numbat").await.unwrap();
    hear(&mut device, &inspircd, "fred", "#quiet", "for one: quokka").await;

    let shown = at.admin(&["show", "quentin"]).unwrap();
    let sub = shown.lines().find_map(|line| line.strip_prefix("id ")).unwrap().trim();
    let id = uuid::Uuid::parse_str(sub).unwrap();
    let marks: [&[u8]; 5] = [id.as_bytes(), sub.as_bytes(), b"quentin", b"quokka", b"#quiet"];
    let export = gone.send(reqwest::Method::GET, &at.url("my", "/account/export"), None).await.unwrap();
    let export = unzipped(&export.bytes().await.unwrap());
    for kept in ["quentin", "quentins-own", "quokka", "numbat"] {
        assert!(contains(&export, kept.as_bytes()), "{kept} is not in the export");
    }
    assert!(!contains(&export, password.as_bytes()));
    for mark in marks {
        assert!(!rows_with(&data, urls, &[mark]).is_empty(), "what is searched for below would be found");
    }

    gone.prove("/account/delete").await.unwrap();
    gone.post("/account/delete", &[("confirm", "quentin")]).await.unwrap();
    device.wait_for_end().await.unwrap();
    eventually("the browser to be signed out", || async {
        let signed_in = gone.is_signed_in().await.unwrap();
        (!signed_in).then_some(())
    })
    .await;
    eventually("every row of the account to be gone", || async {
        rows_with(&data, urls, &marks).is_empty().then_some(())
    })
    .await;
    assert!(at.admin(&["show", "quentin"]).is_err());
    eventually("every byte of the account to be gone", || async {
        checkpoint(&data);
        marks.iter().all(|mark| holding(&data, mark).is_empty()).then_some(())
    })
    .await;

    // The name is never given again; what bob received is his.
    assert!(Account::sign_up(&at, "quentin").await.is_err());
    assert!(!rows_with(&data, urls, &[b"wombat"]).is_empty());
    bobs_device.send("CHATHISTORY LATEST #both * 10").await.unwrap();
    bobs_device.wait_for("for all: numbat").await.unwrap();
}

#[tokio::test]
async fn a_deleted_account_leaves_nothing_but_a_keyed_hash_of_its_name() {
    part!(InspIrcd);
    a_deleted_account_leaves_nothing(Layout::OneProcess, &[], &[]).await;
}

#[tokio::test]
async fn a_deleted_account_leaves_nothing_with_a_process_a_role_on_postgres() {
    part!(InspIrcd, Postgres);
    let urls = [(); 4].map(|()| postgres::database().unwrap());
    let [gatekeeper, bouncer, history, portal] = &urls;
    let environment = [
        ("IRCNOW_GATEKEEPER_DATABASE", gatekeeper.as_str()),
        ("IRCNOW_BOUNCER_DATABASE", bouncer.as_str()),
        ("IRCNOW_BOUNCER_HISTORY", history.as_str()),
        ("IRCNOW_PORTAL_DATABASE", portal.as_str()),
    ];
    a_deleted_account_leaves_nothing(Layout::ThreeProcesses, &environment, &urls).await;
}
