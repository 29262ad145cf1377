//! Programs that send pictures here: their configurations, ready to use but for the app password.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde_json::json;
use service::web::SiteShell;

use crate::app::{App, Member};
use crate::pages::{Page, page};

#[derive(Template)]
#[template(path = "tools.html")]
struct Tools {
    shell: SiteShell,
    curl: String,
    flameshot: String,
}

fn curl(app: &App, username: &str) -> String {
    format!("curl -u {username} --data-binary @cat.jpg {}", app.sites.pics.url("/upload"))
}

/// `GET /tools`
pub async fn show(State(app): State<Arc<App>>, member: Member) -> Page {
    let tools =
        Tools { curl: curl(&app, &member.account.username), flameshot: script(&app), shell: member.shell };
    page(&app, &tools)
}

/// `GET /tools/irc-now.sxcu`: ShareX, "custom uploader". The app password goes in where it says so.
pub async fn sharex(State(app): State<Arc<App>>) -> Response {
    let config = json!({
        "Version": "15.0.0",
        "Name": "irc.pics",
        "DestinationType": "ImageUploader",
        "RequestMethod": "POST",
        "RequestURL": app.sites.pics.url("/upload"),
        "Headers": {"Authorization": "Bearer YOUR-APP-PASSWORD", "Accept": "application/json"},
        "Body": "MultipartFormData",
        "FileFormName": "file",
        "URL": "{json:url}",
        "ThumbnailURL": "{json:thumbnail}",
        "DeletionURL": "{json:delete_url}",
        "ErrorMessage": "{json:message}",
    });
    let headers =
        [(CONTENT_TYPE, "application/json"), (CONTENT_DISPOSITION, "attachment; filename=\"irc-now.sxcu\"")];
    (headers, format!("{config:#}\n")).into_response()
}

fn script(app: &App) -> String {
    format!(
        "#!/bin/sh\n\
         # Takes a screenshot with Flameshot, puts it up and leaves its address in the clipboard.\n\
         # ~/.config/irc-now holds one line that only you may read: Authorization: Bearer YOUR-APP-PASSWORD\n\
         set -eu\n\
         url=$(flameshot gui --raw | curl --fail-with-body -sS -H @\"$HOME/.config/irc-now\" \
         --data-binary @- {})\n\
         printf %s \"$url\" | {{ wl-copy 2>/dev/null || xclip -selection clipboard; }}\n\
         echo \"$url\"\n",
        app.sites.pics.url("/upload")
    )
}

/// `GET /tools/flameshot.sh`
pub async fn flameshot(State(app): State<Arc<App>>) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/x-shellscript; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"flameshot-irc-now.sh\""),
    ];
    (headers, script(&app)).into_response()
}
