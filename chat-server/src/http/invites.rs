//! Invitations, of users and by links.

use axum::{response::Response, routing};
use chat_core::{
    auth::Secret,
    wire::{ClientCommand, CreateInviteLink, InviteFields, RevokeInviteLink},
};
use http::StatusCode;

use super::{
    caller::{Authenticated, answered, performed},
    fields::{BodyFields, MaybeFields, PathId},
    problem::Problem,
    route::{Content::Json, Route, Verb},
};

pub(super) const ROUTES: &[Route] = &[
    Route::new(Verb::Post, "/rooms/{room}/invites", "invite", "Invites a user to a room", || {
        routing::post(invite)
    })
    .body("Invite")
    .answers(&[(201, Json("Invited"))]),
    Route::new(Verb::Get, "/invites", "listInvites", "Lists the invitations of the caller", || {
        routing::get(list)
    })
    .answers(&[(200, Json("Invites"))]),
    Route::new(
        Verb::Post,
        "/invites/{invite}/accept",
        "acceptInvite",
        "Joins the room of an invitation",
        || routing::post(accept),
    )
    .answers(&[(200, Json("RoomAnswer"))]),
    Route::new(Verb::Post, "/invites/{invite}/decline", "declineInvite", "Declines an invitation", || {
        routing::post(decline)
    }),
    Route::new(
        Verb::Get,
        "/rooms/{room}/invite-links",
        "listInviteLinks",
        "Lists the links into a room",
        || routing::get(links),
    )
    .answers(&[(200, Json("InviteLinks"))]),
    Route::new(
        Verb::Post,
        "/rooms/{room}/invite-links",
        "createInviteLink",
        "Makes a link into a room",
        || routing::post(create_link),
    )
    .optional_body("CreateInviteLink")
    .answers(&[(201, Json("InviteLinkAnswer"))]),
    Route::new(Verb::Delete, "/rooms/{room}/invite-links", "revokeInviteLink", "Takes a link back", || {
        routing::delete(revoke_link)
    })
    .body("RevokeInviteLink"),
    Route::new(Verb::Post, "/invite-links/join", "joinByLink", "Joins a room by the token of a link", || {
        routing::post(join_by_link)
    })
    .body("JoinByLink")
    .answers(&[(200, Json("RoomAnswer"))]),
];

async fn invite(
    Authenticated(caller): Authenticated,
    PathId(room_id): PathId,
    mut fields: BodyFields,
) -> Result<Response, Problem> {
    let user_id = fields.text("userId");
    fields.done()?;
    let invite = ClientCommand::Invite(InviteFields { room_id, user_id });
    Ok(answered(StatusCode::CREATED, &caller.perform(invite).await?))
}

async fn list(Authenticated(caller): Authenticated) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::ListInvites).await
}

async fn accept(Authenticated(caller): Authenticated, PathId(invite): PathId) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::AcceptInvite(invite)).await
}

async fn decline(Authenticated(caller): Authenticated, PathId(invite): PathId) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::DeclineInvite(invite)).await
}

async fn links(Authenticated(caller): Authenticated, PathId(room): PathId) -> Result<Response, Problem> {
    performed(&caller, ClientCommand::ListInviteLinks(room)).await
}

async fn create_link(
    Authenticated(caller): Authenticated,
    PathId(room_id): PathId,
    MaybeFields(mut fields): MaybeFields,
) -> Result<Response, Problem> {
    let create = CreateInviteLink {
        room_id,
        expires_in_seconds: fields.optional_number("expiresInSeconds"),
        max_uses: fields.optional_number("maxUses"),
    };
    fields.done()?;
    let answer = caller.perform(ClientCommand::CreateInviteLink(create)).await?;
    Ok(answered(StatusCode::CREATED, &answer))
}

/// The token comes in the body, since addresses end up in logs.
async fn revoke_link(
    Authenticated(caller): Authenticated,
    PathId(room_id): PathId,
    mut fields: BodyFields,
) -> Result<Response, Problem> {
    let token = fields.optional_text("token").map(Secret::new);
    let link_id = fields.optional_text("linkId");
    fields.done()?;
    let revoke = RevokeInviteLink { room_id, token, link_id };
    performed(&caller, ClientCommand::RevokeInviteLink(revoke)).await
}

async fn join_by_link(
    Authenticated(caller): Authenticated,
    mut fields: BodyFields,
) -> Result<Response, Problem> {
    let token = Secret::new(fields.text("token"));
    fields.done()?;
    performed(&caller, ClientCommand::JoinByLink(token)).await
}
