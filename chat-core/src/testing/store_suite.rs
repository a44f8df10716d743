//! The proof of a store: one named test for each obligation of the traits in [`crate::store`].

pub mod commits;
pub mod deleted;
pub mod erasure;
pub mod invites;
pub mod logs;
pub mod messages;
pub mod model;
pub mod moderation;
pub mod operator;
pub mod people;
pub mod personal;
pub mod reading;
pub mod reopening;
pub mod retention;
pub mod review;
pub mod rooms;
pub mod trimming;
pub mod upkeep;
pub mod users;

use std::sync::Arc;

use super::random::Random;
use crate::{
    domain::{
        Actor, Command, Content, Draft, Entry, MembersOnly, Needs, Outcome, Plan, Rejection, Request, Room,
        RoomSpec, TextRules,
    },
    id::{ClientMessageId, RoomId, Seq, UserId},
    store::{CommitError, MessagePage, MessageQuery, Place, Store, StoreError, UserProfile},
    time::Timestamp,
};

/// Makes the tests of a store, one for each obligation.
///
/// The first argument opens an empty store; the second, for stores that outlive the process, closes the store it
/// is given and opens it again. Tests run on a multi-threaded tokio runtime, so the crate needs tokio with
/// `macros` and `rt-multi-thread`.
///
/// ```ignore
/// chat_core::store_conformance!(async { MyStore::temporary().await });
/// chat_core::store_conformance!(async { MyStore::temporary().await }, reopen = |store| async {
///     let path = store.path().to_owned();
///     store.close().await.unwrap();
///     drop(store);
///     MyStore::open(path).await
/// });
/// ```
#[macro_export]
macro_rules! store_conformance {
    (async $open:block) => {
        $crate::store_conformance! { @cases commits (async || $open):
            a_commit_is_saved_whole
            a_commit_that_does_not_follow_its_head_saves_nothing
            a_commit_of_too_many_entries_saves_nothing
            a_conflict_reports_the_stored_head_and_saves_nothing
            a_guard_that_does_not_hold_is_named_and_saves_nothing
            a_key_that_something_was_sent_under_is_named_and_saves_nothing
            of_commits_racing_for_one_head_exactly_one_is_saved
            logs_stay_dense_under_many_writers_in_many_rooms
            after_the_answer_every_read_sees_the_commit
            a_commit_whose_future_is_dropped_is_saved_whole_or_not_at_all
            one_bad_commit_does_not_fail_those_beside_it
            a_name_goes_to_one_public_room_however_many_race
            private_rooms_may_share_a_name
            a_user_joins_no_more_rooms_than_allowed_however_many_race
        }
        $crate::store_conformance! { @cases rooms (async || $open):
            rows_are_gathered_as_they_are_at_the_head
            what_was_sent_under_a_key_is_found_by_user_room_and_key
            keys_of_any_length_and_alphabet_are_kept_apart
            members_come_in_pages_each_once
            rooms_of_a_user_come_in_pages_each_once
            public_rooms_come_by_name_in_pages
            public_rooms_are_searched_without_regard_to_case
            a_cursor_that_was_never_handed_out_starts_from_the_beginning
            membership_versions_grow_with_every_joining_and_leaving
            leaving_ends_membership_everywhere
            users_share_a_room_exactly_while_both_belong_to_it
            heads_come_in_the_order_asked_and_are_zero_for_unknown_rooms
            ids_of_every_form_come_back_as_they_were
        }
        $crate::store_conformance! { @cases logs (async || $open):
            entries_come_dense_and_in_order_right_after_the_one_given
            entries_end_early_at_the_byte_limit_but_never_empty
            a_reader_that_sees_an_entry_can_read_all_before_it
            every_page_of_messages_is_the_one_of_a_plain_list
            a_room_without_messages_has_an_empty_page
            nothing_hidden_is_shown_or_counted_as_more
            a_page_ends_early_at_the_byte_limit_but_never_empty
            long_texts_come_back_whole
            texts_of_every_script_come_back_unchanged
            times_may_go_backwards
        }
        $crate::store_conformance! { @cases messages (async || $open):
            a_message_is_told_as_it_stands_by_old_entries_too
            after_a_deletion_no_read_gives_what_was_deleted
            former_texts_come_oldest_first_and_the_newest_are_kept
            former_texts_end_early_at_the_byte_limit_but_never_empty
            reactions_are_counted_and_come_in_the_order_of_their_coming
            a_crowd_that_reacted_is_forgotten_with_the_message
            pins_come_in_the_order_of_their_messages
            what_planning_needs_of_messages_is_gathered
            files_come_with_their_message_and_go_with_it
            a_thread_comes_in_pages_in_the_order_of_its_replies
            a_root_knows_how_many_replies_stand_and_when_the_last_was_sent
        }
        $crate::store_conformance! { @cases users (async || $open):
            a_profile_is_found_by_id_and_by_name_without_regard_to_case
            of_users_racing_for_one_name_exactly_one_is_created
            of_users_racing_for_one_id_exactly_one_is_created
            a_refused_user_leaves_nothing_behind
            a_changed_profile_is_read_as_it_was_changed
            another_name_frees_the_old_one_and_can_be_nobody_elses
            of_users_taking_one_name_at_most_one_gets_it
            the_profile_of_who_was_erased_changes_no_more
            users_are_found_by_how_their_name_begins
            a_presence_comes_back_as_it_was_saved_last
            a_save_of_too_many_presences_saves_nothing
        }
        $crate::store_conformance! { @cases reading (async || $open):
            a_marker_only_moves_forward_and_to_the_head_at_most
            joining_and_sending_move_the_marker_and_leaving_ends_it
            marking_for_somebody_who_is_no_member_changes_nothing
            of_markers_racing_in_one_room_the_newest_stays
            a_marker_between_messages_leaves_those_after_it
            what_was_delivered_only_moves_forward
            deleted_messages_are_unread_no_more
            members_who_are_named_are_mentioned_once_and_by_any_text_of_the_message
            all_the_room_is_mentioned_by_who_may
            counts_are_what_a_recount_says_after_every_step
            the_overview_tells_each_room_once_in_pages
            the_overview_tells_the_newest_message_that_may_be_seen
        }
        $crate::store_conformance! { @cases moderation (async || $open):
            what_stands_against_a_user_is_gathered_with_their_membership
            who_has_a_profile_is_gathered
            audit_records_are_numbered_and_chained_in_the_order_of_commits
            a_commit_that_is_not_saved_leaves_no_audit_record
            an_audit_cursor_that_was_never_handed_out_starts_from_the_newest
        }
        $crate::store_conformance! { @cases people (async || $open):
            a_direct_room_begins_with_its_first_message_and_belongs_to_both
            first_messages_that_race_from_both_sides_end_in_one_room
            direct_rooms_do_not_count_among_the_rooms_of_a_user
            nothing_between_two_is_saved_while_one_has_blocked_the_other
            a_commit_planned_before_a_block_is_not_saved_after_it
            blocking_twice_and_unblocking_twice_change_nothing
            a_user_blocks_a_bounded_number_of_others_however_many_race
            a_group_is_saved_with_all_its_members
        }
        $crate::store_conformance! { @cases personal (async || $open):
            every_message_of_a_user_is_listed_once_and_nobody_elses
            every_reaction_of_a_user_is_listed_while_it_stands
            what_a_user_has_waiting_for_moderators_is_listed
        }
        $crate::store_conformance! { @cases erasure (async || $open):
            nothing_new_is_saved_of_a_user_who_is_erased
            a_commit_planned_before_an_erasure_is_not_saved_after_it
            what_erases_a_user_is_saved
            a_user_who_is_erased_gives_their_name_back_at_once
            an_erasure_is_listed_until_it_is_at_its_end_and_known_for_ever
            erasures_are_told_in_the_order_of_their_beginning
            what_stands_in_no_log_goes_bit_by_bit_and_nothing_of_others
            what_is_left_in_a_deleted_room_goes
        }
        $crate::store_conformance! { @cases review (async || $open):
            a_held_message_comes_back_whole_and_in_order
            of_repeats_racing_to_be_held_one_is
            of_releases_and_discards_racing_one_succeeds
            a_released_message_is_its_authors_and_known_by_its_key
            a_released_message_counts_for_everybody_but_its_author
            a_released_message_that_was_cut_counts_for_nobody
            a_room_holds_no_more_messages_than_it_may
            a_report_keeps_the_message_as_it_was_once_per_reporter
            of_too_many_reports_the_oldest_resolved_one_makes_room
            what_is_to_be_reviewed_refuses_on_a_closed_store
            what_waits_in_a_room_that_was_deleted_goes_with_it
        }
        $crate::store_conformance! { @cases operator (async || $open):
            every_room_that_is_there_is_listed_once_in_pages
            open_reports_of_all_rooms_are_listed_and_no_others
            what_is_noted_is_recorded_in_a_chain_of_its_own
        }
        $crate::store_conformance! { @cases retention (async || $open):
            a_room_is_listed_while_it_has_a_retention
            what_may_go_is_found_by_age_by_count_and_by_both
            a_cut_goes_so_far_at_once_and_no_further
            nothing_before_a_cut_is_read_before_and_after_its_rows_go
            an_entry_about_a_message_that_was_cut_tells_no_text
            a_reply_outlives_the_root_of_its_thread
            markers_behind_a_cut_count_from_there
        }
        $crate::store_conformance! { @cases trimming (async || $open):
            what_was_cut_goes_in_bounded_steps
            of_cuts_that_race_one_is_saved
            a_room_that_was_cut_and_is_deleted_goes_whole
            an_erasure_takes_along_what_was_cut_and_is_not_swept
            readers_find_whole_logs_while_rows_go_under_them
            counts_are_what_a_recount_says_whatever_is_cut
        }
        $crate::store_conformance! { @cases deleted (async || $open):
            a_name_that_is_given_back_can_be_taken
            a_deleted_room_is_listed_nowhere_and_its_id_is_not_free
            a_deleted_room_goes_in_bounded_steps_and_its_end_stays
            when_somebody_sent_last_is_gathered
        }
        $crate::store_conformance! { @cases invites (async || $open):
            an_invitation_is_found_by_its_user_only_and_ends_with_their_joining
            a_second_invitation_of_one_user_to_one_room_is_not_saved
            an_answer_to_an_invitation_that_has_ended_is_not_saved
            invitations_are_bounded_by_user_and_by_room_whatever_one_commit_holds
            a_link_is_used_no_more_often_than_it_may_be_however_many_race
            nobody_comes_by_a_link_that_was_removed_meanwhile
            links_are_bounded_by_room_and_those_that_are_over_make_room
            a_commit_of_rows_alone_moves_no_head
        }
        $crate::store_conformance! { @cases upkeep (async || $open):
            an_empty_store_is_writable_and_verifies
            sweeping_ends_and_deletes_only_keys_older_than_a_week
            a_closed_store_refuses_everything
            closing_twice_is_fine
            the_epoch_stays_the_same_while_the_store_is_open
        }
        $crate::store_conformance! { @cases model (async || $open):
            random_commands_leave_what_a_plain_model_has
            random_commands_of_many_tasks_leave_a_store_that_verifies
        }
    };
    (async $open:block, reopen = |$store:ident| async $reopen:block) => {
        $crate::store_conformance!(async $open);
        $crate::store_reopening_conformance!(async $open, reopen = |$store| async $reopen);
    };
    (@cases $part:ident $open:tt: $($case:ident)*) => {
        $(
            #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::testing::store_suite::$part::$case($open).await;
            }
        )*
    };
}

/// Makes the tests that a store owes besides when it outlives the process: the second part of
/// [`store_conformance!`](crate::store_conformance), for when the two open their stores differently.
#[macro_export]
macro_rules! store_reopening_conformance {
    (async $open:block, reopen = |$store:ident| async $reopen:block) => {
        $crate::store_reopening_conformance! { @cases (async || $open), (async |$store| $reopen):
            everything_is_there_after_reopening
            a_log_goes_on_where_it_ended
            keys_of_sent_messages_are_known_after_reopening
            presences_are_known_after_reopening
            people_stay_as_they_were_over_reopening
            an_erasure_goes_on_after_reopening
            a_cut_stays_over_reopening_and_its_rows_go_on_going
            the_epoch_stays_the_same_over_a_clean_close
            an_audit_log_goes_on_where_it_ended
        }
    };
    (@cases $open:tt, $reopen:tt: $($case:ident)*) => {
        $(
            #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::testing::store_suite::reopening::$case($open, $reopen).await;
            }
        )*
    };
}

/// What a request came to, on top of a store and nothing else.
#[derive(Debug)]
pub enum Trouble {
    /// The rules refuse it.
    Rejected(Rejection),
    /// The store did not save it, for another reason than a conflict.
    Commit(CommitError),
}

/// A user of that id.
pub(crate) fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

/// A room of that id.
pub(crate) fn room_id(id: &str) -> RoomId {
    RoomId::parse(id).unwrap()
}

/// A client's key.
pub(crate) fn key(text: &str) -> ClientMessageId {
    ClientMessageId::parse(text).unwrap()
}

/// An instant in the year 2026.
pub(crate) const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + millis)
}

/// A profile.
pub(crate) fn profile(id: &str, username: &str) -> UserProfile {
    let username = crate::domain::Username::parse(username).unwrap();
    UserProfile::new(user(id), username, at(0))
}

/// A message that is to be sent.
pub(crate) fn draft(text: &str, client_message_id: Option<&str>) -> Command {
    let rules = TextRules { content_chars: 100_000 };
    Command::Send(Draft {
        client_message_id: client_message_id.map(key),
        ..Draft::new(Content::parse(text, rules).unwrap())
    })
}

/// A request of a user.
pub(crate) fn request(actor: &str, millis: i64, command: Command) -> Request {
    Request { actor: Actor::new(user(actor)), at: at(millis), command }
}

/// Plans requests on top of the stored room; `None` when they change nothing.
pub(crate) async fn planned<S: Store>(
    store: &S,
    room: &RoomId,
    requests: &[Request],
) -> Result<(Vec<Outcome>, Option<crate::domain::Commit>), Rejection> {
    let mut needs = Needs::default();
    requests.iter().for_each(|request| needs.add(request));
    // The room first: what changes the rows until they are read moves the head, and the commit is a conflict.
    let stored = store.room(room).await.unwrap().unwrap_or_else(|| Room::unborn(room.clone()));
    let rows = store.gather(room, &needs).await.unwrap();
    let mut plan = Plan::on(&stored, rows, &MembersOnly, TextRules { content_chars: 100_000 });
    let outcomes = requests.iter().map(|request| plan.decide(request)).collect::<Result<_, _>>()?;
    Ok((outcomes, plan.into_commit()))
}

/// Does a request, again and again while other writers are first.
pub(crate) async fn done<S: Store>(store: &S, room: &RoomId, request: &Request) -> Result<Outcome, Trouble> {
    loop {
        let (mut outcomes, commit) =
            planned(store, room, std::slice::from_ref(request)).await.map_err(Trouble::Rejected)?;
        let outcome = outcomes.remove(0);
        let Some(commit) = commit else { return Ok(outcome) };
        match store.commit(commit).await {
            Ok(()) => return Ok(outcome),
            Err(CommitError::Conflict { .. } | CommitError::Store(StoreError::Overloaded)) => {
                tokio::task::yield_now().await;
            }
            Err(error) => return Err(Trouble::Commit(error)),
        }
    }
}

/// Creates a public room of that name and id, owned by `owner`.
pub(crate) async fn public_room<S: Store>(store: &S, id: &str, owner: &str) -> RoomId {
    let room = room_id(id);
    let spec = RoomSpec::public(id).unwrap();
    done(store, &room, &request(owner, 0, Command::Create(spec))).await.unwrap();
    room
}

/// Sends a text and returns its place.
pub(crate) async fn send<S: Store>(store: &S, room: &RoomId, author: &str, text: &str) -> Seq {
    match done(store, room, &request(author, 1, draft(text, None))).await.unwrap() {
        Outcome::Sent(sent) => sent.seq,
        other => panic!("sending came to {other:?}"),
    }
}

/// The whole log of a room.
pub(crate) async fn log<S: Store>(store: &S, room: &RoomId) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map_or(Seq::ZERO, |entry| entry.seq);
        let more = store.entries(room, after, 100, usize::MAX).await.unwrap();
        if more.is_empty() {
            return entries;
        }
        entries.extend(more);
    }
}

/// A page without hidden messages or a bound on bytes.
pub(crate) async fn page<S: Store>(store: &S, room: &RoomId, place: Place, limit: usize) -> MessagePage {
    let query = MessageQuery { place, limit, hidden_until: Seq::ZERO, max_bytes: usize::MAX };
    store.messages(room, query).await.unwrap()
}

/// The texts of messages.
pub(crate) fn texts(entries: &[Entry]) -> Vec<&str> {
    entries.iter().filter_map(Entry::message).map(|message| message.content.as_str()).collect()
}

/// Checks that nothing that is kept twice differs.
pub(crate) async fn verifies<S: Store>(store: &S) {
    assert_eq!(store.verify().await.unwrap(), Vec::<String>::new());
}

/// Runs `task` for each number below `count`, all at once, and collects the results in order.
pub(crate) async fn all_at_once<S: Store, T: Send + 'static, F>(
    store: &Arc<S>,
    count: usize,
    task: impl Fn(Arc<S>, usize) -> F,
) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..count).map(|number| tokio::spawn(task(store.clone(), number))).collect();
    let mut results = Vec::with_capacity(count);
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}
