//! Load for the benchmarks of stores: rooms that plan the next messages of their members and commit them, as the
//! engine's writer of a room would.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chat_core::{
    domain::{
        Actor, Command, Commit, Content, Draft, MembersOnly, Needs, Plan, Request, Room, RoomSpec, Rows,
        TextRules,
    },
    id::{ClientMessageId, RoomId, Seq, UserId},
    store::Store,
    time::Timestamp,
};
use tokio::sync::{mpsc, oneshot};

/// Some 200 bytes, as people write.
const TEXT: &str = "The train at a quarter past eight is late again, so I will be at the office around nine. \
    Could somebody open the meeting for me and tell them that the figures for October are in the usual folder?";

/// The members who write into one room, in turns, and what they know of it.
#[derive(Debug, Clone)]
pub(crate) struct Author {
    room: Room,
    rows: Rows,
    actors: Vec<Actor>,
    sent: usize,
}

impl Author {
    /// Creates a room with so many members.
    pub(crate) async fn enter<S: Store>(store: &S, name: &str, members: usize) -> Self {
        let actor = |number| Actor::new(UserId::parse(&format!("author-{name}-{number}")).unwrap());
        let actors: Vec<_> = (0..members).map(actor).collect();
        let unborn = Room::unborn(RoomId::parse(&format!("room-{name}")).unwrap());
        let mut author = Self { room: unborn, rows: Rows::default(), actors, sent: 0 };
        let mut plan = Plan::on(&author.room, Rows::default(), &MembersOnly, TextRules::default());
        let create = Command::Create(RoomSpec::public(&format!("Room {name}")).unwrap());
        plan.decide(&author.request(0, create)).unwrap();
        for number in 1..members {
            plan.decide(&author.request(number, Command::Join)).unwrap();
        }
        let commit = plan.into_commit().unwrap();
        author.room = commit.room.clone();
        store.commit(commit).await.unwrap();
        let members = author.actors.iter().map(|actor| actor.user.clone()).collect();
        author.rows = store.gather(&author.room.id, &Needs { members, ..Needs::default() }).await.unwrap();
        author
    }

    /// The room.
    pub(crate) fn room(&self) -> &RoomId {
        &self.room.id
    }

    /// Its newest entry.
    pub(crate) fn head(&self) -> Seq {
        self.room.head
    }

    /// The next messages, as one commit: per message the entry, the author's index and the client's key, and for
    /// all together the room's counters and the authors' markers.
    pub(crate) fn next(&mut self, messages: usize) -> Commit {
        let mut plan = Plan::on(&self.room, self.rows.clone(), &MembersOnly, TextRules::default());
        for _ in 0..messages {
            self.sent += 1;
            let key = format!("0190b5a2-7a39-7c3e-8f00-{:012x}", self.sent);
            let draft = Draft {
                client_message_id: Some(ClientMessageId::parse(&key).unwrap()),
                ..Draft::new(Content::from_stored(TEXT))
            };
            plan.decide(&self.request(self.sent, Command::Send(draft))).unwrap();
        }
        let commit = plan.into_commit().unwrap();
        self.room = commit.room.clone();
        commit
    }

    fn request(&self, turn: usize, command: Command) -> Request {
        let actor = self.actors[turn % self.actors.len()].clone();
        Request { actor, at: Timestamp::from_millis(1_790_000_000_000), command }
    }
}

/// So many rooms of one member each.
pub(crate) async fn authors<S: Store>(store: &S, prefix: &str, count: usize) -> Vec<Author> {
    let enter = |number| async move { Author::enter(store, &format!("{prefix}-{number}"), 1).await };
    futures::future::join_all((0..count).map(enter)).await
}

/// So many clients in at most `rooms` rooms write until `until`, each the next message when the last is acked.
/// What waits in a room becomes one commit. Returns how long each message took.
pub(crate) async fn write_until<S: Store>(
    store: &Arc<S>,
    prefix: &str,
    clients: usize,
    rooms: usize,
    run: Duration,
) -> Vec<Duration> {
    let mut queues = Vec::new();
    for room in 0..rooms.min(clients) {
        let members = (clients - room).div_ceil(rooms);
        let author = Author::enter(&**store, &format!("{prefix}-{room}"), members).await;
        let (queue, waiting) = mpsc::channel(members);
        tokio::spawn(write_room(store.clone(), author, waiting));
        queues.push(queue);
    }
    let until = Instant::now() + run;
    let clients: Vec<_> = (0..clients)
        .map(|client| {
            let queue = queues[client % queues.len()].clone();
            tokio::spawn(async move {
                let mut took = Vec::new();
                while Instant::now() < until {
                    let start = Instant::now();
                    let (acked, ack) = oneshot::channel();
                    queue.send(acked).await.unwrap();
                    ack.await.unwrap();
                    took.push(start.elapsed());
                }
                took
            })
        })
        .collect();
    let mut all = Vec::new();
    for client in clients {
        all.extend(client.await.unwrap());
    }
    all
}

/// The writer of one room.
async fn write_room<S: Store>(
    store: Arc<S>,
    mut author: Author,
    mut waiting: mpsc::Receiver<oneshot::Sender<()>>,
) {
    let mut pending = Vec::new();
    while waiting.recv_many(&mut pending, 128).await > 0 {
        store.commit(author.next(pending.len())).await.unwrap();
        for acked in pending.drain(..) {
            acked.send(()).unwrap();
        }
    }
}
