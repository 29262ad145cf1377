//! The same promises on SQLite and PostgreSQL.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use contracts::HostedRole;
use tempfile::TempDir;

use super::*;

/// The store on every engine there is, empty.
async fn engines() -> Vec<(Store, Option<TempDir>)> {
    let mut all = Vec::new();
    for (db, folder) in crate::engines::empty().await {
        let keyring = Keyring::ephemeral().unwrap();
        // Opened twice: what is there is left as it is.
        Store::open(db.clone(), keyring.clone()).await.unwrap();
        all.push((Store::open(db, keyring).await.unwrap(), folder));
    }
    all
}

fn kept(name: &str) -> Kept {
    Kept {
        name: name.to_owned(),
        access: HostedAccess::MembersOnly,
        motd: "Be kind.\nWipe your feet.".to_owned(),
        operators: vec![KeptOperator {
            name: "root".to_owned(),
            role: HostedRole::Admin,
            hash: "$2b$10$hash".to_owned(),
        }],
    }
}

fn somebody() -> Sub {
    Sub(Uuid::now_v7())
}

fn wish(sub: Sub) -> Call {
    Call::new(sub, "test").changing()
}

fn taken() -> CallError {
    CallError::Conflict { message: "taken".to_owned() }
}

fn over() -> CallError {
    CallError::Quota { limit: "hosted_networks".to_owned(), message: "over".to_owned() }
}

async fn create(store: &Store, call: &Call, name: &str, most: u64) -> StoreResult<HostedRow> {
    let asked = store.asked(call, &("create", name))?;
    let room = |there| if there < most { Ok(()) } else { Err(over()) };
    store.create(&asked, &name.to_ascii_lowercase(), &kept(name), taken, room).await
}

async fn delete(store: &Store, call: &Call, id: HostedId) -> StoreResult<HostedRow> {
    let asked = store.asked(call, &("delete", id))?;
    let gone = |row: &mut HostedRow, _| {
        row.deleted_us.get_or_insert(7);
        Ok(())
    };
    store.change(&asked, id, gone).await
}

fn refusal<T: std::fmt::Debug>(result: StoreResult<T>) -> CallError {
    match result {
        Err(StoreError::Call(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_goes_in_comes_back() {
    for (store, _folder) in engines().await {
        let alice = somebody();
        let made = create(&store, &wish(alice), "Pixels", 1).await.unwrap();
        assert_eq!((made.label.as_str(), made.version, made.suspended), ("pixels", 1, false));
        assert_eq!(store.get(made.id).await.unwrap(), Some(made.clone()));
        assert_eq!(store.all().await.unwrap(), std::slice::from_ref(&made));

        let call = wish(alice);
        let asked = store.asked(&call, &"change").unwrap();
        let wanted = Kept { motd: String::new(), access: HostedAccess::Open, ..kept("Pixels") };
        let changed = store
            .change(&asked, made.id, |row, there| {
                assert_eq!(there, 1);
                row.kept = wanted.clone();
                row.suspended = true;
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(changed, HostedRow { kept: wanted, suspended: true, version: 2, ..made });
        assert_eq!(store.get(changed.id).await.unwrap(), Some(changed.clone()));

        store.purge(changed.id).await.unwrap();
        store.purge(changed.id).await.unwrap();
        assert_eq!(store.get(changed.id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn the_limit_holds_at_the_write_however_many_ask_at_once() {
    for (store, _folder) in engines().await {
        let alice = somebody();
        let tries = (0..8).map(|n| {
            let store = store.clone();
            tokio::spawn(async move { create(&store, &wish(alice), &format!("net{n}"), 3).await.is_ok() })
        });
        let mut made = 0;
        for one in tries.collect::<Vec<_>>() {
            made += usize::from(one.await.unwrap());
        }
        assert_eq!((made, store.all().await.unwrap().len()), (3, 3));
        // Others have room of their own, and what is deleted takes none.
        create(&store, &wish(somebody()), "another", 1).await.unwrap();
        assert_eq!(refusal(create(&store, &wish(alice), "more", 3).await), over());
        let first = store.all().await.unwrap().into_iter().find(|row| row.sub == alice).unwrap();
        delete(&store, &wish(alice), first.id).await.unwrap();
        create(&store, &wish(alice), "more", 3).await.unwrap();
    }
}

#[tokio::test]
async fn a_host_name_is_taken_once_until_its_network_is_gone_for_good() {
    for (store, _folder) in engines().await {
        let (alice, bob) = (somebody(), somebody());
        let made = create(&store, &wish(alice), "pixels", 9).await.unwrap();
        assert_eq!(refusal(create(&store, &wish(bob), "Pixels", 9).await), taken());
        delete(&store, &wish(alice), made.id).await.unwrap();
        assert_eq!(refusal(create(&store, &wish(bob), "Pixels", 9).await), taken(), "it can still be undone");
        store.purge(made.id).await.unwrap();
        create(&store, &wish(bob), "Pixels", 9).await.unwrap();
    }
}

#[tokio::test]
async fn a_repeat_changes_nothing_and_another_wish_under_its_key_is_refused() {
    for (store, _folder) in engines().await {
        let alice = somebody();
        let once = wish(alice);
        let made = create(&store, &once, "pixels", 1).await.unwrap();
        assert_eq!(create(&store, &once, "pixels", 1).await.unwrap(), made);
        assert!(matches!(refusal(create(&store, &once, "other", 9).await), CallError::Conflict { .. }));
        let once = wish(alice);
        let gone = delete(&store, &once, made.id).await.unwrap();
        assert_eq!(delete(&store, &once, made.id).await.unwrap(), gone);
    }
}

#[tokio::test]
async fn an_old_version_is_refused_and_so_is_what_its_change_refuses() {
    for (store, _folder) in engines().await {
        let alice = somebody();
        let made = create(&store, &wish(alice), "pixels", 1).await.unwrap();
        let stale = wish(alice).at_version(made.version + 1);
        assert!(matches!(refusal(delete(&store, &stale, made.id).await), CallError::Conflict { .. }));
        let call = wish(alice);
        let asked = store.asked(&call, &"restore").unwrap();
        let refused = store
            .change(&asked, made.id, |row, _| {
                row.suspended = true;
                Err(over())
            })
            .await;
        assert_eq!(refusal(refused), over());
        assert_eq!(store.get(made.id).await.unwrap(), Some(made.clone()), "nothing of it is kept");
        delete(&store, &wish(alice).at_version(made.version), made.id).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_touches_the_network_of_another() {
    for (store, _folder) in engines().await {
        let made = create(&store, &wish(somebody()), "pixels", 1).await.unwrap();
        let refused = refusal(delete(&store, &wish(somebody()), made.id).await);
        assert_eq!(refused, CallError::not_found("network"));
    }
}

#[tokio::test]
async fn over_the_plan_the_oldest_go_on() {
    for (store, _folder) in engines().await {
        let alice = somebody();
        let first = create(&store, &wish(alice), "first", 9).await.unwrap();
        let second = create(&store, &wish(alice), "second", 9).await.unwrap();
        create(&store, &wish(somebody()), "another", 9).await.unwrap();
        assert_eq!((store.rank(&first).await.unwrap(), store.rank(&second).await.unwrap()), (0, 1));
        delete(&store, &wish(alice), first.id).await.unwrap();
        assert_eq!(store.rank(&second).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_forgotten_account_leaves_no_row() {
    for (store, _folder) in engines().await {
        let (alice, bob) = (somebody(), somebody());
        let made = create(&store, &wish(alice), "pixels", 1).await.unwrap();
        create(&store, &wish(bob), "another", 1).await.unwrap();
        store.purge(made.id).await.unwrap();
        store.forget(alice).await.unwrap();
        store.forget(alice).await.unwrap();
        for table in ["hosted_network", "hosting_account", "answered"] {
            let counted: i64 =
                sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}")))
                    .fetch_one(store.db.pool())
                    .await
                    .unwrap();
            assert_eq!(counted, 1, "{table}: bob's is left, and nothing of alice's");
        }
        store.prune_answers().await.unwrap();
    }
}
