//! `/api/users/me`: what is one's own, to take along or to have erased.

use std::collections::VecDeque;

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use bytes::Bytes;
use chat_core::{
    accounts::AccountStore,
    engine::{Error, Export},
};
use futures::{Stream, stream};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::{App, accounts::NO_COOKIE, caller::Authenticated, problem::Problem, to_its_end};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/me", delete(erase)).route("/me/export", get(export))
}

/// Erases the caller. It goes on when the caller goes away, or waits no longer.
async fn erase(State(app): State<App>, Authenticated(caller): Authenticated) -> Result<Response, Problem> {
    let (engine, user) = (app.engine().clone(), caller.user().clone());
    to_its_end(async move { engine.erase_user(&user).await }).await??;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, NO_COOKIE)]).into_response())
}

/// Everything that is the caller's, as one list of JSON, written while it is read. Without the item `end` it broke
/// off.
async fn export(State(app): State<App>, Authenticated(caller): Authenticated) -> Result<Response, Problem> {
    let account = app.store().account(caller.user()).await?;
    let mut first = VecDeque::new();
    if let Some(account) = account {
        first.push_back(json!({"type": "account", "email": account.email.as_str()}).to_string());
    }
    let export = app.engine().export_user(caller.user()).await?;
    let mut response = Body::from_stream(list(first, export)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let attachment = HeaderValue::from_static("attachment; filename=\"export.json\"");
    headers.insert(header::CONTENT_DISPOSITION, attachment);
    Ok(response)
}

/// A list that is being written.
struct Writing {
    first: VecDeque<String>,
    export: Export,
    begun: bool,
    ended: bool,
}

impl Writing {
    /// The next piece of the list; `None` after its last.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if self.ended {
            return Ok(None);
        }
        let line = match self.first.pop_front() {
            Some(line) => Some(line),
            None => self.export.next().await?,
        };
        let separator = if std::mem::replace(&mut self.begun, true) { ",\n" } else { "[\n" };
        Ok(Some(match line {
            Some(line) => Bytes::from(format!("{separator}{line}")),
            None => {
                self.ended = true;
                Bytes::from_static(b"\n]\n")
            }
        }))
    }
}

fn list(first: VecDeque<String>, export: Export) -> impl Stream<Item = Result<Bytes, Error>> + Send {
    let writing = Writing { first, export, begun: false, ended: false };
    stream::try_unfold(writing, async |mut writing| {
        let piece = writing.next().await?;
        Ok(piece.map(|piece| (piece, writing)))
    })
}
