//! A room and the people around it, made anew for each cell of the table.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use chat_core::{
    domain::{Action, Decision, Draft, Member, MembersOnly, Policy, Room, RoomKind},
    engine::Engine,
    hooks::{Hooks, Verdict},
    id::{RoomId, UserId},
    testing::{
        TestClient,
        sniffer::{Audience, Part, Sniffer},
    },
};
use serde_json::{Value, json};

use crate::{
    common,
    table::{Actor, Row},
};

/// Lets people join private rooms while a scene is set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Door(Arc<AtomicBool>);

impl Policy for Door {
    fn decide(
        &self,
        actor: &chat_core::domain::Actor,
        action: Action,
        room: &Room,
        member: Option<&Member>,
    ) -> Decision {
        let enters = action == Action::Join && room.kind == RoomKind::Private;
        match enters && self.0.load(Ordering::SeqCst) {
            true => Decision::Allow,
            false => MembersOnly.decide(actor, action, room, member),
        }
    }
}

/// Holds for review what says so.
struct Careful;

#[async_trait::async_trait]
impl Hooks for Careful {
    async fn before_send(&self, _: &RoomId, _: &UserId, draft: &Draft) -> Verdict {
        if draft.content.as_str().starts_with("Hold ") { Verdict::Hold } else { Verdict::Allow }
    }
}

pub(crate) async fn engine(door: &Door) -> Engine {
    common::builder().policy(door.clone()).hooks(Careful).build().await.unwrap()
}

/// A room, who asks, and who else is needed.
pub(crate) struct Scene<'a> {
    pub(crate) sniffer: Sniffer,
    pub(crate) actor: Actor,
    pub(crate) private: bool,
    engine: &'a Engine,
    door: &'a Door,
    /// Tells the people of one scene from those of another.
    number: usize,
    room: String,
    clients: BTreeMap<&'static str, TestClient>,
    /// Messages by the name of their author.
    messages: BTreeMap<&'static str, String>,
    /// The text that waits to be looked at.
    held: String,
}

/// The room that does not exist, and what is nowhere.
const NOWHERE: &str = "0190b5a2-7a39-7c3e-8f00-000000000001";

impl<'a> Scene<'a> {
    /// The actor's name.
    const ACTOR: &'static str = "ann";

    /// A room with an owner and a member called tom who has said something, and the actor.
    pub(crate) async fn set(
        engine: &'a Engine,
        door: &'a Door,
        actor: Actor,
        private: bool,
        number: usize,
    ) -> Self {
        let (clients, messages) = (BTreeMap::new(), BTreeMap::new());
        let (sniffer, room, held) = (Sniffer::new(), String::new(), String::new());
        let mut scene = Self { sniffer, actor, private, engine, door, number, room, clients, messages, held };
        scene.create_room().await;
        scene.join("tom", None).await;
        scene.speak("tom").await;
        scene.enter_actor().await;
        scene
    }

    async fn create_room(&mut self) {
        let owner = self.owner();
        let label = format!("new-{}", self.number);
        let mut create =
            json!({"type": "create_room", "name": format!("Room {}", self.number), "private": self.private});
        if self.private {
            create["name"] = json!(self.sniffer.canary(Audience::Invited(label.clone())));
            create["description"] = json!(self.sniffer.canary(Audience::Invited(label.clone())));
        }
        for part in [Part::Member, Part::Staff] {
            self.sniffer.enters(&label, &self.user(owner), part);
        }
        let ack = self.client(owner).await.ack(create).await;
        ack["room"]["id"].as_str().unwrap().clone_into(&mut self.room);
        self.sniffer.is_room(&label, &self.room);
    }

    async fn enter_actor(&mut self) {
        let ann = Self::ACTOR;
        match self.actor {
            Actor::Owner => {}
            Actor::Admin => self.join(ann, Some("admin")).await,
            Actor::Moderator => self.join(ann, Some("moderator")).await,
            Actor::Member | Actor::Muted | Actor::Blocked | Actor::Banned | Actor::Former => {
                self.join(ann, None).await;
            }
            Actor::Invited | Actor::Stranger => drop(self.client(ann).await),
            Actor::OtherOwner => {
                let name = format!("Other {}", self.number);
                self.client(ann).await.create_room(&name).await;
            }
        }
        if self.actor.has_written() {
            self.speak(ann).await;
        }
        let ann = self.user(ann);
        match self.actor {
            Actor::Muted => self.moderate("mute", &ann).await,
            Actor::Blocked => {
                let block = json!({"type": "block_user", "userId": ann});
                self.client("tom").await.ack(block).await;
            }
            Actor::Invited => drop(self.invite(&ann).await),
            _ => {}
        }
    }

    /// Who asks goes, if they do not belong to the room by then, and others talk on.
    pub(crate) async fn go(&mut self) {
        let ann = self.user(Self::ACTOR);
        match self.actor {
            Actor::Banned => self.moderate("ban", &ann).await,
            Actor::Former => {
                let leave = json!({"type": "leave_room", "roomId": self.room});
                self.client(Self::ACTOR).await.ack(leave).await;
            }
            _ => {}
        }
        if matches!(self.actor, Actor::Banned | Actor::Former) {
            self.sniffer.leaves(&self.room, &ann, Part::Member);
        }
        let owner = self.owner();
        self.speak(owner).await;
    }

    /// What the actor asks, with everything in it that it speaks of.
    pub(crate) async fn frame(&mut self, row: &Row) -> Value {
        let mut frame = row.frame.clone();
        for value in frame.as_object_mut().unwrap().values_mut() {
            let values = match value {
                Value::Array(values) => values.as_mut_slice(),
                value => std::slice::from_mut(value),
            };
            for value in values {
                if let Some(name) = value.as_str().and_then(|text| text.strip_prefix('$')) {
                    *value = Value::String(self.resolve(name).await);
                }
            }
        }
        frame
    }

    /// The same of a room that does not exist.
    pub(crate) fn nowhere(&self, template: &Value, frame: &Value) -> Value {
        let mut nowhere = frame.clone();
        for (field, value) in template.as_object().unwrap() {
            if value == "$room" || value == "$invite" {
                nowhere[field] = json!(NOWHERE);
            }
        }
        nowhere
    }

    /// An answer without what was said in the question.
    pub(crate) fn bare(&self, answer: &Option<Value>, frame: &Value) -> String {
        let Some(mut answer) = answer.clone() else { return "nothing".to_owned() };
        answer.as_object_mut().unwrap().remove("id");
        let mut text = answer.to_string();
        for field in ["roomId"] {
            if let Some(id) = frame[field].as_str() {
                text = text.replace(id, field);
            }
        }
        text
    }

    async fn resolve(&mut self, name: &str) -> String {
        match name {
            "room" => self.room.clone(),
            "me" => self.user(Self::ACTOR),
            "fresh" => format!("Fresh {}", self.number),
            "reason" => self.sniffer.canary(Audience::Staff(self.room.clone())),
            "status" => self.sniffer.canary(Audience::Acquainted(self.user(Self::ACTOR))),
            "own" if self.actor.has_written() => self.messages[self.person(Self::ACTOR)].clone(),
            "own" | "message" => self.messages["tom"].clone(),
            "mias" => self.message_of("mia").await,
            "adams" => self.message_of("adam").await,
            "olgas" => self.message_of("olga").await,
            "deleted" => self.deleted().await,
            "held" => self.held().await,
            "report" => self.report().await,
            "invite" => self.invitation().await,
            "link" => self.link().await["linkId"].as_str().unwrap().to_owned(),
            "token" => self.link().await["token"].as_str().unwrap().to_owned(),
            "elsewhere" => self.elsewhere().await,
            other => self.someone(other).await,
        }
    }

    /// Somebody with whom something is done.
    async fn someone(&mut self, name: &str) -> String {
        match name {
            "tom" => {}
            "mia" => self.join("mia", Some("moderator")).await,
            "adam" => self.join("adam", Some("admin")).await,
            "olga" => self.join("olga", Some("owner")).await,
            "max" => {
                self.join("max", None).await;
                let max = self.user("max");
                self.moderate("mute", &max).await;
            }
            "ben" => {
                self.join("ben", None).await;
                let ben = self.user("ben");
                self.moderate("ban", &ben).await;
                self.sniffer.leaves(&self.room, &ben, Part::Member);
            }
            "nat" => drop(self.client("nat").await),
            other => panic!("who is {other}?"),
        }
        self.user(name)
    }

    async fn message_of(&mut self, name: &'static str) -> String {
        self.someone(name).await;
        self.speak(name).await;
        self.messages[name].clone()
    }

    /// A message that tom has deleted; before its text is gone it could be read.
    async fn deleted(&mut self) -> String {
        let (kept, canary) = (self.messages["tom"].clone(), self.speak("tom").await);
        let id = self.messages.insert("tom", kept).unwrap();
        let delete = json!({"type": "delete_message", "roomId": self.room, "messageId": id});
        self.client("tom").await.ack(delete).await;
        self.sniffer.deletes(&canary);
        id
    }

    /// A message of tom's that waits to be looked at.
    async fn held(&mut self) -> String {
        let canary = self.sniffer.canary(Audience::Staff(self.room.clone()));
        let send = json!({"type": "send_message", "roomId": self.room, "content": format!("Hold {canary}")});
        self.held = canary;
        self.client("tom").await.ack(send).await["heldId"].as_str().unwrap().to_owned()
    }

    /// A report of tom's message by another member.
    async fn report(&mut self) -> String {
        self.join("rita", None).await;
        let reason = self.sniffer.canary(Audience::Staff(self.room.clone()));
        let (room, message) = (self.room.clone(), self.messages["tom"].clone());
        let report =
            json!({"type": "report_message", "roomId": room, "messageId": message, "reason": reason});
        self.client("rita").await.ack(report).await;
        let owner = self.owner();
        let reports = self.client(owner).await.ask(json!({"type": "list_reports", "roomId": room})).await;
        reports["items"][0]["reportId"].as_str().unwrap().to_owned()
    }

    /// The actor's invitation, or else that of somebody.
    async fn invitation(&mut self) -> String {
        let user = if self.actor == Actor::Invited { self.user(Self::ACTOR) } else { self.user("ivy") };
        if self.actor != Actor::Invited {
            self.client("ivy").await;
        }
        self.invite(&user).await
    }

    async fn link(&mut self) -> Value {
        let create = json!({"type": "create_invite_link", "roomId": self.room});
        let owner = self.owner();
        self.client(owner).await.ack(create).await
    }

    /// A message of a room that nobody here knows.
    async fn elsewhere(&mut self) -> String {
        let name = format!("Elsewhere {}", self.number);
        let client = self.client("eve").await;
        let room = client.create_room(&name).await;
        let text = json!({"type": "send_message", "roomId": room, "content": "elsewhere"});
        client.ack(text).await["messageId"].as_str().unwrap().to_owned()
    }

    async fn invite(&mut self, user: &str) -> String {
        self.sniffer.enters(&self.room, user, Part::Invited);
        let invite = json!({"type": "invite", "roomId": self.room, "userId": user});
        let owner = self.owner();
        self.client(owner).await.ack(invite).await["inviteId"].as_str().unwrap().to_owned()
    }

    async fn moderate(&mut self, kind: &str, user: &str) {
        let mut command = json!({"type": kind, "roomId": self.room, "userId": user});
        command["reason"] = json!(self.sniffer.canary(Audience::Staff(self.room.clone())));
        let owner = self.owner();
        self.client(owner).await.ack(command).await;
    }

    /// Somebody becomes a member.
    async fn join(&mut self, name: &'static str, role: Option<&str>) {
        let (room, user) = (self.room.clone(), self.user(name));
        self.sniffer.enters(&room, &user, Part::Member);
        self.door.0.store(true, Ordering::SeqCst);
        self.client(name).await.join(&room).await;
        self.door.0.store(false, Ordering::SeqCst);
        if let Some(role) = role {
            self.sniffer.enters(&room, &user, Part::Staff);
            let command = json!({"type": "set_role", "roomId": room, "userId": user, "role": role});
            let owner = self.owner();
            self.client(owner).await.ack(command).await;
        }
    }

    /// A member sends a message that is for members only.
    async fn speak(&mut self, name: &'static str) -> String {
        let canary = self.sniffer.canary(Audience::Members(self.room.clone()));
        let send = json!({"type": "send_message", "roomId": self.room, "content": canary});
        let ack = self.client(name).await.ack(send).await;
        let id = ack["messageId"].as_str().unwrap().to_owned();
        self.messages.insert(self.person(name), id);
        canary
    }

    /// That what the actor asks for next will be done.
    pub(crate) fn will_do(&mut self, command: &str) {
        if matches!(command, "join_room" | "accept_invite" | "join_by_link") {
            self.sniffer.enters(&self.room, &self.user(Self::ACTOR), Part::Member);
        }
        if command == "invite" {
            self.sniffer.enters(&self.room, &self.user("nat"), Part::Invited);
        }
        if command == "release_held" {
            self.sniffer.widens(&self.held, &Audience::Members(self.room.clone()));
        }
    }

    pub(crate) async fn ask(&mut self, frame: &Value) -> Option<Value> {
        let frame = frame.clone();
        self.client(Self::ACTOR).await.ask_perhaps(frame).await
    }

    /// Everybody reads all that there is for them.
    pub(crate) async fn settle(&mut self) {
        for client in self.clients.values_mut() {
            client.settle().await;
        }
    }

    async fn client(&mut self, name: &'static str) -> &mut TestClient {
        let (name, user) = (self.person(name), self.user(name));
        if !self.clients.contains_key(name) {
            let client = TestClient::connect_heard(self.engine, &user, json!({}), &self.sniffer).await;
            self.clients.insert(name, client);
        }
        self.clients.get_mut(name).unwrap()
    }

    fn user(&self, name: &str) -> String {
        format!("{}_{}", self.person(name), self.number)
    }

    fn owner(&self) -> &'static str {
        "boss"
    }

    /// The actor may be the owner.
    fn person<'n>(&self, name: &'n str) -> &'n str {
        if name == Self::ACTOR && self.actor == Actor::Owner { "boss" } else { name }
    }
}
