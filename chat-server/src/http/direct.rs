//! Direct messages.

use axum::{response::Response, routing};
use chat_core::{
    domain::{ErrorCode, Rejection},
    id::{RoomId, UserId},
    wire::{ClientCommand, SendDm},
};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::{
    caller::{Authenticated, answered, listed, shown},
    fields::{BodyFields, Cursor, PathId, QueryFields},
    messages::{HISTORY, SENT, draft, page, sent},
    problem::Problem,
    route::{CURSOR, Content::Json, Route, Verb},
};

pub(super) const ROUTES: &[Route] = &[
    Route::new(
        Verb::Get,
        "/direct-messages",
        "listDirectMessages",
        "Lists the caller's direct rooms, each with the other one of its two",
        || routing::get(list),
    )
    .query(&[CURSOR])
    .answers(&[(200, Json("DirectRoomPage"))]),
    Route::new(
        Verb::Get,
        "/direct-messages/{user}",
        "readDirectMessages",
        "Reads a page of the messages between the caller and a user",
        || routing::get(history),
    )
    .query(HISTORY)
    .answers(&[(200, Json("MessagePage"))]),
    Route::new(
        Verb::Post,
        "/direct-messages/{user}",
        "sendDirectMessage",
        "Sends a message to one user",
        || routing::post(send),
    )
    .takes_key()
    .body("SendMessage")
    .answers(SENT),
];

async fn list(Authenticated(caller): Authenticated, Cursor(cursor): Cursor) -> Result<Response, Problem> {
    let page = caller.direct_rooms(cursor).await?;
    let items = page.items.iter().map(|(room, user)| {
        let mut item = serde_json::to_value(room).unwrap_or_default();
        item["user"] = json!({ "id": user.id.as_str(), "username": user.username.as_str() });
        item
    });
    Ok(listed(items, page.next.as_deref()))
}

/// Before the first message there is no room; that is no reason to refuse a page.
async fn history(
    Authenticated(caller): Authenticated,
    PathId(user): PathId,
    mut fields: QueryFields,
) -> Result<Response, Problem> {
    let user = UserId::parse(&user).map_err(|_| chat_core::engine::Error::from(Rejection::NO_USER))?;
    let room = RoomId::direct(caller.user(), &user);
    let fetch = page(room.as_str().to_owned(), &mut fields);
    fields.done()?;
    match caller.perform(ClientCommand::FetchHistory(fetch)).await {
        Err(error) if error.code() == ErrorCode::NotFound => {
            caller.other(&user).await?;
            let none = json!({
                "roomId": room.as_str(), "messages": [], "hasMoreBefore": false, "hasMoreAfter": false,
            });
            Ok(shown(StatusCode::OK, &none))
        }
        answer => Ok(answered(StatusCode::OK, &answer?)),
    }
}

async fn send(
    Authenticated(caller): Authenticated,
    PathId(recipient_id): PathId,
    headers: HeaderMap,
    mut fields: BodyFields,
) -> Result<Response, Problem> {
    let message = draft(String::new(), &headers, &mut fields)?;
    fields.done()?;
    Ok(sent(&caller.perform(ClientCommand::SendDm(SendDm { recipient_id, message })).await?))
}
