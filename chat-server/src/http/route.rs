//! The table of routes: each row is both what is answered and what is documented, so that neither is without the other.

use axum::{Router, routing::MethodRouter};

use super::App;

/// One operation of the API.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    /// How it is asked for.
    pub(super) verb: Verb,
    /// Where, below `/api`.
    pub(super) path: &'static str,
    /// Its name: unique, camelCase.
    pub(super) name: &'static str,
    /// What it does, in a sentence.
    pub(super) summary: &'static str,
    pub(super) access: Access,
    pub(super) query: &'static [Param],
    /// Whether a send can be made idempotent by the header `Idempotency-Key`.
    pub(super) takes_key: bool,
    pub(super) body: Option<Body>,
    /// What is answered when it goes well: the status, and the schema of the body.
    pub(super) answers: &'static [(u16, Content)],
    /// Whether the answer may take as long as it likes.
    pub(super) is_long: bool,
    handler: fn() -> MethodRouter<App>,
}

/// A method of HTTP that the API uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody.
    Open,
    /// Who presents an access token.
    User,
    /// Who presents an access token and has the server role `admin`.
    Admin,
}

/// The body of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body {
    pub(super) schema: &'static str,
    pub(super) required: bool,
    /// `application/json` unless told.
    pub(super) media_type: &'static str,
}

/// The body of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    /// None.
    Nothing,
    /// JSON of this schema.
    Json(&'static str),
    /// JSON of this schema, or a stream of server-sent events with the same frames.
    Events(&'static str),
    /// A stream of server-sent events.
    Stream,
    /// Bytes of another type.
    Bytes(&'static str),
}

/// A parameter of the query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Param {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
}

/// What a parameter can be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Text of at most so many characters.
    Text(usize),
    /// Text of at most so many characters, without control characters but newline and tab.
    Lines(usize),
    /// A whole number in this range.
    Number(u64, u64),
    /// One of these.
    Choice(&'static [&'static str]),
    /// Texts, the parameter repeated, at most so many.
    Texts(usize),
}

impl Route {
    /// An operation for users, without parameters, that answers 204.
    pub(super) const fn new(
        verb: Verb,
        path: &'static str,
        name: &'static str,
        summary: &'static str,
        handler: fn() -> MethodRouter<App>,
    ) -> Self {
        Self {
            verb,
            path,
            name,
            summary,
            access: Access::User,
            query: &[],
            takes_key: false,
            body: None,
            answers: &[(204, Content::Nothing)],
            is_long: false,
            handler,
        }
    }

    pub(super) const fn access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    pub(super) const fn query(self, query: &'static [Param]) -> Self {
        Self { query, ..self }
    }

    pub(super) const fn takes_key(self) -> Self {
        Self { takes_key: true, ..self }
    }

    pub(super) const fn body(self, schema: &'static str) -> Self {
        Self { body: Some(Body { schema, required: true, media_type: "application/json" }), ..self }
    }

    /// A form with a file.
    pub(super) const fn form(self, schema: &'static str) -> Self {
        Self { body: Some(Body { schema, required: true, media_type: "multipart/form-data" }), ..self }
    }

    pub(super) const fn optional_body(self, schema: &'static str) -> Self {
        Self { body: Some(Body { schema, required: false, media_type: "application/json" }), ..self }
    }

    pub(super) const fn answers(self, answers: &'static [(u16, Content)]) -> Self {
        Self { answers, ..self }
    }

    pub(super) const fn long(self) -> Self {
        Self { is_long: true, ..self }
    }
}

impl Param {
    pub(super) const fn new(name: &'static str, about: &'static str, kind: Kind) -> Self {
        Self { name, about, kind, required: false }
    }

    pub(super) const fn required(self) -> Self {
        Self { required: true, ..self }
    }
}

/// Where a page of a list ended.
pub(super) const CURSOR: Param =
    Param::new("cursor", "Where the page before ended: its nextCursor", Kind::Text(CURSOR_CHARS_MAX));

/// Longest cursor that is looked at; ours are shorter.
pub(super) const CURSOR_CHARS_MAX: usize = 1_024;

/// The routes of these rows: those that end in time, and those that may take as long as they like.
pub(super) fn routers(rows: &[&[Route]]) -> (Router<App>, Router<App>) {
    let all = rows.iter().flat_map(|rows| rows.iter());
    all.fold((Router::new(), Router::new()), |(short, long), row| match row.is_long {
        false => (short.route(row.path, (row.handler)()), long),
        true => (short, long.route(row.path, (row.handler)())),
    })
}
