//! `/api/auth`: one's logins, listed and ended.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
    routing,
};
use chat_core::{
    accounts::{FamilyId, Login},
    close::CloseReason,
    domain::ErrorCode,
    id::UserId,
    wire::rfc3339,
};
use http::{StatusCode, header};
use serde::Serialize;

use super::{
    App,
    caller::LoggedIn,
    fields::PathId,
    problem::Problem,
    route::{Content, Route, Verb},
    to_its_end,
};

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Post, "/auth/logout", "logout", "Ends the login that the token stems from", || {
        routing::post(logout)
    }),
    Route::new(Verb::Post, "/auth/logout-all", "logoutAll", "Ends all logins of the caller", || {
        routing::post(logout_all)
    }),
    Route::new(Verb::Get, "/auth/sessions", "listSessions", "Lists the logins of the caller", || {
        routing::get(list)
    })
    .answers(&[(200, Content::Json("Sessions"))]),
    Route::new(
        Verb::Delete,
        "/auth/sessions/{session}",
        "endSession",
        "Ends one login of the caller, and its connections",
        || routing::delete(end),
    ),
];

/// Ends the login that the access token stems from: its tokens, its cookie, its connections.
async fn logout(State(app): State<App>, LoggedIn { user, login }: LoggedIn) -> Result<Response, Problem> {
    end_login(&app, user, login).await?;
    Ok(without_cookie(&app))
}

/// Ends all logins of the caller, this one included.
async fn logout_all(State(app): State<App>, LoggedIn { user, .. }: LoggedIn) -> Result<Response, Problem> {
    let (accounts, engine) = (app.accounts().clone(), app.engine().clone());
    let ending = to_its_end(async move {
        let ended = accounts.end_all_logins(&user).await;
        // As for one of them.
        engine.disconnect(&user, CloseReason::Unauthenticated).await;
        ended
    });
    ending.await??;
    Ok(without_cookie(&app))
}

/// Done, and the cookie is taken back.
pub(super) fn without_cookie(app: &App) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(value) = app.cookie().taken_back() {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

async fn list(State(app): State<App>, LoggedIn { user, login }: LoggedIn) -> Result<Json<Sessions>, Problem> {
    let logins = app.accounts().logins(&user).await?;
    let items = logins.iter().map(|one| Session::of(one, login)).collect();
    Ok(Json(Sessions { items, next_cursor: None }))
}

/// Ends one login of the caller, which may be this one. Of others' logins nobody is told that they are there.
async fn end(
    State(app): State<App>,
    LoggedIn { user, .. }: LoggedIn,
    PathId(id): PathId,
) -> Result<StatusCode, Problem> {
    let none = || Problem::new(ErrorCode::NotFound, "there is no such login");
    let login = FamilyId::parse(&id).ok_or_else(none)?;
    if end_login(&app, user, login).await? { Ok(StatusCode::NO_CONTENT) } else { Err(none()) }
}

async fn end_login(app: &App, user: UserId, login: FamilyId) -> Result<bool, Problem> {
    let (accounts, engine) = (app.accounts().clone(), app.engine().clone());
    let ending = to_its_end(async move {
        let ended = accounts.logout(&user, login).await;
        // If that failed, the store may have done it all the same; who is still logged in comes back.
        engine.disconnect_login(&user, &login.to_string()).await;
        ended
    });
    Ok(ending.await??)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sessions {
    items: Vec<Session>,
    /// There is never more than one page.
    next_cursor: Option<()>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    id: String,
    device: String,
    created_at: String,
    last_used_at: String,
    /// Whether it is the login that this request is made by.
    current: bool,
}

impl Session {
    fn of(login: &Login, current: FamilyId) -> Self {
        Self {
            id: login.id.to_string(),
            device: login.device.as_str().to_owned(),
            created_at: rfc3339(login.created_at),
            last_used_at: rfc3339(login.last_used_at),
            current: login.id == current,
        }
    }
}
