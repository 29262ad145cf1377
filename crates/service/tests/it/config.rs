use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;
use secrecy::{ExposeSecret as _, SecretString};
use service::config::{ByteSize, ConfigError, ConfigValue, Source};

service::config! {
    /// For the tests below.
    struct Config in "bouncer" {
        /// Where it listens.
        pub listen: SocketAddr = "127.0.0.1:6667",
        /// Where else
        /// it listens.
        pub also: Vec<SocketAddr>,
        /// What it keeps to itself.
        pub password: Option<SecretString>,
        /// How long it waits.
        pub patience: Duration = "30s",
        /// How much it takes.
        pub most: ByteSize = "64KiB",
        /// What must be said.
        pub name: String,
    }
}

fn load(source: &Source) -> Config {
    Config::load(source).unwrap()
}

#[test]
fn the_environment_goes_before_the_file_and_the_file_before_the_default() {
    let file = Source::from_toml("[bouncer]\nname = 'a'\npatience = '5m'\nalso = ['127.0.0.1:1', '[::1]:2']")
        .unwrap();
    let config = load(&file.clone().with_env("IRCNOW_BOUNCER_NAME", "b"));
    assert_eq!(config.name, "b");
    assert_eq!(config.patience, Duration::from_secs(300));
    assert_eq!(config.also.len(), 2);
    assert_eq!(config.listen, "127.0.0.1:6667".parse().unwrap());
    assert_eq!(config.most, ByteSize(65536));
    assert!(config.password.is_none());
    let config = load(&file.with_env("IRCNOW_BOUNCER_ALSO", "127.0.0.1:7, 127.0.0.1:8,"));
    assert_eq!(config.also, vec!["127.0.0.1:7".parse().unwrap(), "127.0.0.1:8".parse().unwrap()]);
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_nearest_known_one() {
    let source = Source::from_toml("[bouncer]\nname = 'a'\nlisten_to = '127.0.0.1:1'\n").unwrap();
    let error = Config::load(&source).unwrap_err().to_string();
    assert!(
        error.contains("bouncer.listen_to") && error.contains("did you mean `bouncer.listen`?"),
        "{error}"
    );
    let source = Source::from_toml("[bouncr]\nname = 'a'\n").unwrap();
    let error = source.check(&Config::reference()).unwrap_err().to_string();
    assert!(error.contains("[bouncr]") && error.contains("did you mean `[bouncer]`?"), "{error}");
    let source = Source::from_toml("[bouncer]\nzzzzzzzzzzzzzzz = 1\n").unwrap();
    assert!(matches!(Config::load(&source), Err(ConfigError::Unknown { nearest: None, .. })));
}

#[test]
fn a_wrong_value_says_where_it_stands_and_what_is_wanted() {
    let source =
        Source::from_toml("[bouncer]\nname = 'a'\n").unwrap().with_env("IRCNOW_BOUNCER_PATIENCE", "soon");
    let error = Config::load(&source).unwrap_err().to_string();
    assert!(error.contains("bouncer.patience") && error.contains("IRCNOW_BOUNCER_PATIENCE"), "{error}");
    assert!(error.contains("30s"), "{error}");
}

#[test]
fn what_must_be_said_is_asked_for_by_name() {
    let error = Config::load(&Source::default()).unwrap_err().to_string();
    assert!(error.contains("IRCNOW_BOUNCER_NAME"), "{error}");
}

#[test]
fn secrets_are_read_from_files_and_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "hunter2\n").unwrap();
    let source = Source::from_toml("[bouncer]\nname = 'a'\n")
        .unwrap()
        .with_env("IRCNOW_BOUNCER_PASSWORD_FILE", path.display().to_string());
    let config = load(&source);
    assert_eq!(config.password.as_ref().unwrap().expose_secret(), "hunter2");
    assert!(!format!("{config:?} {source:?}").contains("hunter2"));
    let wrong = Source::from_toml("[bouncer]\nname = 'a'\npassword = ['hunter2']\n").unwrap();
    assert!(!Config::load(&wrong).unwrap_err().to_string().contains("hunter2"));
}

#[test]
fn the_reference_says_everything_about_a_key() {
    let reference = Config::reference();
    let also = reference.iter().find(|doc| doc.key == "also").unwrap();
    assert_eq!(also.env, "IRCNOW_BOUNCER_ALSO");
    assert_eq!(also.doc, "Where else it listens.");
    assert!(!also.required && !also.secret);
    assert!(reference.iter().find(|doc| doc.key == "password").unwrap().secret);
    assert!(reference.iter().find(|doc| doc.key == "name").unwrap().required);
}

#[test]
fn variables_nobody_reads_are_named() {
    let source = Source::default().with_env("IRCNOW_BOUNCER_NAME", "a").with_env("IRCNOW_BOUNCER_NAMF", "b");
    assert_eq!(source.unread_variables(&Config::reference(), &[]), ["IRCNOW_BOUNCER_NAMF"]);
}

#[test]
fn every_default_of_this_crate_reads() {
    let source = Source::default();
    service::sites::SitesConfig::load(&source).unwrap();
    service::dialer::DialConfig::load(&source).unwrap();
    service::telemetry::LogConfig::load(&source).unwrap();
}

proptest! {
    #[test]
    fn no_text_breaks_a_value(text in ".{0,40}") {
        let _ = Duration::parse(&text);
        let _ = ByteSize::parse(&text);
        let _ = bool::parse(&text);
        let _ = service::dialer::HostPort::parse(&text);
        let _ = service::web::Cidr::parse(&text);
    }

    #[test]
    fn a_duration_reads_as_written(ms in 0_u64..10_000_000_000) {
        prop_assert_eq!(Duration::parse(&format!("{ms}ms")).unwrap(), Duration::from_millis(ms));
    }
}
