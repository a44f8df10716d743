//! `/api/admin`: what takes the server role `admin`. What is done to a room stands in the room's audit log, what is
//! done to a user in the server's own, both under the name of who did it.

use axum::{
    extract::{FromRequestParts, State},
    response::{IntoResponse, Response},
    routing,
};
use chat_core::{
    auth::ServerRole,
    close::CloseReason,
    domain::{AuditAct, ErrorCode, Presence, Rejection},
    engine::{Activity, Caller, Error},
    id::{RoomId, UserId},
    store::UserProfile,
    wire::{
        AuditView, CareCommand, ClientCommand, FetchAudit, MessageRef, Moderate, ReportPlace, ReportView,
        RoomView, UserView, rfc3339,
    },
};
use http::{StatusCode, request::Parts};
use serde_json::{Value, json};

use super::{
    App,
    caller::{Authenticated, performed, shown},
    fields::{BodyFields, MaybeFields, PathId, PathIds, QueryFields},
    members,
    problem::Problem,
    rooms,
    route::{Access, CURSOR, CURSOR_CHARS_MAX, Content::Json, Kind, Param, Route, Verb},
    to_its_end,
};
use crate::limits::QUERY_CHARS_MAX;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Get, "/admin/stats", "adminStats", "Tells what is going on at this moment", || {
        routing::get(stats)
    })
    .access(Access::Admin)
    .answers(&[(200, Json("Stats"))]),
    Route::new(
        Verb::Get,
        "/admin/users",
        "adminListUsers",
        "Lists users by how their username begins",
        || routing::get(users),
    )
    .access(Access::Admin)
    .query(&[
        Param::new("query", "How the username begins; all users unless told", Kind::Text(QUERY_CHARS_MAX)),
        CURSOR,
    ])
    .answers(&[(200, Json("AdminUserPage"))]),
    Route::new(Verb::Get, "/admin/users/{user}", "adminGetUser", "Tells all about a user", || {
        routing::get(user)
    })
    .access(Access::Admin)
    .answers(&[(200, Json("AdminUser"))]),
    Route::new(Verb::Delete, "/admin/users/{user}", "adminEraseUser", "Erases a user, for good", || {
        routing::delete(erase)
    })
    .access(Access::Admin),
    Route::new(Verb::Post, "/admin/users/{user}/disable", "adminDisableUser", "Keeps a user out", || {
        routing::post(disable)
    })
    .access(Access::Admin),
    Route::new(Verb::Post, "/admin/users/{user}/enable", "adminEnableUser", "Lets a user in again", || {
        routing::post(enable)
    })
    .access(Access::Admin),
    Route::new(
        Verb::Put,
        "/admin/users/{user}/role",
        "adminSetRole",
        "Gives a user another server role",
        || routing::put(set_role),
    )
    .access(Access::Admin)
    .body("ServerRole"),
    Route::new(
        Verb::Post,
        "/admin/users/{user}/reset-password",
        "adminResetPassword",
        "Mails a user a link to set another password",
        || routing::post(reset_password),
    )
    .access(Access::Admin),
    Route::new(
        Verb::Post,
        "/admin/users/{user}/logout",
        "adminEndLogins",
        "Ends all logins of a user",
        || routing::post(end_logins),
    )
    .access(Access::Admin),
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
        routing::patch(update_room)
    })
    .access(Access::Admin)
    .body("UpdateRoom")
    .answers(&[(200, Json("RoomAnswer"))]),
    Route::new(Verb::Delete, "/admin/rooms/{room}", "adminDeleteRoom", "Deletes a room, for good", || {
        routing::delete(delete_room)
    })
    .access(Access::Admin)
    .answers(&[(200, Json("RoomAnswer"))]),
    Route::new(Verb::Get, "/admin/rooms/{room}/audit", "adminRoomAudit", "Reads a room's audit log", || {
        routing::get(room_audit)
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
        || routing::put(update_member),
    )
    .access(Access::Admin)
    .body("UpdateMember")
    .answers(&[(200, Json("Changed"))]),
    Route::new(Verb::Delete, "/admin/rooms/{room}/members/{user}", "adminKick", "Removes a member", || {
        routing::delete(kick)
    })
    .access(Access::Admin)
    .query(&[members::REASON])
    .answers(&[(200, Json("Changed"))]),
    Route::new(
        Verb::Put,
        "/admin/rooms/{room}/bans/{user}",
        "adminBan",
        "Keeps a user out of a room",
        || routing::put(ban),
    )
    .access(Access::Admin)
    .optional_body("Ban")
    .answers(&[(200, Json("Changed"))]),
    Route::new(
        Verb::Delete,
        "/admin/rooms/{room}/bans/{user}",
        "adminUnban",
        "Lets a user into a room again",
        || routing::delete(unban),
    )
    .access(Access::Admin)
    .answers(&[(200, Json("Changed"))]),
    Route::new(
        Verb::Delete,
        "/admin/rooms/{room}/messages/{message}",
        "adminDeleteMessage",
        "Deletes a message",
        || routing::delete(delete_message),
    )
    .access(Access::Admin)
    .answers(&[(200, Json("Changed"))]),
    Route::new(
        Verb::Get,
        "/admin/reports",
        "adminListReports",
        "Lists the open reports of all rooms",
        || routing::get(reports),
    )
    .access(Access::Admin)
    .query(&[CURSOR])
    .answers(&[(200, Json("AllReportPage"))]),
    Route::new(
        Verb::Post,
        "/admin/rooms/{room}/reports/{report}/resolve",
        "adminResolveReport",
        "Says that a report has been dealt with",
        || routing::post(resolve),
    )
    .access(Access::Admin),
    Route::new(Verb::Get, "/admin/audit", "adminAudit", "Reads the server's own audit log", || {
        routing::get(audit)
    })
    .access(Access::Admin)
    .query(&[CURSOR])
    .answers(&[(200, Json("ServerAuditPage"))]),
];

/// Who has the server role `admin`, acting for the operator. Whatever takes this answers 403 to other users.
#[derive(Debug)]
struct Admin(Caller);

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, app).await?;
        if caller.role() != ServerRole::Admin {
            tracing::warn!(user = %caller.user(), "an act of the operator was refused");
            return Err(Problem::new(ErrorCode::Forbidden, "this takes the server role admin"));
        }
        Ok(Self(caller.for_the_operator()))
    }
}

async fn stats(State(app): State<App>, Admin(_): Admin) -> Response {
    let Activity { connections, users, rooms } = app.engine().activity();
    let stats = json!({
        "connections": connections, "usersOnline": users, "roomsLive": rooms,
        "uptimeSeconds": app.uptime().as_secs(), "version": env!("CARGO_PKG_VERSION"),
    });
    shown(StatusCode::OK, &stats)
}

async fn users(
    State(app): State<App>,
    Admin(_): Admin,
    mut fields: QueryFields,
) -> Result<Response, Problem> {
    let query = fields.text("query", QUERY_CHARS_MAX).unwrap_or_default();
    let cursor = fields.text("cursor", CURSOR_CHARS_MAX);
    fields.done()?;
    let page = app.engine().users_like(&query, cursor).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for profile in &page.items {
        items.push(whole_user(&app, profile).await?);
    }
    Ok(shown(StatusCode::OK, &json!({ "items": items, "nextCursor": page.next })))
}

async fn user(State(app): State<App>, Admin(_): Admin, PathId(user): PathId) -> Result<Response, Problem> {
    let profile = known(&app, &user).await?;
    Ok(shown(StatusCode::OK, &whole_user(&app, &profile).await?))
}

/// A user as the operator sees them.
async fn whole_user(app: &App, profile: &UserProfile) -> Result<Value, Problem> {
    let account = app.accounts().account_of(&profile.id).await?;
    let role = account.as_ref().map_or(ServerRole::User, |account| account.role);
    let mut user = serde_json::to_value(UserView::of(profile, &Presence::offline(None))).unwrap_or_default();
    if let Some(user) = user.as_object_mut() {
        // How they are is their contacts' to know.
        ["status", "statusText", "lastSeenAt"].into_iter().for_each(|field| drop(user.remove(field)));
    }
    user["email"] = account.map(|account| account.email.as_str().to_owned()).into();
    user["createdAt"] = rfc3339(profile.created_at).into();
    user["serverRole"] = role.as_str().into();
    user["external"] = profile.external.into();
    user["disabled"] = profile.disabled.into();
    Ok(user)
}

async fn erase(
    State(app): State<App>,
    Admin(caller): Admin,
    PathId(user): PathId,
) -> Result<Response, Problem> {
    let user = another(&app, &caller, &user).await?;
    let done = to_its_end(async move {
        app.engine().erase_user(&user).await?;
        app.engine().note(caller.user(), AuditAct::EraseUser, Some(user), Vec::new()).await
    });
    done.await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn disable(
    State(app): State<App>,
    Admin(caller): Admin,
    PathId(user): PathId,
) -> Result<Response, Problem> {
    let user = another(&app, &caller, &user).await?;
    keep_out(app, caller, user, true).await
}

async fn enable(
    State(app): State<App>,
    Admin(caller): Admin,
    PathId(user): PathId,
) -> Result<Response, Problem> {
    let user = known(&app, &user).await?.id;
    keep_out(app, caller, user, false).await
}

async fn keep_out(app: App, caller: Caller, user: UserId, out: bool) -> Result<Response, Problem> {
    let done = to_its_end(async move {
        app.engine().set_disabled(&user, out).await?;
        let act = if out { AuditAct::DisableUser } else { AuditAct::EnableUser };
        app.engine().note(caller.user(), act, Some(user), Vec::new()).await
    });
    done.await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The logins end with the role, so that no token says any more what was true before.
async fn set_role(
    State(app): State<App>,
    Admin(caller): Admin,
    PathId(user): PathId,
    mut fields: BodyFields,
) -> Result<Response, Problem> {
    let text = fields.text("role");
    let role = [ServerRole::User, ServerRole::Admin].into_iter().find(|role| role.as_str() == text);
    if role.is_none() {
        fields.refuse("role", "expected user or admin");
    }
    fields.done()?;
    let role = role.unwrap_or_default();
    let user = another(&app, &caller, &user).await?;
    let done = to_its_end(async move {
        if app.accounts().account_of(&user).await?.is_none() {
            return Err(Problem::new(
                ErrorCode::Conflict,
                "the role of this user is given where they log in",
            ));
        }
        app.accounts().set_role(&user, role).await?;
        app.engine().disconnect(&user, CloseReason::Unauthenticated).await;
        let details = vec![("role", role.as_str().to_owned())];
        app.engine().note(caller.user(), AuditAct::SetServerRole, Some(user), details).await?;
        Ok(())
    });
    done.await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn reset_password(
    State(app): State<App>,
    Admin(caller): Admin,
    PathId(user): PathId,
) -> Result<Response, Problem> {
    let user = known(&app, &user).await?.id;
    if app.accounts().account_of(&user).await?.is_none() {
        return Err(Problem::new(ErrorCode::Conflict, "this user has no password here"));
    }
    let done = to_its_end(async move {
        app.accounts().request_reset_for(&user).await?;
        app.engine().note(caller.user(), AuditAct::ResetPassword, Some(user), Vec::new()).await?;
        Ok::<_, Problem>(())
    });
    done.await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn end_logins(
    State(app): State<App>,
    Admin(caller): Admin,
    PathId(user): PathId,
) -> Result<Response, Problem> {
    let user = known(&app, &user).await?.id;
    let done = to_its_end(async move {
        let ended = app.accounts().end_all_logins(&user).await;
        // If that failed, the store may have done it all the same; who is still logged in comes back.
        app.engine().disconnect(&user, CloseReason::Unauthenticated).await;
        ended?;
        app.engine().note(caller.user(), AuditAct::EndLogins, Some(user), Vec::new()).await?;
        Ok::<_, Problem>(())
    });
    done.await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn all_rooms(
    State(app): State<App>,
    Admin(_): Admin,
    mut fields: QueryFields,
) -> Result<Response, Problem> {
    let cursor = fields.text("cursor", CURSOR_CHARS_MAX);
    fields.done()?;
    let page = app.engine().all_rooms(cursor).await?;
    let items: Vec<_> = page.items.iter().map(RoomView::of).collect();
    Ok(shown(StatusCode::OK, &json!({ "items": items, "nextCursor": page.next })))
}

async fn room(State(app): State<App>, Admin(_): Admin, PathId(room): PathId) -> Result<Response, Problem> {
    let room = app.engine().room(&room_id(&room)?).await?;
    Ok(shown(StatusCode::OK, &json!({ "room": RoomView::of(&room) })))
}

async fn update_room(
    Admin(caller): Admin,
    PathId(room): PathId,
    fields: BodyFields,
) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::UpdateRoom(rooms::changes(room, fields)?)).await
}

async fn delete_room(Admin(caller): Admin, PathId(room): PathId) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::DeleteRoom(room)).await
}

async fn room_audit(
    Admin(caller): Admin,
    PathId(room_id): PathId,
    mut fields: QueryFields,
) -> Result<Response, Problem> {
    let cursor = fields.text("cursor", CURSOR_CHARS_MAX);
    fields.done()?;
    performed(&caller, ClientCommand::FetchAudit(FetchAudit { room_id, cursor })).await
}

async fn appoint(
    State(app): State<App>,
    Admin(caller): Admin,
    PathIds([room, user]): PathIds<2>,
) -> Result<Response, Problem> {
    let room = room_id(&room)?;
    app.engine().room(&room).await?;
    let user = known(&app, &user).await?.id;
    app.engine().appoint_owner(&room, &user).await?;
    // The room's own log says that the operator did it; this one says who that was.
    let details = vec![("roomId", room.as_str().to_owned()), ("role", "owner".to_owned())];
    app.engine().note(caller.user(), AuditAct::SetRole, Some(user), details).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn update_member(
    Admin(caller): Admin,
    PathIds([room_id, user_id]): PathIds<2>,
    fields: BodyFields,
) -> Result<Response, Problem> {
    performed(&caller, members::change(room_id, user_id, fields)?).await
}

async fn kick(
    Admin(caller): Admin,
    PathIds([room_id, user_id]): PathIds<2>,
    fields: QueryFields,
) -> Result<Response, Problem> {
    performed(&caller, members::removal(room_id, user_id, fields)?).await
}

async fn ban(
    Admin(caller): Admin,
    PathIds([room_id, user_id]): PathIds<2>,
    MaybeFields(fields): MaybeFields,
) -> Result<Response, Problem> {
    performed(&caller, members::exclusion(room_id, user_id, fields)?).await
}

async fn unban(Admin(caller): Admin, PathIds([room_id, user_id]): PathIds<2>) -> Result<Response, Problem> {
    let unban = Moderate { room_id, user_id, seconds: None, reason: None };
    performed(&caller, ClientCommand::Unban(unban)).await
}

async fn delete_message(
    Admin(caller): Admin,
    PathIds([room_id, message_id]): PathIds<2>,
) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::DeleteMessage(MessageRef { room_id, message_id })).await
}

async fn reports(
    State(app): State<App>,
    Admin(_): Admin,
    mut fields: QueryFields,
) -> Result<Response, Problem> {
    let cursor = fields.text("cursor", CURSOR_CHARS_MAX);
    fields.done()?;
    let page = app.engine().open_reports(cursor).await?;
    let items: Vec<_> = page
        .items
        .iter()
        .map(|(report, [reporter, author])| {
            let view = ReportView::of(report, reporter.as_str(), author.as_str());
            let mut item = serde_json::to_value(view).unwrap_or_default();
            item["roomId"] = report.room.as_str().into();
            item
        })
        .collect();
    Ok(shown(StatusCode::OK, &json!({ "items": items, "nextCursor": page.next })))
}

async fn resolve(
    Admin(caller): Admin,
    PathIds([room_id, report_id]): PathIds<2>,
) -> Result<Response, Problem> {
    let resolve = CareCommand::ResolveReport(ReportPlace { room_id, report_id });
    performed(&caller, ClientCommand::Care(resolve)).await
}

async fn audit(
    State(app): State<App>,
    Admin(_): Admin,
    mut fields: QueryFields,
) -> Result<Response, Problem> {
    let cursor = fields.text("cursor", CURSOR_CHARS_MAX);
    fields.done()?;
    let page = app.engine().audit(cursor).await?;
    let items: Vec<_> = page.items.iter().map(AuditView::of).collect();
    Ok(shown(StatusCode::OK, &json!({ "items": items, "nextCursor": page.next })))
}

/// A user who is there.
async fn known(app: &App, user: &str) -> Result<UserProfile, Problem> {
    let unknown = || Problem::from(Error::from(Rejection::NO_USER));
    let user = UserId::parse(user).map_err(|_| unknown())?;
    let profile = app.engine().user(&user).await?;
    profile.filter(|profile| !profile.is_erased()).ok_or_else(unknown)
}

/// A user who is there and is not the caller: nobody locks themselves out.
async fn another(app: &App, caller: &Caller, user: &str) -> Result<UserId, Problem> {
    let user = known(app, user).await?.id;
    if user == *caller.user() {
        return Err(Problem::new(ErrorCode::Forbidden, "another admin may do this to you, you may not"));
    }
    Ok(user)
}

fn room_id(room: &str) -> Result<RoomId, Problem> {
    RoomId::parse(room).map_err(|_| Error::from(Rejection::NO_ROOM).into())
}
