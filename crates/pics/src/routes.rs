//! Every route, with who may call it. The routers are made from these tables, so that there is no route without a row.

use std::sync::Arc;

use axum::Router;
use axum::routing::options;
pub use service::web::{Route, Who};

use crate::app::App;
use crate::pages::{albums, gallery, moderate, picture, tools, upload};

service::routes! {
    /// irc.pics: pages.
    SITE_ROUTES, pub(crate) site<Arc<App>>,
    get "/" Anyone => gallery::show;
    get "/tools" SignedIn => tools::show;
    get "/tools/irc-now.sxcu" Anyone => tools::sharex;
    get "/tools/flameshot.sh" Anyone => tools::flameshot;
    get "/p/{id}" Anyone => picture::show;
    post "/p/{id}" Owner => picture::change;
    post "/p/{id}/delete" Owner => picture::delete;
    get "/p/{id}/delete/{token}" Anyone => picture::ask_delete;
    post "/p/{id}/delete/{token}" Anyone => picture::delete_by_link;
    get "/p/{id}/report" Anyone => moderate::ask;
    post "/p/{id}/report" Anyone => moderate::report;
    post "/albums" SignedIn => albums::add;
    get "/a/{id}" Anyone => albums::show;
    post "/a/{id}" Owner => albums::rename;
    post "/a/{id}/delete" Owner => albums::delete;
    get "/moderate" SignedIn => moderate::queue;
    post "/moderate/{id}" SignedIn => moderate::settle;
}

service::routes! {
    /// irc.pics: where pictures are sent to.
    UPLOAD_ROUTES, takes<Arc<App>>,
    post "/upload" SignedIn => upload::take;
}

service::routes! {
    /// i.pics.: the bytes.
    BYTES_ROUTES, pub(crate) bytes<Arc<App>>,
    get "/{name}" Anyone => crate::bytes::get;
}

service::routes! {
    /// On irc.now itself: the bytes, for IRC clients that reach no other name of ours.
    ROOT_ROUTES, pub(crate) root<Arc<App>>,
    get "/i/{name}" Anyone => crate::bytes::get;
}

/// Where pictures are sent to, with what clients ask of it first.
pub(crate) fn uploads() -> Router<Arc<App>> {
    takes().route("/upload", options(upload::asked))
}
