//! Fields of requests: taken one by one, so that every mistake is told at once and none repeats what was sent.

use std::ops::RangeInclusive;

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use bytes::Bytes;
use chat_core::domain::ErrorCode;
use http::{HeaderMap, StatusCode, header, request::Parts};
use serde_json::{Map, Value};

use super::{
    problem::{Invalid, Problem},
    route::{CURSOR, CURSOR_CHARS_MAX},
};

/// The fields of a JSON body, which has to be an object. Unknown ones are ignored.
#[derive(Debug)]
pub(crate) struct BodyFields {
    fields: Map<String, Value>,
    invalid: Vec<Invalid>,
}

impl BodyFields {
    /// A text that has to be there.
    pub(crate) fn text(&mut self, field: &'static str) -> String {
        match self.fields.remove(field) {
            Some(Value::String(text)) => text,
            None | Some(Value::Null) => {
                self.refuse(field, "this field is required");
                String::new()
            }
            Some(_) => {
                self.refuse(field, "expected text");
                String::new()
            }
        }
    }

    /// A text that may be there.
    pub(crate) fn optional_text(&mut self, field: &'static str) -> Option<String> {
        match self.fields.remove(field) {
            Some(Value::String(text)) => Some(text),
            None | Some(Value::Null) => None,
            Some(_) => {
                self.refuse(field, "expected text");
                None
            }
        }
    }

    /// True or false; false when it is not there.
    pub(crate) fn flag(&mut self, field: &'static str) -> bool {
        match self.fields.remove(field) {
            Some(Value::Bool(flag)) => flag,
            None | Some(Value::Null) => false,
            Some(_) => {
                self.refuse(field, "expected true or false");
                false
            }
        }
    }

    /// True or false, if it is there.
    pub(crate) fn optional_flag(&mut self, field: &'static str) -> Option<bool> {
        match self.fields.remove(field) {
            Some(Value::Bool(flag)) => Some(flag),
            None | Some(Value::Null) => None,
            Some(_) => {
                self.refuse(field, "expected true or false");
                None
            }
        }
    }

    /// A whole number that may be there.
    pub(crate) fn optional_number(&mut self, field: &'static str) -> Option<u64> {
        self.nullable_number(field).flatten()
    }

    /// A whole number that has to be there.
    pub(crate) fn number(&mut self, field: &'static str) -> u64 {
        let before = self.invalid.len();
        self.optional_number(field).unwrap_or_else(|| {
            if self.invalid.len() == before {
                self.refuse(field, "this field is required");
            }
            0
        })
    }

    /// A whole number, or `null`, that may be there.
    pub(crate) fn nullable_number(&mut self, field: &'static str) -> Option<Option<u64>> {
        match self.fields.remove(field)? {
            Value::Null => Some(None),
            // 1.0 is a whole number to JSON Schema, and to JavaScript.
            Value::Number(number) => match number.as_u64().map_or_else(|| whole(number.as_f64()?), safe) {
                Some(number) => Some(Some(number)),
                None => {
                    self.refuse(field, "expected a whole number");
                    None
                }
            },
            _ => {
                self.refuse(field, "expected a whole number");
                None
            }
        }
    }

    /// Text, or `null`, that may be there.
    pub(crate) fn nullable_text(&mut self, field: &'static str) -> Option<Option<String>> {
        match self.fields.remove(field)? {
            Value::Null => Some(None),
            Value::String(text) => Some(Some(text)),
            _ => {
                self.refuse(field, "expected text");
                None
            }
        }
    }

    /// A list of texts that has to be there.
    pub(crate) fn texts(&mut self, field: &'static str) -> Vec<String> {
        match self.fields.remove(field).map(serde_json::from_value) {
            Some(Ok(texts)) => texts,
            Some(Err(_)) => {
                self.refuse(field, "expected a list of texts");
                Vec::new()
            }
            None => {
                self.refuse(field, "this field is required");
                Vec::new()
            }
        }
    }

    /// A list of objects that may be there.
    pub(crate) fn optional_list<T: serde::de::DeserializeOwned>(
        &mut self,
        field: &'static str,
    ) -> Option<Vec<T>> {
        match self.fields.remove(field) {
            None | Some(Value::Null) => None,
            Some(list @ Value::Array(_)) => match serde_json::from_value(list) {
                Ok(items) => Some(items),
                Err(_) => {
                    self.refuse(field, "an item has a missing field or one of the wrong type");
                    None
                }
            },
            Some(_) => {
                self.refuse(field, "expected a list");
                None
            }
        }
    }

    /// Ends the taking.
    pub(crate) fn done(self) -> Result<(), Problem> {
        if self.invalid.is_empty() { Ok(()) } else { Err(Problem::invalid(self.invalid)) }
    }

    /// Notes a field that can't be accepted.
    pub(crate) fn refuse(&mut self, field: &str, message: &str) {
        self.invalid.push(Invalid { field: field.into(), message: message.into() });
    }
}

impl<S: Send + Sync> FromRequest<S> for BodyFields {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(ErrorCode::BadRequest, "expected a body of type application/json")
                .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            match rejection.into_response_status() {
                StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
                _ => Problem::new(ErrorCode::BadRequest, "the body could not be read"),
            }
        })?;
        match serde_json::from_slice(&body) {
            Ok(Value::Object(fields)) => Ok(Self { fields, invalid: Vec::new() }),
            Ok(_) => Err(Problem::new(ErrorCode::BadRequest, "the body is not a JSON object")),
            Err(_) => Err(Problem::new(ErrorCode::BadRequest, "the body is not valid JSON")),
        }
    }
}

/// The number, if every JSON library can tell it from its neighbours (RFC 8259, section 6).
fn safe(number: u64) -> Option<u64> {
    (number < 1 << 53).then_some(number)
}

/// The number, if it is a whole one.
fn whole(number: f64) -> Option<u64> {
    ((0.0..9_007_199_254_740_992.0).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

/// The fields of a JSON body that may be left out.
#[derive(Debug)]
pub(crate) struct MaybeFields(pub(crate) BodyFields);

impl<S: Send + Sync> FromRequest<S> for MaybeFields {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !request.headers().contains_key(header::CONTENT_TYPE) {
            return Ok(Self(BodyFields { fields: Map::new(), invalid: Vec::new() }));
        }
        BodyFields::from_request(request, state).await.map(Self)
    }
}

/// The status that a rejection of axum stands for.
trait RejectionStatus {
    fn into_response_status(self) -> StatusCode;
}

impl<R: axum::response::IntoResponse> RejectionStatus for R {
    fn into_response_status(self) -> StatusCode {
        self.into_response().status()
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The fields of a query string. Unknown ones are ignored; of a repeated one that is no list the last counts.
#[derive(Debug)]
pub(crate) struct QueryFields {
    fields: Vec<(String, String)>,
    invalid: Vec<Invalid>,
}

impl QueryFields {
    /// A text of at most `chars` characters that may be there.
    pub(crate) fn text(&mut self, field: &'static str, chars: usize) -> Option<String> {
        let text = self.take(field)?;
        if text.chars().nth(chars).is_some() {
            self.refuse(field, "too long");
        }
        Some(text)
    }

    /// A whole number that may be there.
    pub(crate) fn number(&mut self, field: &'static str) -> Option<u64> {
        let number = self.take(field)?.parse().ok();
        if number.is_none() {
            self.refuse(field, "expected a whole number");
        }
        number
    }

    /// A whole number in this range that may be there.
    pub(crate) fn number_in(&mut self, field: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let number = self.number(field)?;
        if !range.contains(&number) {
            self.refuse(field, "out of range");
        }
        Some(number)
    }

    /// All the texts of this name.
    pub(crate) fn texts(&mut self, field: &'static str) -> Vec<String> {
        self.fields.extract_if(.., |(name, _)| name == field).map(|(_, text)| text).collect()
    }

    fn take(&mut self, field: &'static str) -> Option<String> {
        self.texts(field).pop()
    }

    /// Notes a field that can't be accepted.
    pub(crate) fn refuse(&mut self, field: &str, message: &str) {
        self.invalid.push(Invalid { field: field.into(), message: message.into() });
    }

    /// Ends the taking.
    pub(crate) fn done(self) -> Result<(), Problem> {
        if self.invalid.is_empty() { Ok(()) } else { Err(Problem::invalid(self.invalid)) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for QueryFields {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<Vec<(String, String)>>::from_request_parts(parts, state).await {
            Ok(Query(fields)) => Ok(Self { fields, invalid: Vec::new() }),
            Err(_) => Err(Problem::new(ErrorCode::BadRequest, "malformed query string")),
        }
    }
}

/// The query of a list: where the page before ended.
#[derive(Debug)]
pub(crate) struct Cursor(pub(crate) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Cursor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut fields = QueryFields::from_request_parts(parts, state).await?;
        let cursor = fields.text(CURSOR.name, CURSOR_CHARS_MAX);
        fields.done()?;
        Ok(Self(cursor))
    }
}

/// The parts of the path that are not always the same, decoded, in their order.
#[derive(Debug)]
pub(crate) struct PathIds<const N: usize>(pub(crate) [String; N]);

impl<S: Send + Sync, const N: usize> FromRequestParts<S> for PathIds<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let malformed = || Problem::new(ErrorCode::BadRequest, "malformed path");
        let path = axum::extract::Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let axum::extract::Path(ids) = path.map_err(|_| malformed())?;
        let ids: Vec<_> = ids.into_iter().map(|(_, id)| id).collect();
        ids.try_into().map(Self).map_err(|_| malformed())
    }
}

/// One part of the path, decoded.
#[derive(Debug)]
pub(crate) struct PathId(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<String>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(id)) => Ok(Self(id)),
            Err(_) => Err(Problem::new(ErrorCode::BadRequest, "malformed path")),
        }
    }
}
