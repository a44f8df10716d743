//! Deciding what becomes of the room itself: its settings, its pace, its end.

use super::Plan;
use crate::{
    domain::{
        Action, Actor, AuditAct, Change, Guard, Outcome, Rejection, Retention, Role, Room, RoomChange,
        RoomKind, RoomName, RowChange,
    },
    limits::SLOW_MODE_SECONDS_MAX,
    time::Timestamp,
};

impl Plan<'_> {
    pub(super) fn update_room(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        change: &RoomChange,
    ) -> Result<Outcome, Rejection> {
        self.manage(actor, Role::Admin)?;
        let room = changed(&self.room, change)?;
        if room == self.room {
            return Ok(Outcome::Unchanged(Some(self.room.head)));
        }
        let details = details(&self.room, &room);
        let retention = (self.room.retention != room.retention).then_some(room.retention);
        let (before, after) = (public_name(&self.room), public_name(&room));
        self.append(actor, at, Change::Describe(Box::new(Room { head: self.room.head.next(), ..room })));
        if before.as_ref().map(RoomName::key) != after.as_ref().map(RoomName::key) {
            self.commit.rows.extend(before.map(RowChange::FreeName));
            if let Some(name) = after {
                self.commit.guards.push(Guard::NameFree(name.clone()));
                self.commit.rows.push(RowChange::TakeName(name));
            }
        }
        if !details.is_empty() {
            self.audit(actor, at, AuditAct::UpdateRoom, None, details);
        }
        if let Some(Retention { days, messages }) = retention {
            self.commit.rows.push(RowChange::PutRetention);
            let bound =
                |bound: Option<u32>| bound.map_or_else(|| "none".to_owned(), |bound| bound.to_string());
            let details = vec![("retentionDays", bound(days)), ("retentionMessages", bound(messages))];
            self.audit(actor, at, AuditAct::SetRetention, None, details);
        }
        Ok(Outcome::Changed(self.room.head))
    }

    pub(super) fn delete_room(&mut self, actor: &Actor, at: Timestamp) -> Result<Outcome, Rejection> {
        self.manage(actor, Role::Owner)?;
        let details = vec![("name", self.room.name.as_str().to_owned())];
        self.drop_room(actor, at, details);
        Ok(Outcome::Changed(self.room.head))
    }

    /// Deletes the room, whoever asks, with these particulars in its audit log.
    pub(super) fn drop_room(&mut self, actor: &Actor, at: Timestamp, details: Vec<(&'static str, String)>) {
        let name = public_name(&self.room);
        self.append(actor, at, Change::DeleteRoom);
        self.commit.rows.extend(name.map(RowChange::FreeName));
        self.commit.rows.push(RowChange::DropRoom);
        self.audit(actor, at, AuditAct::DeleteRoom, None, details);
    }

    /// That the pace of the room permits the actor another message: in slow mode a member waits between two.
    pub(super) fn may_hurry(&self, actor: &Actor, at: Timestamp) -> Result<(), Rejection> {
        let pace = u64::from(self.room.slow_mode_seconds) * 1_000;
        let exempt = self.rows.member(&actor.user).is_some_and(|member| member.role >= Role::Moderator);
        let last = self.rows.last_sent.get(&actor.user).copied().flatten();
        match last.map(|last| at.millis_since(last)) {
            Some(since) if since < pace && !exempt => {
                Err(Rejection::RateLimited { retry_after_ms: pace - since })
            }
            _ => Ok(()),
        }
    }

    /// That the actor has this rank, at least, in a room that has ranks.
    fn manage(&self, actor: &Actor, least: Role) -> Result<(), Rejection> {
        let own = self.rank(actor, Action::Manage)?;
        if self.room.kind == RoomKind::Direct {
            return Err(Rejection::Forbidden("a direct room stays as it is"));
        }
        match own {
            Some(own) if own.is_at_least(least) => Ok(()),
            _ if least == Role::Owner => Err(Rejection::Forbidden("only an owner may do this")),
            _ => Err(Rejection::Forbidden("only admins and above may do this")),
        }
    }
}

/// The room as it would be.
fn changed(room: &Room, change: &RoomChange) -> Result<Room, Rejection> {
    let RoomChange { name, description, archived, slow_mode_seconds, history, private, .. } = change.clone();
    let retention = Retention {
        days: change.retention_days.unwrap_or(room.retention.days),
        messages: change.retention_messages.unwrap_or(room.retention.messages),
    };
    if !retention.is_valid() {
        return Err(Rejection::BadRequest(
            "retentionDays is 1 to 36,500 and retentionMessages 1 to 100,000,000, or null",
        ));
    }
    if slow_mode_seconds.is_some_and(|seconds| seconds > SLOW_MODE_SECONDS_MAX) {
        return Err(Rejection::BadRequest("slow mode is at most 21,600 seconds"));
    }
    let kind = match (private, room.kind) {
        (None, kind) => kind,
        (Some(true), RoomKind::Public | RoomKind::Private) => RoomKind::Private,
        (Some(false), RoomKind::Public | RoomKind::Private) => RoomKind::Public,
        (Some(_), RoomKind::Direct | RoomKind::Group) => {
            return Err(Rejection::BadRequest("a group stays a group"));
        }
    };
    Ok(Room {
        name: name.unwrap_or_else(|| room.name.clone()),
        description: description.unwrap_or_else(|| room.description.clone()),
        archived: archived.unwrap_or(room.archived),
        slow_mode_seconds: slow_mode_seconds.unwrap_or(room.slow_mode_seconds),
        history: history.unwrap_or(room.history),
        retention,
        kind,
        ..room.clone()
    })
}

fn public_name(room: &Room) -> Option<RoomName> {
    (room.kind == RoomKind::Public).then(|| room.name.clone())
}

/// What differs, for the audit log. A description is long and can be read in the room's log.
fn details(before: &Room, after: &Room) -> Vec<(&'static str, String)> {
    let mut details = Vec::new();
    let mut note = |differs: bool, name, value: &str| {
        if differs {
            details.push((name, value.to_owned()));
        }
    };
    note(before.name != after.name, "name", after.name.as_str());
    note(before.description != after.description, "description", "changed");
    note(before.archived != after.archived, "archived", if after.archived { "true" } else { "false" });
    let pace = after.slow_mode_seconds.to_string();
    note(before.slow_mode_seconds != after.slow_mode_seconds, "slowModeSeconds", &pace);
    note(before.history != after.history, "history", after.history.as_str());
    note(before.kind != after.kind, "kind", after.kind.as_str());
    details
}
