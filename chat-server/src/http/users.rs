//! `/api/users/me`: what is one's own, to take along or to have erased.

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use http::{StatusCode, header};

use super::{App, accounts::NO_COOKIE, caller::Authenticated, export::export, problem::Problem, to_its_end};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/me", delete(erase)).route("/me/export", get(export))
}

/// Erases the caller. It goes on when the caller goes away, or waits no longer.
async fn erase(State(app): State<App>, Authenticated(caller): Authenticated) -> Result<Response, Problem> {
    let (engine, user) = (app.engine().clone(), caller.user().clone());
    to_its_end(async move { engine.erase_user(&user).await }).await??;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, NO_COOKIE)]).into_response())
}
