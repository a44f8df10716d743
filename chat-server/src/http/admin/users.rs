//! Users, as the operator looks after them.

use axum::{extract::State, response::Response, routing};
use chat_core::{
    auth::ServerRole,
    close::CloseReason,
    domain::{AuditAct, ErrorCode, Presence},
    engine::Caller,
    id::UserId,
    store::UserProfile,
    wire::{UserView, rfc3339},
};
use http::StatusCode;
use serde_json::Value;

use super::{Admin, done_and_noted, known};
use crate::{
    http::{
        App,
        accounts::or_all_out,
        caller::{listed, shown},
        fields::{BodyFields, PathId, QueryFields},
        problem::Problem,
        route::{Access, CURSOR, CURSOR_CHARS_MAX, Content::Json, Kind, Param, Route, Verb},
    },
    limits::QUERY_CHARS_MAX,
};

pub(in crate::http) const ROUTES: &[Route] = &[
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
];

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
    Ok(listed(items, page.next.as_deref()))
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
    let (engine, erased) = (app.engine().clone(), user.clone());
    let work = async move { Ok(engine.erase_user(&erased).await.map(drop)?) };
    done_and_noted(app, &caller, (AuditAct::EraseUser, user, Vec::new()), work).await
}

async fn disable(
    State(app): State<App>,
    Admin(caller): Admin,
    PathId(user): PathId,
) -> Result<Response, Problem> {
    let user = another(&app, &caller, &user).await?;
    keep_out(app, &caller, user, true).await
}

async fn enable(
    State(app): State<App>,
    Admin(caller): Admin,
    PathId(user): PathId,
) -> Result<Response, Problem> {
    let user = known(&app, &user).await?.id;
    keep_out(app, &caller, user, false).await
}

async fn keep_out(app: App, operator: &Caller, user: UserId, out: bool) -> Result<Response, Problem> {
    let act = if out { AuditAct::DisableUser } else { AuditAct::EnableUser };
    let (engine, kept) = (app.engine().clone(), user.clone());
    let work = async move { Ok(engine.set_disabled(&kept, out).await?) };
    done_and_noted(app, operator, (act, user, Vec::new()), work).await
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
    if app.accounts().account_of(&user).await?.is_none() {
        return Err(Problem::new(ErrorCode::Conflict, "the role of this user is given where they log in"));
    }
    let note = (AuditAct::SetServerRole, user.clone(), vec![("role", role.as_str().to_owned())]);
    let (engine, accounts) = (app.engine().clone(), app.accounts().clone());
    let work = async move {
        or_all_out(&engine, accounts.set_role(&user, role).await).await?;
        engine.disconnect(&user, CloseReason::Unauthenticated).await;
        Ok(())
    };
    done_and_noted(app, &caller, note, work).await
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
    let (accounts, forgetful) = (app.accounts().clone(), user.clone());
    let work = async move { Ok(accounts.request_reset_for(&forgetful).await?) };
    done_and_noted(app, &caller, (AuditAct::ResetPassword, user, Vec::new()), work).await
}

async fn end_logins(
    State(app): State<App>,
    Admin(caller): Admin,
    PathId(user): PathId,
) -> Result<Response, Problem> {
    let user = known(&app, &user).await?.id;
    let note = (AuditAct::EndLogins, user.clone(), Vec::new());
    let (engine, accounts) = (app.engine().clone(), app.accounts().clone());
    let work = async move {
        let ended = accounts.end_all_logins(&user).await;
        // If that failed, the store may have done it all the same; who is still logged in comes back.
        engine.disconnect(&user, CloseReason::Unauthenticated).await;
        Ok(ended.map(drop)?)
    };
    done_and_noted(app, &caller, note, work).await
}

/// A user who is there and is not the caller: nobody locks themselves out.
async fn another(app: &App, caller: &Caller, user: &str) -> Result<UserId, Problem> {
    let user = known(app, user).await?.id;
    if user == *caller.user() {
        return Err(Problem::new(ErrorCode::Forbidden, "another admin may do this to you, you may not"));
    }
    Ok(user)
}
