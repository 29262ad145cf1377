//! The front page: what somebody has put up and how much room is left, or what this is for who is not signed in.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use contracts::Account;
use entitlements::{Amount, Limit};
use serde::Deserialize;
use service::web::SiteShell;

use crate::app::{App, Visitor};
use crate::pages::{Page, Shown, page, size};
use crate::store::{Album, Usage};

/// Pictures on a page.
const PAGE: u32 = 60;

#[derive(Template)]
#[template(path = "welcome.html")]
struct Welcome {
    shell: SiteShell,
    most: String,
}

#[derive(Template)]
#[template(path = "gallery.html")]
struct Gallery {
    shell: SiteShell,
    pictures: Vec<Shown>,
    albums: Vec<Album>,
    quota: Quota,
    most: String,
    older: Option<i64>,
    is_moderator: bool,
}

/// How much room is left, in words and as a bar.
pub struct Quota {
    pub words: String,
    pub percent: u64,
    pub class: &'static str,
}

impl Quota {
    pub fn new(usage: &Usage, account: &Account) -> Self {
        let used = usage.bytes.saturating_add(usage.reserved);
        match account.limits.get(Limit::PictureBytes) {
            Amount::Unlimited => {
                Self { words: format!("{} used; no limit", size(used)), percent: 0, class: "" }
            }
            Amount::AtMost(most) => {
                let percent = used.saturating_mul(100).checked_div(most).unwrap_or(100).min(100);
                let class = if percent >= 100 {
                    "full"
                } else if percent >= 90 {
                    "near"
                } else {
                    ""
                };
                Self { words: format!("{} of {}", size(used), size(most)), percent, class }
            }
        }
    }
}

/// Which page.
#[derive(Debug, Default, Deserialize)]
pub struct From {
    before: Option<i64>,
}

/// `GET /`
pub async fn show(State(app): State<Arc<App>>, visitor: Visitor, Query(from): Query<From>) -> Page {
    let most = size(app.largest);
    let Some(account) = visitor.whose.account() else {
        return page(&app, &Welcome { shell: visitor.shell, most });
    };
    let rows = app.store.pictures(account.sub, from.before.unwrap_or(i64::MAX), PAGE).await?;
    let older = rows.last().filter(|_| rows.len() == PAGE as usize).map(|last| last.made_us);
    let quota = Quota::new(&app.store.usage(account.sub).await?, account);
    let gallery = Gallery {
        pictures: rows.iter().map(|picture| Shown::new(&app, picture)).collect(),
        albums: app.store.albums(account.sub).await?,
        quota,
        most,
        older,
        is_moderator: visitor.whose.is_admin(),
        shell: visitor.shell,
    };
    page(&app, &gallery)
}
