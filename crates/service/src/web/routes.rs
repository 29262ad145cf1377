//! A site's routes as a table with who may call each, and its router made from the same lines: a route without a row
//! cannot be. Tests walk the tables as strangers and as somebody else.

/// A route and who may call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// As axum writes it: `/networks/{id}`.
    pub path: &'static str,
    /// Who may call it.
    pub who: Who,
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody, signed in or not.
    Anyone,
    /// Whoever is signed in; it shows and changes only what is theirs.
    SignedIn,
    /// Only the account that what it names (in the path or in the form) belongs to; to all others there is no such thing
    /// (404).
    Owner,
    /// Whoever shows a token or a client's secret with the request; cookies do not count.
    Bearer,
}

/// Makes a table of [`Route`]s and the function that makes the router of it:
///
/// ```
/// # async fn front() {}
/// service::routes! {
///     /// The pages.
///     ROUTES, pub router<()>,
///     get "/" Anyone => front;
/// }
/// assert_eq!(ROUTES[0].path, "/");
/// # let _: axum::Router = router();
/// ```
#[macro_export]
macro_rules! routes {
    (
        $(#[$about:meta])* $table:ident, $visible:vis $router:ident<$state:ty>,
        $( $method:ident $path:literal $who:ident => $handler:path; )*
    ) => {
        $(#[$about])*
        pub const $table: &[$crate::web::Route] = &[
            $( $crate::web::Route {
                method: $crate::routes!(@name $method),
                path: $path,
                who: $crate::web::Who::$who,
            }, )*
        ];

        /// The router of the table.
        $visible fn $router() -> ::axum::Router<$state> {
            ::axum::Router::new()$(.route($path, ::axum::routing::$method($handler)))*
        }
    };
    (@name get) => { "GET" };
    (@name post) => { "POST" };
}
