//! Every route of both sites, with who may call it. The routers are made from these tables, so that there is no route
//! without a row; the tests walk them as strangers and as somebody else.

use std::sync::Arc;

pub use service::web::{Route, Who};

use crate::app::App;
use crate::live;
use crate::pages::{account, connect, dashboard, dedicated, hosting, networks, passwords, public, start};

service::routes! {
    /// irc.now itself.
    SITE_ROUTES, pub(crate) site<Arc<App>>,
    get "/" Anyone => public::landing;
    get "/what-is-irc" Anyone => public::what_is_irc;
    get "/clients" Anyone => public::clients;
    get "/clients/{client}" Anyone => public::client;
    get "/faq" Anyone => public::faq;
    get "/privacy" Anyone => public::privacy;
    get "/authority.pem" Anyone => public::authority;
    get "/design" Anyone => public::design;
}

service::routes! {
    /// my.irc.now.
    MY_ROUTES, pub(crate) my<Arc<App>>,
    get "/" SignedIn => dashboard::show;
    get "/live" SignedIn => live::follow;
    get "/start" SignedIn => start::show;
    get "/networks" SignedIn => networks::list;
    post "/networks" SignedIn => networks::add;
    get "/networks/new" SignedIn => networks::new;
    get "/networks/{id}" Owner => networks::show;
    post "/networks/{id}" Owner => networks::change;
    post "/networks/{id}/reconnect" Owner => networks::reconnect;
    post "/networks/{id}/delete" Owner => networks::delete;
    post "/networks/{id}/restore" Owner => networks::restore;
    get "/bouncer/dedicated" SignedIn => dedicated::show;
    post "/bouncer/dedicated" SignedIn => dedicated::order;
    get "/bouncer/dedicated/cancel" SignedIn => dedicated::ask_cancel;
    post "/bouncer/dedicated/cancel" SignedIn => dedicated::cancel;
    get "/hosting" SignedIn => hosting::list;
    post "/hosting" SignedIn => hosting::create;
    get "/hosting/new" SignedIn => hosting::new;
    get "/hosting/{id}" Owner => hosting::show;
    post "/hosting/{id}" Owner => hosting::change;
    post "/hosting/{id}/suspend" Owner => hosting::suspend;
    post "/hosting/{id}/resume" Owner => hosting::resume;
    post "/hosting/{id}/delete" Owner => hosting::delete;
    post "/hosting/{id}/restore" Owner => hosting::restore;
    get "/connect" SignedIn => connect::index;
    get "/connect/{client}" SignedIn => connect::client;
    get "/passwords" SignedIn => passwords::list;
    post "/passwords" SignedIn => passwords::create;
    post "/passwords/hide" SignedIn => passwords::hide;
    post "/certificates" SignedIn => passwords::add_certificate;
    get "/passwords/{id}/revoke" Owner => passwords::ask_revoke;
    post "/passwords/{id}/revoke" Owner => passwords::revoke;
    get "/account" SignedIn => account::show;
    get "/account/security" SignedIn => account::security;
    get "/account/export" SignedIn => account::export;
    get "/account/delete" SignedIn => account::ask_delete;
    post "/account/delete" SignedIn => account::delete;
    post "/sessions/{id}/revoke" Owner => account::revoke_session;
    get "/faq" SignedIn => account::faq;
}
