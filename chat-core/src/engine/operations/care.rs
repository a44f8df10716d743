//! What is held, reported and reviewed, as commands of the protocol.

use super::{room_id, sent_answer};
use crate::{
    domain::{Rejection, ReportReason},
    engine::{caller::Caller, error::Error},
    id::{HeldId, MessageId, ReportId},
    wire::{Answer, CareCommand, HeldPlace, HeldView, ReportMessage, ReportPlace, ReportView, ReviewList},
};

impl Caller {
    pub(super) async fn perform_care(&self, command: CareCommand) -> Result<Answer, Error> {
        match command {
            CareCommand::ListHeld(list) => self.perform_list_held(list).await,
            CareCommand::ReleaseHeld(place) => {
                let room = room_id(&place.room_id)?;
                let sent = self.release(&room, &held_id(&place)?).await?;
                Ok(sent_answer(&room, sent))
            }
            CareCommand::DiscardHeld(place) => {
                self.discard(&room_id(&place.room_id)?, &held_id(&place)?).await?;
                Ok(Answer::Done {})
            }
            CareCommand::ReportMessage(fields) => self.perform_report(fields).await,
            CareCommand::ListReports(list) => self.perform_list_reports(list).await,
            CareCommand::ResolveReport(ReportPlace { room_id: room, report_id }) => {
                let report = ReportId::parse(&report_id).map_err(|_| Rejection::NotFound("report"))?;
                self.resolve_report(&room_id(&room)?, &report).await?;
                Ok(Answer::Done {})
            }
        }
    }

    async fn perform_list_held(&self, list: ReviewList) -> Result<Answer, Error> {
        let page = self.held(&room_id(&list.room_id)?, list.cursor).await?;
        let items = page.items.iter().map(|(held, name)| HeldView::of(held, name.as_str())).collect();
        Ok(Answer::HeldMessages { room_id: list.room_id, items, next_cursor: page.next })
    }

    async fn perform_report(&self, fields: ReportMessage) -> Result<Answer, Error> {
        let room = room_id(&fields.room_id)?;
        let reason = ReportReason::parse(&fields.reason.unwrap_or_default())?;
        let message = MessageId::parse(&fields.message_id).map_err(|_| Rejection::NotFound("message"));
        match message {
            Ok(message) => self.report(&room, message, reason).await.map(|_| Answer::Done {}),
            // Who may not see the room is told that first.
            Err(missing) => {
                self.messages(&room, crate::store::Place::Latest, 1).await?;
                Err(missing.into())
            }
        }
    }

    async fn perform_list_reports(&self, list: ReviewList) -> Result<Answer, Error> {
        let page = self.reports(&room_id(&list.room_id)?, list.cursor).await?;
        let view = |(report, [reporter, author]): &(_, [crate::domain::Username; 2])| {
            ReportView::of(report, reporter.as_str(), author.as_str())
        };
        let items = page.items.iter().map(view).collect();
        Ok(Answer::Reports { room_id: list.room_id, items, next_cursor: page.next })
    }
}

fn held_id(place: &HeldPlace) -> Result<HeldId, Error> {
    HeldId::parse(&place.held_id).map_err(|_| Rejection::NO_HELD.into())
}
