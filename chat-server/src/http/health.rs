//! What load balancers and operators ask.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use chat_core::store::Maintenance;
use serde_json::json;

use super::{App, problem::Problem};

/// The process lives.
pub(super) async fn healthz() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// It accepts messages: the store can write, and the server is not about to stop.
pub(super) async fn readyz(State(app): State<App>) -> Result<Response, Problem> {
    if app.is_draining() {
        return Err(Problem::unavailable());
    }
    app.store().writable()?;
    Ok(Json(json!({ "status": "ready" })).into_response())
}
