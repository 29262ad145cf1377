//! The export is one archive that ordinary tools open.

use std::io::Read as _;

use contracts::Phase;

use crate::site::site;

#[tokio::test]
async fn an_export_holds_every_file_of_every_service_whole() {
    let site = site().await;
    let alice = site.alice().await;
    site.world.add(alice.sub, "libera", "irc.libera.chat", Phase::Connected, None, false);
    site.world.add(site.visitor("bob").await.sub, "bobnet", "irc.example", Phase::Connected, None, false);
    let answer = alice.get("/account/export").await;
    assert_eq!(answer.headers["content-type"], "application/gzip");
    assert!(
        answer.headers["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("attachment; filename=\"irc-now-alice-")
    );
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(answer.body.as_slice()));
    let mut files = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.push((entry.path().unwrap().to_string_lossy().into_owned(), bytes));
    }
    assert_eq!(files[0], ("irc-now/bouncer/networks.json".to_owned(), b"libera".to_vec()));
    assert_eq!(files[1].0, "irc-now/bouncer/history.jsonl");
    assert_eq!(files[1].1.len(), 140_000);
    assert_eq!((files[1].1[0], files[1].1[139_999]), (b'a', b'b'));
    assert_eq!(files[2].0, "irc-now/portal/sessions.json");
    assert_eq!(files.len(), 3);
}
