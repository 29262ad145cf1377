//! What programs may ask, as OpenAPI 3.1: made from the types the handlers read and write.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::CACHE_CONTROL;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::create::{Created, NewPaste};
use super::mine::Listed;
use super::open::Opening;
use super::show::Shown;
use crate::app::App;

pub async fn show(State(app): State<Arc<App>>) -> Response {
    ([(CACHE_CONTROL, "public, max-age=3600")], axum::Json(document(app.sites.txt.as_str()))).into_response()
}

/// The document of the site at `server`.
pub fn document(server: &str) -> Value {
    // OpenAPI 3.1 takes schemas of draft 2020-12 as they are.
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let refer = |schema: schemars::Schema| schema.to_value();
    let new = refer(generator.subschema_for::<NewPaste>());
    let created = refer(generator.subschema_for::<Created>());
    let shown = refer(generator.subschema_for::<Shown>());
    let opening = refer(generator.subschema_for::<Opening>());
    let listed = refer(generator.subschema_for::<Vec<Listed>>());
    let problem = refer(generator.subschema_for::<Problem>());
    let schemas: Map<String, Value> = generator.take_definitions(true).into_iter().collect();
    let id = json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "string", "pattern": "^[0-9A-Za-z]{20}$" } }]);
    let body =
        |schema: &Value| json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    let answers = |status: &str, about: &str, schema: Option<&Value>| {
        let content = schema.map(|schema| json!({ "application/json": { "schema": schema } }));
        let mut good = json!({ "description": about });
        if let Some(content) = content {
            good["content"] = content;
        }
        json!({
            status: good,
            "default": { "description": "What happened and what to do.", "content": { "application/json": { "schema": problem } } },
        })
    };
    let security = json!([{}, { "appPassword": [] }, { "basic": [] }]);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "irc.now pastes",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Send `Accept: application/json`. Every answer that is none of the named ones is a problem in words.",
        },
        "servers": [{ "url": server }],
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "appPassword": { "type": "http", "scheme": "bearer", "description": "An app password, or an access token with the scope upload." },
                "basic": { "type": "http", "scheme": "basic", "description": "A username and an app password." },
            },
        },
        "paths": {
            "/": { "post": {
                "operationId": "create",
                "summary": "Put up a paste. It is on disk when this answers.",
                "security": security,
                "requestBody": body(&new),
                "responses": answers("201", "It is there.", Some(&created)),
            } },
            "/{id}": { "parameters": id, "get": {
                "operationId": "read",
                "summary": "Read a paste; without its text where it is read once or has a password.",
                "responses": answers("200", "The paste.", Some(&shown)),
            } },
            "/{id}/open": { "parameters": id, "post": {
                "operationId": "open",
                "summary": "Read a paste that is read once, which deletes it, or that has a password.",
                "requestBody": body(&opening),
                "responses": answers("200", "The paste with its text.", Some(&shown)),
            } },
            "/{id}/delete": { "parameters": id, "post": {
                "operationId": "delete",
                "summary": "Delete a paste of one's own, or one whose token is sent.",
                "security": security,
                "requestBody": { "content": { "application/x-www-form-urlencoded": { "schema": {
                    "type": "object",
                    "properties": { "token": { "type": "string", "description": "`delete_token` of the answer that put it up." } },
                } } } },
                "responses": answers("204", "It is gone.", None),
            } },
            "/mine": { "get": {
                "operationId": "list",
                "summary": "The newest fifty of one's own, or of those that match `q`.",
                "security": [{ "appPassword": [] }, { "basic": [] }],
                "parameters": [{ "name": "q", "in": "query", "schema": { "type": "string" } }],
                "responses": answers("200", "The list.", Some(&listed)),
            } },
        },
    })
}

/// Why there is no other answer.
// Only its shape is told: `service::web::Problem` writes it.
#[derive(serde::Serialize, schemars::JsonSchema)]
struct Problem {
    /// A stable name: `not_found`, `too_many_requests`.
    error: String,
    /// What happened, a sentence for people.
    message: String,
    /// What to do, a sentence for people.
    advice: String,
    /// To ask the operator about.
    request_id: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::routes::SITE_ROUTES;

    fn refs(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(to)) = fields.get("$ref") {
                    found.push(to.clone());
                }
                fields.values().for_each(|value| refs(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| refs(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_path_is_a_route_and_every_reference_leads_somewhere() {
        let document = document("https://txt.irc.now");
        assert_eq!(document["openapi"], "3.1.0");
        for (path, operations) in document["paths"].as_object().unwrap() {
            for method in operations.as_object().unwrap().keys().filter(|key| *key != "parameters") {
                let known = SITE_ROUTES
                    .iter()
                    .any(|route| route.path == path && route.method.eq_ignore_ascii_case(method));
                assert!(known, "{method} {path}");
            }
        }
        let mut found = Vec::new();
        refs(&document, &mut found);
        assert!(found.len() >= 8, "{found:?}");
        for to in found {
            assert!(document.pointer(to.strip_prefix('#').unwrap()).is_some(), "{to}");
        }
        let fields = &document["components"]["schemas"]["NewPaste"]["properties"];
        for field in ["text", "encrypted", "title", "language", "expires", "burn", "password", "parent"] {
            assert!(fields[field]["description"].is_string(), "{field}: {fields}");
        }
    }
}
