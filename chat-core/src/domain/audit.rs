//! What those with power over others have done, so that nobody can change it later without being noticed.
//!
//! Each room has one chain of records: every record holds the hash of the one before it and a hash over all it
//! says. A record is written by [`super::RowChange::Audit`] in the same commit as the act, so neither is there
//! without the other.

use std::fmt;

use crate::{
    id::{RoomId, UserId},
    time::Timestamp,
};

/// A privileged act, for [`AuditNote`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the act of its name")]
pub enum AuditAct {
    Kick,
    Ban,
    Unban,
    Mute,
    Unmute,
    SetRole,
    UpdateRoom,
    DeleteRoom,
    DeleteMessage,
    ReleaseMessage,
    DiscardMessage,
    RevokeInviteLink,
    SetRetention,
    EraseUser,
    DisableUser,
    EnableUser,
    SetServerRole,
    ResetPassword,
    EndLogins,
    ResolveReport,
}

impl AuditAct {
    /// The act as it stands in records and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kick => "kick",
            Self::Ban => "ban",
            Self::Unban => "unban",
            Self::Mute => "mute",
            Self::Unmute => "unmute",
            Self::SetRole => "set_role",
            Self::UpdateRoom => "update_room",
            Self::DeleteRoom => "delete_room",
            Self::DeleteMessage => "delete_message",
            Self::ReleaseMessage => "release_message",
            Self::DiscardMessage => "discard_message",
            Self::RevokeInviteLink => "revoke_invite_link",
            Self::SetRetention => "set_retention",
            Self::EraseUser => "erase_user",
            Self::DisableUser => "disable_user",
            Self::EnableUser => "enable_user",
            Self::SetServerRole => "set_server_role",
            Self::ResetPassword => "reset_password",
            Self::EndLogins => "end_logins",
            Self::ResolveReport => "resolve_report",
        }
    }
}

/// What is to be recorded. The store numbers it and chains it to the record before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditNote {
    /// When it was done.
    pub at: Timestamp,
    /// Who did it.
    pub actor: UserId,
    /// What.
    pub act: AuditAct,
    /// To whom.
    pub target: Option<UserId>,
    /// With what particulars, by name. Never the text of a message.
    pub details: Vec<(&'static str, String)>,
}

/// One record of a room's audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its number in the room, from 1 without holes.
    pub number: u64,
    /// In which room.
    pub room: RoomId,
    /// When it was done.
    pub at: Timestamp,
    /// Who did it.
    pub actor: UserId,
    /// What: one of [`AuditAct::as_str`], or the act of a newer version.
    pub act: String,
    /// To whom.
    pub target: Option<UserId>,
    /// With what particulars, by name.
    pub details: Vec<(String, String)>,
    /// The hash of the record before; zeros for the first.
    pub previous: AuditHash,
    /// The hash over everything above.
    pub hash: AuditHash,
}

/// BLAKE3 over a record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AuditHash(pub [u8; 32]);

impl AuditRecord {
    /// The record that follows `count` others, the last of which has the hash `previous`.
    #[must_use]
    pub fn following(count: u64, previous: AuditHash, room: &RoomId, note: &AuditNote) -> Self {
        let mut record = Self {
            number: count + 1,
            room: room.clone(),
            at: note.at,
            actor: note.actor.clone(),
            act: note.act.as_str().to_owned(),
            target: note.target.clone(),
            details: note.details.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            previous,
            hash: AuditHash::default(),
        };
        record.hash = record.digest();
        record
    }

    /// Whether its hash is the one over what it says.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.hash == self.digest()
    }

    /// Every part goes in with its length before it, so that no two records give the same bytes.
    fn digest(&self) -> AuditHash {
        let mut hasher = blake3::Hasher::new_derive_key("chat-core: record of an audit log, version 1");
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        part(self.room.as_str().as_bytes());
        part(&self.number.to_be_bytes());
        part(&self.at.as_millis().to_be_bytes());
        part(self.actor.as_str().as_bytes());
        part(self.act.as_bytes());
        part(self.target.as_ref().map_or("", UserId::as_str).as_bytes());
        part(&(self.details.len() as u64).to_be_bytes());
        for (name, value) in &self.details {
            part(name.as_bytes());
            part(value.as_bytes());
        }
        part(&self.previous.0);
        AuditHash(*hasher.finalize().as_bytes())
    }
}

impl fmt::Display for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> AuditRecord {
        let note = AuditNote {
            at: Timestamp::from_millis(7),
            actor: UserId::parse("alice").unwrap(),
            act: AuditAct::Ban,
            target: Some(UserId::parse("bob").unwrap()),
            details: vec![("reason", "spam".into()), ("until", "x".into())],
        };
        AuditRecord::following(3, AuditHash([9; 32]), &RoomId::parse("lobby").unwrap(), &note)
    }

    #[test]
    fn a_record_is_intact_until_any_part_of_it_is_changed() {
        assert!(record().is_intact());
        assert_eq!(record().number, 4);
        let changes: [fn(&mut AuditRecord); 9] = [
            |record| record.number = 5,
            |record| record.room = RoomId::parse("attic").unwrap(),
            |record| record.at = Timestamp::from_millis(8),
            |record| record.actor = UserId::parse("bob").unwrap(),
            |record| record.act = "kick".into(),
            |record| record.target = None,
            |record| record.details[0] = ("reasons".into(), "pam".into()),
            |record| drop(record.details.pop()),
            |record| record.previous = AuditHash([8; 32]),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = record();
            change(&mut changed);
            assert!(!changed.is_intact(), "change {number}");
        }
    }
}
