//! A room and the people around it, made anew for each cell of the table.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{
    house::{House, Outcast, token},
    support::{
        PASSWORD,
        line::{Ask, Line},
    },
    table::{Principal as P, Row},
};

/// A room, who asks, and who else is needed.
pub(crate) struct Scene<'a> {
    pub(crate) principal: P,
    pub(crate) private: bool,
    house: &'a House,
    line: &'a mut Line,
    /// Tells the people of one scene from those of another.
    number: usize,
    room: String,
    /// Whether who asks has an account.
    by_account: bool,
    tokens: BTreeMap<&'static str, String>,
    /// The ids of those who have an account.
    ids: BTreeMap<&'static str, String>,
    members: BTreeSet<&'static str>,
    /// Messages by the name of their author.
    messages: BTreeMap<&'static str, String>,
}

/// The room that does not exist, and what is nowhere.
const NOWHERE: &str = "0190b5a2-7a39-7c3e-8f00-000000000001";

/// Who asks.
const ACTOR: &str = "ann";
const OWNER: &str = "boss";

impl<'a> Scene<'a> {
    /// A room with an owner and a member called tom who has said something, and the actor.
    pub(crate) fn set(house: &'a House, line: &'a mut Line, row: &Row, principal: P, private: bool) -> Self {
        let operation = row.operation.as_ref().map(|name| house.operations[name].path.as_str());
        let mut scene = Self {
            principal,
            private,
            house,
            line,
            number: house.number(),
            room: String::new(),
            by_account: operation.is_some_and(|path| path.starts_with("/api/auth/")),
            tokens: BTreeMap::new(),
            ids: BTreeMap::new(),
            members: BTreeSet::new(),
            messages: BTreeMap::new(),
        };
        let create = json!({ "name": format!("Room {}", scene.number), "private": private });
        let created = scene.done(OWNER, "POST", "/api/rooms", Some(&create));
        created["room"]["id"].as_str().unwrap().clone_into(&mut scene.room);
        scene.members.insert(scene.person(OWNER));
        scene.message_of("tom");
        scene.enter();
        scene
    }

    fn enter(&mut self) {
        match self.principal {
            P::Admin => self.join(ACTOR, Some("admin")),
            P::Moderator => self.join(ACTOR, Some("moderator")),
            P::Member | P::Muted | P::Blocked | P::Banned | P::Former => self.join(ACTOR, None),
            P::Invited => drop(self.invite(ACTOR)),
            P::Operator | P::Stranger => drop(self.token(ACTOR)),
            _ => {}
        }
        if self.principal.has_written() {
            self.speak(ACTOR);
        }
    }

    /// What the row asks, with everything in it that it speaks of.
    pub(crate) fn fields(&mut self, row: &Row) -> Map<String, Value> {
        let mut fields = row.fields.clone();
        for value in fields.values_mut() {
            let values = match value {
                Value::Array(values) => values.as_mut_slice(),
                value => std::slice::from_mut(value),
            };
            for value in values {
                if let Some(name) = value.as_str().and_then(|text| text.strip_prefix('$')) {
                    *value = self.resolve(name).into();
                }
            }
        }
        fields.remove("_");
        fields.retain(|name, value| name != "token" || !value.is_null());
        fields
    }

    /// The same of a room that does not exist.
    pub(crate) fn nowhere(row: &Row, fields: &Map<String, Value>) -> Map<String, Value> {
        let mut nowhere = fields.clone();
        for (field, value) in &row.fields {
            if ["$room", "$invite", "$direct", "$file", "$tomsFile"].iter().any(|name| value == name) {
                nowhere[field] = NOWHERE.into();
            }
        }
        nowhere
    }

    /// The actor becomes what they are, if that would have kept them from what the row speaks of. Others talk on.
    pub(crate) fn go(&mut self) {
        let (room, actor) = (self.room.clone(), self.user(ACTOR));
        match self.principal {
            P::Banned => {
                self.done(OWNER, "PUT", &format!("/api/rooms/{room}/bans/{actor}"), None);
            }
            P::Former => {
                self.done(ACTOR, "DELETE", &format!("/api/rooms/{room}/leave"), None);
            }
            P::Muted => {
                let mute = json!({ "muteSeconds": 600 });
                self.done(OWNER, "PUT", &format!("/api/rooms/{room}/members/{actor}"), Some(&mute));
            }
            P::Blocked => {
                self.done("tom", "PUT", &format!("/api/users/{actor}/block"), None);
            }
            _ => {}
        }
        self.speak(OWNER);
    }

    /// By which token the actor asks.
    pub(crate) fn key(&mut self) -> Option<String> {
        match self.principal {
            P::Anonymous => None,
            P::Expired => Some(self.house.expired.clone()),
            P::Revoked => Some(self.house.revoked.clone()),
            P::Refresh => Some(self.house.resident.refresh.clone()),
            P::Erased => Some(self.outcast(&self.house.erased)),
            P::Disabled => Some(self.outcast(&self.house.disabled)),
            _ => Some(self.token(ACTOR)),
        }
    }

    fn outcast(&self, outcast: &Outcast) -> String {
        if self.by_account { outcast.own.clone() } else { outcast.foreign.clone() }
    }

    pub(crate) fn line(&mut self) -> &mut Line {
        self.line
    }

    fn resolve(&mut self, name: &str) -> Option<String> {
        Some(match name {
            "room" => self.room.clone(),
            "me" => self.user(ACTOR),
            "token" => return self.key(),
            "fresh" => format!("Fresh {}", self.house.number()),
            "own" if self.principal.has_written() => self.messages[self.person(ACTOR)].clone(),
            "own" | "message" => self.messages["tom"].clone(),
            "mias" => self.message_of("mia"),
            "adams" => self.message_of("adam"),
            "olgas" => self.message_of("olga"),
            "deleted" => self.deleted(),
            "pinned" => self.pinned(),
            "held" => NOWHERE.to_owned(),
            "report" => self.report(),
            "invite" => self.invite(if self.principal == P::Invited { ACTOR } else { "ivy" }),
            "link" => self.link("linkId"),
            "linkToken" => self.link("token"),
            "elsewhere" => self.elsewhere(),
            "direct" => self.direct(),
            "file" => self.file(),
            "ownFile" if !self.principal.is_nobody() => self.upload(ACTOR),
            "ownFile" => self.upload(OWNER),
            "freshName" => format!("fresh_{}", self.house.number()),
            "freshAddress" => format!("fresh_{}@example.org", self.house.number()),
            "refreshToken" => {
                let login = json!({ "login": "lodger", "password": PASSWORD });
                self.opened("/api/auth/login", &login)["refreshToken"].as_str().unwrap().to_owned()
            }
            "session" if self.principal.is_nobody() => NOWHERE.to_owned(),
            "session" => {
                let logins = self.done(ACTOR, "GET", "/api/auth/sessions", None);
                logins["items"][0]["id"].as_str().unwrap().to_owned()
            }
            "account" => {
                let name = format!("account_{}", self.house.number());
                let account =
                    json!({ "email": format!("{name}@example.org"), "username": name, "password": PASSWORD });
                self.opened("/api/auth/register", &account)["user"]["id"].as_str().unwrap().to_owned()
            }
            "residentsSession" => self.house.session.clone(),
            "tomsFile" => self.upload("tom"),
            other => self.someone(other),
        })
    }

    /// Somebody with whom something is done.
    fn someone(&mut self, name: &str) -> String {
        match name {
            "tom" => self.join("tom", None),
            "mia" => self.join("mia", Some("moderator")),
            "adam" => self.join("adam", Some("admin")),
            "olga" => self.join("olga", Some("owner")),
            "max" => {
                self.join("max", None);
                let path = format!("/api/rooms/{}/members/{}", self.room, self.user("max"));
                self.done(OWNER, "PUT", &path, Some(&json!({ "muteSeconds": 600 })));
            }
            "ben" => {
                self.join("ben", None);
                let path = format!("/api/rooms/{}/bans/{}", self.room, self.user("ben"));
                self.done(OWNER, "PUT", &path, None);
            }
            "nat" => drop(self.token("nat")),
            other => panic!("who is {other}?"),
        }
        self.user(name)
    }

    fn message_of(&mut self, name: &'static str) -> String {
        self.someone(name);
        self.speak(name);
        self.messages[name].clone()
    }

    /// A message that tom has deleted.
    fn deleted(&mut self) -> String {
        let kept = self.messages["tom"].clone();
        self.speak("tom");
        let id = self.messages.insert("tom", kept).unwrap();
        self.done("tom", "DELETE", &format!("/api/rooms/{}/messages/{id}", self.room), None);
        id
    }

    /// Tom's message, pinned.
    fn pinned(&mut self) -> String {
        let id = self.messages["tom"].clone();
        self.done(OWNER, "PUT", &format!("/api/rooms/{}/pins/{id}", self.room), None);
        id
    }

    /// A report of tom's message by another member.
    fn report(&mut self) -> String {
        self.join("rita", None);
        let (room, message) = (self.room.clone(), self.messages["tom"].clone());
        self.done("rita", "POST", &format!("/api/rooms/{room}/messages/{message}/report"), None);
        let reports = self.done(OWNER, "GET", &format!("/api/rooms/{room}/reports"), None);
        reports["items"][0]["reportId"].as_str().unwrap().to_owned()
    }

    /// A field of a new link into the room.
    fn link(&mut self, field: &str) -> String {
        let path = format!("/api/rooms/{}/invite-links", self.room);
        self.done(OWNER, "POST", &path, None)[field].as_str().unwrap().to_owned()
    }

    /// A message of a room that nobody here knows.
    fn elsewhere(&mut self) -> String {
        let name = format!("Elsewhere {}", self.number);
        let room = self.done("eve", "POST", "/api/rooms", Some(&json!({ "name": name })));
        let path = format!("/api/rooms/{}/messages", room["room"]["id"].as_str().unwrap());
        let sent = self.done("eve", "POST", &path, Some(&json!({ "content": "elsewhere" })));
        sent["messageId"].as_str().unwrap().to_owned()
    }

    /// The direct room of tom and the actor, if they are a member, or else of tom and somebody.
    fn direct(&mut self) -> String {
        let is_inside = !self.principal.is_nobody() && !self.principal.is_outside();
        let other = if is_inside { ACTOR } else { "nat" };
        self.token(other);
        let path = format!("/api/direct-messages/{}", self.user(other));
        self.done("tom", "POST", &path, Some(&json!({ "content": "between us" })));
        let rooms = self.done("tom", "GET", "/api/direct-messages", None);
        rooms["items"][0]["id"].as_str().unwrap().to_owned()
    }

    /// A file of tom's, posted in the room.
    fn file(&mut self) -> String {
        let id = self.upload("tom");
        let post = json!({ "content": "", "messageType": "image", "attachments": [{ "fileId": id }] });
        self.done("tom", "POST", &format!("/api/rooms/{}/messages", self.room), Some(&post));
        id
    }

    fn upload(&mut self, name: &'static str) -> String {
        let token = self.token(name);
        let answer = self.line.ask(&Ask::new("POST", "/api/upload", Some(&token)).file());
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["fileId"].as_str().unwrap().to_owned()
    }

    fn invite(&mut self, name: &'static str) -> String {
        self.token(name);
        let path = format!("/api/rooms/{}/invites", self.room);
        let user = json!({ "userId": self.user(name) });
        self.done(OWNER, "POST", &path, Some(&user))["inviteId"].as_str().unwrap().to_owned()
    }

    /// Somebody becomes a member, who is none yet.
    fn join(&mut self, name: &'static str, role: Option<&str>) {
        if !self.members.insert(name) {
            return;
        }
        match self.private {
            true => {
                let invite = self.invite(name);
                self.done(name, "POST", &format!("/api/invites/{invite}/accept"), None);
            }
            false => {
                self.done(name, "POST", &format!("/api/rooms/{}/join", self.room), None);
            }
        }
        if let Some(role) = role {
            let path = format!("/api/rooms/{}/members/{}", self.room, self.user(name));
            self.done(OWNER, "PUT", &path, Some(&json!({ "role": role })));
        }
    }

    fn speak(&mut self, name: &'static str) {
        let path = format!("/api/rooms/{}/messages", self.room);
        let sent = self.done(name, "POST", &path, Some(&json!({ "content": "so to say" })));
        let id = sent["messageId"].as_str().unwrap().to_owned();
        self.messages.insert(self.person(name), id);
    }

    /// Has somebody do what they may.
    fn done(&mut self, name: &'static str, method: &str, path: &str, body: Option<&Value>) -> Value {
        let token = self.token(name);
        let ask = Ask::new(method, path, Some(&token));
        let answer = self.line.ask(&match body {
            Some(body) => ask.json(body),
            None => ask,
        });
        assert!((200..300).contains(&answer.status), "{name}: {method} {path}: {answer:?}");
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    /// A good token of somebody, who is known from then on.
    fn token(&mut self, name: &'static str) -> String {
        let person = self.person(name);
        if person == OWNER && self.is_resident() {
            return self.house.resident.token.clone();
        }
        if self.by_account && person == self.person(ACTOR) && !self.tokens.contains_key(person) {
            let (name, number) = (self.user(person), self.number);
            let account =
                json!({ "email": format!("a{number}@example.org"), "username": name, "password": PASSWORD });
            let granted = self.opened("/api/auth/register", &account);
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            self.ids.insert(person, text(&granted["user"]["id"]));
            self.tokens.insert(person, text(&granted["accessToken"]));
        }
        if !self.tokens.contains_key(person) {
            let is_operator = self.principal == P::Operator && person == ACTOR;
            let token = token(&self.user(person), is_operator);
            let answer = self.line.ask(&Ask::new("GET", "/api/users/me", Some(&token)));
            assert_eq!(answer.status, 200, "{answer:?}");
            let role = if is_operator { "admin" } else { "user" };
            assert_eq!(answer.json()["serverRole"], role, "{answer:?}");
            self.tokens.insert(person, token);
        }
        self.tokens[person].clone()
    }

    fn user(&self, name: &str) -> String {
        match self.person(name) {
            OWNER if self.is_resident() => self.house.resident.id.clone(),
            person if self.ids.contains_key(person) => self.ids[person].clone(),
            person => format!("{person}_{}", self.number),
        }
    }

    /// What anybody is answered who asks for what is open to all.
    fn opened(&mut self, path: &str, body: &Value) -> Value {
        let answer = self.line.ask(&Ask::new("POST", path, None).json(body));
        assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
        answer.json()
    }

    /// Whose token is good for nothing owns the room, so that nothing else would keep them from it.
    fn is_resident(&self) -> bool {
        matches!(self.principal, P::Expired | P::Revoked | P::Refresh)
    }

    /// The actor may be the owner.
    fn person<'n>(&self, name: &'n str) -> &'n str {
        let is_owner = self.principal == P::Owner || self.is_resident();
        if name == ACTOR && is_owner { OWNER } else { name }
    }
}
