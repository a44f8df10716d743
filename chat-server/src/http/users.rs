//! Users: who one is oneself, and who others are.

use axum::{extract::State, response::Response, routing};
use chat_core::{
    accounts::{AccountStore, is_reserved},
    domain::Rejection,
    domain::{DisplayName, StatusText, Username},
    engine::{Caller, Error},
    id::UserId,
    limits::PRESENCES_ASKED_MAX,
    store::ProfileChange,
    wire::{ClientCommand, GetPresence, ListBlocks, UserView, rfc3339},
};
use http::StatusCode;
use serde_json::{Value, json};

use super::{
    App,
    caller::{Authenticated, listed, performed, shown},
    export::export,
    fields::{BodyFields, Cursor, PathId, QueryFields},
    problem::Problem,
    route::{
        CURSOR, CURSOR_CHARS_MAX,
        Content::{Bytes, Json},
        Kind, Param, Route, Verb,
    },
    sessions::without_cookie,
    to_its_end,
};
use crate::limits::QUERY_CHARS_MAX;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Get, "/users/me", "getMe", "Tells who the caller is", || routing::get(me))
        .answers(&[(200, Json("OwnUser"))]),
    Route::new(
        Verb::Put,
        "/users/me",
        "updateMe",
        "Changes the caller's profile; what is left out stays",
        || routing::put(update),
    )
    .body("UpdateMe")
    .answers(&[(200, Json("OwnUser"))]),
    Route::new(
        Verb::Delete,
        "/users/me",
        "eraseMe",
        "Erases the caller, for good: tombstones stay, nothing personal does",
        || routing::delete(erase),
    ),
    Route::new(
        Verb::Get,
        "/users/me/export",
        "exportMe",
        "Everything that is the caller's, as one list",
        || routing::get(export),
    )
    .answers(&[(200, Bytes("application/json"))])
    .long(),
    Route::new(Verb::Get, "/users/me/blocks", "listBlocks", "Lists whom the caller has blocked", || {
        routing::get(blocks)
    })
    .query(&[CURSOR])
    .answers(&[(200, Json("BlockPage"))]),
    Route::new(Verb::Get, "/users", "findUsers", "Finds users by how their username begins", || {
        routing::get(find)
    })
    .query(&[
        Param::new("query", "How the username begins; all users unless told", Kind::Text(QUERY_CHARS_MAX)),
        CURSOR,
    ])
    .answers(&[(200, Json("UserPage"))]),
    Route::new(Verb::Get, "/users/{user}", "getUser", "Tells who a user is", || routing::get(one))
        .answers(&[(200, Json("User"))]),
    Route::new(
        Verb::Put,
        "/users/{user}/block",
        "blockUser",
        "Wants nothing to do with a user any more",
        || routing::put(block),
    ),
    Route::new(Verb::Delete, "/users/{user}/block", "unblockUser", "Takes a block back", || {
        routing::delete(unblock)
    }),
    Route::new(
        Verb::Get,
        "/presence",
        "getPresence",
        "Tells how users are who share a room with the caller",
        || routing::get(presence),
    )
    .query(&[Param::new("userId", "Whom, once for each", Kind::Texts(PRESENCES_ASKED_MAX)).required()])
    .answers(&[(200, Json("Presences"))]),
];

async fn me(State(app): State<App>, Authenticated(caller): Authenticated) -> Result<Response, Problem> {
    Ok(shown(StatusCode::OK, &own_user(&app, &caller).await?))
}

/// A user as they see themselves.
pub(super) async fn own_user(app: &App, caller: &Caller) -> Result<Value, Problem> {
    let (profile, presence) = caller.profile().await?;
    let account = app.store().account(caller.user()).await?;
    let mut user = serde_json::to_value(UserView::of(&profile, &presence)).unwrap_or_default();
    user["email"] = account.map(|account| account.email.as_str().to_owned()).into();
    user["serverRole"] = caller.role().as_str().into();
    user["createdAt"] = rfc3339(profile.created_at).into();
    Ok(user)
}

async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    mut fields: BodyFields,
) -> Result<Response, Problem> {
    let username = fields.optional_text("username");
    let username = username.and_then(|name| parsed(&mut fields, "username", Username::parse(&name)));
    let display_name = fields.nullable_text("displayName").map(|name| {
        let name = name.filter(|name| !name.trim().is_empty());
        name.and_then(|name| parsed(&mut fields, "displayName", DisplayName::parse(&name)))
    });
    let status_text = fields
        .nullable_text("statusText")
        .and_then(|text| parsed(&mut fields, "statusText", StatusText::parse(&text.unwrap_or_default())));
    fields.done()?;
    // As at registration; who was given such a name by the operator may write it otherwise.
    if username.as_ref().is_some_and(|name| is_reserved(name) && name.key() != caller.username().key()) {
        return Err(Error::from(Rejection::Conflict("the username is taken")).into());
    }
    let change = ProfileChange { username, display_name, ..ProfileChange::default() };
    caller.update_profile(change, status_text).await?;
    Ok(shown(StatusCode::OK, &own_user(&app, &caller).await?))
}

fn parsed<T>(
    fields: &mut BodyFields,
    field: &'static str,
    parsed: Result<T, chat_core::domain::TextError>,
) -> Option<T> {
    parsed.map_err(|error| fields.refuse(field, &error.to_string())).ok()
}

/// Erases the caller. It goes on when the caller goes away, or waits no longer.
async fn erase(State(app): State<App>, Authenticated(caller): Authenticated) -> Result<Response, Problem> {
    let (engine, user) = (app.engine().clone(), caller.user().clone());
    to_its_end(async move { engine.erase_user(&user).await }).await??;
    Ok(without_cookie(&app))
}

async fn blocks(Authenticated(caller): Authenticated, Cursor(cursor): Cursor) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::ListBlocks(ListBlocks { cursor })).await
}

async fn find(Authenticated(caller): Authenticated, mut fields: QueryFields) -> Result<Response, Problem> {
    let query = fields.text("query", QUERY_CHARS_MAX).unwrap_or_default();
    let cursor = fields.text("cursor", CURSOR_CHARS_MAX);
    fields.done()?;
    let page = caller.find_users(&query, cursor).await?;
    let items = page.items.iter().map(|(profile, presence)| UserView::of(profile, presence));
    Ok(listed(items, page.next.as_deref()))
}

async fn one(Authenticated(caller): Authenticated, PathId(user): PathId) -> Result<Response, Problem> {
    let user = UserId::parse(&user).map_err(|_| Error::from(Rejection::NO_USER))?;
    let (profile, presence) = caller.other(&user).await?;
    Ok(shown(StatusCode::OK, &json!(UserView::of(&profile, &presence))))
}

async fn block(Authenticated(caller): Authenticated, PathId(user): PathId) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::BlockUser(user)).await
}

async fn unblock(Authenticated(caller): Authenticated, PathId(user): PathId) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::UnblockUser(user)).await
}

async fn presence(
    Authenticated(caller): Authenticated,
    mut fields: QueryFields,
) -> Result<Response, Problem> {
    let user_ids = fields.texts("userId");
    if user_ids.is_empty() {
        fields.refuse("userId", "this parameter is required");
    }
    fields.done()?;
    performed(&caller, ClientCommand::GetPresence(GetPresence { user_ids })).await
}
