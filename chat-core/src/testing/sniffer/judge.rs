//! Who may hear what, and when.

use std::collections::HashMap;

use serde::Deserialize;

use super::{Audience, Book, Canary, MARK, Part, Session, Stay};

/// Somebody's coming or going, as far as it matters.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum Passage {
    UserJoined { room_id: String, user: Passing },
    UserLeft { room_id: String, user_id: String },
}

#[derive(Deserialize)]
struct Passing {
    id: String,
}

impl Book {
    pub(super) fn leaks(&self) -> Vec<String> {
        self.sessions.iter().flat_map(|session| self.leaks_to(session)).collect()
    }

    fn leaks_to(&self, session: &Session) -> Vec<String> {
        let mut leaks = Vec::new();
        let mut farewells: HashMap<String, u64> = HashMap::new();
        for frame in &session.frames {
            for text in canaries_in(&frame.text) {
                let Some(canary) = self.canaries.iter().find(|canary| canary.text == text) else {
                    leaks.push(format!("{} received {text}, which nobody has said", session.user));
                    continue;
                };
                // An invitation that waited for a slow reader was theirs when it was sent.
                let invites = frame.text.contains(r#""type":"room_invite""#);
                let farewell =
                    canary.room().and_then(|room| farewells.get(room)).filter(|_| !invites).copied();
                // An answer is of when it was asked for. An event is of any time since the session is there, or
                // since it was told of its going.
                let since = session.connected.max(farewell.unwrap_or_default());
                let begun = frame.asked.unwrap_or(since);
                // What a report says is kept for those who look after the room.
                let reported = frame.text.starts_with(r#"{"type":"reports""#);
                if let Err(why) = self.may_hear(&session.user, canary, begun, frame.at, reported) {
                    let (user, at) = (&session.user, frame.at);
                    leaks.push(format!(
                        "{user} received {text} at {at}, asked for at {begun}: {why}: {}",
                        start(&frame.text)
                    ));
                }
            }
            match serde_json::from_str(&frame.text) {
                Ok(Passage::UserLeft { room_id, user_id }) if user_id == session.user => {
                    farewells.insert(room_id, frame.at);
                }
                // A slow reader hears late of having been away.
                Ok(Passage::UserJoined { room_id, user }) if user.id == session.user => {
                    farewells.remove(&room_id);
                }
                _ => {}
            }
        }
        leaks
    }

    fn may_hear(
        &self,
        user: &str,
        canary: &Canary,
        begun: u64,
        at: u64,
        reported: bool,
    ) -> Result<(), &'static str> {
        match canary.gone {
            Some(0) => return Err("it was refused"),
            Some(gone) if begun > gone && !reported => return Err("it was deleted"),
            _ => {}
        }
        let open = |stay: &&Stay, room: &str, part: Part| {
            stay.from < at
                && stay.room == room
                && stay.user == user
                && (stay.part == part || part == Part::Invited && stay.part == Part::Member)
                && stay.until.is_none_or(|until| canary.born < until && begun <= until)
        };
        let (room, part) = match &canary.audience {
            Audience::Members(room) if reported => (room, Part::Staff),
            Audience::Members(room) => (room, Part::Member),
            Audience::Invited(room) => (room, Part::Invited),
            Audience::Staff(room) => (room, Part::Staff),
            Audience::Only(only) if only == user => return Ok(()),
            Audience::Only(_) => return Err("it is for somebody else alone"),
            Audience::Acquainted(of) if of == user => return Ok(()),
            Audience::Acquainted(of) => {
                let shared = self.stays.iter().any(|theirs| {
                    theirs.user == *of
                        && theirs.part == Part::Member
                        && theirs.from < at
                        && theirs.until.is_none_or(|until| canary.born < until && begun <= until)
                        && self.stays.iter().any(|own| open(&own, &theirs.room, Part::Member))
                });
                return if shared { Ok(()) } else { Err("they share no room") };
            }
        };
        let forgets = part == Part::Member && self.forgetful.contains(room);
        let open =
            |stay: &&Stay, room: &str, part| open(stay, room, part) && (!forgets || stay.from < canary.born);
        let allowed = self.stays.iter().any(|stay| open(&stay, room, part));
        if allowed { Ok(()) } else { Err("it was outside their time in the room") }
    }
}

impl Canary {
    fn room(&self) -> Option<&str> {
        match &self.audience {
            Audience::Members(room) | Audience::Invited(room) | Audience::Staff(room) => Some(room),
            Audience::Acquainted(_) | Audience::Only(_) => None,
        }
    }
}

/// Enough of a frame to know it by.
fn start(text: &str) -> &str {
    text.get(..120).unwrap_or(text)
}

fn canaries_in(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(MARK).filter_map(|(start, _)| {
        let end = text[start..].find(';')?;
        Some(&text[start..=start + end])
    })
}

#[cfg(test)]
mod tests {
    use super::super::Sniffer;
    use super::*;

    #[test]
    fn a_sniffer_hears_what_was_said_after_somebody_left_and_what_they_ask_for_then() {
        let sniffer = Sniffer::new();
        let before = sniffer.canary(Audience::Members("r".into()));
        sniffer.enters("r", "bob", Part::Member);
        let live = sniffer.ear("bob");
        live.hears(before.as_bytes());
        live.asks(1);
        sniffer.leaves("r", "bob", Part::Member);
        live.hears(before.as_bytes());
        live.hears(format!(r#"{{"id":1,"x":"{before}"}}"#).as_bytes());
        assert_eq!(sniffer.leaks(), [""; 0]);
        live.hears(sniffer.canary(Audience::Members("r".into())).as_bytes());
        live.asks(2);
        live.hears(format!(r#"{{"id":2,"x":"{before}"}}"#).as_bytes());
        sniffer.ear("bob").hears(before.as_bytes());
        sniffer.ear("eve").hears(before.as_bytes());
        assert_eq!(sniffer.leaks().len(), 4, "{:#?}", sniffer.leaks());
    }

    #[test]
    fn a_sniffer_hears_an_old_text_that_comes_after_the_farewell() {
        let sniffer = Sniffer::new();
        let text = sniffer.canary(Audience::Members("r".into()));
        sniffer.enters("r", "bob", Part::Member);
        let live = sniffer.ear("bob");
        sniffer.leaves("r", "bob", Part::Member);
        live.hears(text.as_bytes());
        live.hears(br#"{"type":"user_left","roomId":"r","userId":"bob"}"#);
        assert_eq!(sniffer.leaks(), [""; 0]);
        live.hears(text.as_bytes());
        assert_eq!(sniffer.leaks().len(), 1);
        sniffer.enters("r", "bob", Part::Member);
        live.hears(text.as_bytes());
        assert_eq!(sniffer.leaks().len(), 1, "who is back may read it again");
    }

    #[test]
    fn a_sniffer_hears_what_was_deleted_or_refused_or_is_for_others() {
        let sniffer = Sniffer::new();
        sniffer.enters("r", "bob", Part::Member);
        let live = sniffer.ear("bob");
        let texts: Vec<_> = (0..2).map(|_| sniffer.canary(Audience::Members("r".into()))).collect();
        sniffer.deletes(&texts[0]);
        live.hears(texts[0].as_bytes());
        assert_eq!(sniffer.leaks(), [""; 0], "it was on its way");
        sniffer.ear("bob").hears(texts[0].as_bytes());
        sniffer.refuses(&texts[1]);
        live.hears(texts[1].as_bytes());
        live.hears(sniffer.canary(Audience::Staff("r".into())).as_bytes());
        live.hears(sniffer.canary(Audience::Acquainted("eve".into())).as_bytes());
        assert_eq!(sniffer.leaks().len(), 4, "{:#?}", sniffer.leaks());
        sniffer.enters("r", "eve", Part::Member);
        live.hears(sniffer.canary(Audience::Acquainted("eve".into())).as_bytes());
        assert_eq!(sniffer.leaks().len(), 4, "{:#?}", sniffer.leaks());
    }
}
