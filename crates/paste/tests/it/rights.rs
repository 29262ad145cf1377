//! Every route, as a stranger and as somebody else.

use http::StatusCode;
use paste::routes::{RAW_ROUTES, SITE_ROUTES, Who};

use crate::world::world;

#[tokio::test]
async fn every_route_says_no_to_whom_it_is_not_for() {
    let world = world().await;
    let id = world.curl_as("alice", "free").put("alice's").await.id();
    let (stranger, bob) = (world.browser(), world.signed_in("bob", "free").await);
    for route in SITE_ROUTES {
        let path = route.path.replace("{id}", &id);
        let ask = async |who: &crate::world::Asker<'_>| match route.method {
            "GET" => who.get(&path).await,
            _ => who.post(&path, "reason=spam").await,
        };
        let what = format!("{} {path}", route.method);
        match route.who {
            Who::Anyone => assert!(!ask(&stranger).await.status.is_server_error(), "{what}"),
            Who::SignedIn | Who::Owner => {
                let answer = ask(&stranger).await;
                assert!(answer.header("location").starts_with("/auth/login"), "{what}: {}", answer.status);
            }
            Who::Bearer => unreachable!("there is none"),
        }
        if route.who == Who::Owner {
            assert_eq!(ask(&bob).await.status, StatusCode::NOT_FOUND, "{what}");
        }
    }
    assert_eq!(world.raw(&id).await.is(200).body, b"alice's", "nothing was changed");
    assert!(RAW_ROUTES.iter().all(|route| route.method == "GET"));
}
