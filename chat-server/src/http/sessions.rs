//! `/api/auth`: one's logins, listed and ended.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
    routing,
};
use chat_core::{
    accounts::{FamilyId, Login},
    auth::Identity,
    close::CloseReason,
    domain::ErrorCode,
    wire::rfc3339,
};
use http::{StatusCode, header};
use serde::Serialize;

use super::{
    App,
    caller::Proven,
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
async fn logout(State(app): State<App>, Proven(identity): Proven) -> Result<Response, Problem> {
    let login = own_login(&identity)?;
    end_login(&app, identity, login).await?;
    Ok(without_cookie(&app))
}

/// Ends all logins of the caller, this one included.
async fn logout_all(State(app): State<App>, Proven(identity): Proven) -> Result<Response, Problem> {
    own_login(&identity)?;
    let (accounts, engine) = (app.accounts().clone(), app.engine().clone());
    let ending = to_its_end(async move {
        let ended = accounts.end_all_logins(&identity.user).await;
        // As for one of them.
        engine.disconnect(&identity.user, CloseReason::Unauthenticated).await;
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

async fn list(State(app): State<App>, Proven(identity): Proven) -> Result<Json<Sessions>, Problem> {
    let current = own_login(&identity)?;
    let logins = app.accounts().logins(&identity.user).await?;
    let items = logins.iter().map(|login| Session::of(login, current)).collect();
    Ok(Json(Sessions { items, next_cursor: None }))
}

/// Ends one login of the caller, which may be this one. Of others' logins nobody is told that they are there.
async fn end(
    State(app): State<App>,
    Proven(identity): Proven,
    PathId(id): PathId,
) -> Result<StatusCode, Problem> {
    own_login(&identity)?;
    let none = || Problem::new(ErrorCode::NotFound, "there is no such login");
    let login = FamilyId::parse(&id).ok_or_else(none)?;
    if end_login(&app, identity, login).await? { Ok(StatusCode::NO_CONTENT) } else { Err(none()) }
}

async fn end_login(app: &App, identity: Identity, login: FamilyId) -> Result<bool, Problem> {
    let (accounts, engine) = (app.accounts().clone(), app.engine().clone());
    let ending = to_its_end(async move {
        let ended = accounts.logout(&identity.user, login).await;
        // If that failed, the store may have done it all the same; who is still logged in comes back.
        engine.disconnect_login(&identity.user, &login.to_string()).await;
        ended
    });
    Ok(ending.await??)
}

/// The login that a caller's token stems from.
pub(super) fn own_login(identity: &Identity) -> Result<FamilyId, Problem> {
    let login = identity.login.as_deref().filter(|_| !identity.external).and_then(FamilyId::parse);
    login.ok_or_else(|| Problem::new(ErrorCode::Forbidden, "this login is ended where it was begun"))
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
