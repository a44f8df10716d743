//! Senders who work at a store at the same time, and the comparison of what they were told with what is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use chat_core::{
    domain::{
        Actor, Command, Content, Draft, MembersOnly, Needs, Outcome, Plan, Request, Room, RoomSpec, TextRules,
    },
    id::{ClientMessageId, RoomId, Seq, UserId},
    store::{CommitError, LogStore, Maintenance, RoomStore},
    time::{Clock, SystemClock},
};
use chat_store_sled::SledStore;

use super::child::Orders;

/// How many send at the same time, into how many rooms.
const SENDERS: u64 = 16;
const ROOMS: u64 = 8;

/// Sends for ever, acking each message after the durable reply. A sender goes on after the last message that it
/// knows of, with the key that this message has had or would have had.
pub fn send_for_ever(orders: Orders, store: SledStore) {
    let known = Acks::read(&orders.acks_path);
    let (orders, store) = (Arc::new(orders), Arc::new(store));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut senders = tokio::task::JoinSet::new();
        for sender in 0..SENDERS {
            let (orders, store) = (orders.clone(), store.clone());
            let mut number = known.last_of(sender);
            senders.spawn(async move {
                let (room, user) = (room_of(sender), user(sender));
                decide(&store, &room, &user, Command::Join).await;
                loop {
                    number += 1;
                    let sent = decide(&store, &room, &user, Command::Send(message(sender, number))).await;
                    let Outcome::Sent(sent) = sent else { panic!("{sent:?} after a send") };
                    orders.ack(&format!("{sender} {number} {}", sent.seq.get()));
                }
            });
        }
        // A sender ends only by a panic.
        senders.join_next().await.unwrap().unwrap();
    });
}

/// Plans and commits a command on whatever the room has come to, as often as somebody else is first. Creates the
/// room if there is none.
async fn decide(store: &SledStore, id: &RoomId, user: &UserId, command: Command) -> Outcome {
    loop {
        let room = store.room(id).await.unwrap().unwrap_or_else(|| Room::unborn(id.clone()));
        let command = match room.exists() {
            true => command.clone(),
            false => Command::Create(RoomSpec::public(id.as_str()).unwrap()),
        };
        let request = Request { actor: Actor::new(user.clone()), at: SystemClock.now(), command };
        let mut needs = Needs::default();
        needs.add(&request);
        let rows = store.gather(id, &needs).await.unwrap();
        if rows.at != room.head {
            continue;
        }
        let mut plan = Plan::on(&room, rows, &MembersOnly, TextRules::default());
        let outcome = plan.decide(&request).unwrap();
        match plan.into_commit() {
            None => return outcome,
            Some(commit) => match store.commit(commit).await {
                Ok(()) if matches!(outcome, Outcome::Created(_)) => {}
                Ok(()) => return outcome,
                Err(CommitError::Conflict { .. } | CommitError::Guard(_)) => {}
                Err(error) => panic!("{error}"),
            },
        }
    }
}

fn room_of(sender: u64) -> RoomId {
    RoomId::parse(&format!("room-{}", sender % ROOMS)).unwrap()
}

fn user(sender: u64) -> UserId {
    UserId::parse(&format!("sender-{sender}")).unwrap()
}

fn key(sender: u64, number: u64) -> String {
    format!("{sender}-{number}")
}

/// Of every length there is, now and then one that does not fit into one row.
fn text(sender: u64, number: u64) -> String {
    let length = if number.is_multiple_of(50) { 4_900 } else { (sender * 37 + number * 11) % 300 + 1 };
    let letter = char::from_u32(0xE0 + u32::try_from(number % 20).unwrap()).unwrap();
    std::iter::repeat_n(letter, usize::try_from(length).unwrap()).collect()
}

fn message(sender: u64, number: u64) -> Draft {
    Draft {
        client_message_id: Some(ClientMessageId::parse(&key(sender, number)).unwrap()),
        ..Draft::new(Content::parse(&text(sender, number), TextRules::default()).unwrap())
    }
}

/// What senders were told.
#[derive(Debug, Default)]
pub struct Acks {
    /// By sender and number, the seq.
    seqs: BTreeMap<(u64, u64), u64>,
}

impl Acks {
    /// Reads the acks in a file. A last line that is cut off was not read by anybody.
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        Self::parse(whole.lines())
    }

    pub fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut acks = Self::default();
        for line in lines {
            let mut numbers = line.split(' ').map(|number| number.parse::<u64>().unwrap());
            let mut next = || numbers.next().unwrap();
            let (sender, number, seq) = (next(), next(), next());
            let before = acks.seqs.insert((sender, number), seq);
            assert!(before.is_none_or(|before| before == seq), "one message was acked at two places: {line}");
        }
        acks
    }

    pub fn count(&self) -> usize {
        self.seqs.len()
    }

    /// As lines, as they are read.
    pub fn to_text(&self) -> String {
        self.seqs.iter().map(|((sender, number), seq)| format!("{sender} {number} {seq}\n")).collect()
    }

    fn last_of(&self, sender: u64) -> u64 {
        self.seqs.range((sender, 0)..=(sender, u64::MAX)).next_back().map_or(0, |((_, number), _)| *number)
    }

    /// Compares with what is stored. Returns everything that is wrong.
    pub async fn check(&self, store: &SledStore) -> Vec<String> {
        let mut wrong = store.verify().await.unwrap_or_else(|error| vec![error.to_string()]);
        let mut left = self.seqs.clone();
        for number in 0..ROOMS {
            let room = room_of(number);
            if let Err(error) = check_room(store, &room, &mut left).await {
                wrong.push(format!("{}: {error}", room.as_str()));
            }
        }
        if !left.is_empty() {
            wrong.push(format!("{} of {} acked messages are lost", left.len(), self.seqs.len()));
        }
        wrong
    }
}

/// Reads a room from end to end, and strikes out what is found.
async fn check_room(
    store: &SledStore,
    room: &RoomId,
    left: &mut BTreeMap<(u64, u64), u64>,
) -> Result<(), String> {
    let (mut after, mut keys) = (Seq::ZERO, BTreeSet::new());
    loop {
        let entries = store.entries(room, after, 500, usize::MAX).await.map_err(|error| error.to_string())?;
        let Some(last) = entries.last() else { return Ok(()) };
        for (entry, expected) in entries.iter().zip(after.get() + 1..) {
            if entry.seq.get() != expected {
                return Err(format!("{} stands where {expected} should", entry.seq));
            }
            let Some(message) = entry.message() else { continue };
            let key_found = message.client_message_id.as_ref().unwrap().as_str();
            if !keys.insert(key_found.to_owned()) {
                return Err(format!("{key_found} stands there twice"));
            }
            let (sender, number) = key_found.split_once('-').unwrap();
            let (sender, number) = (sender.parse().unwrap(), number.parse().unwrap());
            if message.content.as_str() != text(sender, number) || entry.actor != user(sender) {
                return Err(format!("{key_found} is not what was sent"));
            }
            match left.remove(&(sender, number)) {
                Some(acked) if acked != entry.seq.get() => {
                    return Err(format!("{key_found} was acked as {acked} and stands at {}", entry.seq));
                }
                _ => {}
            }
        }
        after = last.seq;
    }
}
