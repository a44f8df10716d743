//! The pure domain: planning requests on a room and applying the entries that come of it.
//!
//! Measures one batch as a room's writer handles it: a plan on the room and its rows, a decision for each
//! request, the commit, and the room moved by each entry. `sends` are keyed messages of one member, `joins` are
//! new members. Nothing is encoded, stored or delivered.
//!
//! How to read it: the number behind the slash is the requests in the batch, `thrpt` is entries a second; one
//! entry costs the reciprocal of it. Small batches carry the price of the plan itself (a clone of room and
//! rows), large ones show the entry alone. It is paid under the room's lock, so it bounds one room's rate: at a
//! microsecond an entry that is a hundred times more than a disk can sync.
//!
//! ```sh
//! cargo bench -p chat-benches --bench domain_apply
//! ```
#![allow(clippy::expect_used, reason = "a benchmark whose setting fails ends there")]

use std::hint::black_box;

use chat_core::{
    domain::{
        Actor, Command, Draft, Member, MembersOnly, Plan, Request, Role, Room, RoomSpec, Rows, TextRules,
    },
    id::{ClientMessageId, RoomId, Seq, UserId},
    time::Timestamp,
};
use criterion::{BenchmarkId, Criterion, Throughput};

/// Requests in a batch: a quiet room, a busy one, and the most that one commit takes.
const BATCHES: [usize; 3] = [1, 16, 128];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let room = room();
    let member = Member {
        user: UserId::from_trusted("owner"),
        role: Role::Owner,
        joined: room.head,
        joined_at: Timestamp::default(),
    };
    let members = [(member.user.clone(), Some(member))].into();
    let rows = Rows { at: room.head, members, ..Rows::default() };
    measure(&mut criterion, "sends", &room, &rows, send);

    let strangers = (0..128).map(|number| (stranger(number), None)).collect();
    let rows = Rows { at: room.head, members: strangers, ..Rows::default() };
    measure(&mut criterion, "joins", &room, &rows, join);
    criterion.final_summary();
}

fn measure(criterion: &mut Criterion, name: &str, room: &Room, rows: &Rows, request: fn(usize) -> Request) {
    let mut group = criterion.benchmark_group(format!("domain_apply/{name}"));
    for batch in BATCHES {
        let requests: Vec<_> = (0..batch).map(request).collect();
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
            bencher.iter(|| plan_and_apply(room, rows, black_box(&requests)));
        });
    }
    group.finish();
}

/// What a room's writer does with a batch, without its store.
fn plan_and_apply(room: &Room, rows: &Rows, requests: &[Request]) -> Room {
    let mut plan = Plan::on(room, rows.clone(), &MembersOnly, TextRules::default());
    for request in requests {
        plan.decide(request).expect("the rules permit it");
    }
    let commit = plan.into_commit().expect("every request makes an entry");
    let mut room = room.clone();
    assert!(commit.entries.iter().all(|entry| room.apply(entry)));
    room
}

/// A public room with its owner.
fn room() -> Room {
    let mut room = Room::unborn(RoomId::from_trusted("room"));
    let create = Request {
        actor: Actor::new(UserId::from_trusted("owner")),
        at: Timestamp::default(),
        command: Command::Create(RoomSpec::public("Room").expect("a name")),
    };
    let mut plan = Plan::on(&room, Rows::default(), &MembersOnly, TextRules::default());
    plan.decide(&create).expect("nobody else has created it");
    for entry in plan.into_commit().expect("two entries").entries {
        room.apply(&entry);
    }
    assert_eq!(room.head, Seq::new(2));
    room
}

fn send(number: usize) -> Request {
    let key = ClientMessageId::from_trusted(&format!("key-{number}"));
    let draft = Draft::text(&"x".repeat(100)).expect("a text").keyed(key);
    let actor = Actor::new(UserId::from_trusted("owner"));
    Request { actor, at: Timestamp::from_millis(1), command: Command::Send(draft) }
}

fn join(number: usize) -> Request {
    Request { actor: Actor::new(stranger(number)), at: Timestamp::from_millis(1), command: Command::Join }
}

fn stranger(number: usize) -> UserId {
    UserId::from_trusted(&format!("stranger-{number}"))
}
