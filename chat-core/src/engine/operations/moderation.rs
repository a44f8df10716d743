//! What moderators ask for.

use super::room_id;
use crate::{
    domain::{Measure, Moderation, Reason, Rejection, Role},
    engine::{caller::Caller, error::Error},
    id::UserId,
    wire::{Answer, AuditView, FetchAudit, Moderate, SetRole},
};

impl Caller {
    pub(super) async fn perform_moderate(
        &self,
        fields: Moderate,
        measure: impl FnOnce(Option<u64>) -> Measure + Send,
    ) -> Result<Answer, Error> {
        let room = room_id(&fields.room_id)?;
        let reason = fields.reason.filter(|reason| !reason.is_empty());
        let reason = reason.map(|reason| Reason::parse(&reason)).transpose()?;
        let moderation =
            Moderation { user: user_id(&fields.user_id)?, measure: measure(fields.seconds), reason };
        let seq = self.moderate(&room, moderation).await?;
        Ok(Answer::Seq { seq: seq.get() })
    }

    pub(super) async fn perform_set_role(&self, fields: SetRole) -> Result<Answer, Error> {
        let room = room_id(&fields.room_id)?;
        let user = user_id(&fields.user_id)?;
        let role = Role::parse(&fields.role);
        let role = role.ok_or(Rejection::BadRequest("a role is owner, admin, moderator or member"))?;
        let seq = self.set_role(&room, &user, role).await?;
        Ok(Answer::Seq { seq: seq.get() })
    }

    pub(super) async fn perform_audit(&self, fields: FetchAudit) -> Result<Answer, Error> {
        let page = self.audit(&room_id(&fields.room_id)?, fields.cursor).await?;
        let items = page.items.iter().map(AuditView::of).collect();
        Ok(Answer::Audit { room_id: fields.room_id, items, next_cursor: page.next })
    }
}

/// A user's id as a client gave it. One that no user can have names a user who is not there.
pub(super) fn user_id(text: &str) -> Result<UserId, Error> {
    UserId::parse(text).map_err(|_| Rejection::NotFound("user").into())
}
