//! Whether a user is there: one truth merged over all their sessions, and when others are told of it.

use std::time::Duration;

use super::StatusText;
use crate::{
    id::{SessionId, UserId},
    time::Timestamp,
};

/// How long somebody who went still looks as before, so that reloading a page is no event.
pub const PRESENCE_GRACE: Duration = Duration::from_secs(5);

/// The least time between two events about one user; what changes meanwhile is told as one.
pub const PRESENCE_EVERY: Duration = Duration::from_secs(1);

/// What a user says about being there. `Away` is said of one session, the others of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Availability {
    /// There, as far as this session goes.
    Online,
    /// Not looking at this session.
    Away,
    /// There, and not to be disturbed, on whichever session.
    Dnd,
    /// Offline, to everybody else.
    Invisible,
}

/// How a user looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// A session is being looked at.
    Online,
    /// There are sessions, and none is being looked at.
    Away,
    /// Not to be disturbed.
    Dnd,
    /// Offline to others; only the user sees this.
    Invisible,
    /// Not there.
    Offline,
}

impl Status {
    /// The status on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Away => "away",
            Self::Dnd => "dnd",
            Self::Invisible => "invisible",
            Self::Offline => "offline",
        }
    }
}

/// How a user looks to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Their status.
    pub status: Status,
    /// What they say beside it; nothing while offline.
    pub text: StatusText,
    /// When they were last there, for who is offline and ever was.
    pub last_seen: Option<Timestamp>,
}

impl Presence {
    /// Not there, and last seen then.
    #[must_use]
    pub fn offline(last_seen: Option<Timestamp>) -> Self {
        Self { status: Status::Offline, text: StatusText::default(), last_seen }
    }
}

/// What a user's sessions do not take with them when they go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeptPresence {
    /// What holds for the user on whichever session.
    pub mode: PresenceMode,
    /// What they say beside it.
    pub text: StatusText,
    /// When they were last there for others to see.
    pub last_seen: Option<Timestamp>,
}

/// What holds for a user on whichever session, until they say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PresenceMode {
    /// Nothing: sessions tell.
    #[default]
    Available,
    /// Not to be disturbed.
    Dnd,
    /// Offline to others.
    Invisible,
}

/// One user's presence: their sessions, how they look, and what others were told last. Pure: every method is
/// given the present, as the time since some beginning that never goes back, and as the hour of the day (`at`).
///
/// * Online while a session is looked at, away while there are sessions and none is.
/// * `Dnd` and `Invisible` hold on all sessions, also on later ones, until another status is set.
/// * Who is not there any more, or is invisible from now on, looks as before for [`PRESENCE_GRACE`], then
///   offline: the two can't be told apart.
/// * Others are told at most once in [`PRESENCE_EVERY`], and in the end what is true.
#[derive(Debug, Clone)]
pub struct Person {
    sessions: Vec<Device>,
    kept: KeptPresence,
    /// How they look while they do not look offline.
    shown: Option<(Status, StatusText)>,
    /// Since when they look so only by grace.
    gone_since: Option<Duration>,
    told: Told,
    told_at: Option<Duration>,
    /// When the user last said how they are.
    set_at: Timestamp,
    unsaved: bool,
}

/// What one node tells the others about a user: their sessions there, and what holds wherever they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attendance {
    /// Whom it is about.
    pub user: UserId,
    /// Whether they have sessions there, and whether they are away on all of them.
    pub away: Option<bool>,
    /// What holds on whichever session.
    pub kept: KeptPresence,
    /// When the user last said so. Of two that were said the later counts.
    pub set_at: Timestamp,
}

#[derive(Debug, Clone)]
struct Device {
    session: SessionId,
    away: bool,
    /// Whether it stands for all sessions on another node.
    remote: bool,
}

/// What is told about a user: the same thing as others see it and as they see it themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    others: Presence,
    own: Presence,
}

/// What is to be told now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceNews {
    /// To others, if it is new to them.
    pub others: Option<Presence>,
    /// To the user's own sessions, if it is new to them.
    pub own: Option<Presence>,
}

impl Person {
    /// A user without sessions.
    #[must_use]
    pub fn new(kept: KeptPresence) -> Self {
        let offline = Presence::offline(kept.last_seen);
        Self {
            sessions: Vec::new(),
            kept,
            shown: None,
            gone_since: None,
            told: Told { others: offline.clone(), own: offline },
            told_at: None,
            set_at: Timestamp::default(),
            unsaved: false,
        }
    }

    /// Whether the user has a session, here or elsewhere.
    #[must_use]
    pub fn is_present(&self) -> bool {
        !self.sessions.is_empty()
    }

    /// What is kept of the user.
    #[must_use]
    pub fn kept(&self) -> &KeptPresence {
        &self.kept
    }

    /// What this node tells the others about the user.
    #[must_use]
    pub fn attendance(&self, user: &UserId) -> Attendance {
        let mut own = self.sessions.iter().filter(|device| !device.remote).peekable();
        let away = own.peek().is_some().then_some(());
        Attendance {
            user: user.clone(),
            away: away.map(|()| own.all(|device| device.away)),
            kept: self.kept.clone(),
            set_at: self.set_at,
        }
    }

    /// Another node tells of the user. It counts as one session, named by the node.
    pub fn attend(&mut self, node: &SessionId, told: &Attendance, now: Duration, at: Timestamp) {
        self.expire(now);
        if told.set_at > self.set_at {
            self.set_at = told.set_at;
            (self.kept.mode, self.kept.text) = (told.kept.mode, told.kept.text.clone());
        }
        let is_first = self.sessions.is_empty();
        self.sessions.retain(|device| device.session != *node);
        if let Some(away) = told.away {
            self.sessions.push(Device { session: node.clone(), away, remote: true });
        }
        self.settle(now, at);
        if is_first {
            self.told.own = self.own();
        }
    }

    /// A session begins. Its own user learns nothing from that.
    pub fn connect(&mut self, session: &SessionId, now: Duration, at: Timestamp) {
        self.expire(now);
        let is_first = self.sessions.is_empty();
        if is_first {
            // Most have one only, and there are as many of these lists as users online.
            self.sessions.reserve_exact(1);
        }
        self.sessions.push(Device { session: session.clone(), away: false, remote: false });
        self.settle(now, at);
        if is_first {
            self.told.own = self.own();
        }
    }

    /// A session is gone.
    pub fn disconnect(&mut self, session: &SessionId, now: Duration, at: Timestamp) {
        self.expire(now);
        self.sessions.retain(|device| device.session != *session);
        self.settle(now, at);
    }

    /// The user says how they are, on one of their sessions; `text` only if they said something about it.
    pub fn set(
        &mut self,
        session: &SessionId,
        availability: Availability,
        text: Option<StatusText>,
        now: Duration,
        at: Timestamp,
    ) {
        self.expire(now);
        let Some(device) = self.sessions.iter_mut().find(|device| device.session == *session) else { return };
        device.away = availability == Availability::Away;
        let mode = match availability {
            Availability::Online | Availability::Away => PresenceMode::Available,
            Availability::Dnd => PresenceMode::Dnd,
            Availability::Invisible => PresenceMode::Invisible,
        };
        let text = text.unwrap_or_else(|| self.kept.text.clone());
        if (mode, &text) != (self.kept.mode, &self.kept.text) {
            (self.kept.mode, self.kept.text) = (mode, text);
            self.unsaved = true;
        }
        // Later than what was said before, whatever the clock says.
        self.set_at = at.max(self.set_at.plus_millis(1));
        self.settle(now, at);
    }

    /// The user says something about how they are, on no session in particular.
    pub fn say(&mut self, text: StatusText, now: Duration, at: Timestamp) {
        self.expire(now);
        if text != self.kept.text {
            self.kept.text = text;
            self.unsaved = true;
        }
        self.set_at = at.max(self.set_at.plus_millis(1));
        self.settle(now, at);
    }

    /// How others see them.
    #[must_use]
    pub fn seen_by_others(&self, now: Duration) -> Presence {
        match &self.shown {
            Some((status, text)) if !self.is_over(now) => {
                Presence { status: *status, text: text.clone(), last_seen: None }
            }
            _ => Presence::offline(self.kept.last_seen),
        }
    }

    /// How they see themselves.
    #[must_use]
    pub fn own(&self) -> Presence {
        match self.status() {
            Some(status) => Presence { status, text: self.kept.text.clone(), last_seen: None },
            None => Presence::offline(self.kept.last_seen),
        }
    }

    /// What is to be told now, which from then on counts as told.
    pub fn take_news(&mut self, now: Duration) -> Option<PresenceNews> {
        self.expire(now);
        if self.told_at.is_some_and(|told_at| now < told_at + PRESENCE_EVERY) {
            return None;
        }
        let new = Told { others: self.seen_by_others(now), own: self.own() };
        let news = PresenceNews {
            others: (new.others != self.told.others).then(|| new.others.clone()),
            own: (new.own != self.told.own && !self.sessions.is_empty()).then(|| new.own.clone()),
        };
        self.told = new;
        if news.others.is_none() && news.own.is_none() {
            return None;
        }
        self.told_at = Some(now);
        Some(news)
    }

    /// Takes back that others were told: it will be tried again, after the usual while.
    pub fn untell(&mut self, others: Presence, now: Duration) {
        self.told.others = others;
        self.told_at = Some(now);
    }

    /// What others were told last.
    #[must_use]
    pub fn told(&self) -> &Presence {
        &self.told.others
    }

    /// What is to be saved, which from then on counts as saved.
    pub fn take_unsaved(&mut self, now: Duration) -> Option<KeptPresence> {
        self.expire(now);
        std::mem::take(&mut self.unsaved).then(|| self.kept.clone())
    }

    /// Takes back that what is kept was saved.
    pub fn unsave(&mut self) {
        self.unsaved = true;
    }

    /// What is to be saved when everything ends at this moment.
    #[must_use]
    pub fn kept_at_the_end(&self, at: Timestamp) -> Option<KeptPresence> {
        match (&self.shown, self.gone_since) {
            (Some(_), None) => Some(KeptPresence { last_seen: Some(at), ..self.kept.clone() }),
            (Some(_), Some(_)) => Some(self.kept.clone()),
            (None, _) => self.unsaved.then(|| self.kept.clone()),
        }
    }

    /// When there is next something to tell, to save or to forget; `None` while nothing changes by itself.
    #[must_use]
    pub fn next(&self, now: Duration) -> Option<Duration> {
        if self.unsaved {
            return Some(now);
        }
        let rested = self.told_at.map_or(now, |told_at| told_at + PRESENCE_EVERY);
        let others_differ = self.seen_by_others(now) != self.told.others;
        let own_differs = self.own() != self.told.own && !self.sessions.is_empty();
        let grace_ends = self.gone_since.map(|since| since + PRESENCE_GRACE);
        if others_differ || own_differs {
            return Some(grace_ends.map_or(rested, |end| end.min(rested)));
        }
        grace_ends.or_else(|| self.sessions.is_empty().then_some(rested))
    }

    /// Whether nothing is lost by forgetting them.
    #[must_use]
    pub fn is_forgettable(&self, now: Duration) -> bool {
        self.sessions.is_empty()
            && self.shown.is_none()
            && !self.unsaved
            && self.told.others == self.seen_by_others(now)
            && self.told_at.is_none_or(|told_at| now >= told_at + PRESENCE_EVERY)
    }

    /// The true status; `None` without sessions.
    fn status(&self) -> Option<Status> {
        let all_away = self.sessions.iter().all(|device| device.away);
        (!self.sessions.is_empty()).then_some(match self.kept.mode {
            PresenceMode::Invisible => Status::Invisible,
            PresenceMode::Dnd => Status::Dnd,
            PresenceMode::Available if all_away => Status::Away,
            PresenceMode::Available => Status::Online,
        })
    }

    /// Brings how they look in line with how they are.
    fn settle(&mut self, now: Duration, at: Timestamp) {
        match self.status() {
            Some(Status::Invisible) | None => {
                if self.shown.is_some() && self.gone_since.is_none() {
                    self.gone_since = Some(now);
                    self.kept.last_seen = Some(at);
                }
            }
            Some(status) => {
                self.shown = Some((status, self.kept.text.clone()));
                self.gone_since = None;
            }
        }
    }

    fn is_over(&self, now: Duration) -> bool {
        self.gone_since.is_some_and(|since| now >= since + PRESENCE_GRACE)
    }

    /// Ends the grace that is over.
    fn expire(&mut self, now: Duration) {
        if self.is_over(now) {
            self.shown = None;
            self.gone_since = None;
            self.unsaved = true;
        }
    }
}

#[cfg(test)]
mod tests;
