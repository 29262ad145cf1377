//! The relying party every service uses: OIDC login, session rows, bearer tokens, user claims, CSRF and roles.

pub mod jwt;
