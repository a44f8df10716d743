//! `/api/admin`: what takes the server role `admin`. What is done to a room stands in the room's audit log, what is
//! done to a user in the server's own, both under the name of who did it.

mod rooms;
mod users;

use axum::{
    extract::{FromRequestParts, State},
    response::{IntoResponse, Response},
    routing,
};
use chat_core::{
    auth::ServerRole,
    domain::{AuditAct, ErrorCode, Rejection},
    engine::{Activity, Caller, Error},
    id::UserId,
    store::UserProfile,
    wire::{AuditView, ReportView},
};
use http::{StatusCode, request::Parts};
use serde_json::json;

use super::{
    App,
    caller::{Authenticated, Principal, listed, shown},
    fields::Cursor,
    problem::Problem,
    route::{Access, CURSOR, Content::Json, Route, Verb},
    to_its_end,
};

pub(super) use rooms::ROUTES as ROOMS;
pub(super) use users::ROUTES as USERS;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Get, "/admin/stats", "adminStats", "Tells what is going on at this moment", || {
        routing::get(stats)
    })
    .access(Access::Admin)
    .answers(&[(200, Json("Stats"))]),
    Route::new(
        Verb::Get,
        "/admin/reports",
        "adminListReports",
        "Lists the open reports of all rooms",
        || routing::get(reports),
    )
    .access(Access::Admin)
    .query(&[CURSOR])
    .answers(&[(200, Json("AllReportPage"))]),
    Route::new(Verb::Get, "/admin/audit", "adminAudit", "Reads the server's own audit log", || {
        routing::get(audit)
    })
    .access(Access::Admin)
    .query(&[CURSOR])
    .answers(&[(200, Json("ServerAuditPage"))]),
];

/// Who has the server role `admin`, acting for the operator. Whatever takes this answers 403 to other users.
#[derive(Debug)]
struct Admin(Caller);

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, app).await?;
        if caller.role() != ServerRole::Admin {
            tracing::warn!(user = %caller.user(), "an act of the operator was refused");
            return Err(Problem::new(ErrorCode::Forbidden, "this takes the server role admin"));
        }
        Ok(Self(caller.for_the_operator()))
    }
}

impl Principal for Admin {
    fn into_caller(self) -> Caller {
        self.0
    }
}

async fn stats(State(app): State<App>, Admin(_): Admin) -> Response {
    let Activity { connections, users, rooms } = app.engine().activity();
    let stats = json!({
        "connections": connections, "usersOnline": users, "roomsLive": rooms,
        "uptimeSeconds": app.uptime().as_secs(), "version": env!("CARGO_PKG_VERSION"),
    });
    shown(StatusCode::OK, &stats)
}

async fn reports(
    State(app): State<App>,
    Admin(_): Admin,
    Cursor(cursor): Cursor,
) -> Result<Response, Problem> {
    let page = app.engine().open_reports(cursor).await?;
    let items = page.items.iter().map(|(report, [reporter, author])| {
        let view = ReportView::of(report, reporter.as_str(), author.as_str());
        let mut item = serde_json::to_value(view).unwrap_or_default();
        item["roomId"] = report.room.as_str().into();
        item
    });
    Ok(listed(items, page.next.as_deref()))
}

async fn audit(State(app): State<App>, Admin(_): Admin, Cursor(cursor): Cursor) -> Result<Response, Problem> {
    let page = app.engine().audit(cursor).await?;
    Ok(listed(page.items.iter().map(AuditView::of), page.next.as_deref()))
}

/// Does an act of the operator to its end and notes it under the name of who did it, also when they hang up meanwhile.
async fn done_and_noted(
    app: App,
    operator: &Caller,
    (act, target, details): (AuditAct, UserId, Vec<(&'static str, String)>),
    work: impl Future<Output = Result<(), Problem>> + Send + 'static,
) -> Result<Response, Problem> {
    let operator = operator.user().clone();
    let done = to_its_end(async move {
        work.await?;
        app.engine().note(&operator, act, Some(target), details).await.map_err(Problem::from)
    });
    done.await??;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A user who is there.
async fn known(app: &App, user: &str) -> Result<UserProfile, Problem> {
    let unknown = || Problem::from(Error::from(Rejection::NO_USER));
    let user = UserId::parse(user).map_err(|_| unknown())?;
    let profile = app.engine().user(&user).await?;
    profile.filter(|profile| !profile.is_erased()).ok_or_else(unknown)
}
