//! Messages: reading, sending and changing them.

use axum::{response::Response, routing};
use chat_core::{
    domain::ErrorCode,
    wire::{
        Answer, ClientCommand, EditMessage, FetchHistory, FetchThread, ListPins, MessageRef, ReactionFields,
        SendMessage,
    },
};
use http::{HeaderMap, StatusCode};

use super::{
    caller::{Authenticated, Principal, answered, performed},
    fields::{BodyFields, PathId, PathIds, QueryFields},
    problem::Problem,
    route::{Content::Json, Kind, Param, Route, Verb},
};

/// The greatest seq that there can be.
pub(super) const SEQ_MAX: u64 = (1 << 53) - 1;

/// Most messages on a page.
const PAGE_MAX: u64 = 200;

const BEFORE: Param = Param::new("before", "Messages before this seq", Kind::Number(0, SEQ_MAX));
const AFTER: Param = Param::new("after", "Messages after this seq", Kind::Number(0, SEQ_MAX));
const AROUND: Param =
    Param::new("around", "Messages around this seq, itself included", Kind::Number(0, SEQ_MAX));
const LIMIT: Param = Param::new("limit", "At most so many; 50 unless told", Kind::Number(1, PAGE_MAX));

/// The places of a page of history, of which at most one is given.
pub(super) const HISTORY: &[Param] = &[BEFORE, AFTER, AROUND, LIMIT];

/// What a send is answered: a new message, the first answer to a repeat, or that it waits for a moderator.
pub(super) const SENT: &[(u16, super::route::Content)] =
    &[(201, Json("Sent")), (200, Json("Sent")), (202, Json("Held"))];

pub(super) const ROUTES: &[Route] = &[
    Route::new(
        Verb::Get,
        "/rooms/{room}/messages",
        "listMessages",
        "Reads a page of a room's messages",
        || routing::get(history),
    )
    .query(HISTORY)
    .answers(&[(200, Json("MessagePage"))]),
    Route::new(Verb::Post, "/rooms/{room}/messages", "sendMessage", "Sends a message", || {
        routing::post(send)
    })
    .takes_key()
    .body("SendMessage")
    .answers(SENT),
    Route::new(
        Verb::Put,
        "/rooms/{room}/messages/{message}",
        "editMessage",
        "Gives one's own message another text",
        || routing::put(edit),
    )
    .body("EditMessage")
    .answers(&[(200, Json("Changed"))]),
    Route::new(
        Verb::Delete,
        "/rooms/{room}/messages/{message}",
        "deleteMessage",
        "Deletes a message",
        || routing::delete(delete::<Authenticated>),
    )
    .answers(&[(200, Json("Changed"))]),
    Route::new(
        Verb::Get,
        "/rooms/{room}/messages/{message}/history",
        "listEdits",
        "Reads the texts that a message had before",
        || routing::get(edits),
    )
    .answers(&[(200, Json("Edits"))]),
    Route::new(
        Verb::Get,
        "/rooms/{room}/messages/{message}/thread",
        "listThread",
        "Reads a page of the thread of a message",
        || routing::get(thread),
    )
    .query(&[BEFORE, AFTER, LIMIT])
    .answers(&[(200, Json("ThreadPage"))]),
    Route::new(
        Verb::Put,
        "/rooms/{room}/messages/{message}/reactions/{emoji}",
        "addReaction",
        "Puts an emoji under a message",
        || routing::put(react),
    )
    .answers(&[(200, Json("Changed"))]),
    Route::new(
        Verb::Delete,
        "/rooms/{room}/messages/{message}/reactions/{emoji}",
        "removeReaction",
        "Takes one's own emoji back",
        || routing::delete(unreact),
    )
    .answers(&[(200, Json("Changed"))]),
    Route::new(Verb::Get, "/rooms/{room}/pins", "listPins", "Reads the pinned messages of a room", || {
        routing::get(pins)
    })
    .query(&[BEFORE])
    .answers(&[(200, Json("Pins"))]),
    Route::new(
        Verb::Get,
        "/rooms/{room}/pins/{message}",
        "getPin",
        "Reads a message if it is pinned",
        || routing::get(pinned),
    )
    .answers(&[(200, Json("MessageAnswer"))]),
    Route::new(Verb::Put, "/rooms/{room}/pins/{message}", "pinMessage", "Pins a message", || {
        routing::put(pin)
    })
    .answers(&[(200, Json("Changed"))]),
    Route::new(Verb::Delete, "/rooms/{room}/pins/{message}", "unpinMessage", "Unpins a message", || {
        routing::delete(unpin)
    })
    .answers(&[(200, Json("Changed"))]),
];

async fn history(
    Authenticated(caller): Authenticated,
    PathId(room): PathId,
    mut fields: QueryFields,
) -> Result<Response, Problem> {
    let fetch = page(room, &mut fields);
    fields.done()?;
    performed(&caller, ClientCommand::FetchHistory(fetch)).await
}

/// A page of a room's history, as the query names it. Of several places the nearest to a point counts: `around`, then
/// `before`, then `after`.
pub(super) fn page(room_id: String, fields: &mut QueryFields) -> FetchHistory {
    let around = fields.number_in("around", 0..=SEQ_MAX);
    let before = fields.number_in("before", 0..=SEQ_MAX).filter(|_| around.is_none());
    let after = fields.number_in("after", 0..=SEQ_MAX).filter(|_| around.is_none() && before.is_none());
    FetchHistory { room_id, before, after, around, limit: fields.number_in("limit", 1..=PAGE_MAX) }
}

async fn send(
    Authenticated(caller): Authenticated,
    PathId(room): PathId,
    headers: HeaderMap,
    mut fields: BodyFields,
) -> Result<Response, Problem> {
    let send = draft(room, &headers, &mut fields)?;
    fields.done()?;
    Ok(sent(&caller.perform(ClientCommand::SendMessage(send)).await?))
}

/// A message, as the body and the header `Idempotency-Key` say.
pub(super) fn draft(
    room_id: String,
    headers: &HeaderMap,
    fields: &mut BodyFields,
) -> Result<SendMessage, Problem> {
    let header_key = idempotency_key(headers)?;
    let body_key = fields.optional_text("clientMessageId");
    let attachments = fields.optional_list("attachments").filter(|attachments| !attachments.is_empty());
    Ok(SendMessage {
        room_id,
        // With files, the text may be left out.
        content: match &attachments {
            Some(_) => fields.optional_text("content").unwrap_or_default(),
            None => fields.text("content"),
        },
        message_type: fields.optional_text("messageType"),
        client_message_id: header_key.or(body_key),
        reply_to: fields.optional_text("replyTo"),
        thread_id: fields.optional_text("threadId"),
        attachments,
    })
}

/// Answers a send. A repeat created nothing, so it is 200.
pub(super) fn sent(answer: &Answer) -> Response {
    let status = match answer {
        Answer::Sent { duplicate: true, .. } => StatusCode::OK,
        // It waits for a moderator.
        Answer::Held { .. } => StatusCode::ACCEPTED,
        _ => StatusCode::CREATED,
    };
    answered(status, answer)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    // Header values are bytes; UTF-8 is what clients mean by them.
    match std::str::from_utf8(value.as_bytes()) {
        Ok(key) => Ok(Some(key.to_owned())),
        Err(_) => Err(Problem::new(ErrorCode::BadRequest, "the Idempotency-Key is not UTF-8")),
    }
}

async fn edit(
    Authenticated(caller): Authenticated,
    PathIds([room_id, message_id]): PathIds<2>,
    mut fields: BodyFields,
) -> Result<Response, Problem> {
    let content = fields.text("content");
    fields.done()?;
    performed(&caller, ClientCommand::EditMessage(EditMessage { room_id, message_id, content })).await
}

pub(super) async fn delete<P: Principal>(principal: P, message: Message) -> Result<Response, Problem> {
    performed(&principal.into_caller(), ClientCommand::DeleteMessage(at(message))).await
}

async fn edits(Authenticated(caller): Authenticated, message: Message) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::FetchEdits(at(message))).await
}

async fn thread(
    Authenticated(caller): Authenticated,
    PathIds([room_id, message_id]): Message,
    mut fields: QueryFields,
) -> Result<Response, Problem> {
    let before = fields.number_in("before", 0..=SEQ_MAX);
    let after = fields.number_in("after", 0..=SEQ_MAX).filter(|_| before.is_none());
    let fetch =
        FetchThread { room_id, message_id, before, after, limit: fields.number_in("limit", 1..=PAGE_MAX) };
    fields.done()?;
    performed(&caller, ClientCommand::FetchThread(fetch)).await
}

async fn react(Authenticated(caller): Authenticated, reaction: PathIds<3>) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::AddReaction(emoji(reaction))).await
}

async fn unreact(Authenticated(caller): Authenticated, reaction: PathIds<3>) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::RemoveReaction(emoji(reaction))).await
}

async fn pins(
    Authenticated(caller): Authenticated,
    PathId(room_id): PathId,
    mut fields: QueryFields,
) -> Result<Response, Problem> {
    let before = fields.number_in("before", 0..=SEQ_MAX);
    fields.done()?;
    performed(&caller, ClientCommand::ListPins(ListPins { room_id, before })).await
}

async fn pinned(Authenticated(caller): Authenticated, message: Message) -> Result<Response, Problem> {
    let pinned = caller.pinned(at(message)).await?;
    Ok(super::caller::shown(StatusCode::OK, &serde_json::json!({ "message": pinned })))
}

async fn pin(Authenticated(caller): Authenticated, message: Message) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::PinMessage(at(message))).await
}

async fn unpin(Authenticated(caller): Authenticated, message: Message) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::UnpinMessage(at(message))).await
}

/// A room and a message in it.
pub(super) type Message = PathIds<2>;

fn at(PathIds([room_id, message_id]): Message) -> MessageRef {
    MessageRef { room_id, message_id }
}

fn emoji(PathIds([room_id, message_id, emoji]): PathIds<3>) -> ReactionFields {
    ReactionFields { room_id, message_id, emoji }
}
