//! `/api/users/me/avatar`: the picture that stands for somebody.

use axum::{
    extract::{FromRequest, Request, State},
    response::Response,
};
use chat_core::{engine::Caller, store::ProfileChange};
use http::StatusCode;

use super::multipart::Upload;
use crate::http::{
    App,
    caller::{Authenticated, shown},
    problem::Problem,
    users::own_user,
};

/// Counts as an upload.
pub(super) async fn update(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    request: Request,
) -> Result<Response, Problem> {
    app.admit_upload(caller.user())?;
    let upload = Upload::from_request(request, &app).await?;
    let avatar = upload.taken(|place, pieces| place.receive_avatar(caller.user(), pieces)).await?;
    let url = app.files().url_of(&avatar);
    replace(&app, &caller, Some(&url)).await
}

/// Who has none stays so.
pub(super) async fn remove(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
) -> Result<Response, Problem> {
    replace(&app, &caller, None).await
}

/// The change of the profile drops the picture that it replaces. A new one to which it does not come is nobody's.
async fn replace(app: &App, caller: &Caller, url: Option<&str>) -> Result<Response, Problem> {
    let change = ProfileChange { avatar_url: Some(url.map(Into::into)), ..ProfileChange::default() };
    caller.update_profile(change, None).await?;
    Ok(shown(StatusCode::OK, &own_user(app, caller).await?))
}
