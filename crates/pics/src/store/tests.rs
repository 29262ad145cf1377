//! The same promises on every engine there is.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use entitlements::Amount;
use tempfile::TempDir;
use testkit::Part;

use super::*;

async fn engines() -> Vec<(Store, Option<TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("pics.db").display());
    let mut urls = vec![(file, Some(folder))];
    if Part::Postgres.find_or_skip().is_some() {
        let url = tokio::task::spawn_blocking(testkit::postgres::database).await.unwrap().unwrap();
        urls.push((url, None));
    }
    let mut all = Vec::new();
    for (url, folder) in urls {
        let store = Store::open(Database::open(&url).await.unwrap()).await.unwrap();
        all.push((store, folder));
    }
    all
}

fn somebody(n: u128) -> Sub {
    Sub(Uuid::from_u128(n))
}

fn limit(bytes: u64) -> Limits {
    Limits::unlimited().with(Limit::PictureBytes, Amount::AtMost(bytes))
}

fn content(letter: u8, bytes: u64) -> NewContent {
    let told = Told { kind: "png".to_owned(), width: 40, height: 30, frames: 1, orientation: 1 };
    let view = View { side: 400, kind: "webp".to_owned(), width: 40, height: 30 };
    NewContent { key: Uuid::now_v7(), hash: [letter; 32], bytes, told, views: vec![view] }
}

async fn put(store: &Store, sub: Sub, content: &NewContent, said: Said) -> Put {
    let limits = Limits::unlimited();
    let room = store.reserve(sub, content.bytes, &limits).await.unwrap();
    store.put(&room, content, "cat.png", said, &limits).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_uploads_at_the_edge_of_the_quota_never_overshoot() {
    for (store, _folder) in engines().await {
        let (alice, limits) = (somebody(1), limit(1_000));
        let uploads = (0..50_u8).map(|letter| {
            let (store, limits) = (store.clone(), limits.clone());
            tokio::spawn(async move {
                let room = store.reserve(alice, 100, &limits).await?;
                // All of them are under way at once before any is done.
                tokio::task::yield_now().await;
                store.put(&room, &content(letter, 90), "x", Said::default(), &limits).await
            })
        });
        let (mut done, mut full) = (0, 0);
        for upload in uploads.collect::<Vec<_>>() {
            match upload.await.unwrap() {
                Ok(_) => done += 1,
                Err(StoreError::Full(_)) => full += 1,
                Err(error) => panic!("{error}"),
            }
        }
        let usage = store.usage(alice).await.unwrap();
        assert_eq!((done + full, usage.reserved), (50, 0));
        assert!(usage.bytes <= 1_000 && usage.bytes == done * 90, "{usage:?}");
        assert!(done >= 10, "what fits is taken: {done}");
    }
}

#[tokio::test]
async fn room_is_taken_before_the_bytes_come_and_given_back_once() {
    for (store, _folder) in engines().await {
        let (alice, limits) = (somebody(1), limit(100));
        let room = store.reserve(alice, 60, &limits).await.unwrap();
        assert!(matches!(store.reserve(alice, 41, &limits).await, Err(StoreError::Full(_))));
        assert!(store.reserve(somebody(2), 100, &limits).await.is_ok(), "another's room is another's");
        store.release(&room).await.unwrap();
        store.release(&room).await.unwrap();
        assert_eq!(store.usage(alice).await.unwrap(), Usage::default());
        assert!(store.reserve(alice, 100, &limits).await.is_ok());
    }
}

#[tokio::test]
async fn who_lost_its_room_by_taking_too_long_is_checked_again() {
    for (store, _folder) in engines().await {
        let (alice, limits) = (somebody(1), limit(100));
        let slow = store.reserve(alice, 80, &limits).await.unwrap();
        assert_eq!(store.release_stale(now_us() + 1).await.unwrap(), 1);
        let quick = store.reserve(alice, 80, &limits).await.unwrap();
        store.put(&quick, &content(1, 80), "x", Said::default(), &limits).await.unwrap();
        let late = store.put(&slow, &content(2, 80), "x", Said::default(), &limits).await;
        assert!(matches!(late, Err(StoreError::Full(_))));
        assert_eq!(store.usage(alice).await.unwrap().bytes, 80);
    }
}

#[tokio::test]
async fn one_content_is_stored_once_and_counted_for_each_who_has_it() {
    for (store, _folder) in engines().await {
        let (alice, bob) = (somebody(1), somebody(2));
        let first = put(&store, alice, &content(7, 50), Said::default()).await;
        let second = put(&store, bob, &content(7, 50), Said::default()).await;
        assert!(first.is_first && !second.is_first);
        assert_eq!(first.picture.key, second.picture.key);
        assert_ne!(first.picture.id, second.picture.id);
        for sub in [alice, bob] {
            assert_eq!(store.usage(sub).await.unwrap().bytes, 50);
        }
        // Deleting mine neither deletes yours nor tells of it: the objects stay as long as somebody has them.
        assert_eq!(store.delete(first.picture.id).await.unwrap(), Some(Gone { key: None }));
        assert!(store.picture(second.picture.id).await.unwrap().is_some());
        assert_eq!(store.usage(alice).await.unwrap().bytes, 0);
        let last = store.delete(second.picture.id).await.unwrap();
        assert_eq!(last, Some(Gone { key: Some(second.picture.key) }));
        assert!(!store.knows(second.picture.key).await.unwrap());
        // Whoever puts it up again begins anew.
        assert!(put(&store, alice, &content(7, 50), Said::default()).await.is_first);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_put_up_while_its_last_owner_deletes_it_is_never_lost() {
    for (store, _folder) in engines().await {
        for round in 0..20 {
            let old = put(&store, somebody(1), &content(9, 10), Said::default()).await.picture;
            let (deleting, putting) = (store.clone(), store.clone());
            let deleted = tokio::spawn(async move { deleting.delete(old.id).await.unwrap().unwrap() });
            let new =
                tokio::spawn(
                    async move { put(&putting, somebody(2), &content(9, 10), Said::default()).await },
                );
            let (gone, new) = (deleted.await.unwrap(), new.await.unwrap().picture);
            assert_ne!(gone.key, Some(new.key), "round {round}: its objects would be taken away");
            assert!(store.knows(new.key).await.unwrap());
            store.delete(new.id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_delete_link_deletes_its_own_picture_and_no_other() {
    for (store, _folder) in engines().await {
        let mine = put(&store, somebody(1), &content(1, 10), Said::default()).await;
        let yours = put(&store, somebody(2), &content(2, 10), Said::default()).await;
        let again = store.picture(mine.picture.id).await.unwrap().unwrap();
        assert!(again.may_delete(&mine.token));
        assert!(!again.may_delete(&yours.token) && !again.may_delete(""));
    }
}

#[tokio::test]
async fn what_is_over_is_gone_at_once_and_its_row_with_the_next_round() {
    for (store, _folder) in engines().await {
        let alice = somebody(1);
        let soon = Said { expires_us: Some(now_us() - 1), ..Said::default() };
        let over = put(&store, alice, &content(1, 10), soon).await;
        let later = Said { expires_us: Some(now_us() + 3_600_000_000), ..Said::default() };
        let stays = put(&store, alice, &content(2, 10), later).await;
        assert_eq!(store.picture(over.picture.id).await.unwrap(), None);
        let gone = store.delete_expired(now_us()).await.unwrap();
        assert_eq!(gone, [Gone { key: Some(over.picture.key) }]);
        assert!(store.delete_expired(now_us()).await.unwrap().is_empty());
        assert!(store.picture(stays.picture.id).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn albums_hold_pictures_of_their_owner_and_leave_them_when_they_go() {
    for (store, _folder) in engines().await {
        let (alice, bob) = (somebody(1), somebody(2));
        let album = store.add_album(alice, "Garden").await.unwrap();
        let said = Said { album: Some(album.id), caption: "tomatoes".to_owned(), ..Said::default() };
        let mine = put(&store, alice, &content(1, 10), said.clone()).await.picture;
        // Somebody else's album takes nothing of mine.
        let theirs = put(&store, bob, &content(2, 10), said.clone()).await.picture;
        assert_eq!((mine.said.album, theirs.said.album), (Some(album.id), None));
        let (_, pictures) = store.album(album.id).await.unwrap().unwrap();
        assert_eq!(pictures, std::slice::from_ref(&mine));
        assert!(!store.change(mine.id, bob, Said::default()).await.unwrap());
        assert!(!store.rename_album(album.id, bob, "x").await.unwrap());
        assert!(!store.delete_album(album.id, bob).await.unwrap());
        assert!(store.delete_album(album.id, alice).await.unwrap());
        let mine = store.picture(mine.id).await.unwrap().unwrap();
        assert_eq!((mine.said.album, mine.said.caption.as_str()), (None, "tomatoes"));
    }
}

#[tokio::test]
async fn an_account_that_goes_takes_everything_of_its_own_and_nothing_else() {
    for (store, _folder) in engines().await {
        let (alice, bob) = (somebody(1), somebody(2));
        put(&store, alice, &content(1, 10), Said::default()).await;
        put(&store, alice, &content(2, 10), Said::default()).await;
        put(&store, bob, &content(2, 10), Said::default()).await;
        store.add_album(alice, "Garden").await.unwrap();
        let gone = store.delete_of(alice).await.unwrap();
        assert_eq!(gone.iter().filter(|gone| gone.key.is_some()).count(), 1, "bob has the other");
        assert!(store.delete_of(alice).await.unwrap().is_empty());
        assert!(store.albums(alice).await.unwrap().is_empty());
        assert_eq!((store.usage(alice).await.unwrap().count, store.usage(bob).await.unwrap().count), (0, 1));
    }
}

#[tokio::test]
async fn a_gallery_is_read_page_by_page_the_newest_first() {
    for (store, _folder) in engines().await {
        let alice = somebody(1);
        for letter in 0..5 {
            put(&store, alice, &content(letter, 10), Said::default()).await;
        }
        put(&store, somebody(2), &content(9, 10), Said::default()).await;
        let first = store.pictures(alice, i64::MAX, 3).await.unwrap();
        let second = store.pictures(alice, first[2].made_us, 3).await.unwrap();
        assert_eq!((first.len(), second.len()), (3, 2));
        assert!(first.iter().chain(&second).is_sorted_by(|a, b| a.made_us > b.made_us));
    }
}
