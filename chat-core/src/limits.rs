//! Every bound in one place, with its reason and what happens at it.

use crate::domain::{Rate, TextRules};

pub use crate::domain::{MENTIONS_MAX, PINS_MAX, REACTION_USERS_MAX, REACTIONS_DISTINCT_MAX};

/// Entries in one commit. What is over waits for the next commit.
pub const COMMIT_ENTRIES_MAX: usize = 128;

/// Rows that the requests of one commit may change, as planning reckons them: the 1,000 operations that a sled batch
/// may hold before readers notice (17 ms). 128 plain messages stay under it; of messages with fifty mentions it is six.
/// What is over waits for the next commit; a single request never needs more.
pub const COMMIT_ROWS_MAX: usize = STORE_GROUP_OPS_MAX;

/// Commands waiting for the writer of one room. Over it: `unavailable`. It is far more than one fsync's worth
/// (a room commits 128 at a time), so it is reached only when the disk hangs.
pub const ROOM_PENDING_MAX: usize = 4_096;

/// Entries that a room's tail ring keeps. Readers further behind read the store.
pub const TAIL_ENTRIES_MAX: usize = 256;

/// Bytes of frames that a room's tail ring keeps, unless a single entry is larger.
pub const TAIL_BYTES_MAX: usize = 256 * 1024;

/// Frames on their way to a client. At this bound reading from the client pauses; answers are never dropped.
pub const OUTBOX_MAX: usize = 64;

/// Signals waiting in a session's outbox, conflated by kind, room and user. Over it the oldest is dropped. A
/// presence is told in rooms of up to [`PRESENCE_ROOM_MEMBERS_MAX`] members, so all of one room fits. A signal
/// costs some 50 bytes while it waits; its frame is shared by all who wait for it.
pub const SIGNALS_WAITING_MAX: usize = 1_024;

/// Signals handed to a connection in one go, so that a flood of them does not starve entries.
pub const PULL_SIGNALS_MAX: usize = 64;

/// Users who are told of as typing at the same time, on one node: each costs some 300 bytes for five seconds.
/// Over it whoever starts is not told of until another one ends.
pub const TYPISTS_MAX: usize = 100_000;

/// Users who are told of as typing at the same time in one room: more than any client names. It bounds what a
/// room's typists cost its followers, whatever its size. Over it whoever starts is not told of until another
/// one ends.
pub const TYPISTS_PER_ROOM_MAX: usize = 20;

/// Members of the largest room in which presence is told. In larger ones it is asked for: `get_presence`,
/// `list_members`.
pub const PRESENCE_ROOM_MEMBERS_MAX: u32 = 1_000;

/// Sessions that one change of presence is told to. Over it the others have to ask.
pub const PRESENCE_AUDIENCE_MAX: usize = 5_000;

/// Presence events in one round of 100 ms, on one node: 200,000 a second, which is some tenth of a core. What is over
/// waits for the next round, and is told as it is then.
pub const PRESENCE_EVENTS_PER_ROUND: usize = 20_000;

/// Changes of presence looked at in one round of 100 ms. What is over waits for the next round.
pub const PRESENCE_CHANGES_PER_ROUND: usize = 1_000;

/// Users without sessions of whom others are still to be told: more than can go in the grace of five seconds.
/// Over it whoever goes is forgotten without an event; asking tells that they are offline.
pub const PRESENCE_GONE_MAX: usize = 100_000;

/// Presences in one write of the store. What is over waits for the next.
pub const PRESENCES_SAVED_AT_ONCE: usize = 256;

/// Users in the list of one `get_presence`. More is `bad_request`.
pub const PRESENCES_ASKED_MAX: usize = 100;

/// Bytes handed to a connection in one go. It bounds what a stalled reader holds: one batch, no more.
pub const PULL_BYTES_MAX: usize = 32 * 1024;

/// Frames handed to a connection in one go: the vectors of one `writev` (Linux takes 1,024).
pub const PULL_FRAMES_MAX: usize = 256;

/// Hints that wait in one inbox of a bus in memory. Over it the oldest are lost: comparing heads makes up for it.
pub const BUS_HINTS_WAITING_MAX: usize = 1_024;

/// Messages that wait for [`crate::hooks::Hooks::after_send`]. Over it the newest are not passed on, which is
/// logged: delivery never waits for a hook.
pub const AFTER_SEND_MAX: usize = 4_096;

/// Entries read from the store at a time by a session that is behind the ring.
pub const CATCH_UP_ENTRIES: usize = 100;

/// Entries of a log on one page, at most. More are on the next.
pub const LOG_PAGE_ENTRIES: usize = 500;

/// Messages on one page, at most.
pub const PAGE_MESSAGES_MAX: usize = 200;

/// Bytes of text on one page of messages; a page ends early there, with `hasMore…` true.
pub const PAGE_BYTES_MAX: usize = 256 * 1024;

/// Texts that are kept of an edited message, besides the present one. The oldest make room.
pub const EDITS_KEPT_MAX: usize = 50;

/// Files that one message refers to. More is `bad_request`, so is what is longer than the four bounds that follow.
pub const ATTACHMENTS_MAX: usize = 10;

/// Longest id of a file, in characters.
pub const ATTACHMENT_FILE_ID_CHARS: usize = 64;

/// Longest name of a file, in characters.
pub const ATTACHMENT_NAME_CHARS: usize = 255;

/// Longest media type, in characters.
pub const ATTACHMENT_MIME_CHARS: usize = 100;

/// Longest URL of a file, in bytes; with the others it keeps a reference within one stored row.
pub const ATTACHMENT_URL_BYTES: usize = 1_000;

/// Rows that say who reacted to a message which its deletion deletes at once; what is over goes with the next
/// sweeps, since sled stops all readers for 17 µs a row.
pub const REACTIONS_DELETED_AT_ONCE: usize = 200;

/// Members of a room, at most, in which the others are told who has read how far: each marking is told to all.
pub const RECEIPTS_MEMBERS_MAX: u32 = 100;

/// Items on one page of any other list.
pub const PAGE_ITEMS_MAX: usize = 100;

/// Rooms in the `resume` list of one `authenticate`. More is `bad_request`.
pub const RESUME_ROOMS_MAX: usize = 500;

/// Rooms that a session remembers to have ceased to follow. Over it they are forgotten: a joining that is told late
/// may then be followed a second time.
pub const UNFOLLOWED_ROOMS_MAX: usize = 1_000;

/// Keys that a table of per-user or per-address rates holds. At the bound idle keys are dropped; if none is
/// idle, the key nearest to idle is.
pub const RATE_KEYS_MAX: usize = 200_000;

/// Profiles kept in memory for naming the authors of messages. At the bound the cache is emptied.
pub const PROFILES_CACHED_MAX: usize = 50_000;

/// Memberships kept in memory per open room, so that a busy room does not ask the store who its authors are.
/// At the bound they are dropped and gathered anew.
pub const ROOM_MEMBERS_CACHED_MAX: usize = 1_024;

/// Users whom one user has blocked, at most. Over it `forbidden`; counting them takes half a millisecond.
pub const BLOCKS_PER_USER_MAX: usize = 500;

/// Invitations that one user has not answered. One more is `forbidden` to whoever invites; counting them takes a
/// tenth of a millisecond.
pub const INVITES_PER_USER_MAX: usize = 100;

/// Invitations to one room that are not answered. One more is `forbidden`.
pub const INVITES_PER_ROOM_MAX: usize = 200;

/// Links into one room that are good. One more is `conflict`.
pub const LINKS_PER_ROOM_MAX: usize = 50;

/// Malformed frames within a minute that close a connection with 4400.
pub const BAD_FRAMES_PER_MINUTE: usize = 20;

/// `rate_limited` answers within ten seconds that close a connection with 4429.
pub const REFUSALS_PER_TEN_SECONDS: usize = 100;

/// Followers of a room that are woken in one go. Those of a larger room are woken so many at a time, and between two
/// goes whatever else is ready gets its turn: an ack waits for some hundred writes of each large room that is being
/// told something, not for those of all its followers.
pub const WAKE_AT_ONCE: usize = 128;

/// Times that one batch of commands is planned again after another node was first. Over it: `unavailable`.
pub const CONFLICT_RETRIES_MAX: usize = 64;

/// Password hashes that are made at the same time: each holds 19 MiB and one core for some 30 ms.
pub const PASSWORD_HASHES_AT_ONCE: usize = 2;

/// Password hashes that wait for their turn: half a second's worth. Over it: `rate_limited`.
pub const PASSWORD_HASHES_WAITING_MAX: usize = 32;

/// Accounts, and addresses, whose failed logins are remembered. At the bound the one that failed longest ago is
/// forgotten.
pub const LOGIN_DELAYS_MAX: usize = 10_000;

/// Logins that are being held back because earlier ones failed. Over it: `rate_limited`.
pub const LOGINS_DELAYED_MAX: usize = 256;

/// Bytes of the document of an issuer's keys. A larger one is not read, and the former keys stay.
pub const JWKS_BYTES_MAX: usize = 256 * 1024;

/// Keys of an issuer that are looked at, the first ones of the document: issuers have a handful.
pub const JWKS_KEYS_MAX: usize = 32;

/// Mails that are being made out or sent. Over it: `rate_limited`. At a few seconds a mail it is a minute's worth.
pub const MAILS_WAITING_MAX: usize = 64;

/// Mails that are sent at the same time: relays dislike more.
pub const MAILS_AT_ONCE: usize = 4;

/// How long a mail may take to be sent, in milliseconds. Then it is given up.
pub const MAIL_TIMEOUT_MS: u64 = 60_000;

/// Mails to one address for a forgotten password, per hour. Over it: `rate_limited`, whether there is an account or not.
pub const RESETS_PER_HOUR: u32 = 3;

/// Shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 8;

/// Longest password, in characters; hashing takes longer for longer ones.
pub const PASSWORD_CHARS_MAX: usize = 128;

/// Times that a refresh is judged anew after another one with the same token was first. Over it: `unavailable`.
pub const ROTATION_RETRIES_MAX: usize = 8;

/// Times that a change of an account is planned again after another one was first. Over it: `unavailable`. More than
/// logins of one account can come at once: they are let through two at a time.
pub const ACCOUNT_RETRIES_MAX: usize = 64;

/// Logins of one user, at most. With one more the least recently used one ends: a person has fewer devices.
pub const LOGINS_PER_USER_MAX: usize = 50;

/// Logins of one user that are listed, and ended, in one step. Only users who logged in before
/// [`LOGINS_PER_USER_MAX`] was held can have more; what is over is dealt with in the next step.
pub const LOGINS_PER_STEP: usize = 100;

/// Logins looked at in one step of forgetting those that are over.
pub const FAMILIES_PER_SWEEP: usize = 256;

/// Write requests that one group of an embedded store holds. What is over waits for the next group.
pub const STORE_GROUP_REQUESTS_MAX: usize = 512;

/// Changed keys in one group of an embedded store: sled stops all readers while it applies a batch, 17 µs a key.
/// What is over waits for the next group; only a single commit of texts beyond the default limits exceeds it.
pub const STORE_GROUP_OPS_MAX: usize = 1_000;

/// Bytes in one group of an embedded store. What is over waits for the next group; a single commit may exceed it.
pub const STORE_GROUP_BYTES_MAX: usize = 1024 * 1024;

/// Write requests waiting for the thread of an embedded store. Over it: `StoreError::Overloaded`.
pub const STORE_QUEUE_MAX: usize = 4_096;

/// Bytes of the write requests waiting for the thread of an embedded store. Over it: `StoreError::Overloaded`.
pub const STORE_QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Longest value of an embedded store, in bytes: seventeen of them fit into one page of sled (128 KiB); larger
/// pages go to files of their own that sled never syncs. Longer texts are continued in rows beside them; any
/// other longer value is `StoreError::TooLarge`.
pub const STORE_VALUE_BYTES_MAX: usize = 7_000;

/// Longest key of an embedded store, in bytes. What could be longer is cut and hashed.
pub const STORE_KEY_BYTES_MAX: usize = 256;

/// Rows deleted by one sweep of an embedded store. What is over is left for the next.
pub const STORE_SWEEP_MAX: usize = 500;

/// Names of public rooms looked at for one page of a search. A page ends early there, with a cursor to go on.
pub const STORE_NAMES_SCANNED_MAX: usize = 5_000;

/// Longest pause between two messages of one member in slow mode, in seconds: six hours. Over it: `bad_request`.
pub const SLOW_MODE_SECONDS_MAX: u32 = 21_600;

/// Longest age by which a room lets its messages go, in days: a hundred years. Over it, and below one day:
/// `bad_request`.
pub const RETENTION_DAYS_MAX: u32 = 36_500;

/// Most messages to which a room may be kept. Over it, and below one: `bad_request`.
pub const RETENTION_MESSAGES_MAX: u32 = 100_000_000;

/// Messages that are looked at to find how much of one room may go. A cut goes no further; what else may go waits for
/// the next round. High enough that a room of a million messages that gets a retention is done within an hour.
pub const RETENTION_MESSAGES_LOOKED_AT_MAX: usize = 10_000;

/// Rooms with a retention that one round looks at. The next round goes on with the others.
pub const RETENTION_ROOMS_PER_ROUND_MAX: usize = 1_000;

/// How long the log of a deleted room is kept, in milliseconds: connections that read too slowly for the ring come
/// to its end meanwhile. One that takes longer than this hour is told of the end alone.
pub const DELETED_ROOM_GRACE_MS: i64 = 3_600_000;

/// Longest ban or mute that has an end, in seconds: ten years. Over it: `bad_request`; without an end it is for ever.
pub const SANCTION_SECONDS_MAX: u64 = 315_360_000;

/// Messages that one room holds for review. Over it a message that is to be held is `unavailable`.
pub const HELD_PER_ROOM_MAX: u32 = 1_000;

/// Messages of one author that one room holds for review, so that nobody fills it alone. Over it: `rate_limited`.
pub const HELD_PER_AUTHOR_MAX: usize = 50;

/// Messages of a member's own that may lie behind their marker, since a moderator released them meanwhile: counting
/// what is unread looks at each. One more release moves the marker to its message.
pub const UNATTENDED_UNREAD_MAX: usize = 50;

/// Reports that one room keeps. At the bound the oldest resolved one is dropped; if none is resolved, another
/// report is `unavailable`.
pub const REPORTS_PER_ROOM_MAX: u32 = 1_000;

/// Reports of one reporter that one room keeps, so that nobody fills it alone. Over it: `rate_limited`.
pub const REPORTS_PER_REPORTER_MAX: usize = 200;

/// How long an upload that no message refers to is kept, in milliseconds: a day is enough to write a message in.
pub const FILE_UNCLAIMED_MS: i64 = 24 * 3_600_000;

/// Messages that one file is posted by, so that who may have it is looked for in a bounded number of rooms. Over it a
/// message that refers to the file is `conflict`; it can be uploaded again.
pub const FILE_POSTINGS_MAX: usize = 100;

/// Items that an export of a user reads at once, messages with all their earlier texts among them.
pub const EXPORT_PAGE_ITEMS: usize = 20;

/// Messages, reactions or rooms that one step of an erasure deals with: few enough for one batch of a store.
pub const ERASED_AT_ONCE: usize = 40;

/// Rows outside of logs that one step of an erasure deletes; each takes a handful along.
pub const ERASED_ROWS_AT_ONCE: usize = 40;

/// Steps that the upkeep takes in one round to bring erasures to their end that broke off. The rest waits for the
/// next round.
pub const ERASURE_STEPS_PER_ROUND: usize = 250;

/// Members looked at for the one who is to own a room whose last owner is erased: the first so many in the order of
/// the store. In a larger room somebody of a higher rank may be passed over.
pub const SUCCESSORS_SCANNED_MAX: usize = 2_000;

/// How long somebody is asked to wait who has too much waiting for moderators, in milliseconds.
pub const REVIEW_RETRY_MS: u64 = 60_000;

/// Bounds that the embedder sets. The defaults are those of docs/protocol.md, Limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Messages per minute and user, over all their connections; 0 for no limit.
    pub messages_per_minute: u32,
    /// How many of them may come at once.
    pub message_burst: u32,
    /// Commands per second and connection; 0 for no limit.
    pub commands_per_second: u32,
    /// `typing_start` commands per second, user and room; 0 for no limit.
    pub typing_per_second: u32,
    /// Commands of one connection that may be unanswered; at the bound the server stops reading from it.
    pub commands_in_flight: usize,
    /// Connections of one user; over it the newest is refused. 0 for no limit.
    pub connections_per_user: usize,
    /// Rooms that one user may belong to; over it `forbidden`. 0 for no limit.
    pub rooms_per_user: u32,
    /// Longest message, in characters.
    pub content_chars: usize,
    /// Longest frame from a client, in bytes; over it the connection is closed with 1009.
    pub frame_bytes: usize,
    /// Missed entries that are replayed for one room; over it the client is told to resync.
    pub resume_entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages_per_minute: 60,
            message_burst: 10,
            commands_per_second: 50,
            typing_per_second: 1,
            commands_in_flight: 32,
            connections_per_user: 20,
            rooms_per_user: 1_000,
            content_chars: 5_000,
            frame_bytes: 64 * 1024,
            resume_entries: 1_000,
        }
    }
}

impl Limits {
    /// The rate of messages of one user.
    #[must_use]
    pub fn messages(&self) -> Rate {
        Rate::per_minute(self.messages_per_minute, self.message_burst)
    }

    /// The rate of commands of one connection.
    #[must_use]
    pub fn commands(&self) -> Rate {
        Rate::per_second(self.commands_per_second)
    }

    /// The rate of one user's typing in one room.
    #[must_use]
    pub fn typing(&self) -> Rate {
        Rate::per_second(self.typing_per_second)
    }

    /// The rules for text.
    #[must_use]
    pub fn text(&self) -> TextRules {
        TextRules { content_chars: self.content_chars }
    }
}
