//! The same promises on SQLite and PostgreSQL.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use tempfile::TempDir;
use testkit::Part;
use uuid::Uuid;

use super::*;

/// An empty store on each engine there is.
async fn engines() -> Vec<(Store, Shutdown, Option<TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("paste.db").display());
    let mut urls = vec![(file, Some(folder))];
    if Part::Postgres.find_or_skip().is_some() {
        let url = tokio::task::spawn_blocking(testkit::postgres::database).await.unwrap().unwrap();
        urls.push((url, None));
    }
    let mut all = Vec::new();
    for (url, folder) in urls {
        let (db, shutdown) = (Database::open(&url).await.unwrap(), Shutdown::new());
        // Opened twice: what is there is left as it is.
        Store::open(db.clone(), &shutdown).await.unwrap();
        all.push((Store::open(db, &shutdown).await.unwrap(), shutdown, folder));
    }
    all
}

const NOW: i64 = 1_000_000;

fn owner(n: u128) -> Owner {
    Uuid::from_u128(n).as_bytes().to_vec()
}

fn row(owner: Owner, text: &str) -> PasteRow {
    PasteRow {
        id: ShortId::random().unwrap(),
        owner,
        manage: Some(vec![1; 32]),
        title: "main.rs".to_owned(),
        language: "Rust".to_owned(),
        body: text.to_owned().into(),
        size: text.len() as u64,
        hash: service::secrets::sha256(text.as_bytes()).to_vec(),
        seal: Seal::None,
        salt: None,
        burn: false,
        parent: None,
        revision: 1,
        created_us: NOW,
        changed_us: NOW,
        expires_us: None,
    }
}

async fn keep(store: &Store, row: PasteRow) -> PasteRow {
    store.create(row.clone(), Amount::Unlimited).await.unwrap();
    row
}

#[tokio::test]
async fn what_goes_in_comes_back() {
    for (store, _end, _folder) in engines().await {
        let kept = PasteRow {
            seal: Seal::Password,
            salt: Some(vec![7; 16]),
            burn: true,
            parent: Some(ShortId::random().unwrap()),
            expires_us: Some(NOW + 5),
            ..row(owner(1), "fn main() {}\n\u{1f980}")
        };
        store.create(kept.clone(), Amount::AtMost(1)).await.unwrap();
        assert_eq!(store.get(kept.id, NOW).await.unwrap(), Some(kept.clone()));
        assert_eq!(store.get(ShortId::random().unwrap(), NOW).await.unwrap(), None);
        assert_eq!(store.live().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn fifty_at_once_never_overshoot_what_an_owner_may_have() {
    for (store, _end, _folder) in engines().await {
        let wishes: Vec<_> = (0..50)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.create(row(owner(1), "x"), Amount::AtMost(5)).await })
            })
            .collect();
        let (mut kept, mut full) = (0, 0);
        for wish in wishes {
            match wish.await.unwrap() {
                Ok(()) => kept += 1,
                Err(StoreError::Full) => full += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!((kept, full), (5, 45));
        keep(&store, row(owner(2), "somebody else's")).await;
    }
}

#[tokio::test]
async fn a_paste_that_cannot_be_kept_fails_alone() {
    for (store, _end, _folder) in engines().await {
        let first = keep(&store, row(owner(1), "x")).await;
        let double = PasteRow { body: "y".into(), ..first.clone() };
        let (refused, other) = tokio::join!(
            store.create(double, Amount::Unlimited),
            store.create(row(owner(2), "z"), Amount::Unlimited)
        );
        assert!(matches!(refused, Err(StoreError::Database(_))), "{refused:?}");
        other.unwrap();
        assert_eq!(store.get(first.id, NOW).await.unwrap().unwrap().body, "x");
    }
}

#[tokio::test]
async fn what_is_over_is_not_shown_not_counted_and_swept_away() {
    for (store, _end, _folder) in engines().await {
        let over = keep(&store, PasteRow { expires_us: Some(NOW + 10), ..row(owner(1), "x") }).await;
        let stays = keep(&store, row(owner(1), "y")).await;
        assert!(store.get(over.id, NOW + 9).await.unwrap().is_some());
        assert_eq!(store.get(over.id, NOW + 10).await.unwrap(), None);
        assert_eq!(store.count(&owner(1), NOW + 10).await.unwrap(), 1);
        assert_eq!(store.list(&owner(1), "", After::NOTHING, 10, NOW + 10).await.unwrap().len(), 1);
        assert_eq!(store.sweep(NOW + 10, 100).await.unwrap(), [over.id]);
        assert_eq!(store.live().await.unwrap(), 1);
        store.sweep_owners().await.unwrap();
        assert!(store.get(stays.id, i64::MAX).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn of_fifty_who_open_what_is_read_once_one_gets_it() {
    for (store, _end, _folder) in engines().await {
        let once = keep(&store, PasteRow { burn: true, ..row(owner(1), "secret") }).await;
        let plain = keep(&store, row(owner(1), "not secret")).await;
        assert_eq!(store.take(plain.id, NOW).await.unwrap(), None, "what is not read once is not taken");
        let takers: Vec<_> = (0..50)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.take(once.id, NOW).await.unwrap() })
            })
            .collect();
        let mut got = Vec::new();
        for taker in takers {
            got.extend(taker.await.unwrap());
        }
        assert_eq!(got.len(), 1);
        assert_eq!(got[0].body, "secret");
        assert_eq!(store.get(once.id, NOW).await.unwrap(), None);
    }
}

#[tokio::test]
async fn only_its_owner_or_who_has_its_token_deletes_it() {
    for (store, _end, _folder) in engines().await {
        let paste = keep(&store, row(owner(1), "x")).await;
        assert!(!store.delete(paste.id, &owner(2), None).await.unwrap());
        assert!(!store.delete(paste.id, &owner(2), Some(&[2; 32])).await.unwrap());
        assert!(!store.delete(paste.id, &owner(2), Some(&[])).await.unwrap());
        let nobodys = keep(&store, PasteRow { manage: None, ..row(owner(1), "x") }).await;
        assert!(!store.delete(nobodys.id, &owner(2), Some(&[1; 32])).await.unwrap());
        assert!(store.delete(paste.id, &owner(2), Some(&[1; 32])).await.unwrap());
        assert!(store.delete(nobodys.id, &owner(1), None).await.unwrap());
        assert!(!store.delete(nobodys.id, &owner(1), None).await.unwrap());
    }
}

#[tokio::test]
async fn ones_own_are_found_by_title_language_and_text_a_page_at_a_time() {
    for (store, _end, _folder) in engines().await {
        for n in 0..5 {
            let text = format!("line {n}\nThe Needle is {}here", if n == 3 { "" } else { "not " });
            keep(&store, PasteRow { created_us: NOW + n, ..row(owner(1), &text) }).await;
        }
        let secret = PasteRow { seal: Seal::Password, title: "needle".to_owned(), ..row(owner(1), "\u{1}") };
        keep(&store, PasteRow { body: vec![0, 255, 1].into(), ..secret }).await;
        keep(&store, row(owner(2), "needle is here")).await;
        let find =
            async |search: &str| store.list(&owner(1), search, After::NOTHING, 10, NOW).await.unwrap().len();
        assert_eq!(find("").await, 6);
        assert_eq!(find("NEEDLE is here").await, 1);
        assert_eq!(find("needle").await, 6);
        assert_eq!(find("rust").await, 6);
        assert_eq!(find("%").await, 0, "nothing is a wild card");
        assert_eq!(find("' OR 1=1 --").await, 0);
        let first = store.list(&owner(1), "", After::NOTHING, 4, NOW).await.unwrap();
        let last = first.last().unwrap();
        let after = After { created_us: last.created_us, id: Some(last.id) };
        let second = store.list(&owner(1), "", after, 4, NOW).await.unwrap();
        assert_eq!((first.len(), second.len()), (4, 2));
        assert!(first.iter().all(|one| second.iter().all(|other| one.id != other.id)));
    }
}

#[tokio::test]
async fn a_change_keeps_what_was_and_needs_what_is() {
    for (store, _end, _folder) in engines().await {
        let paste = keep(&store, row(owner(1), "one")).await;
        let change = |text: &'static str| Change {
            title: "t".to_owned(),
            language: "Go".to_owned(),
            body: text.into(),
        };
        store.change(paste.id, &owner(1), 1, &change("two"), NOW + 1).await.unwrap();
        let stale = store.change(paste.id, &owner(1), 1, &change("three"), NOW + 2).await;
        assert!(matches!(stale, Err(StoreError::NotTheirs)), "{stale:?}");
        let foreign = store.change(paste.id, &owner(2), 2, &change("four"), NOW + 2).await;
        assert!(matches!(foreign, Err(StoreError::NotTheirs)), "{foreign:?}");
        let now = store.get(paste.id, NOW).await.unwrap().unwrap();
        assert_eq!((now.body.as_ref(), now.revision), (&b"two"[..], 2));
        assert_eq!(store.revisions(paste.id).await.unwrap(), [(1, NOW)]);
        let before = store.revision(paste.id, 1).await.unwrap().unwrap();
        assert_eq!((before.body.as_ref(), before.language.as_str()), (&b"one"[..], "Rust"));
        assert_eq!(store.revision(paste.id, 2).await.unwrap(), None);
        store.delete(paste.id, &owner(1), None).await.unwrap();
        assert_eq!(store.revisions(paste.id).await.unwrap(), [], "what it was goes with it");
    }
}

#[tokio::test]
async fn what_a_moderator_takes_away_stays_away_with_all_its_copies() {
    for (store, _end, _folder) in engines().await {
        let (one, two) = (keep(&store, row(owner(1), "bad")).await, keep(&store, row(owner(2), "bad")).await);
        let good = keep(&store, row(owner(1), "good")).await;
        let mut gone = store.remove_content(&one.hash, NOW).await.unwrap();
        gone.sort();
        let mut both = vec![one.id, two.id];
        both.sort();
        assert_eq!(gone, both);
        assert!(store.is_removed(two.id).await.unwrap() && !store.is_removed(good.id).await.unwrap());
        store.remove(good.id, NOW).await.unwrap();
        assert!(store.is_removed(good.id).await.unwrap());
        assert_eq!(store.live().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn an_account_is_forgotten_whole() {
    for (store, _end, _folder) in engines().await {
        for _ in 0..3 {
            store.create(row(owner(1), "mine"), Amount::AtMost(9)).await.unwrap();
        }
        keep(&store, row(owner(2), "theirs")).await;
        for left in [3, 0] {
            let gone = store.delete_account(Sub(Uuid::from_u128(1))).await.unwrap();
            assert_eq!(gone.len(), left);
        }
        assert_eq!(store.live().await.unwrap(), 1);
    }
}
