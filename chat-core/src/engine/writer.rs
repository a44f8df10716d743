//! Drains a room's pending requests: gather, plan, commit, apply, answer, fan out. Exists only while there are
//! some.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    cell::{Cell, Pending, posted},
    error::Error,
    profiles::subject,
    shared::Shared,
};
use crate::{
    bus::Hint,
    domain::{
        Command, Entry, Erasing, GROUP_MEMBERS_MAX, Guard, Needs, Outcome, Plan, Rejection, Room, RoomName,
        Rows, Sent, Username,
    },
    id::{Seq, SessionId, UserId},
    limits::{COMMIT_ENTRIES_MAX, COMMIT_ROWS_MAX, CONFLICT_RETRIES_MAX},
    store::{CommitError, StoreError},
};

/// Queues a request and sees to it that somebody writes.
pub(crate) fn submit(shared: &Arc<Shared>, cell: &Arc<Cell>, pending: Pending) {
    if cell.submit(pending) {
        tokio::spawn(run(shared.clone(), cell.clone()));
    }
}

async fn run(shared: Arc<Shared>, cell: Arc<Cell>) {
    let mut turn = Turn { cell: cell.clone(), finished: false };
    // A creation makes at most so many entries and one, and comes first, so that this many always fit.
    while let Some(mut batch) = cell.take_pending(COMMIT_ENTRIES_MAX - GROUP_MEMBERS_MAX) {
        #[cfg(feature = "testing")]
        if shared.sabotage.reverses_batches() {
            batch.reverse();
        }
        while !batch.is_empty() {
            batch = write(&shared, &cell, batch).await;
        }
    }
    turn.finished = true;
}

/// A writer's turn. If it is cut short, by a panic or by the end of the runtime, the room is not stuck: what
/// waits is answered, and the next request starts a new writer.
struct Turn {
    cell: Arc<Cell>,
    finished: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.finished {
            self.cell.abandon();
        }
    }
}

/// Commits one batch, planning again when another node was first. Returns what was too much for one commit.
async fn write(shared: &Arc<Shared>, cell: &Arc<Cell>, mut batch: Vec<Pending>) -> Vec<Pending> {
    let mut refused: Vec<Option<Rejection>> = vec![None; batch.len()];
    let mut needs = Needs::default();
    batch.iter().for_each(|pending| needs.add(&pending.request));
    // Nearly every key is new, and the commit finds the one that is not. Then, or when something is refused, all are
    // looked up: a repeat gets the first answer, whatever is so by now.
    let keys = std::mem::take(&mut needs.sent);
    for attempt in 0..CONFLICT_RETRIES_MAX {
        let (room, rows) = match gather(shared, cell, &needs).await {
            Ok(gathered) => gathered,
            Err(error) => return fail(batch, &error.into()),
        };
        let mut plan = Plan::on(&room, rows, &*shared.policy, shared.limits.text());
        let (mut outcomes, mut weight) = (Vec::with_capacity(batch.len()), 0);
        for (pending, refusal) in batch.iter().zip(&refused) {
            weight += plan.weight(&pending.request.command);
            if weight > COMMIT_ROWS_MAX && !outcomes.is_empty() {
                break;
            }
            outcomes.push(refusal.map_or_else(|| plan.decide(&pending.request), Err));
        }
        if needs.sent.len() < keys.len() && outcomes.iter().any(Result::is_err) {
            needs.sent.clone_from(&keys);
            continue;
        }
        #[allow(unused_mut, reason = "the simulator's sabotage spoils it")]
        let Some(mut commit) = plan.into_commit() else {
            let later = batch.split_off(outcomes.len());
            answer(batch, outcomes);
            return later;
        };
        let entries = commit.entries.clone();
        let names = complete(shared, names(&batch), &entries).await;
        let unknown = shared.unknown_readers(cell, &batch);
        shared.learn_readers(cell, unknown).await;
        #[cfg(feature = "testing")]
        {
            shared.sabotage.spoil(&mut commit);
            if shared.sabotage.publishes_before_append() {
                tell(shared, cell, &entries, &names);
            }
        }
        match shared.store.commit(commit).await {
            Ok(()) => {
                take_in(shared, cell, &entries, &names);
                let later = batch.split_off(outcomes.len());
                let speaking = speaking(&batch);
                let released = released(&batch, &outcomes);
                answer(batch, outcomes);
                cell.wake_followers();
                shared.tell_senders(cell, &entries.iter().collect::<Vec<_>>(), &speaking, &released);
                announce(shared, cell, entries).await;
                return later;
            }
            #[cfg(feature = "testing")]
            Err(CommitError::Conflict { .. }) if shared.sabotage.acks_conflicts() => {
                let later = batch.split_off(outcomes.len());
                answer(batch, outcomes);
                return later;
            }
            Err(CommitError::Conflict { .. }) => {
                if let Err(error) = catch_up(shared, cell, attempt).await {
                    return fail(batch, &error.into());
                }
            }
            Err(CommitError::Guard(_)) if needs.sent.len() < keys.len() => needs.sent.clone_from(&keys),
            // Invited elsewhere meanwhile: under which name is to be looked up.
            Err(CommitError::Guard(Guard::Uninvited(_))) => {
                if let Err(error) = catch_up(shared, cell, attempt).await {
                    return fail(batch, &error.into());
                }
            }
            Err(CommitError::Guard(Guard::NotErased(user))) => {
                refuse_erased(&user, &room, &batch, &outcomes, &mut refused);
            }
            Err(CommitError::Guard(guard)) => refuse_guarded(&guard, &batch, &outcomes, &mut refused),
            Err(CommitError::Store(error)) => {
                let error = Error::from(error);
                let outcomes =
                    outcomes.into_iter().map(|outcome| outcome.map_err(Error::from).and(Err(error.clone())));
                let later = batch.split_off(outcomes.len());
                batch.into_iter().zip(outcomes).for_each(|(pending, outcome)| pending.reply.tell(outcome));
                return later;
            }
        }
    }
    fail(batch, &Error::Unavailable)
}

/// The room and the needed rows, all true at one head.
pub(super) async fn gather(
    shared: &Shared,
    cell: &Arc<Cell>,
    needs: &Needs,
) -> Result<(Room, Rows), StoreError> {
    loop {
        let (room, mut rows, remaining) = cell.known(needs.clone());
        if remaining == Needs::default() {
            return Ok((room, rows));
        }
        let read = shared.store.gather(cell.id(), &remaining).await?;
        if read.at == room.head {
            cell.remember(&read);
            rows.members.extend(read.members);
            rows.sanctions.extend(read.sanctions);
            rows.last_sent.extend(read.last_sent);
            let Rows { members, sanctions, last_sent, .. } = rows;
            return Ok((room, Rows { members, sanctions, last_sent, ..read }));
        }
        if read.at > cell.head() {
            shared.catch_up(cell).await?;
        }
    }
}

/// Reads what another node has committed first. It may take that node's fsync until it can be read.
async fn catch_up(shared: &Shared, cell: &Arc<Cell>, attempt: usize) -> Result<(), StoreError> {
    let before = cell.head();
    shared.catch_up(cell).await?;
    if cell.head() == before {
        let pause_ms = 1 << attempt.min(6);
        tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
    }
    Ok(())
}

/// Finds the requests that broke a guard, so that the others go on without them.
fn refuse_guarded(
    guard: &Guard,
    batch: &[Pending],
    outcomes: &[Result<Outcome, Rejection>],
    refused: &mut [Option<Rejection>],
) {
    for ((pending, outcome), refusal) in batch.iter().zip(outcomes).zip(refused) {
        let request = &pending.request;
        // The answer to a repeat depends on nothing that could break.
        if is_repeat(outcome) {
            continue;
        }
        match (guard, &request.command) {
            (Guard::NameFree(name), command) if takes(command, name) => {
                *refusal = Some(Rejection::Conflict("a public room has this name already"));
            }
            (Guard::IsHeld(id), Command::Release(release)) if release.held.id == *id => {
                *refusal = Some(Rejection::NO_HELD);
            }
            (
                Guard::RoomsBelow(user, _),
                Command::Create(_) | Command::Join | Command::AcceptInvite(_) | Command::JoinByLink(_),
            ) if request.actor.user == *user => {
                *refusal = Some(Rejection::Forbidden("you belong to too many rooms"));
            }
            (Guard::RoomsBelow(user, _), Command::CreateGroup(spec))
                if request.actor.user == *user || spec.others().contains(user) =>
            {
                *refusal = Some(Rejection::NOT_PERMITTED);
            }
            (
                Guard::Unblocked(user, _),
                Command::Send(_)
                | Command::SendDirect(..)
                | Command::CreateGroup(_)
                | Command::Edit { .. }
                | Command::React { .. },
            ) if request.actor.user == *user => {
                *refusal = Some(Rejection::NOT_PERMITTED);
            }
            (Guard::Unblocked(by, user), Command::Invite(invited, _))
                if request.actor.user == *by && invited == user =>
            {
                *refusal = Some(Rejection::NOT_PERMITTED);
            }
            (Guard::InviteFits(user), Command::Invite(invited, _)) if invited == user => {
                *refusal = Some(Rejection::NOT_PERMITTED);
            }
            (Guard::Invited(user, _), Command::AcceptInvite(_) | Command::DeclineInvite(_))
                if request.actor.user == *user =>
            {
                *refusal = Some(Rejection::NO_INVITE);
            }
            (Guard::LinkStands(id), Command::JoinByLink(link) | Command::RevokeLink(link)) if link == id => {
                *refusal = Some(Rejection::NO_LINK);
            }
            (Guard::LinkFits, Command::CreateLink(..)) => {
                *refusal = Some(Rejection::Conflict("the room has as many invitation links as it can take"));
            }
            _ => {}
        }
    }
}

/// Refuses what a user who is erased has still under way, and what is about them; their own going goes on.
fn refuse_erased(
    user: &UserId,
    room: &Room,
    batch: &[Pending],
    outcomes: &[Result<Outcome, Rejection>],
    refused: &mut [Option<Rejection>],
) {
    for ((Pending { request, .. }, outcome), refusal) in batch.iter().zip(outcomes).zip(refused) {
        let own = request.actor.user == *user;
        // A repeat saves nothing.
        if !own && is_repeat(outcome) {
            continue;
        }
        let is_to = |to: &UserId| (to == user).then_some(Rejection::NO_USER);
        let about = match &request.command {
            Command::Erase(Erasing::Membership { successor: Some(successor) }) => {
                (successor == user).then_some(Rejection::Conflict("another owner is needed"))
            }
            Command::Erase(_) => None,
            _ if own => Some(Rejection::NOT_PERMITTED),
            Command::Send(_) => room.other(&request.actor.user).and_then(is_to),
            Command::SendDirect(to, _) | Command::Invite(to, _) => is_to(to),
            Command::Moderate(moderation) => is_to(&moderation.user),
            Command::Appoint(user) => is_to(user),
            Command::CreateGroup(spec) => spec.others().iter().find_map(is_to),
            Command::Release(release) => (release.held.author == *user).then_some(Rejection::NO_HELD),
            _ => None,
        };
        *refusal = refusal.or(about);
    }
}

fn is_repeat(outcome: &Result<Outcome, Rejection>) -> bool {
    matches!(outcome, Ok(Outcome::Sent(Sent { duplicate: true, .. })))
}

fn names(batch: &[Pending]) -> HashMap<UserId, Username> {
    let name = |pending: &Pending| match &pending.request.command {
        Command::Release(release) => (release.held.author.clone(), release.author_name.clone()),
        _ => (pending.request.actor.user.clone(), pending.username.clone()),
    };
    batch.iter().map(name).collect()
}

/// Whether a command may make the room take this name among public rooms.
fn takes(command: &Command, name: &RoomName) -> bool {
    match command {
        Command::Create(spec) => spec.name.key() == name.key(),
        // One that makes a private room public takes the name that it had.
        Command::Update(change) => match &change.name {
            Some(new) => new.key() == name.key(),
            None => change.private == Some(false),
        },
        _ => false,
    }
}

/// Completes the names that these entries are shown with. Most are about those who asked; others are looked up, and
/// one whose name can't be is shown as unknown rather than not at all.
async fn complete(
    shared: &Shared,
    mut names: HashMap<UserId, Username>,
    entries: &[Entry],
) -> HashMap<UserId, Username> {
    let others: Vec<_> =
        entries.iter().map(subject).filter(|user| !names.contains_key(*user)).cloned().collect();
    if !others.is_empty() {
        match shared.profiles.names(&others).await {
            Ok(found) => names.extend(others.into_iter().zip(found)),
            Err(error) => tracing::warn!(%error, "can't look up whom an entry is about"),
        }
    }
    names
}

/// On which session each actor speaks; on the last one who speaks on several.
fn speaking(batch: &[Pending]) -> HashMap<UserId, SessionId> {
    let speaking = |pending: &Pending| Some((pending.request.actor.user.clone(), pending.session.clone()?));
    batch.iter().filter_map(speaking).collect()
}

/// What was sent in the place of its author.
fn released(batch: &[Pending], outcomes: &[Result<Outcome, Rejection>]) -> HashSet<Seq> {
    let released = |(pending, outcome): (&Pending, &Result<Outcome, Rejection>)| match (
        &pending.request.command,
        outcome,
    ) {
        (Command::Release(_), Ok(Outcome::Sent(sent))) => Some(sent.seq),
        _ => None,
    };
    batch.iter().zip(outcomes).filter_map(released).collect()
}

/// Applies what is stored and puts it on the ring.
fn take_in(shared: &Shared, cell: &Arc<Cell>, entries: &[Entry], names: &HashMap<UserId, Username>) {
    let name = |entry| names.get(subject(entry)).cloned().unwrap_or_else(|| Username::from_stored("unknown"));
    #[allow(unused_mut, reason = "the simulator's sabotage reorders it")]
    let mut ready: Vec<_> = entries.iter().map(|entry| posted(entry.clone(), name(entry))).collect();
    #[cfg(feature = "testing")]
    {
        shared.sabotage.disorder(&mut ready);
        cell.keep_texts(shared.sabotage.keeps_texts());
    }
    shared.take_in(cell, ready);
}

#[cfg(feature = "testing")]
fn tell(shared: &Shared, cell: &Arc<Cell>, entries: &[Entry], names: &HashMap<UserId, Username>) {
    take_in(shared, cell, entries, names);
    cell.wake_followers();
}

fn answer(batch: Vec<Pending>, outcomes: Vec<Result<Outcome, Rejection>>) {
    for (pending, outcome) in batch.into_iter().zip(outcomes) {
        pending.reply.tell(outcome.map_err(Error::from));
    }
}

/// Answers all of a batch; nothing is left of it.
fn fail(batch: Vec<Pending>, error: &Error) -> Vec<Pending> {
    batch.into_iter().for_each(|pending| pending.reply.tell(Err(error.clone())));
    Vec::new()
}

/// Tells other nodes and the embedder, once everybody here is served.
async fn announce(shared: &Shared, cell: &Arc<Cell>, entries: Vec<Entry>) {
    if shared.bus.has_other_nodes() && !entries.is_empty() {
        let joined = entries.iter().flat_map(Entry::begins_for).cloned().collect();
        shared.bus.publish(Hint::Grown { room: cell.id().clone(), head: cell.head(), joined }).await;
    }
    if let Some(sent) = &shared.sent {
        for entry in entries.into_iter().filter(|entry| entry.message().is_some()) {
            if sent.try_send(entry).is_err() {
                tracing::warn!("after_send is too slow: a message was not passed to it");
            }
        }
    }
}
