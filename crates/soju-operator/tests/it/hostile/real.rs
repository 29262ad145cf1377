//! A real soju, started by a configuration as the operator renders it: only paths, ports and addresses are this test's.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use testkit::cluster::pki::Authority;
use testkit::irc::Client;
use testkit::wait::PATIENCE;
use testkit::{Part, Process, net};

/// Who logs in.
pub const USER: &str = "alice";
/// With what, where soju keeps passwords itself.
pub const PASSWORD: &str = "correct horse";

pub struct RealSoju {
    part: Part,
    folder: TempDir,
    irc: u16,
    web: u16,
    figures: u16,
    postgres: u16,
    process: Option<Process>,
}

impl RealSoju {
    /// One that has not begun; `postgres` is the port of its database, if it has one.
    pub fn new(part: Part, postgres: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["etc", "tls"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let tls = folder.path().join("tls");
        let authority = Authority::new("authority", &tls).unwrap();
        authority.server("soju", &["localhost".to_owned()]).unwrap().write(&tls, "tls").unwrap();
        let port = || net::free_port().unwrap();
        Self { part, folder, irc: port(), web: port(), figures: port(), postgres, process: None }
    }

    /// The same words with this test's places. What is replaced stands in quotes, which no value can hold.
    pub fn local(&self, text: &str) -> String {
        let path = self.folder.path().display();
        [
            ("\"ircs://0.0.0.0:6697\"", format!("\"ircs://127.0.0.1:{}\"", self.irc)),
            ("\"https://0.0.0.0:8443\"", format!("\"https://127.0.0.1:{}\"", self.web)),
            ("\"unix+admin:///run/soju/admin\"", format!("\"unix+admin://{path}/admin\"")),
            (
                "\"http+prometheus://localhost:9180\"",
                format!("\"http+prometheus://localhost:{}\"", self.figures),
            ),
            ("\"/data/soju.db\"", format!("\"{path}/soju.db\"")),
            ("\"/etc/ircnow-tls/", format!("\"{path}/tls/")),
            ("\"/etc/ircnow/", format!("\"{path}/etc/")),
            (
                "\"host='main-rw.postgres.svc' port=5432 ",
                format!("\"host='127.0.0.1' port={} ", self.postgres),
            ),
            (" sslmode=require\"", " sslmode=disable\"".to_owned()),
        ]
        .into_iter()
        .fold(text.to_owned(), |text, (is, here)| text.replace(is, &here))
    }

    /// Starts it anew, with the rows it had; gives what it said where it does not take the configuration.
    pub fn start(&mut self, config: &str, motd: &str) -> Result<(), String> {
        self.process = None;
        let config_file = self.path("etc/soju.conf");
        std::fs::write(&config_file, self.local(config)).unwrap();
        std::fs::write(self.path("etc/motd"), motd).unwrap();
        let _ = std::fs::remove_file(self.path("admin"));
        let mut command = Command::new(self.part.find().unwrap());
        command.arg("-config").arg(&config_file).current_dir(self.folder.path());
        let mut process = Process::spawn(&mut command, &self.path("log")).unwrap();
        let end = Instant::now() + PATIENCE;
        while UnixStream::connect(self.path("admin")).is_err()
            || std::net::TcpStream::connect(net::loopback(self.irc)).is_err()
        {
            if !process.is_running() {
                return Err(process.output());
            }
            assert!(Instant::now() < end, "soju does not listen: {}", process.output());
            std::thread::sleep(Duration::from_millis(5));
        }
        self.process = Some(process);
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes the user, unless they are there.
    pub fn make_user(&self) {
        let mut stream = UnixStream::connect(self.path("admin")).unwrap();
        let words = format!("user create -username={USER} -password=\"{PASSWORD}\"");
        stream.write_all(format!("BOUNCERSERV :{words}\r\n").as_bytes()).unwrap();
        for line in BufReader::new(stream).lines() {
            let line = line.unwrap();
            // It may listen before it has read who is in its rows.
            let there = ["already exists", "duplicate key", "UNIQUE constraint"];
            if line.contains("BOUNCERSERV OK") || there.iter().any(|words| line.contains(words)) {
                return;
            }
            assert!(!line.contains("FAIL"), "{line}");
        }
        panic!("soju said nothing of the user");
    }

    /// Logs in, and gives every line of the greeting.
    pub async fn greeting(&self, password: &str) -> Vec<String> {
        let mut client = Client::connect_tls(self.irc).await.unwrap();
        client.register_sasl(USER, password, "").await.unwrap();
        let is_end = |line: &str| line.contains(" 376 ") || line.contains(" 422 ");
        client.wait_where("the end of the greeting", is_end).await.unwrap();
        client.seen
    }

    /// The ports it listens on.
    pub fn listens(&self) -> BTreeSet<u16> {
        self.process.as_ref().unwrap().listens()
    }

    /// The ports it was told to listen on.
    pub fn doors(&self) -> BTreeSet<u16> {
        [self.irc, self.web, self.figures].into()
    }
}
