//! `/api/rooms`: the commands of the WebSocket, over HTTP. Each handler only brings its request into the form of
//! a command; the engine has one table of operations for both.

use axum::{
    Json, Router,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use chat_core::{
    domain::ErrorCode,
    wire::{Answer, ClientCommand, CreateRoom, FetchHistory, ListMembers, ListRooms, Scope, SendMessage},
};
use http::{HeaderMap, StatusCode};

use super::{
    App,
    caller::Authenticated,
    fields::{BodyFields, PathId, QueryFields},
    problem::Problem,
};
use crate::limits::QUERY_CHARS_MAX;

/// Longest cursor that is looked at; ours are shorter.
const CURSOR_CHARS_MAX: usize = 1_024;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(list).post(create))
        .route("/{room}/join", post(join))
        .route("/{room}/leave", delete(leave))
        .route("/{room}/members", get(members))
        .route("/{room}/messages", get(history).post(send))
}

async fn list(Authenticated(caller): Authenticated, mut fields: QueryFields) -> Result<Response, Problem> {
    let scope = match fields.text("scope", 10).as_deref() {
        None | Some("public") => Scope::Public,
        Some("mine") => Scope::Mine,
        Some(_) => {
            fields.refuse("scope", "expected public or mine");
            Scope::Public
        }
    };
    let query = fields.text("query", QUERY_CHARS_MAX);
    let cursor = fields.text("cursor", CURSOR_CHARS_MAX);
    fields.done()?;
    let list = ClientCommand::ListRooms(ListRooms { scope, query, cursor });
    Ok(answered(StatusCode::OK, &caller.perform(list).await?))
}

async fn create(Authenticated(caller): Authenticated, mut fields: BodyFields) -> Result<Response, Problem> {
    let create = CreateRoom {
        name: fields.text("name"),
        description: fields.optional_text("description"),
        private: fields.flag("private"),
    };
    fields.done()?;
    Ok(answered(StatusCode::CREATED, &caller.perform(ClientCommand::CreateRoom(create)).await?))
}

async fn join(Authenticated(caller): Authenticated, PathId(room): PathId) -> Result<Response, Problem> {
    Ok(answered(StatusCode::OK, &caller.perform(ClientCommand::JoinRoom(room)).await?))
}

async fn leave(Authenticated(caller): Authenticated, PathId(room): PathId) -> Result<Response, Problem> {
    caller.perform(ClientCommand::LeaveRoom(room)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn members(
    Authenticated(caller): Authenticated,
    PathId(room_id): PathId,
    mut fields: QueryFields,
) -> Result<Response, Problem> {
    let cursor = fields.text("cursor", CURSOR_CHARS_MAX);
    fields.done()?;
    let list = ClientCommand::ListMembers(ListMembers { room_id, cursor });
    Ok(answered(StatusCode::OK, &caller.perform(list).await?))
}

async fn history(
    Authenticated(caller): Authenticated,
    PathId(room_id): PathId,
    mut fields: QueryFields,
) -> Result<Response, Problem> {
    let fetch = FetchHistory {
        room_id,
        before: fields.number("before"),
        after: fields.number("after"),
        around: fields.number("around"),
        limit: fields.number("limit"),
    };
    fields.done()?;
    Ok(answered(StatusCode::OK, &caller.perform(ClientCommand::FetchHistory(fetch)).await?))
}

/// A repeat of a send created nothing, so it is 200.
async fn send(
    Authenticated(caller): Authenticated,
    PathId(room_id): PathId,
    headers: HeaderMap,
    mut fields: BodyFields,
) -> Result<Response, Problem> {
    let header_key = idempotency_key(&headers)?;
    let body_key = fields.optional_text("clientMessageId");
    let send = SendMessage {
        room_id,
        content: fields.text("content"),
        message_type: fields.optional_text("messageType"),
        client_message_id: header_key.or(body_key),
        reply_to: fields.optional_text("replyTo"),
        thread_id: fields.optional_text("threadId"),
        attachments: fields.optional_list("attachments"),
    };
    fields.done()?;
    let answer = caller.perform(ClientCommand::SendMessage(send)).await?;
    let status = match answer {
        Answer::Sent { duplicate: true, .. } => StatusCode::OK,
        // It waits for a moderator.
        Answer::Held { .. } => StatusCode::ACCEPTED,
        _ => StatusCode::CREATED,
    };
    Ok(answered(status, &answer))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    // Header values are bytes; UTF-8 is what clients mean by them.
    match std::str::from_utf8(value.as_bytes()) {
        Ok(key) => Ok(Some(key.to_owned())),
        Err(_) => Err(Problem::new(ErrorCode::BadRequest, "the Idempotency-Key is not UTF-8")),
    }
}

fn answered(status: StatusCode, answer: &Answer) -> Response {
    (status, Json(answer.body())).into_response()
}
