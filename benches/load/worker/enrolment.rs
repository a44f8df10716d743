//! Before anything is measured: rooms are made, everybody joins theirs, and pairs write to each other for the first
//! time. Nobody is connected longer than that takes.

use std::rc::Rc;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Worker;
use crate::{
    Failure,
    follow::Follow,
    frames,
    limits::{AHEAD, OPENING, PATIENCE},
    orders::Target,
    user::{How, User},
};

impl Worker {
    /// Someone who is a member of every room, since they made them.
    async fn creator(&self) -> Result<Rc<User>, Failure> {
        let plan = &self.shared.begin.plan;
        let number = plan.members + plan.speakers;
        let creator = User::new(number, plan.user(number));
        creator.open(&self.shared, self.place(Target::Server)?, How::Silent).await?;
        creator.kept.replace(Some(Vec::new()));
        Ok(creator)
    }

    /// Creates all rooms. Returns their ids.
    pub(super) async fn create(&self) -> Result<Vec<String>, Failure> {
        let plan = &self.shared.begin.plan;
        let commands = (0..plan.rooms).map(
            |room| json!({ "type": "create_room", "id": room, "name": format!("{} {room}", plan.prefix) }),
        );
        let creator = self.creator().await?;
        let answers = ask_all(&creator, commands).await?;
        creator.close();
        let mut ids = vec![String::new(); plan.rooms];
        for answer in answers {
            let number = answer["id"].as_u64().and_then(|id| ids.get_mut(id as usize));
            let (Some(slot), Some(id)) = (number, answer["room"]["id"].as_str()) else {
                return Err("a room was not created".into());
            };
            id.clone_into(slot);
        }
        Ok(ids)
    }

    /// Lets everybody join their rooms.
    pub(super) async fn enrol(&self) -> Result<(), Failure> {
        if self.shared.begin.plan.direct {
            let pairs = self.server.members.chunks_exact(2);
            let met = pairs.enumerate().map(|(number, pair)| self.meet(number, &pair[0], &pair[1]));
            return stream::iter(met).buffer_unordered(OPENING).try_collect().await;
        }
        let users = self.server.members.iter().chain(&self.server.speakers);
        stream::iter(users.map(|user| self.join(user))).buffer_unordered(OPENING).try_collect().await
    }

    async fn join(&self, user: &Rc<User>) -> Result<(), Failure> {
        user.open(&self.shared, self.place(Target::Server)?, How::Silent).await?;
        let rooms: Vec<_> =
            user.follows.borrow().iter().map(|it| String::from_utf8_lossy(&it.room).into_owned()).collect();
        for room in rooms {
            let answers = user.answers.get() + 1;
            user.put(&frames::join(&room))?;
            if timeout(PATIENCE, user.until_answered(answers)).await.is_err() {
                return Err("a join is not acked".into());
            }
        }
        user.close();
        Ok(())
    }

    /// The first message of two users, which makes their room.
    async fn meet(&self, number: usize, one: &Rc<User>, other: &Rc<User>) -> Result<(), Failure> {
        // The other one must have been here once to be known.
        other.open(&self.shared, self.place(Target::Server)?, How::Silent).await?;
        other.close();
        one.open(&self.shared, self.place(Target::Server)?, How::Silent).await?;
        one.kept.replace(Some(Vec::new()));
        let hello = json!({ "type": "send_dm", "id": 1, "recipientId": other.name, "content": "hello" });
        let answers = ask_all(one, std::iter::once(hello)).await?;
        one.close();
        one.kept.replace(None);
        let Some(room) = answers.first().and_then(|answer| answer["roomId"].as_str()) else {
            return Err("a direct message was not acked".into());
        };
        self.shared.rooms.borrow_mut().insert(room.as_bytes().into(), number);
        let mut heads = self.shared.heads.borrow_mut();
        let length = heads.len().max(number + 1);
        heads.resize(length, 0);
        heads[number] = 1;
        for user in [one, other] {
            let mut follow = Follow::new(room, number);
            follow.go_on_after(1);
            user.follows.replace(vec![follow]);
        }
        Ok(())
    }

    /// The newest entry of each room.
    pub(super) async fn ask_heads(&self) -> Result<Vec<u64>, Failure> {
        let ids = self.room_ids.iter().enumerate();
        let commands = ids.map(|(number, id)| json!({ "type": "get_room", "id": number, "roomId": id }));
        let mut heads = vec![0; self.room_ids.len()];
        let creator = self.creator().await?;
        let answers = ask_all(&creator, commands).await?;
        creator.close();
        for answer in answers {
            let number = answer["id"].as_u64().and_then(|id| heads.get_mut(id as usize));
            let (Some(slot), Some(head)) = (number, answer["room"]["lastSeq"].as_u64()) else {
                return Err("a room was not described".into());
            };
            *slot = head;
        }
        Ok(heads)
    }
}

/// Sends commands, some ahead of their answers, and returns the answers.
async fn ask_all(user: &Rc<User>, commands: impl Iterator<Item = Value>) -> Result<Vec<Value>, Failure> {
    let before = user.answers.get();
    let mut sent = 0;
    for command in commands {
        user.put(&frames::command(&command))?;
        sent += 1;
        let due = (before + sent).saturating_sub(AHEAD as u64);
        if timeout(PATIENCE, user.until_answered(due)).await.is_err() {
            return Err("commands are not answered".into());
        }
    }
    if timeout(PATIENCE, user.until_answered(before + sent)).await.is_err() {
        return Err("commands are not answered".into());
    }
    Ok(user.kept.borrow_mut().as_mut().map(std::mem::take).unwrap_or_default())
}
