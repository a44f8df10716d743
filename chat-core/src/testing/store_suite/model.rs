//! Random commands against a model of plain lists and maps.
#![allow(missing_docs, reason = "the names are the sentences")]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    Random, Trouble, all_at_once, at, done, draft, key, log, planned, request, room_id, user, verifies,
};
use crate::{
    domain::{
        Change, Command, Commit, Content, Emoji, Entry, Moderation, Needs, Outcome, Rejection, Request, Role,
        Room, RoomSpec, TextRules,
    },
    id::{RoomId, Seq, UserId},
    store::{CommitError, PageRequest, Place, Store},
};

/// Rooms that random commands are about; some are created by them.
pub(super) const ROOMS: [&str; 4] = ["lobby", "attic", "0190b5a2-7a39-7c3e-8f00-000000000001", "order:4711"];

/// Users who give them.
pub(super) const USERS: [&str; 5] =
    ["alice", "bob", "carol", "0190b5a2-7a39-7c3e-8f00-00000000000a", "dave|x"];

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}

fn random_request(random: &mut Random, room: &str) -> Request {
    let target = Seq::new(1 + random.below(25));
    let emoji = Emoji::parse(pick(random, &["👍", "❤️"])).unwrap();
    let other = user(pick(random, &USERS));
    let command = match random.below(18) {
        10 | 11 => {
            let text = "y".repeat(pick(random, &[1, 20, 300, 7_000, 20_000]));
            Command::Edit {
                target,
                content: Content::parse(&text, TextRules { content_chars: 100_000 }).unwrap(),
            }
        }
        12 => Command::Delete { target },
        13 => Command::React { target, emoji },
        14 => Command::Unreact { target, emoji },
        15 if random.below(2) == 0 => Command::Pin { target },
        15 => Command::Unpin { target },
        16 => Command::Moderate(Moderation::mute(other, (random.below(2) == 0).then_some(1))),
        17 => Command::Moderate(match random.below(5) {
            0 => Moderation::kick(other),
            1 => Moderation::ban(other, (random.below(2) == 0).then_some(1)),
            2 => Moderation::unban(other),
            3 => Moderation::unmute(other),
            _ => Moderation::set_role(other, pick(random, &[Role::Member, Role::Moderator, Role::Owner])),
        }),
        0 if random.below(2) == 0 => Command::Create(RoomSpec::public(room).unwrap()),
        0 => Command::Create(RoomSpec::private(room).unwrap()),
        1 | 2 => Command::Join,
        3 => Command::Leave,
        _ => {
            let text = "z".repeat(pick(random, &[1, 20, 300, 7_000, 20_000]));
            let client = format!("key {}", random.below(40));
            match draft(&text, (random.below(2) == 0).then_some(&client)) {
                Command::Send(draft) if random.below(3) == 0 => Command::Send(draft.in_thread(target)),
                command => command,
            }
        }
    };
    request(pick(random, &USERS), random.below(1_000) as i64, command)
}

/// Some random commands, one after the other.
pub(super) async fn grow<S: Store>(store: &S, random: &mut Random, count: usize) {
    for _ in 0..count {
        let room = pick(random, &ROOMS);
        let request = random_request(random, room);
        match done(store, &room_id(room), &request).await {
            Ok(_) | Err(Trouble::Rejected(_)) => {}
            Err(trouble) => panic!("{trouble:?}"),
        }
    }
}

/// What the store should have: logs, and what follows from them.
#[derive(Default)]
struct Model {
    logs: HashMap<RoomId, Vec<Entry>>,
    versions: HashMap<UserId, u64>,
}

impl Model {
    fn append(&mut self, commit: &Commit) {
        for entry in &commit.entries {
            for user in entry.joins().into_iter().chain(entry.leaves()) {
                *self.versions.entry(user.clone()).or_default() += 1;
            }
            let log = self.logs.entry(commit.room.id.clone()).or_default();
            for earlier in log.iter_mut() {
                earlier.take_in(entry);
            }
            log.push(entry.clone());
        }
    }

    fn room(&self, id: &RoomId) -> Option<Room> {
        let mut room = Room::unborn(id.clone());
        self.logs.get(id)?.iter().for_each(|entry| assert!(room.apply(entry)));
        Some(room)
    }

    fn members(&self, id: &RoomId) -> BTreeSet<UserId> {
        let mut members = BTreeSet::new();
        for entry in self.logs.get(id).into_iter().flatten() {
            members.extend(entry.joins().cloned());
            if let Some(user) = entry.leaves() {
                members.remove(user);
            }
        }
        members
    }

    /// The first message of an author under a key.
    fn sent(&self, id: &RoomId, author: &UserId, client: &str) -> Option<Seq> {
        let has_key = |entry: &&Entry| {
            entry.actor == *author
                && matches!(&entry.change, Change::Send(message) if message.client_message_id == Some(key(client)))
        };
        self.logs.get(id)?.iter().find(has_key).map(|entry| entry.seq)
    }
}

pub async fn random_commands_leave_what_a_plain_model_has<S: Store>(open: impl AsyncFn() -> S) {
    for seed in 1..=6 {
        println!("seed {seed}");
        let store = open().await;
        let (mut random, mut model) = (Random::seeded(seed), Model::default());
        for _ in 0..60 {
            let room = pick(&mut random, &ROOMS);
            let batch: Vec<_> = (0..=random.below(4)).map(|_| random_request(&mut random, room)).collect();
            step(&store, &mut model, &room_id(room), batch).await;
        }
        compare(&store, &model).await;
        verifies(&store).await;
    }
}

/// Commits those of the requests that the rules permit, and notes them in the model.
async fn step<S: Store>(store: &S, model: &mut Model, room: &RoomId, mut batch: Vec<Request>) {
    loop {
        match planned(store, room, &batch).await {
            Ok((_, None)) => return,
            Ok((_, Some(commit))) => {
                store.commit(commit.clone()).await.unwrap();
                model.append(&commit);
                return;
            }
            Err(_) if batch.len() > 1 => {
                batch.pop();
            }
            Err(_) => return,
        }
    }
}

async fn compare<S: Store>(store: &S, model: &Model) {
    for room in ROOMS.map(room_id) {
        assert_eq!(log(store, &room).await, model.logs.get(&room).cloned().unwrap_or_default());
        assert_eq!(store.room(&room).await.unwrap(), model.room(&room));
        let members = store.members(&room, PageRequest::first(200)).await.unwrap().items;
        let members: BTreeSet<_> = members.into_iter().map(|member| member.user).collect();
        assert_eq!(members, model.members(&room));
        let messages = super::page(store, &room, Place::Latest, 200).await.messages;
        let all = model.logs.get(&room).into_iter().flatten().filter(|entry| entry.message().is_some());
        assert_eq!(messages, all.cloned().collect::<Vec<_>>());
        for author in USERS.map(user) {
            let clients: Vec<_> = (0..40).map(|number| format!("key {number}")).collect();
            let sent = clients.iter().map(|client| (author.clone(), key(client))).collect();
            let rows =
                store.gather(&room, &Needs { members: vec![], sent, ..Needs::default() }).await.unwrap();
            for client in &clients {
                let found = rows.sent(&author, &key(client)).map(|sent| sent.seq);
                assert_eq!(found, model.sent(&room, &author, client), "{author} {client}");
            }
        }
    }
    for person in USERS.map(user) {
        let rooms = store.rooms_of(&person, PageRequest::first(200)).await.unwrap().items;
        let rooms: BTreeMap<_, _> = rooms.into_iter().map(|(room, _)| (room.id.clone(), room)).collect();
        let expected = ROOMS.map(room_id).into_iter().filter(|room| model.members(room).contains(&person));
        let expected = expected.filter_map(|room| Some((room.clone(), model.room(&room)?)));
        assert_eq!(rooms, expected.collect::<BTreeMap<_, _>>());
    }
    let versions = store.membership_versions(&USERS.map(user)).await.unwrap();
    let expected = USERS.map(|id| model.versions.get(&user(id)).copied().unwrap_or_default());
    assert_eq!(versions, expected);
}

pub async fn random_commands_of_many_tasks_leave_a_store_that_verifies<S: Store>(open: impl AsyncFn() -> S) {
    let store = Arc::new(open().await);
    all_at_once(&store, 12, |store, task| async move {
        let mut random = Random::seeded(100 + task as u64);
        let mut sent = Vec::new();
        for _ in 0..25 {
            let room = room_id(pick(&mut random, &ROOMS));
            let request = random_request(&mut random, room.as_str());
            match done(&*store, &room, &request).await {
                Ok(Outcome::Sent(place)) => sent.push((room, place.seq)),
                Ok(_)
                | Err(Trouble::Rejected(
                    Rejection::NotFound(_)
                    | Rejection::Forbidden(_)
                    | Rejection::Conflict(_)
                    | Rejection::BadRequest(_),
                )) => {}
                Err(Trouble::Commit(CommitError::Guard(_))) => {}
                Err(trouble) => panic!("{trouble:?}"),
            }
        }
        for (room, seq) in sent {
            let entry = store.entries(&room, seq.previous(), 1, usize::MAX).await.unwrap().remove(0);
            assert!(entry.seq == seq && entry.message().is_some() && entry.at >= at(0));
        }
    })
    .await;
    verifies(&*store).await;
}
