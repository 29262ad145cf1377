//! Device certificates: a fingerprint in, a login without a password out.

use axum::extract::State;
use axum::response::Response;
use contracts::{Accounts as _, Call};
use service::view::Form;
use uuid::Uuid;

use super::account::{again, back};
use super::{Posted, Visit};
use crate::Gatekeeper;

pub async fn add(visit: Visit, State(gate): State<Gatekeeper>, axum::Form(pairs): Posted) -> Response {
    let who = match visit.required(&gate).await {
        Ok(who) => who,
        Err(response) => return response,
    };
    let form = Form::from_pairs(pairs);
    let call = Call::new(who.account.sub, "").changing();
    let (name, fingerprint) = (form.value("name").to_owned(), form.value("fingerprint").to_owned());
    match gate.add_certificate(&call, name, fingerprint).await {
        Ok(_) => back("certificate"),
        Err(error) => again(&gate, visit, &who, form, error.into()).await,
    }
}

pub async fn revoke(visit: Visit, State(gate): State<Gatekeeper>, axum::Form(pairs): Posted) -> Response {
    let who = match visit.required(&gate).await {
        Ok(who) => who,
        Err(response) => return response,
    };
    let form = Form::from_pairs(pairs);
    let call = Call::new(who.account.sub, "").changing();
    let id = Uuid::parse_str(form.value("id")).unwrap_or_default();
    match gate.revoke_credential(&call, id).await {
        Ok(()) => back("revoked"),
        Err(error) => super::trouble(error.into()),
    }
}
