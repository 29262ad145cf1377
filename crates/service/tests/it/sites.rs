use service::config::Source;
use service::sites::{Sites, SitesConfig};

#[test]
fn every_site_follows_from_one_base() {
    let sites = Sites::from_base("http://localhost:8080").unwrap();
    assert_eq!(sites.root.to_string(), "http://localhost:8080");
    assert_eq!(sites.my.url("/networks"), "http://my.localhost:8080/networks");
    assert_eq!(sites.raw_txt.authority(), "raw.txt.localhost:8080");
    assert_eq!(sites.i_pics.host(), "i.pics.localhost");
    assert_eq!((sites.auth.port(), sites.auth.is_https()), (8080, false));
    assert_eq!(sites.irc.host, "localhost");
    let sites = Sites::from_base("https://irc.now/").unwrap();
    assert_eq!(sites.my.as_str(), "https://my.irc.now");
    assert_eq!((sites.my.port(), sites.my.authority()), (443, "my.irc.now"));
}

#[test]
fn a_site_may_live_elsewhere() {
    let source = Source::from_toml(
        "[sites]\nbase = 'https://irc.now'\npics = 'https://irc.pics'\nirc_host = 'irc.irc.now'",
    )
    .unwrap();
    let sites = Sites::new(&SitesConfig::load(&source).unwrap()).unwrap();
    assert_eq!(sites.pics.as_str(), "https://irc.pics");
    assert_eq!(sites.irc.host, "irc.irc.now");
    assert!(Sites::from_base("mailto:a@b").is_err());
}
