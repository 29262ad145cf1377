//! What an administrator does.

use auth::jwt;
use contracts::{Role, Status};
use entitlements::{Amount, Limit, Override};

use service::secrets::Keyring;

use crate::on_both_engines;
use crate::provider::tokens;
use crate::world::{Wishes, World};

async fn a_downgrade_keeps_what_is_over_for_thirty_days(world: World) {
    world.signed_up("alice").await;
    let admin = world.gate.admin();
    let up = admin.set_plan("alice", &"pro".into()).await.unwrap();
    assert_eq!((up.limits.get(Limit::Networks), up.over_limit_until), (Amount::AtMost(50), None));
    let down = admin.set_plan("alice", &"free".into()).await.unwrap();
    let left = down.over_limit_until.unwrap() - service::clock::now_s();
    assert!((29 * 86_400..=30 * 86_400).contains(&left));
    assert!(down.version > up.version);
    assert_eq!(admin.set_plan("alice", &"pro".into()).await.unwrap().over_limit_until, None);
    assert!(admin.set_plan("alice", &"gold".into()).await.is_err());
    let over = Override([(Limit::Networks, Amount::AtMost(60))].into());
    assert_eq!(
        admin.set_override("alice", &over).await.unwrap().limits.get(Limit::Networks),
        Amount::AtMost(60)
    );
}

async fn a_new_account_gets_the_plan_of_the_house(world: World) {
    let own = world.again(Wishes::default().set("new_account_plan", "own")).await;
    own.signed_up("alice").await;
    assert_eq!(own.account("alice").await.plan.0, "own");
}

async fn accounts_are_found_by_a_part_of_their_name(world: World) {
    for name in ["alice", "alina", "bob_b"] {
        world.signed_up(name).await;
    }
    let admin = world.gate.admin();
    let names = |found: Vec<contracts::Account>| {
        found.into_iter().map(|account| account.username).collect::<Vec<_>>()
    };
    assert_eq!(names(admin.find("ali", "", 10).await.unwrap()), ["alice", "alina"]);
    assert_eq!(names(admin.find("", "alice", 1).await.unwrap()), ["alina"]);
    assert_eq!(names(admin.find("_", "", 10).await.unwrap()), ["bob_b"], "no character is a wildcard");
}

async fn a_suspension_ends_every_session_and_is_lifted_again(world: World) {
    let mut browser = world.signed_up("alice").await;
    let admin = world.gate.admin();
    assert_eq!(admin.suspend("alice", "spam").await.unwrap().status, Status::Suspended);
    assert_eq!(browser.get("/account").await.status, 303);
    let form = [("username", "alice"), ("password", crate::world::PASSWORD)];
    assert!(world.browser().post("/sign-in", &form).await.body.contains("suspended"));
    admin.resume("alice").await.unwrap();
    assert_eq!(world.browser().post("/sign-in", &form).await.status, 303);
    assert_eq!(admin.set_admin("alice", true).await.unwrap().roles, [Role::Admin]);
}

async fn every_secret_moves_to_a_new_key(world: World) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret.key");
    std::fs::write(&file, world.key.as_str()).unwrap();
    let first = world;
    let mut browser = first.signed_up("alice").await;
    let seed = crate::pages::turn_on_two_steps(&mut browser).await;
    let old_id_token = tokens(&first, &mut browser).await["id_token"].as_str().unwrap().to_owned();
    let password = first.app_password("alice").await.secret;

    let both = Keyring::open_file(&file).unwrap();
    both.rotate(&file).unwrap();
    first.with_keys(both).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let newest = Keyring::parse(text.lines().next().unwrap()).unwrap();
    let after = first.with_keys(newest).await;

    let keys = serde_json::from_str(&after.browser().get("/jwks").await.body).unwrap();
    jwt::verify_signature_only::<serde_json::Value>(&old_id_token, &keys).unwrap();
    let form = [("username", "alice"), ("password", crate::world::PASSWORD)];
    let page = after.browser().post("/sign-in", &form).await;
    let code = crate::pages::app_code(&seed, 1);
    let form = [("step", page.hidden("step")), ("code", code)];
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(after.browser().post("/sign-in/code", &form).await.status, 303);
    crate::doors::comes_in(&after, "alice", &password).await;
}

on_both_engines!(
    every_secret_moves_to_a_new_key,
    a_downgrade_keeps_what_is_over_for_thirty_days,
    a_new_account_gets_the_plan_of_the_house,
    accounts_are_found_by_a_part_of_their_name,
    a_suspension_ends_every_session_and_is_lifted_again,
);
