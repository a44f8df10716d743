//! What a device hears, and what it makes of it.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::{Instant, sleep_until, timeout};

use super::{Asked, Device, PATIENCE, Unacked};
use crate::{
    testing::sim::{Check, frame::ServerFrame, view::Heads, world::History},
    transport::{FromPeer, ToPeer},
};

impl Device {
    /// Reads whatever comes for so long.
    pub(super) async fn read_for(&mut self, duration: Duration) {
        let until = Instant::now() + duration;
        loop {
            let Some(link) = &mut self.link else { return sleep_until(until).await };
            let heard = tokio::select! {
                biased;
                heard = link.peer.next() => heard,
                () = sleep_until(until) => return,
            };
            match heard {
                Some(ToPeer::Text(json)) => self.hear(json).await,
                Some(ToPeer::Ping) => {
                    if !matches!(timeout(PATIENCE, link.peer.send(FromPeer::Pong)).await, Ok(Ok(()))) {
                        self.cut("since it takes no pong");
                    }
                }
                Some(ToPeer::Close(reason)) => {
                    self.world.note(&format!("{} is told goodbye: {}", self.name, reason.text()));
                }
                None => {
                    self.world.note(&format!("{} finds its link cut", self.name));
                    if let Some(link) = self.link.take() {
                        self.lost(link);
                    }
                }
            }
        }
    }

    async fn hear(&mut self, json: bytes::Bytes) {
        self.world.figures.frames.fetch_add(1, Ordering::Relaxed);
        let frame: ServerFrame<'_> = match serde_json::from_slice(&json) {
            Ok(frame) => frame,
            Err(error) => {
                let line = format!("{}: {error}: {}", self.name, String::from_utf8_lossy(&json));
                return self.world.oddities.lock().push(Check::Protocol.violated(line));
            }
        };
        if let Some((room, seq)) = frame.entry() {
            self.world.count(&json);
            self.world.note(&format!("{} sees {} {seq} of {room}", self.name, frame.kind));
            let leaves = frame.kind == "user_left" && frame.user_id.as_deref() == Some(self.user.as_str());
            if leaves {
                self.left.insert(room.clone());
            } else {
                self.left.remove(&room);
            }
            let cursor = self.cursors.entry(room.clone()).or_default();
            *cursor = seq.max(*cursor);
            if let Some(link) = &mut self.link {
                link.view.saw(&room, seq, json, leaves);
            }
            return;
        }
        self.world.note(&format!(
            "{} hears {} id {:?} seq {:?} {}",
            self.name,
            frame.kind,
            frame.id,
            frame.seq,
            frame.code.as_deref().unwrap_or_default(),
        ));
        let heads = if frame.id.is_some() { self.world.heads().await } else { Heads::new() };
        let Some(link) = &mut self.link else { return };
        match (frame.id, &*frame.kind, frame.room()) {
            (Some(id), ..) => match link.pending.remove(&id) {
                Some(asked) => self.answered(asked, &frame, heads),
                None => {
                    let line = format!("{}: an answer to nothing, id {id}", self.name);
                    self.world.oddities.lock().push(Check::Protocol.violated(line));
                }
            },
            (None, "caught_up", Some(room)) => link.view.caught_up(&room, frame.seq.unwrap_or(0)),
            (None, "resync_required", Some(room)) => {
                let seq = frame.seq.unwrap_or(0);
                self.world.figures.resyncs.fetch_add(1, Ordering::Relaxed);
                link.view.resync(&room, seq);
                self.cursors.insert(room, seq);
            }
            (None, "resume_failed", Some(room)) => {
                link.view.resume_failed(&room);
                self.cursors.remove(&room);
            }
            // Signals promise nothing that could be compared with the log.
            (None, "presence" | "user_typing" | "user_stopped_typing" | "unread", _) => {}
            _ => {
                let line = format!("{}: an unexpected {}", self.name, frame.kind);
                self.world.oddities.lock().push(Check::Protocol.violated(line));
            }
        }
    }

    fn answered(&mut self, asked: Asked, frame: &ServerFrame<'_>, heads: Heads) {
        let Some(link) = &mut self.link else { return };
        let code = frame.code.as_deref();
        match asked {
            Asked::Authenticate if code.is_none() => {
                link.authenticated = true;
                self.epoch = frame.epoch.as_deref().map(str::to_owned);
                link.view.authenticated(heads);
            }
            Asked::Send { text, key, first, room } => {
                let place = |unacked: &Unacked| Some(&unacked.key) == key.as_ref();
                let place = self.unacked.iter().position(place);
                match (code, frame.seq) {
                    (None, Some(seq)) => {
                        let duplicate = frame.duplicate.unwrap_or(false);
                        let id = frame.message_id.as_deref();
                        self.world.ledger.lock().acked(&text, id, seq, duplicate);
                        if let (Some(first), false) = (first, duplicate) {
                            link.view.acked.push((room, first, seq));
                        }
                        place.map(|place| self.unacked.remove(place));
                    }
                    (Some("forbidden" | "not_found"), _) => {
                        self.world.ledger.lock().refused(&text);
                        place.map(|place| self.unacked.remove(place));
                    }
                    _ => {
                        self.world.ledger.lock().uncertain(&text);
                        if let Some(unacked) = place.and_then(|place| self.unacked.get_mut(place)) {
                            unacked.under_way = false;
                        }
                    }
                }
            }
            Asked::Rework { original, number } => {
                if let (None, Some(seq)) = (code, frame.seq) {
                    self.world.ledger.lock().rework_acked(&original, number, seq);
                }
            }
            Asked::History { room, asked, newest_at_least } if code.is_none() => {
                let messages = frame.messages.iter().flatten();
                self.world.histories.lock().push(History {
                    who: link.view.name.clone(),
                    room,
                    asked,
                    newest_at_least,
                    messages: messages.map(|message| (message.seq, message.content.to_string())).collect(),
                });
            }
            Asked::Subscribe { room, after, head } if code.is_none() => {
                let high = heads.get(&room).copied().unwrap_or(head);
                link.view.subscribed(&room, after, frame.seq.unwrap_or(0), (head, high));
            }
            Asked::Unsubscribe { room } if code.is_none() => link.view.unsubscribed(&room),
            _ => {}
        }
    }
}
