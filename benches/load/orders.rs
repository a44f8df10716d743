//! What the coordinator tells workers, and what they answer: one JSON object a line, one answer an order.

use std::{net::SocketAddr, ops::Range};

use serde::{Deserialize, Serialize};

use crate::tally::{Counts, Recorded};

/// Who there is and where they belong. Every process works it out alike.
///
/// Users `0..members` follow rooms; speakers come after them and follow nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Users who follow rooms.
    pub(crate) members: usize,
    /// Users who only speak.
    pub(crate) speakers: usize,
    /// Rooms.
    pub(crate) rooms: usize,
    /// Rooms of each member.
    pub(crate) rooms_per_user: usize,
    /// Whether members form pairs that write to each other directly; there are no rooms then.
    pub(crate) direct: bool,
    /// Characters of a message's text.
    pub(crate) bytes: usize,
    /// What users' ids begin with.
    pub(crate) prefix: String,
}

impl Plan {
    /// A user's id, which is the name, too.
    pub(crate) fn user(&self, number: usize) -> String {
        format!("{}-{number}", self.prefix)
    }

    /// The rooms that a user is a member of, by number.
    pub(crate) fn rooms_of(&self, user: usize) -> Vec<usize> {
        if self.direct || self.rooms == 0 {
            return Vec::new();
        }
        if user < self.members {
            let most = self.rooms_per_user.min(self.rooms);
            return (0..most).map(|turn| (user + turn) % self.rooms).collect();
        }
        let speaker = user - self.members;
        if speaker >= self.rooms || self.speakers >= self.rooms {
            return vec![speaker % self.rooms];
        }
        (speaker..self.rooms).step_by(self.speakers.max(1)).collect()
    }

    /// The members of one of several workers. Pairs stay together.
    pub(crate) fn members_of(&self, worker: usize, workers: usize) -> Range<usize> {
        let border = |worker: usize| (self.members * worker / workers) & !1;
        border(worker)..if worker + 1 == workers { self.members } else { border(worker + 1) }
    }
}

/// What connections are to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Target {
    /// A chat server.
    Server,
    /// The floor.
    Floor,
}

/// The first order of all.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Begin {
    /// Who there is.
    pub(crate) plan: Plan,
    /// Which of the workers this one is.
    pub(crate) worker: usize,
    /// How many there are.
    pub(crate) workers: usize,
    /// What tokens are signed with.
    pub(crate) secret: String,
}

/// Who is to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Who {
    /// Those who follow.
    Members,
    /// Those who speak.
    Speakers,
    /// The first member of each worker alone.
    First,
}

/// How messages are to be sent.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Pace {
    /// So many a second, by senders in turn.
    Rate(f64),
    /// As many as all members take: they are at most so many messages behind.
    Behind(u64),
    /// Each sender the next one when the last was acked.
    Acked,
    /// One sender, the next one when all members have the last.
    Received,
}

/// Messages to be sent.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Flow {
    /// By whom.
    pub(crate) who: Who,
    /// How.
    pub(crate) pace: Pace,
    /// For how long.
    pub(crate) seconds: f64,
    /// At most so many by one worker.
    pub(crate) most: u64,
}

/// One order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Takes the plan.
    Begin(Box<Begin>),
    /// Where the server or the floor is. What was connected to it before is forgotten.
    Aim { target: Target, address: SocketAddr },
    /// Creates all rooms. One worker does it.
    Create,
    /// The ids of all rooms.
    Rooms { ids: Vec<String> },
    /// Connects, joins rooms, disconnects.
    Enrol,
    /// Asks for the newest entry of each room. One worker does it.
    Heads,
    /// From where members go on in each room.
    From { heads: Vec<u64> },
    /// Connects; to a server, so many at the same time.
    Connect { target: Target, who: Who, opening: usize },
    /// Connects as one who missed what came since, and waits until all has been caught up with.
    Resume { opening: usize },
    /// One user goes away and comes back, `times` times, each time without the newest `missed` entries.
    Return { missed: u64, times: usize },
    /// Cuts connections.
    Cut { target: Target, who: Who },
    /// Begins to send. The answer comes at once.
    Send { target: Target, flow: Flow },
    /// Waits until that is over and every message was acked.
    Sent,
    /// Waits until members have everything up to these entries; in direct rooms, up to what was acked.
    Reach { target: Target, heads: Vec<u64> },
    /// Tells what was counted since it was told last. With `arrivals` counting of arrivals goes on or begins.
    Tally { arrivals: bool },
    /// So many members read nothing from now on.
    Stall { members: usize },
    /// Everybody reads.
    Wake,
}

/// What a worker answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// It is done.
    Done,
    /// Rooms were created.
    Created { ids: Vec<String> },
    /// The newest entry of each room, where known; 0 where not.
    Heads { heads: Vec<u64> },
    /// How long something took for each connection: until they were authenticated, until all was caught up with.
    Opened { authenticated: Recorded, caught_up: Recorded },
    /// What was sent.
    Sent(Sent),
    /// What was counted.
    Tally(Box<Counts>),
    /// It can't go on.
    Failed { reason: String },
}

/// What a flow came to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// Messages.
    pub(crate) messages: u64,
    /// When the first and the last were sent or acked.
    pub(crate) seconds: f64,
    /// The newest acked entry of each room.
    pub(crate) heads: Vec<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(members: usize, speakers: usize, rooms: usize) -> Plan {
        let prefix = "load".to_owned();
        Plan { members, speakers, rooms, rooms_per_user: 1, direct: false, bytes: 200, prefix }
    }

    #[test]
    fn every_member_belongs_to_one_worker_and_pairs_stay_together() {
        for (members, workers) in [(1, 1), (10, 3), (10_001, 4), (3, 2)] {
            let plan = plan(members, 0, 1);
            let all: Vec<_> = (0..workers).flat_map(|worker| plan.members_of(worker, workers)).collect();
            assert_eq!(all, (0..members).collect::<Vec<_>>());
            assert!((0..workers).all(|worker| plan.members_of(worker, workers).start.is_multiple_of(2)));
        }
    }

    #[test]
    fn the_rooms_of_a_member_differ() {
        let plan = Plan { rooms_per_user: 3, ..plan(10, 0, 5) };
        assert_eq!((plan.rooms_of(0), plan.rooms_of(9)), (vec![0, 1, 2], vec![4, 0, 1]));
        assert_eq!(Plan { rooms: 2, ..plan }.rooms_of(1), [1, 0]);
    }

    #[test]
    fn speakers_share_the_rooms() {
        let few = plan(4, 2, 5);
        assert_eq!((few.rooms_of(4), few.rooms_of(5)), (vec![0, 2, 4], vec![1, 3]));
        let many = plan(4, 6, 3);
        assert_eq!((4..10).flat_map(|user| many.rooms_of(user)).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
        assert_eq!((few.rooms_of(0), few.rooms_of(3)), (vec![0], vec![3]));
    }
}
