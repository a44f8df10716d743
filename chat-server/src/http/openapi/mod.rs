//! The description of the API, made from the table of routes (OpenAPI 3.1), and a page to read it.

mod reader;
mod schemas;

use std::sync::LazyLock;

use axum::{
    response::{Html, IntoResponse, Response},
    routing,
};
use http::header;
use serde_json::{Map, Value, json};

use super::route::{Access, Body, Content, Kind, Param, Route, Verb};

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Get, "/openapi.json", "getDescription", "This description", || routing::get(document))
        .access(Access::Open)
        .answers(&[(200, Content::Bytes("application/json"))]),
    Route::new(Verb::Get, "/docs", "getReader", "This description as a page", || routing::get(reader))
        .access(Access::Open)
        .answers(&[(200, Content::Bytes("text/html"))]),
    Route::new(Verb::Get, "/docs/style.css", "getReaderStyle", "How that page looks", || routing::get(style))
        .access(Access::Open)
        .answers(&[(200, Content::Bytes("text/css"))]),
];

/// The description, as it is served: the same for as long as the process lives.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| describe(super::ROUTES).to_string());

/// The page, made from the same table.
static READER: LazyLock<String> = LazyLock::new(|| reader::page(super::ROUTES, &schemas::all()));

/// `GET /api/openapi.json`
async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

/// `GET /api/docs`: needs no script and nothing from elsewhere.
async fn reader() -> Response {
    let policy =
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(READER.as_str())).into_response()
}

/// `GET /api/docs/style.css`
async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css")).into_response()
}

/// Describes these operations.
fn describe(routes: &[&[Route]]) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes.iter().flat_map(|rows| rows.iter()) {
        let path = paths.entry(format!("/api{}", route.path)).or_insert_with(|| json!({}));
        path[route.verb.as_str()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Chat engine",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Everything that is not live, and a fallback for what is. Errors are application/problem+json \
                            (RFC 9457). Lists page by cursor.",
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
            "responses": { "Problem": problem() },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.summary,
        "tags": [tag(route)],
        "responses": responses(route),
    });
    if route.access != Access::Open {
        operation["security"] = json!([{ "token": [] }]);
    }
    if route.access == Access::Admin {
        operation["description"] = json!("Takes the server role admin.");
    }
    let parameters: Vec<_> =
        path_parameters(route).chain(route.query.iter().map(parameter)).chain(key(route)).collect();
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(Body { schema, required, media_type }) = route.body {
        operation["requestBody"] =
            json!({ "required": required, "content": { media_type: { "schema": reference(schema) } } });
    }
    operation
}

/// Operations are grouped by the first part of their path.
pub(super) fn tag(route: &Route) -> &'static str {
    route.path.split('/').nth(1).unwrap_or_default()
}

fn responses(route: &Route) -> Value {
    let mut responses = Map::new();
    for (status, content) in route.answers {
        let mut answer = json!({ "description": description(*status) });
        match content {
            Content::Nothing => {}
            Content::Json(schema) => answer["content"] = json_content(schema),
            Content::Events(schema) => {
                answer["content"] = json_content(schema);
                answer["content"]["text/event-stream"] = json!({ "schema": { "type": "string" } });
            }
            Content::Stream => {
                answer["content"] = json!({ "text/event-stream": { "schema": { "type": "string" } } });
            }
            Content::Bytes(media_type) => answer["content"] = json!({ *media_type: {} }),
        }
        responses.insert(status.to_string(), answer);
    }
    // A head that is too long is refused before anybody reads what it asks for.
    responses.insert("431".to_owned(), json!({ "description": description(431) }));
    for range in ["4XX", "5XX"] {
        responses.insert(range.to_owned(), json!({ "$ref": "#/components/responses/Problem" }));
    }
    responses.into()
}

fn json_content(schema: &str) -> Value {
    json!({ "application/json": { "schema": reference(schema) } })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

const fn description(status: u16) -> &'static str {
    match status {
        201 => "Created",
        202 => "Accepted: it waits for a moderator",
        204 => "Done",
        206 => "A part of it",
        431 => "The head of the request is too long, or has too many headers",
        _ => "OK",
    }
}

fn problem() -> Value {
    json!({
        "description": "Why it was not done",
        "content": { "application/problem+json": { "schema": reference("Problem") } },
    })
}

/// The parts of the path in braces.
fn path_parameters(route: &Route) -> impl Iterator<Item = Value> {
    let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| {
        let schema = schemas::of_path(name);
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    })
}

fn parameter(param: &Param) -> Value {
    let schema = match param.kind {
        Kind::Text(chars) => json!({ "type": "string", "maxLength": chars }),
        Kind::Lines(chars) => json!({ "type": "string", "maxLength": chars, "pattern": schemas::LINES }),
        Kind::Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Choice(choices) => json!({ "type": "string", "enum": choices }),
        Kind::Texts(most) => {
            json!({ "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": most })
        }
    };
    json!({
        "name": param.name, "in": "query", "required": param.required, "description": param.about,
        "schema": schema,
    })
}

fn key(route: &Route) -> Option<Value> {
    route.takes_key.then(|| {
        json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Makes a repeat the same send: as clientMessageId, which it goes before",
            "schema": { "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[!-~]+$" },
        })
    })
}

impl Verb {
    /// As OpenAPI writes it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let names: Vec<_> =
            super::super::ROUTES.iter().flat_map(|rows| rows.iter()).map(|route| route.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }

    #[test]
    fn every_schema_that_is_referred_to_is_there_and_every_one_there_is_referred_to() {
        fn collect(value: &Value, into: &mut BTreeSet<String>) {
            match value {
                Value::Object(fields) => fields.iter().for_each(|(name, value)| match value {
                    Value::String(text) if name == "$ref" => {
                        into.extend(text.strip_prefix("#/components/schemas/").map(str::to_owned));
                    }
                    value => collect(value, into),
                }),
                Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
                _ => {}
            }
        }
        let mut referred = BTreeSet::new();
        collect(&describe(super::super::ROUTES), &mut referred);
        let there: BTreeSet<_> = schemas::all().as_object().unwrap().keys().cloned().collect();
        assert_eq!(referred, there);
    }
}
