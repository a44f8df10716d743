//! How people are, as clients say and ask it.

use crate::{
    domain::{Presence, Rejection, StatusText, Username},
    engine::{
        caller::{Caller, TOO_MANY},
        error::Error,
    },
    id::UserId,
    limits::PRESENCES_ASKED_MAX,
    wire::{Answer, GetPresence, PresenceView, SetPresence},
};

impl Caller {
    pub(super) fn perform_set_presence(&self, fields: SetPresence) -> Result<Answer, Error> {
        let text = fields.status_text.map(|text| StatusText::parse(&text.0.unwrap_or_default()));
        self.set_presence(fields.status.into(), text.transpose()?)?;
        Ok(Answer::Done {})
    }

    pub(super) async fn perform_get_presence(&self, fields: &GetPresence) -> Result<Answer, Error> {
        if fields.user_ids.len() > PRESENCES_ASKED_MAX {
            return Err(Rejection::BadRequest(TOO_MANY).into());
        }
        // An id that nobody can have is nobody's.
        let users: Vec<_> = fields.user_ids.iter().filter_map(|user| UserId::parse(user).ok()).collect();
        let presences = self.presences(&users).await?;
        let view = |(user, name, presence): &(UserId, Username, Presence)| {
            PresenceView::of(user, name.as_str(), presence)
        };
        Ok(Answer::Presences { items: presences.iter().map(view).collect() })
    }
}
