//! The door the API server knocks at.

use std::sync::{Arc, PoisonError};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use entitlements::Table;

use crate::metrics::Metrics;
use crate::review;
use crate::rules;
use crate::watch::Shared;

/// What the API server sends at the most: an object of its largest size, twice, and what stands around them.
const LONGEST: usize = 4 << 20;

/// What answers are made from.
#[derive(Clone, Debug)]
pub struct Answers {
    /// What is known of others.
    pub known: Shared,
    /// Plans and what they allow.
    pub plans: Arc<Table>,
    /// Figures.
    pub metrics: Metrics,
}

/// `/validate`.
pub fn router(answers: Answers) -> Router {
    Router::new().route("/validate", post(validate)).layer(DefaultBodyLimit::max(LONGEST)).with_state(answers)
}

async fn validate(State(answers): State<Answers>, body: Bytes) -> Response {
    let answer = {
        let known = answers.known.read().unwrap_or_else(PoisonError::into_inner);
        review::answer(&body, |question| rules::decide(question, &known, &answers.plans))
    };
    match answer {
        Ok(answer) => {
            answers.metrics.answered(answer.kind, answer.outcome);
            Json(answer.body).into_response()
        }
        // The API server goes on without an answer.
        Err(error) => {
            answers.metrics.unread();
            tracing::warn!(%error, "what came is no question");
            (StatusCode::BAD_REQUEST, error.to_string()).into_response()
        }
    }
}
