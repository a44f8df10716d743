//! What moderators look at: reports, held messages, the audit log.

use axum::{response::Response, routing};
use chat_core::wire::{
    CareCommand, ClientCommand, FetchAudit, HeldPlace, ReportMessage, ReportPlace, ReviewList,
};
use http::StatusCode;

use super::{
    caller::{Authenticated, answered, performed},
    fields::{MaybeFields, PathId, PathIds, QueryFields},
    problem::Problem,
    route::{CURSOR, CURSOR_CHARS_MAX, Content::Json, Route, Verb},
};

pub(super) const ROUTES: &[Route] = &[
    Route::new(
        Verb::Post,
        "/rooms/{room}/messages/{message}/report",
        "reportMessage",
        "Reports a message to the moderators of its room",
        || routing::post(report),
    )
    .optional_body("Report"),
    Route::new(Verb::Get, "/rooms/{room}/reports", "listReports", "Lists the open reports of a room", || {
        routing::get(reports)
    })
    .query(&[CURSOR])
    .answers(&[(200, Json("ReportPage"))]),
    Route::new(
        Verb::Post,
        "/rooms/{room}/reports/{report}/resolve",
        "resolveReport",
        "Says that a report has been dealt with",
        || routing::post(resolve),
    ),
    Route::new(
        Verb::Get,
        "/rooms/{room}/held",
        "listHeld",
        "Lists the messages that wait for review",
        || routing::get(held),
    )
    .query(&[CURSOR])
    .answers(&[(200, Json("HeldPage"))]),
    Route::new(
        Verb::Post,
        "/rooms/{room}/held/{held}/release",
        "releaseHeld",
        "Sends a held message",
        || routing::post(release),
    )
    .answers(&[(201, Json("Sent"))]),
    Route::new(Verb::Delete, "/rooms/{room}/held/{held}", "discardHeld", "Discards a held message", || {
        routing::delete(discard)
    }),
    Route::new(Verb::Get, "/rooms/{room}/audit", "listAudit", "Reads the audit log of a room", || {
        routing::get(audit)
    })
    .query(&[CURSOR])
    .answers(&[(200, Json("AuditPage"))]),
];

async fn report(
    Authenticated(caller): Authenticated,
    PathIds([room_id, message_id]): PathIds<2>,
    MaybeFields(mut fields): MaybeFields,
) -> Result<Response, Problem> {
    let reason = fields.optional_text("reason");
    fields.done()?;
    let report = CareCommand::ReportMessage(ReportMessage { room_id, message_id, reason });
    performed(&caller, ClientCommand::Care(report)).await
}

async fn reports(
    Authenticated(caller): Authenticated,
    PathId(room): PathId,
    fields: QueryFields,
) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::Care(CareCommand::ListReports(list(room, fields)?))).await
}

async fn resolve(
    Authenticated(caller): Authenticated,
    PathIds([room_id, report_id]): PathIds<2>,
) -> Result<Response, Problem> {
    let resolve = CareCommand::ResolveReport(ReportPlace { room_id, report_id });
    performed(&caller, ClientCommand::Care(resolve)).await
}

async fn held(
    Authenticated(caller): Authenticated,
    PathId(room): PathId,
    fields: QueryFields,
) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::Care(CareCommand::ListHeld(list(room, fields)?))).await
}

async fn release(
    Authenticated(caller): Authenticated,
    PathIds([room_id, held_id]): PathIds<2>,
) -> Result<Response, Problem> {
    let release = CareCommand::ReleaseHeld(HeldPlace { room_id, held_id });
    Ok(answered(StatusCode::CREATED, &caller.perform(ClientCommand::Care(release)).await?))
}

async fn discard(
    Authenticated(caller): Authenticated,
    PathIds([room_id, held_id]): PathIds<2>,
) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::Care(CareCommand::DiscardHeld(HeldPlace { room_id, held_id }))).await
}

async fn audit(
    Authenticated(caller): Authenticated,
    PathId(room_id): PathId,
    mut fields: QueryFields,
) -> Result<Response, Problem> {
    let cursor = fields.text("cursor", CURSOR_CHARS_MAX);
    fields.done()?;
    performed(&caller, ClientCommand::FetchAudit(FetchAudit { room_id, cursor })).await
}

fn list(room_id: String, mut fields: QueryFields) -> Result<ReviewList, Problem> {
    let cursor = fields.text("cursor", CURSOR_CHARS_MAX);
    fields.done()?;
    Ok(ReviewList { room_id, cursor })
}
