//! What moderators look at: reports, held messages, the audit log.

use axum::{response::Response, routing};
use chat_core::wire::{
    CareCommand, ClientCommand, FetchAudit, HeldPlace, ReportMessage, ReportPlace, ReviewList,
};
use http::StatusCode;

use super::{
    caller::{Authenticated, Principal, answered, performed},
    fields::{Cursor, MaybeFields, PathId, PathIds},
    problem::Problem,
    route::{CURSOR, Content::Json, Route, Verb},
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
        || routing::post(resolve::<Authenticated>),
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
        routing::get(audit::<Authenticated>)
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
    PathId(room_id): PathId,
    Cursor(cursor): Cursor,
) -> Result<Response, Problem> {
    let list = CareCommand::ListReports(ReviewList { room_id, cursor });
    performed(&caller, ClientCommand::Care(list)).await
}

pub(super) async fn resolve<P: Principal>(
    principal: P,
    PathIds([room_id, report_id]): PathIds<2>,
) -> Result<Response, Problem> {
    let resolve = CareCommand::ResolveReport(ReportPlace { room_id, report_id });
    performed(&principal.into_caller(), ClientCommand::Care(resolve)).await
}

async fn held(
    Authenticated(caller): Authenticated,
    PathId(room_id): PathId,
    Cursor(cursor): Cursor,
) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::Care(CareCommand::ListHeld(ReviewList { room_id, cursor }))).await
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

pub(super) async fn audit<P: Principal>(
    principal: P,
    PathId(room_id): PathId,
    Cursor(cursor): Cursor,
) -> Result<Response, Problem> {
    performed(&principal.into_caller(), ClientCommand::FetchAudit(FetchAudit { room_id, cursor })).await
}
