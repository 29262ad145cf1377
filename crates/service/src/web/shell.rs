//! What the layout of every page needs to know.

use http::{HeaderMap, Uri};

use crate::sites::Sites;

/// The field `shell` of every page's template; `design/templates/layout.html` reads it.
#[derive(Clone, Debug)]
pub struct SiteShell {
    /// The addresses of every site.
    pub sites: Sites,
    /// The stylesheet's URL.
    pub css: &'static str,
    /// The script's URL.
    pub js: &'static str,
    /// `dark` or `light` where the user chose; `None` follows the system.
    pub theme: Option<&'static str>,
    /// Who is signed in.
    pub user: Option<ShellUser>,
    /// Which item of the navigation is current; empty for none.
    pub section: &'static str,
    /// Path and query of this page, so that a form can come back to it.
    pub path: String,
}

/// Who is signed in, as far as the layout shows it. As an extension of an answer it tells the [`Edge`](super::Edge) whose
/// error page it renders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellUser {
    /// The username.
    pub username: String,
    /// The plan's name.
    pub plan: String,
}

impl SiteShell {
    /// The shell of the page a request asks for, nobody signed in.
    pub fn new(sites: &Sites, uri: &Uri, headers: &HeaderMap) -> Self {
        Self {
            sites: sites.clone(),
            css: crate::assets::css(),
            js: crate::assets::js(),
            theme: theme(headers),
            user: None,
            section: "",
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        }
    }

    /// Says who is signed in.
    pub fn user(mut self, username: impl Into<String>, plan: impl Into<String>) -> Self {
        self.user = Some(ShellUser { username: username.into(), plan: plan.into() });
        self
    }

    /// The URL of a stylesheet or script that only some pages need.
    pub fn of_pages(&self, name: &str) -> &'static str {
        crate::assets::of_pages(name)
    }

    /// Says which item of the navigation is current.
    pub fn section(mut self, section: &'static str) -> Self {
        self.section = section;
        self
    }
}

fn theme(headers: &HeaderMap) -> Option<&'static str> {
    match super::cookie(headers, "theme")? {
        "dark" => Some("dark"),
        "light" => Some("light"),
        _ => None,
    }
}
