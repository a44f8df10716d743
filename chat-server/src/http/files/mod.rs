//! Files: taking them in, and giving them out to who may have them.

mod asked;
mod avatar;
mod cookie;
mod disposition;
mod multipart;
mod rest;
mod serve;
mod upload;

use axum::{
    middleware,
    routing::{self, MethodRouter},
};

use super::{
    App, guard,
    route::{
        Content::{Bytes, Json, Nothing},
        Kind, Param, Route, Verb,
    },
};

pub(super) use cookie::hand_pass;

pub(super) const ROUTES: &[Route] = &[
    Route::new(
        Verb::Post,
        "/upload",
        "upload",
        "Takes in a file to be posted: JPEG, PNG, GIF, WebP, PDF, text or sound, told by its content",
        || within_deadline(routing::post(upload::upload)),
    )
    .form("Upload")
    .answers(&[(201, Json("Uploaded"))])
    .long(),
    // The name is for people: what counts is the id.
    Route::new(
        Verb::Get,
        "/files/{file}/{name}",
        "getFile",
        "A file, for its uploader and for who may read a message that refers to it; also by the cookie chat_files",
        || routing::get(serve::serve),
    )
    .query(&[Param::new(
        "thumbnail",
        "1 for the small image that stands for it",
        Kind::Choice(&["0", "1"]),
    )])
    .answers(&[(200, Bytes("*/*")), (206, Bytes("*/*")), (304, Nothing)]),
    Route::new(
        Verb::Put,
        "/users/me/avatar",
        "updateMyAvatar",
        "Takes in a picture of the caller: the square in its middle is kept, instead of the one before",
        || within_deadline(routing::put(avatar::update)),
    )
    .form("Upload")
    .answers(&[(200, Json("OwnUser"))])
    .long(),
    Route::new(
        Verb::Delete,
        "/users/me/avatar",
        "removeMyAvatar",
        "Lets go of the picture of the caller",
        || routing::delete(avatar::remove),
    )
    .answers(&[(200, Json("OwnUser"))]),
];

/// Uploads count their bytes themselves, may take longer than other requests, and are read on for a while
/// when they are refused.
fn within_deadline(route: MethodRouter<App>) -> MethodRouter<App> {
    route.layer(middleware::from_fn(guard::upload_deadline)).layer(middleware::from_fn(rest::take_rest))
}
