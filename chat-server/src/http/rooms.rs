//! Rooms: finding, making, changing, joining and leaving them.

use axum::{response::Response, routing};
use chat_core::domain::Description;
use chat_core::wire::{
    Answer, ClientCommand, CreateGroup, CreateRoom, ListMembers, ListRooms, Mark, Scope, UpdateRoom,
};
use http::StatusCode;

use super::{
    caller::{Authenticated, Principal, answered, performed},
    fields::{BodyFields, Cursor, PathId, QueryFields},
    problem::Problem,
    route::{CURSOR, CURSOR_CHARS_MAX, Content::Json, Kind, Param, Route, Verb},
};
use crate::limits::QUERY_CHARS_MAX;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Get, "/rooms", "listRooms", "Lists public rooms, or the caller's own", || {
        routing::get(list)
    })
    .query(&[
        Param::new("scope", "Which rooms: public unless told", Kind::Choice(&["public", "mine"])),
        Param::new("query", "Of public rooms those whose name contains this", Kind::Text(QUERY_CHARS_MAX)),
        CURSOR,
    ])
    .answers(&[(200, Json("RoomPage"))]),
    Route::new(Verb::Post, "/rooms", "createRoom", "Creates a room, which the caller owns", || {
        routing::post(create)
    })
    .body("CreateRoom")
    .answers(&[(201, Json("RoomAnswer"))]),
    Route::new(Verb::Post, "/groups", "createGroup", "Creates a group of the caller and others", || {
        routing::post(create_group)
    })
    .body("CreateGroup")
    .answers(&[(201, Json("RoomAnswer"))]),
    Route::new(Verb::Get, "/rooms/{room}", "getRoom", "Tells what a room is", || routing::get(one))
        .answers(&[(200, Json("RoomAnswer"))]),
    Route::new(Verb::Patch, "/rooms/{room}", "updateRoom", "Changes a room; what is left out stays", || {
        routing::patch(update::<Authenticated>)
    })
    .body("UpdateRoom")
    .answers(&[(200, Json("RoomAnswer"))]),
    Route::new(Verb::Delete, "/rooms/{room}", "deleteRoom", "Deletes a room, for good", || {
        routing::delete(delete::<Authenticated>)
    })
    .answers(&[(200, Json("RoomAnswer"))]),
    Route::new(Verb::Post, "/rooms/{room}/join", "joinRoom", "Becomes a member of a room", || {
        routing::post(join)
    })
    .answers(&[(200, Json("RoomAnswer"))]),
    Route::new(Verb::Delete, "/rooms/{room}/leave", "leaveRoom", "Ceases to be a member", || {
        routing::delete(leave)
    }),
    Route::new(Verb::Get, "/rooms/{room}/members", "listMembers", "Lists members, with how they are", || {
        routing::get(members)
    })
    .query(&[CURSOR])
    .answers(&[(200, Json("MemberPage"))]),
    Route::new(Verb::Post, "/rooms/{room}/read", "markRead", "Says up to where the caller has read", || {
        routing::post(mark_read)
    })
    .body("Mark")
    .answers(&[(200, Json("Unread"))]),
    Route::new(
        Verb::Post,
        "/rooms/{room}/delivered",
        "markDelivered",
        "Says up to where a direct room came",
        || routing::post(mark_delivered),
    )
    .body("Mark"),
];

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
    performed(&caller, ClientCommand::ListRooms(ListRooms { scope, query, cursor })).await
}

async fn create(Authenticated(caller): Authenticated, mut fields: BodyFields) -> Result<Response, Problem> {
    let create = CreateRoom {
        name: fields.text("name"),
        description: fields.optional_text("description"),
        private: fields.flag("private"),
    };
    fields.done()?;
    Ok(created(&caller.perform(ClientCommand::CreateRoom(create)).await?))
}

async fn create_group(
    Authenticated(caller): Authenticated,
    mut fields: BodyFields,
) -> Result<Response, Problem> {
    let create = CreateGroup { user_ids: fields.texts("userIds"), name: fields.optional_text("name") };
    fields.done()?;
    Ok(created(&caller.perform(ClientCommand::CreateGroup(create)).await?))
}

fn created(answer: &Answer) -> Response {
    answered(StatusCode::CREATED, answer)
}

async fn one(Authenticated(caller): Authenticated, PathId(room): PathId) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::GetRoom(room)).await
}

pub(super) async fn update<P: Principal>(
    principal: P,
    PathId(room_id): PathId,
    mut fields: BodyFields,
) -> Result<Response, Problem> {
    let topic = fields.optional_text("topic");
    if let Some(Err(error)) = topic.as_deref().map(Description::parse) {
        fields.refuse("topic", &error.to_string());
    }
    let update = UpdateRoom {
        room_id,
        name: fields.optional_text("name"),
        // A room has one text beside its name; clients call it either way.
        description: fields.optional_text("description").or(topic),
        archived: fields.optional_flag("archived"),
        slow_mode_seconds: fields.optional_number("slowModeSeconds"),
        history: fields.optional_text("history"),
        private: fields.optional_flag("private"),
        retention_days: fields.nullable_number("retentionDays"),
        retention_messages: fields.nullable_number("retentionMessages"),
    };
    fields.done()?;
    performed(&principal.into_caller(), ClientCommand::UpdateRoom(update)).await
}

pub(super) async fn delete<P: Principal>(principal: P, PathId(room): PathId) -> Result<Response, Problem> {
    performed(&principal.into_caller(), ClientCommand::DeleteRoom(room)).await
}

async fn join(Authenticated(caller): Authenticated, PathId(room): PathId) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::JoinRoom(room)).await
}

async fn leave(Authenticated(caller): Authenticated, PathId(room): PathId) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::LeaveRoom(room)).await
}

async fn members(
    Authenticated(caller): Authenticated,
    PathId(room_id): PathId,
    Cursor(cursor): Cursor,
) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::ListMembers(ListMembers { room_id, cursor })).await
}

async fn mark_read(
    Authenticated(caller): Authenticated,
    PathId(room_id): PathId,
    mut fields: BodyFields,
) -> Result<Response, Problem> {
    let seq = fields.number("seq");
    fields.done()?;
    performed(&caller, ClientCommand::MarkRead(Mark { room_id, seq })).await
}

async fn mark_delivered(
    Authenticated(caller): Authenticated,
    PathId(room_id): PathId,
    mut fields: BodyFields,
) -> Result<Response, Problem> {
    let seq = fields.number("seq");
    fields.done()?;
    performed(&caller, ClientCommand::MarkDelivered(Mark { room_id, seq })).await
}
