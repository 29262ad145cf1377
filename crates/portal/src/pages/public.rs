//! irc.now itself: what it is, what IRC is, how to connect, questions, privacy, and the design on one page.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use entitlements::{Amount, Limit, PlanDef};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderMap, Uri};
use service::view::{Form, Moment, Sparkline};
use service::web::{Problem, SiteShell};

use crate::app::App;
use crate::clients::{self, Guide, Setup, What};
use crate::pages::{Page, page, problem};

/// A column of the price table.
struct Price {
    title: String,
    amount: String,
    monthly: bool,
    points: Vec<String>,
    action: &'static str,
    primary: bool,
}

impl Price {
    fn new(name: &str, plan: &PlanDef) -> Self {
        let limit = |limit: Limit| plan.limits.get(limit);
        let words = |which: Limit| limit(which).words(which.unit());
        let mut points = Vec::new();
        if limit(Limit::HostedNetworks) != Amount::AtMost(0) {
            points.push(match limit(Limit::HostedNetworks) {
                Amount::AtMost(1) => "Your own IRC network".to_owned(),
                _ => format!("{} of your own", words(Limit::HostedNetworks)),
            });
            points.push(format!("{} on it at once", words(Limit::HostedNetworkUsers)));
        }
        if limit(Limit::DedicatedBouncers) != Amount::AtMost(0) {
            points.push("Your own bouncer, your own host name".to_owned());
        }
        points.push(format!("{}, {}", words(Limit::Networks), words(Limit::Devices)));
        points.push(match limit(Limit::HistoryDays) {
            Amount::Unlimited => "History without end".to_owned(),
            _ => words(Limit::HistoryDays),
        });
        let pastes = match limit(Limit::Pastes) {
            Amount::Unlimited => "pastes without limit".to_owned(),
            _ => words(Limit::Pastes),
        };
        points.push(format!("{}, {pastes}, {} of pictures", words(Limit::Bots), words(Limit::PictureBytes)));
        Self {
            title: plan.title.clone(),
            amount: price(plan.price_cents),
            monthly: plan.price_cents > 0,
            points,
            action: "Sign up",
            primary: name == "pro",
        }
    }
}

/// Cents as "5 $" or "4.50 $".
fn price(cents: u32) -> String {
    match cents % 100 {
        0 => format!("{} $", cents / 100),
        rest => format!("{}.{rest:02} $", cents / 100),
    }
}

#[derive(Template)]
#[template(path = "landing.html")]
struct Landing {
    shell: SiteShell,
    prices: Vec<Price>,
    add_ons: Vec<(String, String)>,
    sign_up: String,
    gone: bool,
}

/// `GET /` of irc.now.
pub(crate) async fn landing(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Page {
    page(&Landing {
        shell: app.shell(&uri, &headers),
        prices: app.plans.listed().into_iter().map(|(name, plan)| Price::new(&name.0, plan)).collect(),
        add_ons: app
            .plans
            .add_ons()
            .map(|(_, add_on)| (add_on.title.clone(), price(add_on.price_cents)))
            .collect(),
        sign_up: app.sign_up(),
        gone: uri.query() == Some("gone"),
    })
}

#[derive(Template)]
#[template(path = "what_is_irc.html")]
struct WhatIsIrc {
    shell: SiteShell,
    sign_up: String,
}

/// `GET /what-is-irc`
pub(crate) async fn what_is_irc(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Page {
    page(&WhatIsIrc { shell: app.shell(&uri, &headers).section("what-is-irc"), sign_up: app.sign_up() })
}

#[derive(Template)]
#[template(path = "clients.html")]
struct Clients {
    shell: SiteShell,
    guide: Option<Guide>,
    setup: Setup,
    guides: Vec<Guide>,
}

/// `GET /clients`
pub(crate) async fn clients(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Page {
    let setup = app.setup("you", Some("libera".to_owned()), None);
    page(&Clients {
        shell: app.shell(&uri, &headers).section("clients"),
        guide: None,
        guides: clients::guides(&setup),
        setup,
    })
}

/// `GET /clients/{client}`
pub(crate) async fn client(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
    Path(client): Path<String>,
) -> Page {
    let setup = app.setup("you", Some("libera".to_owned()), None);
    let guide =
        clients::guide(&client, &setup).ok_or_else(|| problem(contracts::CallError::not_found("client")))?;
    page(&Clients {
        shell: app.shell(&uri, &headers).section("clients"),
        guide: Some(guide),
        guides: Vec::new(),
        setup,
    })
}

#[derive(Template)]
#[template(path = "faq.html")]
pub(crate) struct Faq {
    pub shell: SiteShell,
    pub prices: String,
}

/// The questions, for whoever asks.
pub(crate) fn faq_page(app: &App, shell: SiteShell) -> Page {
    let plans: Vec<String> = app
        .plans
        .listed()
        .into_iter()
        .map(|(_, plan)| match plan.price_cents {
            0 => format!("{} costs nothing", plan.title),
            cents => format!("{} costs {} a month", plan.title, price(cents)),
        })
        .collect();
    let plans: Vec<&str> = plans.iter().map(String::as_str).collect();
    page(&Faq { shell, prices: crate::words::list(&plans) })
}

/// `GET /faq`
pub(crate) async fn faq(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Page {
    faq_page(&app, app.shell(&uri, &headers).section("faq"))
}

#[derive(Template)]
#[template(path = "privacy.html")]
struct Privacy {
    shell: SiteShell,
}

/// `GET /privacy`
pub(crate) async fn privacy(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Page {
    page(&Privacy { shell: app.shell(&uri, &headers) })
}

/// `GET /authority.pem`: the certificate of the installation's own authority, for whoever is to trust it.
pub(crate) async fn authority(State(app): State<Arc<App>>) -> Page {
    let pem = app.irc.authority_pem.clone().ok_or_else(Problem::not_found)?;
    Ok((
        [
            (CONTENT_TYPE, "application/x-pem-file"),
            (CONTENT_DISPOSITION, "attachment; filename=\"irc-now.pem\""),
            (CACHE_CONTROL, "public, max-age=3600"),
        ],
        pem,
    )
        .into_response())
}

#[derive(Template)]
#[template(path = "design.html")]
struct Design {
    shell: SiteShell,
    form: Form,
    wrong: Form,
    hues: Vec<(&'static str, &'static str)>,
    spark: Option<Sparkline>,
    ago: Moment,
    options: [(&'static str, &'static str); 2],
}

/// `GET /design`: every component in all its states.
pub(crate) async fn design(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Page {
    let mut wrong =
        Form::new().with("host", "irc libera chat").with("note", "kept as typed").with("tls", "off");
    wrong.refuse("host", "A host name has no spaces, for example irc.libera.chat.");
    wrong.refuse("note", "Two lines at most.");
    wrong.refuse("", "Libera.Chat refused the password for alice. Check it, or sign in without an account.");
    let nicks = [
        "ferris", "noor", "tomás", "quill", "alice", "bob", "wren", "ada", "juno", "mika", "odd", "sol",
        "vera", "ines", "kit", "lux",
    ];
    const CLASSES: [&str; 16] = [
        "h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9", "h10", "h11", "h12", "h13", "h14", "h15",
    ];
    page(&Design {
        shell: app.shell(&uri, &headers),
        form: Form::new().with("nick", "alice").with("on", "on").with("tls", "on").with("key", "hunter2"),
        wrong,
        hues: CLASSES.into_iter().zip(nicks).collect(),
        spark: Sparkline::new(&[34, 36, 31, 48, 38, 35, 41, 33, 37], 96, 28),
        ago: Moment::new(service::clock::now_s() - 540, service::clock::now_s()),
        options: [("on", "TLS, certificate verified"), ("off", "No TLS")],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_written_as_people_say_it() {
        assert_eq!([price(0), price(500), price(450)], ["0 $", "5 $", "4.50 $"]);
    }
}
