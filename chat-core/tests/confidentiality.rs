//! Nobody is told what is not for them, whatever people do: every private text carries a canary, and a sniffer
//! listens to all that every session receives.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use chat_core::{
    engine::Engine,
    testing::{
        Random, TestClient,
        sniffer::{Audience, Part, Sniffer},
    },
};
use serde_json::{Value, json};

const USERS: usize = 6;
const STEPS: usize = 1_200;
const SEEDS: u64 = 8;

/// Users with a session that reads, one that does not until late, and rooms of all kinds.
struct Town<'a> {
    engine: &'a Engine,
    sniffer: Sniffer,
    random: Random,
    clients: Vec<TestClient>,
    sleepers: Vec<TestClient>,
    /// A public room, two private ones, and a private one that hides what was before one's joining.
    rooms: Vec<String>,
    members: Vec<BTreeSet<usize>>,
    banned: BTreeSet<(usize, usize)>,
    invitations: BTreeMap<(usize, usize), String>,
    /// Who has written to whom in a direct room.
    acquainted: BTreeSet<(usize, usize)>,
    /// Messages that stand: room, author, id and text.
    messages: Vec<(usize, usize, String, String)>,
}

fn name(user: usize) -> String {
    format!("user{user}")
}

impl<'a> Town<'a> {
    async fn found(engine: &'a Engine, seed: u64) -> Self {
        let sniffer = Sniffer::new();
        let (mut clients, mut sleepers) = (Vec::new(), Vec::new());
        for user in 0..USERS {
            clients.push(TestClient::connect_heard(engine, &name(user), json!({}), &sniffer).await);
            sleepers.push(TestClient::connect_heard(engine, &name(user), json!({}), &sniffer).await);
        }
        let (rooms, members, messages) = (Vec::new(), Vec::new(), Vec::new());
        let (banned, invitations, acquainted) = Default::default();
        let random = Random::seeded(seed);
        let mut town = Self {
            engine,
            sniffer,
            random,
            clients,
            sleepers,
            rooms,
            members,
            banned,
            invitations,
            acquainted,
            messages,
        };
        for number in 0..4 {
            town.found_room(number).await;
        }
        town
    }

    /// The owner of a room is the user of its number, and stays.
    async fn found_room(&mut self, number: usize) {
        let label = format!("new-{number}");
        let mut create =
            json!({"type": "create_room", "name": format!("Room {number}"), "private": number > 0});
        if number > 0 {
            for field in ["name", "description"] {
                create[field] = json!(self.sniffer.canary(Audience::Invited(label.clone())));
            }
        }
        self.sniffer.enters(&label, &name(number), Part::Member);
        self.sniffer.enters(&label, &name(number), Part::Staff);
        let ack = self.clients[number].ack(create).await;
        let room = ack["room"]["id"].as_str().unwrap().to_owned();
        self.sniffer.is_room(&label, &room);
        if number == 3 {
            let hide = json!({"type": "update_room", "roomId": room, "history": "since_join"});
            self.clients[number].ack(hide).await;
            self.sniffer.hides_past(&room);
        }
        self.rooms.push(room);
        self.members.push(BTreeSet::from([number]));
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).unwrap()
    }

    fn members_text(&self, room: usize) -> String {
        self.sniffer.canary(Audience::Members(self.rooms[room].clone()))
    }

    async fn step(&mut self) {
        let (user, other, room) = (self.below(USERS), self.below(USERS), self.below(4));
        match self.below(20) {
            0..=5 => self.send(user, room).await,
            6 => self.delete(room).await,
            7 => self.enter(user, room).await,
            8 | 9 => self.invite(user, room).await,
            10 => self.leave(user, room).await,
            11 => self.remove(user, room, "kick").await,
            12 => self.remove(user, room, "ban").await,
            13 => self.pardon(user, room).await,
            14 => self.write_to(user, other).await,
            15 => self.block(user, other).await,
            16 => self.come_back(user).await,
            17 => self.describe(room).await,
            18 => self.look_around(user, room).await,
            _ => self.say_how_one_is(user).await,
        }
    }

    /// Anybody tries; what is refused must never be heard of again.
    async fn send(&mut self, user: usize, room: usize) {
        let text = self.members_text(room);
        let send = json!({"type": "send_message", "roomId": self.rooms[room], "content": text});
        let answer = self.clients[user].ask(send).await;
        assert_eq!(answer["type"] == "ack", self.members[room].contains(&user), "{answer}");
        match answer["messageId"].as_str() {
            Some(id) => self.messages.push((room, user, id.to_owned(), text)),
            None => self.sniffer.refuses(&text),
        }
    }

    async fn delete(&mut self, room: usize) {
        let Some(at) = self.messages.iter().position(|(place, ..)| *place == room) else { return };
        let (_, _, id, text) = self.messages.swap_remove(at);
        let delete = json!({"type": "delete_message", "roomId": self.rooms[room], "messageId": id});
        self.clients[room].ack(delete).await;
        self.sniffer.deletes(&text);
    }

    /// By joining the public room, or by an invitation.
    async fn enter(&mut self, user: usize, room: usize) {
        if self.members[room].contains(&user) || self.banned.contains(&(room, user)) {
            return;
        }
        let enter = match (room, self.invitations.remove(&(room, user))) {
            (0, _) => json!({"type": "join_room", "roomId": self.rooms[0]}),
            (_, Some(id)) => json!({"type": "accept_invite", "inviteId": id}),
            _ => return,
        };
        self.sniffer.enters(&self.rooms[room], &name(user), Part::Member);
        self.clients[user].ack(enter).await;
        self.members[room].insert(user);
    }

    async fn invite(&mut self, user: usize, room: usize) {
        let invited = self.invitations.contains_key(&(room, user));
        if room == 0 || invited || self.members[room].contains(&user) || self.banned.contains(&(room, user)) {
            return self.enter(user, room).await;
        }
        self.sniffer.enters(&self.rooms[room], &name(user), Part::Invited);
        let invite = json!({"type": "invite", "roomId": self.rooms[room], "userId": name(user)});
        match self.clients[room].ask(invite).await["inviteId"].as_str() {
            Some(id) => drop(self.invitations.insert((room, user), id.to_owned())),
            // One of both has blocked the other.
            None => self.sniffer.leaves(&self.rooms[room], &name(user), Part::Invited),
        }
    }

    async fn leave(&mut self, user: usize, room: usize) {
        if user != room && self.members[room].remove(&user) {
            self.clients[user].ack(json!({"type": "leave_room", "roomId": self.rooms[room]})).await;
            self.sniffer.leaves(&self.rooms[room], &name(user), Part::Member);
        }
    }

    /// The removed has something on its way meanwhile.
    async fn remove(&mut self, user: usize, room: usize, kind: &str) {
        if user == room || !self.members[room].remove(&user) {
            return;
        }
        let reason = self.sniffer.canary(Audience::Staff(self.rooms[room].clone()));
        let history = json!({"type": "fetch_history", "roomId": self.rooms[room]});
        let remove =
            json!({"type": kind, "roomId": self.rooms[room], "userId": name(user), "reason": reason});
        let removing = self.clients[room].start(remove).await;
        let reading = self.clients[user].start(history).await;
        assert_eq!(self.clients[room].answer(removing).await["type"], "ack");
        self.sniffer.leaves(&self.rooms[room], &name(user), Part::Member);
        self.clients[user].answer(reading).await;
        if kind == "ban" {
            self.banned.insert((room, user));
            self.invitations.remove(&(room, user));
        }
    }

    async fn pardon(&mut self, user: usize, room: usize) {
        if self.banned.remove(&(room, user)) {
            let unban = json!({"type": "unban", "roomId": self.rooms[room], "userId": name(user)});
            self.clients[room].ack(unban).await;
        }
    }

    async fn write_to(&mut self, user: usize, other: usize) {
        if user == other {
            return;
        }
        let pair = (user.min(other), user.max(other));
        let label = format!("direct-{}-{}", pair.0, pair.1);
        let first = self.acquainted.insert(pair);
        if first {
            for user in [user, other] {
                self.sniffer.enters(&label, &name(user), Part::Member);
            }
        }
        let text = self.sniffer.canary(Audience::Members(label.clone()));
        let send = json!({"type": "send_dm", "recipientId": name(other), "content": text});
        if self.clients[user].ask(send).await["type"] == "error" {
            self.sniffer.refuses(&text);
            if first {
                self.acquainted.remove(&pair);
                self.sniffer.closes(&label);
            }
        }
    }

    async fn block(&mut self, user: usize, other: usize) {
        if user != other {
            let kind = if self.below(2) == 0 { "block_user" } else { "unblock_user" };
            self.clients[user].ack(json!({"type": kind, "userId": name(other)})).await;
        }
    }

    /// On another connection, from the beginning of every room, a member of it or not.
    async fn come_back(&mut self, user: usize) {
        let resume: Vec<_> = self.rooms.iter().map(|room| json!({"roomId": room, "after": 0})).collect();
        let more = json!({"resume": resume});
        let mut client = TestClient::connect_heard(self.engine, &name(user), more, &self.sniffer).await;
        std::mem::swap(&mut client, &mut self.clients[user]);
    }

    async fn describe(&mut self, room: usize) {
        if room > 0 {
            let text = self.sniffer.canary(Audience::Invited(self.rooms[room].clone()));
            let update = json!({"type": "update_room", "roomId": self.rooms[room], "description": text});
            self.clients[room].ack(update).await;
        }
    }

    /// Asks for all there is, permitted or not.
    async fn look_around(&mut self, user: usize, room: usize) {
        let everybody: Vec<_> = (0..USERS).map(name).collect();
        let about = |kind: &str| json!({"type": kind, "roomId": self.rooms[room]});
        let mut questions: Vec<Value> = [
            "get_room",
            "fetch_history",
            "list_members",
            "list_pins",
            "fetch_audit",
            "list_reports",
            "list_held",
            "list_invite_links",
            "subscribe",
        ]
        .map(about)
        .into();
        questions.push(json!({"type": "list_rooms"}));
        questions.push(json!({"type": "list_rooms", "query": "canary"}));
        questions.push(json!({"type": "list_rooms", "scope": "mine"}));
        questions.push(json!({"type": "list_invites"}));
        questions.push(json!({"type": "get_presence", "userIds": everybody}));
        if let Some((_, _, id, _)) = self.messages.iter().find(|(place, ..)| *place == room) {
            for kind in ["fetch_thread", "fetch_edits", "report_message", "pin_message"] {
                questions.push(json!({"type": kind, "roomId": self.rooms[room], "messageId": id}));
            }
        }
        for question in questions {
            self.clients[user].ask(question).await;
        }
    }

    async fn say_how_one_is(&mut self, user: usize) {
        let text = self.sniffer.canary(Audience::Acquainted(name(user)));
        let set = json!({"type": "set_presence", "status": "dnd", "statusText": text});
        self.clients[user].ack(set).await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_session_ever_receives_what_is_not_for_its_user() {
    for seed in 0..SEEDS {
        let (engine, store) = common::engine_and_store().await;
        let mut town = Town::found(&engine, seed).await;
        for _ in 0..STEPS {
            town.step().await;
        }
        for client in town.clients.iter_mut().chain(&mut town.sleepers) {
            client.settle().await;
        }
        let (heard, leaks) = (town.sniffer.heard(), town.sniffer.leaks());
        println!("seed {seed}: {heard:?}");
        assert!(leaks.is_empty(), "seed {seed}, {} leaks:\n{}", leaks.len(), leaks.join("\n"));
        assert!(heard.sightings > 1_000, "the sniffer heard too little to judge by: {heard:?}");
        let verified = chat_core::store::Maintenance::verify(&*store).await.unwrap();
        assert_eq!(verified, [""; 0]);
    }
}
