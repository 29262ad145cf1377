//! The account: profile, plan, sessions, security events, export, deletion.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use contracts::{Account, CallError, SecurityEvent};
use entitlements::{Amount, Limit};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use service::clock::now_s;
use service::view::{Form, Moment};
use service::web::SiteShell;
use time::OffsetDateTime;
use time::macros::format_description;
use uuid::Uuid;

use crate::app::{App, Viewer};
use crate::export;
use crate::pages::{self, Page, Sent, go, page, page_with, problem, public};

struct SessionRow {
    id: Uuid,
    here: bool,
    agent: String,
    address: String,
    begun: Moment,
    seen: Moment,
}

struct EventRow {
    text: String,
    address: String,
    at: Moment,
}

impl EventRow {
    fn new(event: SecurityEvent, now: i64) -> Self {
        Self {
            text: crate::words::sentence(&event.text),
            address: event.address.unwrap_or_default(),
            at: Moment::new(event.at, now),
        }
    }
}

struct PlanRow {
    title: String,
    about: String,
    limits: Vec<String>,
    over_until: Option<Moment>,
}

impl PlanRow {
    fn new(app: &App, account: &Account, now: i64) -> Self {
        let shown = [Limit::Networks, Limit::Devices, Limit::HistoryDays];
        let limits = shown.into_iter().map(|limit| match account.limits.get(limit) {
            Amount::Unlimited => match limit {
                Limit::HistoryDays => "History without end".to_owned(),
                limit => {
                    format!("No limit of {}", Amount::AtMost(2).words(limit.unit()).trim_start_matches("2 "))
                }
            },
            some => some.words(limit.unit()),
        });
        let plan = app.plans.plan(&account.plan);
        Self {
            title: plan.map_or_else(|| account.plan.to_string(), |plan| plan.title.clone()),
            about: plan.map(|plan| plan.about.clone()).unwrap_or_default(),
            limits: limits.collect(),
            over_until: account.over_limit_until.map(|at| Moment::new(at, now)),
        }
    }
}

#[derive(Template)]
#[template(path = "account.html")]
struct Overview {
    shell: SiteShell,
    account: Account,
    member: Moment,
    plan: PlanRow,
    sessions: Vec<SessionRow>,
    events: Vec<EventRow>,
}

#[derive(Template)]
#[template(path = "security.html")]
struct Security {
    shell: SiteShell,
    events: Vec<EventRow>,
}

#[derive(Template)]
#[template(path = "account_delete.html")]
struct Delete {
    shell: SiteShell,
    username: String,
    form: Form,
}

/// `GET /account`
pub(crate) async fn show(State(app): State<Arc<App>>, viewer: Viewer) -> Page {
    let now = now_s();
    let call = viewer.call();
    let events = app.accounts.security_events(&call, 6).await.map_err(problem)?;
    let sessions = app.party.sessions(viewer.account.sub).await?;
    page(&Overview {
        member: Moment::new(viewer.account.created_at, now),
        plan: PlanRow::new(&app, &viewer.account, now),
        sessions: sessions
            .into_iter()
            .map(|session| SessionRow {
                here: session.id == viewer.claims.session,
                id: session.id,
                agent: browser_of(session.agent.as_deref().unwrap_or_default()),
                address: session.address.unwrap_or_default(),
                begun: Moment::new(session.created_at, now),
                seen: Moment::new(session.last_seen_at, now),
            })
            .collect(),
        events: events.into_iter().map(|event| EventRow::new(event, now)).collect(),
        account: viewer.account,
        shell: viewer.shell.section("account"),
    })
}

/// A browser's name for people, out of its `User-Agent`.
fn browser_of(agent: &str) -> String {
    let name = ["Firefox", "Edg", "OPR", "Chrome", "Safari"].into_iter().find(|name| agent.contains(name));
    let system = ["Android", "iPhone", "iPad", "Windows", "Mac OS X", "Linux"]
        .into_iter()
        .find(|system| agent.contains(system));
    let name = match name {
        Some("Edg") => "Edge",
        Some("OPR") => "Opera",
        Some(name) => name,
        None => {
            return if agent.is_empty() { "A browser".to_owned() } else { agent.chars().take(40).collect() };
        }
    };
    match system {
        Some("Mac OS X") => format!("{name} on macOS"),
        Some(system) => format!("{name} on {system}"),
        None => name.to_owned(),
    }
}

/// `GET /account/security`
pub(crate) async fn security(State(app): State<Arc<App>>, viewer: Viewer) -> Page {
    let events = app.accounts.security_events(&viewer.call(), 200).await.map_err(problem)?;
    let now = now_s();
    page(&Security {
        events: events.into_iter().map(|event| EventRow::new(event, now)).collect(),
        shell: viewer.shell.section("account"),
    })
}

/// `POST /sessions/{id}/revoke`
pub(crate) async fn revoke_session(
    State(app): State<Arc<App>>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Page {
    let id = pages::id(&id, "session")?;
    if !app.party.revoke(viewer.account.sub, id).await? {
        return Err(problem(CallError::not_found("session")));
    }
    Ok(go("/account"))
}

/// `GET /account/export`: one archive of everything every service keeps.
pub(crate) async fn export(State(app): State<Arc<App>>, viewer: Viewer) -> Page {
    let now = now_s();
    let archive = export::archive(&app.data, &viewer.call(), now).await.map_err(problem)?;
    let day = OffsetDateTime::from_unix_timestamp(now)
        .ok()
        .and_then(|at| at.format(format_description!("[year]-[month]-[day]")).ok())
        .unwrap_or_default();
    let name = format!("attachment; filename=\"irc-now-{}-{day}.tar.gz\"", viewer.account.username);
    Ok((
        [
            (CONTENT_TYPE, "application/gzip".to_owned()),
            (CONTENT_DISPOSITION, name),
            (CACHE_CONTROL, "no-store".to_owned()),
        ],
        Body::from_stream(archive),
    )
        .into_response())
}

/// How long ago somebody may have proven who they are before they do what cannot be undone, seconds.
const PROVEN_WITHIN: i64 = 600;
/// Where they prove it again.
const PROVE: &str = "/auth/login?prompt=login&return_to=/account/delete";

/// `GET /account/delete`
pub(crate) async fn ask_delete(viewer: Viewer) -> Page {
    if !viewer.claims.is_fresh(PROVEN_WITHIN) {
        return Ok(go(PROVE));
    }
    let username = viewer.account.username.clone();
    page(&Delete { shell: viewer.shell.section("account"), username, form: Form::new() })
}

/// `POST /account/delete`: `confirm`, the user name.
pub(crate) async fn delete(State(app): State<Arc<App>>, viewer: Viewer, axum::Form(sent): Sent) -> Page {
    if !viewer.claims.is_fresh(PROVEN_WITHIN) {
        return Ok(go(PROVE));
    }
    let mut form = Form::from_pairs(sent);
    let username = viewer.account.username.clone();
    if form.trimmed("confirm") != username {
        form.refuse("confirm", format!("Type {username} to delete the account."));
        let shell = viewer.shell.section("account");
        return page_with(StatusCode::UNPROCESSABLE_ENTITY, &Delete { shell, username, form });
    }
    app.accounts.delete_account(&viewer.changing(&form)).await.map_err(problem)?;
    app.nudge(viewer.account.sub);
    Ok(go(&format!("{}/?gone", app.sites.root)))
}

/// `GET /faq` of the portal.
pub(crate) async fn faq(State(app): State<Arc<App>>, viewer: Viewer) -> Page {
    public::faq_page(&app, viewer.shell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_named_as_its_user_knows_it() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
        assert_eq!(browser_of(chrome), "Chrome on Linux");
        let safari =
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Safari/604";
        assert_eq!(browser_of(safari), "Safari on iPhone");
        assert_eq!(browser_of(""), "A browser");
    }
}
