//! Whether anybody was told what was not for them.

mod judge;

use std::sync::Arc;

use parking_lot::Mutex;

/// Hands out canaries, texts that can be recognised, and listens to everything that sessions receive. What must
/// not be read by everybody carries one; at the end [`Sniffer::leaks`] names every canary that was heard by
/// somebody for whom it was not.
///
/// Time is a count of what the test told: who drives the sessions tells what is so by the protocol, in the order
/// in which it becomes so, and never learns it from the engine. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Sniffer(Arc<Mutex<Book>>);

/// For whom a canary is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Who is a member of this room: its messages.
    Members(String),
    /// Its members and who is invited to it: its name and description.
    Invited(String),
    /// Its members of at least this rank: reasons, reports, what is held.
    Staff(String),
    /// Who shares a room with this user: their status.
    Acquainted(String),
    /// This user alone.
    Only(String),
}

/// In which way somebody belongs to a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A member.
    Member,
    /// A member who moderates.
    Staff,
    /// Invited.
    Invited,
}

/// How much was listened to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// Sessions.
    pub sessions: usize,
    /// Frames that they received.
    pub frames: usize,
    /// Bytes of these frames.
    pub bytes: usize,
    /// Canaries that were handed out.
    pub canaries: usize,
    /// Canaries in the frames, each counted as often as it came.
    pub sightings: usize,
}

/// What one session asks and receives is told to this.
#[derive(Debug)]
pub struct Ear {
    sniffer: Sniffer,
    session: usize,
}

#[derive(Debug, Default)]
struct Book {
    tick: u64,
    canaries: Vec<Canary>,
    stays: Vec<Stay>,
    sessions: Vec<Session>,
    /// Rooms whose members see nothing from before they joined.
    forgetful: Vec<String>,
    heard: Heard,
}

#[derive(Debug)]
struct Canary {
    text: String,
    born: u64,
    audience: Audience,
    /// Since when nobody who asks may get it any more.
    gone: Option<u64>,
}

/// Somebody's time in a room.
#[derive(Debug)]
struct Stay {
    room: String,
    user: String,
    part: Part,
    from: u64,
    until: Option<u64>,
}

#[derive(Debug)]
struct Session {
    user: String,
    connected: u64,
    /// When each command was sent whose answer may still come.
    asked: Vec<(i64, u64)>,
    frames: Vec<Frame>,
}

/// A frame worth keeping.
#[derive(Debug)]
struct Frame {
    at: u64,
    /// When that was asked to which it is the answer, if it is one.
    asked: Option<u64>,
    text: String,
}

/// How a canary begins; it ends with `;`.
const MARK: &str = "canary:";

impl Sniffer {
    /// One that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A text for this audience that names its room (or user) and its time.
    #[must_use]
    pub fn canary(&self, audience: Audience) -> String {
        let mut book = self.0.lock();
        let born = book.tick();
        let (Audience::Members(whose)
        | Audience::Invited(whose)
        | Audience::Staff(whose)
        | Audience::Acquainted(whose)
        | Audience::Only(whose)) = &audience;
        let text = format!("{MARK}{whose}:{born};");
        book.canaries.push(Canary { text: text.clone(), born, audience, gone: None });
        book.heard.canaries += 1;
        text
    }

    /// From now on somebody may belong to a room: to be told before it is asked for.
    pub fn enters(&self, room: &str, user: &str, part: Part) {
        let mut book = self.0.lock();
        let from = book.tick();
        let (room, user) = (room.to_owned(), user.to_owned());
        book.stays.push(Stay { room, user, part, from, until: None });
    }

    /// Somebody does not belong to a room any more, in this way (a member who goes: in no way): to be told after
    /// it was acked.
    pub fn leaves(&self, room: &str, user: &str, part: Part) {
        let mut book = self.0.lock();
        let now = book.tick();
        let ends = |stay: &&mut Stay| stay.room == room && stay.user == user && stay.until.is_none();
        for stay in book.stays.iter_mut().filter(ends) {
            if stay.part == part || part == Part::Member {
                stay.until = Some(now);
            }
        }
    }

    /// Nobody belongs to a room any more, since it is deleted.
    pub fn closes(&self, room: &str) {
        let mut book = self.0.lock();
        let now = book.tick();
        for stay in book.stays.iter_mut().filter(|stay| stay.room == room && stay.until.is_none()) {
            stay.until = Some(now);
        }
    }

    /// The room has got its id: what was told of it under another name is told of it.
    pub fn is_room(&self, name: &str, id: &str) {
        let mut book = self.0.lock();
        for stay in book.stays.iter_mut().filter(|stay| stay.room == name) {
            id.clone_into(&mut stay.room);
        }
        for canary in &mut book.canaries {
            let (Audience::Members(room) | Audience::Invited(room) | Audience::Staff(room)) =
                &mut canary.audience
            else {
                continue;
            };
            if room == name {
                id.clone_into(room);
            }
        }
    }

    /// The members of this room see nothing from before they joined.
    pub fn hides_past(&self, room: &str) {
        self.0.lock().forgetful.push(room.to_owned());
    }

    /// A text is deleted: who asks from now on must not get it. To be told after it was acked.
    pub fn deletes(&self, canary: &str) {
        let mut book = self.0.lock();
        let now = book.tick();
        for kept in book.canaries.iter_mut().filter(|kept| kept.text == canary) {
            kept.gone.get_or_insert(now);
        }
    }

    /// A text is for others from now on: what was held back is released.
    pub fn widens(&self, canary: &str, audience: &Audience) {
        let mut book = self.0.lock();
        for kept in book.canaries.iter_mut().filter(|kept| kept.text == canary) {
            kept.audience = audience.clone();
        }
    }

    /// A text was refused: nobody must ever get it.
    pub fn refuses(&self, canary: &str) {
        let mut book = self.0.lock();
        for kept in book.canaries.iter_mut().filter(|kept| kept.text == canary) {
            kept.gone = Some(0);
        }
    }

    /// Listens to a session that is about to begin.
    #[must_use]
    pub fn ear(&self, user: &str) -> Ear {
        let mut book = self.0.lock();
        let connected = book.tick();
        let session = book.sessions.len();
        let user = user.to_owned();
        book.sessions.push(Session { user, connected, asked: Vec::new(), frames: Vec::new() });
        book.heard.sessions += 1;
        Ear { sniffer: self.clone(), session }
    }

    /// Every canary that was heard by somebody for whom it was not, or at a time when it was not.
    #[must_use]
    pub fn leaks(&self) -> Vec<String> {
        self.0.lock().leaks()
    }

    /// How much was listened to.
    #[must_use]
    pub fn heard(&self) -> Heard {
        self.0.lock().heard
    }
}

impl Ear {
    /// The session asks something under this id.
    pub fn asks(&self, id: i64) {
        let mut book = self.sniffer.0.lock();
        let now = book.tick();
        book.sessions[self.session].asked.push((id, now));
    }

    /// The session received a frame.
    pub fn hears(&self, frame: &[u8]) {
        let text = String::from_utf8_lossy(frame);
        let sightings = text.matches(MARK).count();
        let mut book = self.sniffer.0.lock();
        book.heard.frames += 1;
        book.heard.bytes += frame.len();
        book.heard.sightings += sightings;
        let at = book.tick();
        let session = &mut book.sessions[self.session];
        let id = serde_json::from_str::<Numbered>(&text).ok().and_then(|frame| frame.id);
        let asked = id.and_then(|id| {
            let place = session.asked.iter().position(|(asked, _)| *asked == id)?;
            Some(session.asked.swap_remove(place).1)
        });
        let passes =
            [r#""type":"user_left""#, r#""type":"user_joined""#].iter().any(|kind| text.contains(kind));
        if sightings > 0 || passes {
            session.frames.push(Frame { at, asked, text: text.into_owned() });
        }
    }
}

#[derive(serde::Deserialize)]
struct Numbered {
    id: Option<i64>,
}

impl Book {
    fn tick(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }
}
