//! What is done to members: roles, muting, kicking, banning.

use axum::{response::Response, routing};
use chat_core::{
    limits::SANCTION_SECONDS_MAX,
    time::{Clock, SystemClock, Timestamp},
    wire::{ClientCommand, Moderate, SetRole, parse_rfc3339},
};

use super::{
    caller::{Authenticated, Principal, performed},
    fields::{BodyFields, MaybeFields, PathIds, QueryFields},
    problem::Problem,
    route::{Content::Json, Kind, Param, Route, Verb},
};

/// Longest reason that is looked at.
const REASON_CHARS_MAX: usize = 500;

pub(super) const REASON: Param =
    Param::new("reason", "Why, for the audit log", Kind::Lines(REASON_CHARS_MAX));

pub(super) const ROUTES: &[Route] = &[
    Route::new(
        Verb::Put,
        "/rooms/{room}/members/{user}",
        "updateMember",
        "Gives a member another role, or mutes them until a time",
        || routing::put(update::<Authenticated>),
    )
    .body("UpdateMember")
    .answers(&[(200, Json("Changed"))]),
    Route::new(Verb::Delete, "/rooms/{room}/members/{user}", "kick", "Removes a member", || {
        routing::delete(kick::<Authenticated>)
    })
    .query(&[REASON])
    .answers(&[(200, Json("Changed"))]),
    Route::new(
        Verb::Put,
        "/rooms/{room}/bans/{user}",
        "ban",
        "Removes a user, if they are a member, and keeps them out",
        || routing::put(ban::<Authenticated>),
    )
    .optional_body("Ban")
    .answers(&[(200, Json("Changed"))]),
    Route::new(Verb::Delete, "/rooms/{room}/bans/{user}", "unban", "Lets a user in again", || {
        routing::delete(unban::<Authenticated>)
    })
    .answers(&[(200, Json("Changed"))]),
];

pub(super) async fn update<P: Principal>(
    principal: P,
    PathIds([room_id, user_id]): PathIds<2>,
    fields: BodyFields,
) -> Result<Response, Problem> {
    performed(&principal.into_caller(), change(room_id, user_id, fields)?).await
}

/// What is to become of a member, as the body says.
fn change(room_id: String, user_id: String, mut fields: BodyFields) -> Result<ClientCommand, Problem> {
    let role = fields.nullable_text("role");
    let until = fields.nullable_text("mutedUntil");
    let seconds = fields.nullable_number("muteSeconds");
    let reason = fields.optional_text("reason");
    let until = until.map(|until| match until.as_deref().map(parse_rfc3339) {
        None => None,
        Some(Some(at)) => Some(at),
        Some(None) => {
            fields.refuse("mutedUntil", "expected a time like 2026-01-31T12:00:00.000Z");
            None
        }
    });
    let (role, seconds) = (role.map(Option::unwrap_or_default), seconds.map(Option::unwrap_or_default));
    if [role.is_some(), until.is_some(), seconds.is_some()].iter().filter(|given| **given).count() != 1 {
        fields.refuse("role", "give one of role, mutedUntil and muteSeconds");
    }
    fields.done()?;
    if let Some(role) = role {
        return Ok(ClientCommand::SetRole(SetRole { room_id, user_id, role }));
    }
    Ok(match until {
        Some(None) => ClientCommand::Unmute(Moderate { room_id, user_id, seconds: None, reason }),
        Some(Some(at)) => {
            let seconds = seconds_until(at, SystemClock.now());
            ClientCommand::Mute(Moderate { room_id, user_id, seconds, reason })
        }
        None => ClientCommand::Mute(Moderate { room_id, user_id, seconds, reason }),
    })
}

/// Never less than what it takes: a time that is over is the shortest there is, and one that is too far off is for ever.
fn seconds_until(at: Timestamp, now: Timestamp) -> Option<u64> {
    Some(at.millis_since(now).div_ceil(1_000).max(1)).filter(|seconds| *seconds <= SANCTION_SECONDS_MAX)
}

pub(super) async fn kick<P: Principal>(
    principal: P,
    PathIds([room_id, user_id]): PathIds<2>,
    mut fields: QueryFields,
) -> Result<Response, Problem> {
    let reason = fields.text("reason", REASON_CHARS_MAX);
    fields.done()?;
    let kick = Moderate { room_id, user_id, seconds: None, reason };
    performed(&principal.into_caller(), ClientCommand::Kick(kick)).await
}

pub(super) async fn ban<P: Principal>(
    principal: P,
    PathIds([room_id, user_id]): PathIds<2>,
    MaybeFields(mut fields): MaybeFields,
) -> Result<Response, Problem> {
    let seconds = fields.optional_number("seconds");
    let reason = fields.optional_text("reason");
    fields.done()?;
    let ban = Moderate { room_id, user_id, seconds, reason };
    performed(&principal.into_caller(), ClientCommand::Ban(ban)).await
}

pub(super) async fn unban<P: Principal>(
    principal: P,
    PathIds([room_id, user_id]): PathIds<2>,
) -> Result<Response, Problem> {
    let unban = Moderate { room_id, user_id, seconds: None, reason: None };
    performed(&principal.into_caller(), ClientCommand::Unban(unban)).await
}
