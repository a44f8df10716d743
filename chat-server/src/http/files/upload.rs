//! `POST /api/upload`: a file comes in.

use axum::{
    Json,
    extract::{FromRequest, Request, State},
    response::{IntoResponse, Response},
};
use chat_core::files::FileRecord;
use chat_files::Files;
use http::StatusCode;
use serde::Serialize;

use super::multipart::Upload;
use crate::http::{App, caller::Authenticated, problem::Problem};

/// A file as its uploader is told of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Uploaded {
    file_id: String,
    name: String,
    mime: String,
    size: u64,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbnail_url: Option<String>,
}

/// What can't be kept for want of a right or a rate is not read.
pub(super) async fn upload(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    request: Request,
) -> Result<Response, Problem> {
    app.admit_upload(caller.user())?;
    let upload = Upload::from_request(request, &app).await?;
    let (files, name) = (app.files(), upload.name().to_owned());
    let file = upload.taken(|place, pieces| place.receive(caller.user(), &name, pieces)).await?;
    Ok((StatusCode::CREATED, Json(Uploaded::of(files, file))).into_response())
}

impl Uploaded {
    fn of(files: &Files, file: FileRecord) -> Self {
        let url = files.url_of(&file);
        Self {
            file_id: file.id.to_string(),
            thumbnail_url: file.thumbnail.is_some().then(|| format!("{url}?thumbnail=1")),
            url,
            name: file.name,
            mime: file.mime,
            size: file.size,
            width: file.width,
            height: file.height,
        }
    }
}
