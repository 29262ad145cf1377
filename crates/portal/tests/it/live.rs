//! The event stream: what changed, as the page shows it; and its end.

use std::time::Duration;

use axum::body::BodyDataStream;
use contracts::Phase;
use futures_util::StreamExt as _;
use tokio::time::timeout;
use tower::ServiceExt as _;

use crate::site::{Site, Visitor, site};

struct Live(BodyDataStream, String);

impl Live {
    async fn open(site: &Site, visitor: &Visitor<'_>) -> Self {
        let request = visitor.request(http::Method::GET, "/live", None);
        let response = site.my.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(response.into_body().into_data_stream(), String::new())
    }

    /// Reads until `what` has come.
    async fn until(&mut self, what: &str) {
        let read = async {
            while !self.1.contains(what) {
                let piece = self.0.next().await.expect("the stream goes on").unwrap();
                self.1.push_str(std::str::from_utf8(&piece).unwrap());
            }
        };
        timeout(Duration::from_secs(10), read)
            .await
            .unwrap_or_else(|_| panic!("{what:?} never came: {}", self.1));
        self.1.clear();
    }

    async fn ends(&mut self) {
        timeout(Duration::from_secs(10), async { while self.0.next().await.is_some() {} })
            .await
            .expect("the stream ends");
    }
}

#[tokio::test]
async fn a_change_of_a_network_reaches_the_page_as_its_html() {
    let site = site().await;
    let alice = site.alice().await;
    let mut live = Live::open(&site, &alice).await;
    live.until("Nothing is connected yet.").await;
    site.world.add(alice.sub, "libera", "irc.libera.chat", Phase::Connected, None, false);
    live.until("Everything is connected.").await;
    site.world.add(alice.sub, "OFTC", "irc.oftc.net", Phase::Off, Some("OFTC refused the password."), true);
    live.until("One thing needs you.").await;
}

#[tokio::test]
async fn a_password_made_in_one_tab_ticks_the_step_in_another() {
    let site = site().await;
    let alice = site.alice().await;
    let mut live = Live::open(&site, &alice).await;
    live.until("step-2").await;
    alice.post("/passwords", &[("name", "laptop")]).await;
    live.until("<b>laptop</b>").await;
}

#[tokio::test]
async fn a_revoked_session_hears_that_it_is_gone_and_nothing_more() {
    let site = site().await;
    let alice = site.alice().await;
    let mut live = Live::open(&site, &alice).await;
    live.until("headline").await;
    let id = site.portal.login().sessions(alice.sub).await.unwrap()[0].id;
    alice.post(&format!("/sessions/{id}/revoke"), &[]).await;
    live.until("event: gone").await;
    live.ends().await;
}

#[tokio::test]
async fn a_stream_ends_with_the_process() {
    let site = site().await;
    let mut live = Live::open(&site, &site.alice().await).await;
    live.until("headline").await;
    site.shutdown.trigger();
    live.ends().await;
}
