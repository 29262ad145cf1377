//! The pages, a module each: what it asks for, what it shows, what its forms do.

pub(crate) mod account;
pub(crate) mod connect;
pub(crate) mod dashboard;
pub(crate) mod dedicated;
pub(crate) mod hosting;
pub(crate) mod networks;
pub(crate) mod passwords;
pub(crate) mod public;
pub(crate) mod start;

use askama::Template;
use axum::response::{Html, IntoResponse, Redirect, Response};
use contracts::CallError;
use http::StatusCode;
use service::view::Form;
use service::web::Problem;

/// What a page's handler answers.
pub(crate) type Page = Result<Response, Problem>;

/// What a browser sends with a form.
pub(crate) type Sent = axum::Form<Vec<(String, String)>>;

/// A rendered page.
pub(crate) fn page(template: &impl Template) -> Page {
    page_with(StatusCode::OK, template)
}

/// A rendered page with a status of its own.
pub(crate) fn page_with(status: StatusCode, template: &impl Template) -> Page {
    let html = template.render().map_err(Problem::internal)?;
    Ok((status, [(http::header::CACHE_CONTROL, "no-store")], Html(html)).into_response())
}

/// Off to another page of the same site, after a form was taken.
pub(crate) fn go(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// Where a form wants to come back to: a path of this site, else `otherwise`.
pub(crate) fn next<'a>(form: &'a Form, otherwise: &'a str) -> &'a str {
    let next = form.value("next");
    let ours = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n']);
    if ours { next } else { otherwise }
}

/// A call's refusal as a page of its own: for everything that is not a form to correct.
pub(crate) fn problem(error: CallError) -> Problem {
    let (status, advice) = match &error {
        CallError::NotFound { what } => {
            return Problem::new(
                StatusCode::NOT_FOUND,
                format!("There is no such {what}."),
                "It may have been deleted. Go back to the overview and look for it there.",
            );
        }
        CallError::Forbidden { .. } => (StatusCode::FORBIDDEN, ""),
        CallError::Invalid { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "Go back and change it."),
        CallError::Quota { .. } => (StatusCode::FORBIDDEN, ""),
        CallError::Conflict { .. } => (StatusCode::CONFLICT, "Load the page again and repeat your change."),
        CallError::Unavailable { .. } => {
            tracing::warn!(%error, "a service does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "Try again in a moment.")
        }
    };
    Problem::new(status, crate::words::sentence(&error.to_string()), advice)
}

/// Puts a call's refusal into the form it came from, beside the field it is about, so that what was typed stays. What
/// no form can mend comes back.
pub(crate) fn into_form(form: &mut Form, error: CallError, fields: &[&str]) -> Result<StatusCode, Problem> {
    match error {
        CallError::Invalid { field, message } => {
            let field = if fields.contains(&field.as_str()) { field } else { String::new() };
            form.refuse(&field, message);
            Ok(StatusCode::UNPROCESSABLE_ENTITY)
        }
        CallError::Quota { message, .. } => {
            form.refuse("", message);
            Ok(StatusCode::FORBIDDEN)
        }
        CallError::Conflict { message } => {
            form.refuse("", message);
            Ok(StatusCode::CONFLICT)
        }
        CallError::Forbidden { reason } => {
            form.refuse("", reason);
            Ok(StatusCode::FORBIDDEN)
        }
        CallError::Unavailable { reason } => {
            form.refuse(
                "",
                format!("{} Nothing you typed is lost: send it again.", crate::words::sentence(&reason)),
            );
            Ok(StatusCode::SERVICE_UNAVAILABLE)
        }
        error @ CallError::NotFound { .. } => Err(problem(error)),
    }
}

/// A path segment that should be an id. What is none names nothing: 404, not 400, so that nothing is learnt.
pub(crate) fn id(text: &str, what: &str) -> Result<uuid::Uuid, Problem> {
    text.parse().map_err(|_| problem(CallError::not_found(what)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_never_leads_to_another_site() {
        for bad in ["https://evil.example", "//evil.example", "/\\evil.example", "evil", ""] {
            assert_eq!(next(&Form::new().with("next", bad), "/"), "/", "{bad}");
        }
        assert_eq!(next(&Form::new().with("next", "/start"), "/"), "/start");
    }
}
