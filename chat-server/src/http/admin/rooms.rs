//! Rooms, as the operator looks after them. What their own moderators can do as well is the same handler.

use axum::{extract::State, response::Response, routing};
use chat_core::{
    domain::{AuditAct, Rejection},
    engine::Error,
    id::RoomId,
    wire::RoomView,
};
use http::StatusCode;
use serde_json::json;

use super::{Admin, done_and_noted, known};
use crate::http::{
    App,
    caller::{listed, shown},
    fields::{Cursor, PathId, PathIds},
    members, messages,
    problem::Problem,
    review, rooms,
    route::{Access, CURSOR, Content::Json, Route, Verb},
};

pub(in crate::http) const ROUTES: &[Route] = &[
    Route::new(
        Verb::Get,
        "/admin/rooms",
        "adminListRooms",
        "Lists all rooms, whatever kind they are",
        || routing::get(all_rooms),
    )
    .access(Access::Admin)
    .query(&[CURSOR])
    .answers(&[(200, Json("RoomPage"))]),
    Route::new(Verb::Get, "/admin/rooms/{room}", "adminGetRoom", "Tells what a room is", || {
        routing::get(room)
    })
    .access(Access::Admin)
    .answers(&[(200, Json("RoomAnswer"))]),
    Route::new(Verb::Patch, "/admin/rooms/{room}", "adminUpdateRoom", "Changes a room", || {
        routing::patch(rooms::update::<Admin>)
    })
    .access(Access::Admin)
    .body("UpdateRoom")
    .answers(&[(200, Json("RoomAnswer"))]),
    Route::new(Verb::Delete, "/admin/rooms/{room}", "adminDeleteRoom", "Deletes a room, for good", || {
        routing::delete(rooms::delete::<Admin>)
    })
    .access(Access::Admin)
    .answers(&[(200, Json("RoomAnswer"))]),
    Route::new(Verb::Get, "/admin/rooms/{room}/audit", "adminRoomAudit", "Reads a room's audit log", || {
        routing::get(review::audit::<Admin>)
    })
    .access(Access::Admin)
    .query(&[CURSOR])
    .answers(&[(200, Json("AuditPage"))]),
    Route::new(
        Verb::Put,
        "/admin/rooms/{room}/owners/{user}",
        "adminAppointOwner",
        "Makes a user owner",
        || routing::put(appoint),
    )
    .access(Access::Admin),
    Route::new(
        Verb::Put,
        "/admin/rooms/{room}/members/{user}",
        "adminUpdateMember",
        "Gives a member another role, or mutes them",
        || routing::put(members::update::<Admin>),
    )
    .access(Access::Admin)
    .body("UpdateMember")
    .answers(&[(200, Json("Changed"))]),
    Route::new(Verb::Delete, "/admin/rooms/{room}/members/{user}", "adminKick", "Removes a member", || {
        routing::delete(members::kick::<Admin>)
    })
    .access(Access::Admin)
    .query(&[members::REASON])
    .answers(&[(200, Json("Changed"))]),
    Route::new(
        Verb::Put,
        "/admin/rooms/{room}/bans/{user}",
        "adminBan",
        "Keeps a user out of a room",
        || routing::put(members::ban::<Admin>),
    )
    .access(Access::Admin)
    .optional_body("Ban")
    .answers(&[(200, Json("Changed"))]),
    Route::new(
        Verb::Delete,
        "/admin/rooms/{room}/bans/{user}",
        "adminUnban",
        "Lets a user into a room again",
        || routing::delete(members::unban::<Admin>),
    )
    .access(Access::Admin)
    .answers(&[(200, Json("Changed"))]),
    Route::new(
        Verb::Delete,
        "/admin/rooms/{room}/messages/{message}",
        "adminDeleteMessage",
        "Deletes a message",
        || routing::delete(messages::delete::<Admin>),
    )
    .access(Access::Admin)
    .answers(&[(200, Json("Changed"))]),
    Route::new(
        Verb::Post,
        "/admin/rooms/{room}/reports/{report}/resolve",
        "adminResolveReport",
        "Says that a report has been dealt with",
        || routing::post(review::resolve::<Admin>),
    )
    .access(Access::Admin),
];

async fn all_rooms(
    State(app): State<App>,
    Admin(_): Admin,
    Cursor(cursor): Cursor,
) -> Result<Response, Problem> {
    let page = app.engine().all_rooms(cursor).await?;
    Ok(listed(page.items.iter().map(RoomView::of), page.next.as_deref()))
}

async fn room(State(app): State<App>, Admin(_): Admin, PathId(room): PathId) -> Result<Response, Problem> {
    let room = app.engine().room(&room_id(&room)?).await?;
    Ok(shown(StatusCode::OK, &json!({ "room": RoomView::of(&room) })))
}

async fn appoint(
    State(app): State<App>,
    Admin(caller): Admin,
    PathIds([room, user]): PathIds<2>,
) -> Result<Response, Problem> {
    let room = room_id(&room)?;
    app.engine().room(&room).await?;
    let user = known(&app, &user).await?.id;
    let details = vec![("roomId", room.as_str().to_owned()), ("role", "owner".to_owned())];
    let (operator, owner) = (caller.clone(), user.clone());
    let work = async move { Ok(operator.appoint_owner(&room, &owner).await?) };
    done_and_noted(app, &caller, (AuditAct::SetRole, user, details), work).await
}

fn room_id(room: &str) -> Result<RoomId, Problem> {
    RoomId::parse(room).map_err(|_| Error::from(Rejection::NO_ROOM).into())
}
