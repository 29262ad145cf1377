//! Every route of both sites, with who may call it. The routers are made from these tables, so that there is no route
//! without a row.

use std::sync::Arc;

pub use service::web::{Route, Who};

use crate::app::App;
use crate::pages::{
    create, delete, edit, help, mine, moderation, new, open, openapi, qr, raw as texts, report, revisions,
    show,
};

service::routes! {
    /// txt.irc.now.
    SITE_ROUTES, pub(crate) site<Arc<App>>,
    get "/" Anyone => new::form;
    post "/" Anyone => create::create;
    get "/help" Anyone => help::show;
    get "/openapi.json" Anyone => openapi::show;
    get "/mine" SignedIn => mine::list;
    get "/moderation" SignedIn => moderation::queue;
    post "/moderation" SignedIn => moderation::decide;
    get "/{id}" Anyone => show::show;
    post "/{id}/open" Anyone => open::open;
    get "/{id}/qr" Anyone => qr::show;
    get "/{id}/revisions" Anyone => revisions::show;
    get "/{id}/edit" Owner => edit::form;
    post "/{id}/edit" Owner => edit::change;
    get "/{id}/report" Anyone => report::ask;
    post "/{id}/report" Anyone => report::report;
    get "/{id}/delete" Owner => delete::ask;
    post "/{id}/delete" Owner => delete::delete;
}

service::routes! {
    /// raw.txt.irc.now.
    RAW_ROUTES, pub(crate) raw<Arc<App>>,
    get "/{id}" Anyone => texts::raw;
}
