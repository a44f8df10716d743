//! The proof of a bus: one named test for each obligation of [`crate::bus::Bus`].

use std::{collections::HashMap, time::Duration};

use futures::FutureExt;

use crate::{
    bus::{Audience, Bus, Hint, Inbox},
    domain::{Attendance, KeptPresence, Username},
    id::{NodeId, RoomId, Seq, UserId},
    time::Timestamp,
    wire::Notice,
};

/// Makes the tests of a bus, one for each obligation.
///
/// The argument makes the ends of two nodes on one bus; `alone` is for a bus that knows of no other node. Tests
/// run on tokio, so the crate needs it with `macros` and `rt`.
///
/// ```ignore
/// chat_core::bus_conformance!({
///     let bus = MyBus::temporary().await;
///     (bus.clone(), bus)
/// });
/// chat_core::bus_conformance!(alone LocalBus);
/// ```
#[macro_export]
macro_rules! bus_conformance {
    (alone $bus:expr) => {
        $crate::bus_conformance! { @cases $bus;
            a_lone_bus_says_so
            publishing_on_a_lone_bus_reaches_nobody
        }
    };
    ($ends:expr) => {
        $crate::bus_conformance! { @cases $ends;
            a_bus_of_several_nodes_says_so
            what_is_published_after_subscribing_can_be_heard
            what_arrives_is_what_was_published
            a_hint_reaches_a_subscriber_a_bounded_number_of_times
            several_subscribers_hear_each_for_itself
            publishing_does_not_wait_for_a_subscriber_that_never_reads
            publishing_without_subscribers_is_fine
            a_subscriber_that_was_slow_goes_on_hearing
            a_subscriber_that_is_gone_harms_nobody
            waiting_for_a_hint_can_be_given_up
        }
    };
    (@cases $ends:expr; $($case:ident)*) => {
        $(
            #[::tokio::test]
            async fn $case() {
                $crate::testing::bus_suite::$case($ends).await;
            }
        )*
    };
}

/// How often a subscriber may hear one hint.
const REPEATS_MAX: usize = 16;

/// More hints than a subscriber has to hold.
const MANY: u64 = 20_000;

/// A hint of each kind in turn.
fn hint(number: u64) -> Hint {
    let user = |n: u64| UserId::from_trusted(&format!("user-{n}"));
    let room = RoomId::from_trusted(&format!("room-{}", number % 7));
    let signal = |to: Audience| Hint::Signal {
        from: NodeId::from_trusted(&format!("node-{number}")),
        to,
        notice: Notice::UserTyping(room.clone(), user(number), Username::from_stored("somebody")),
    };
    match number % 4 {
        3 => Hint::Presence {
            from: NodeId::from_trusted(&format!("node-{number}")),
            people: (0..number % 5)
                .map(|n| Attendance {
                    user: user(number + n),
                    away: [None, Some(false), Some(true)][(number % 3) as usize],
                    kept: KeptPresence::default(),
                    set_at: Timestamp::from_millis(7),
                })
                .collect(),
        },
        0 => Hint::Grown {
            room,
            head: Seq::new(number),
            joined: (0..number % 4).map(|n| user(number + n)).collect(),
        },
        1 => signal(Audience::Users((0..number % 4).map(user).collect())),
        _ => signal(Audience::Room {
            room: room.clone(),
            at: Seq::new(number),
            except: number.is_multiple_of(2).then(|| user(number)),
        }),
    }
}

/// Which of the hints it is; 0 for one that nobody has made.
fn number(hint: &Hint) -> u64 {
    match hint {
        Hint::Grown { head, .. } => head.get(),
        Hint::Signal { from, .. }
        | Hint::Presence { from, .. }
        | Hint::Profile { from, .. }
        | Hint::Disconnect { from, .. } => {
            from.as_str().strip_prefix("node-").and_then(|number| number.parse().ok()).unwrap_or_default()
        }
    }
}

/// Publishes a hint until it is heard: any one of them may be lost. Gives what was heard before it.
async fn fence(bus: &impl Bus, inbox: &mut dyn Inbox, number: u64) -> Vec<Hint> {
    let mut before = Vec::new();
    loop {
        bus.publish(hint(number)).await;
        let patience = tokio::time::sleep(Duration::from_millis(20));
        tokio::pin!(patience);
        loop {
            tokio::select! {
                biased;
                heard = inbox.next() => match heard {
                    Some(heard) if heard == hint(number) => return before,
                    Some(heard) => before.push(heard),
                    None => panic!("the bus has ended under its subscriber"),
                },
                () = &mut patience => break,
            }
        }
    }
}

/// Whether there can be other nodes.
pub async fn a_bus_of_several_nodes_says_so<A: Bus, B: Bus>((a, b): (A, B)) {
    assert!(a.has_other_nodes());
    assert!(b.has_other_nodes());
}

/// Subscribing: what others publish from now on.
pub async fn what_is_published_after_subscribing_can_be_heard<A: Bus, B: Bus>((a, b): (A, B)) {
    let mut inbox = b.subscribe().await;
    fence(&a, &mut *inbox, 1).await;
    let mut inbox = a.subscribe().await;
    fence(&b, &mut *inbox, 2).await;
}

/// Obligation 2.
pub async fn what_arrives_is_what_was_published<A: Bus, B: Bus>((a, b): (A, B)) {
    let mut inbox = b.subscribe().await;
    for number in 1..=200 {
        a.publish(hint(number)).await;
    }
    for heard in fence(&a, &mut *inbox, 1_000).await {
        assert!((1..=200).contains(&number(&heard)), "never published: {heard:?}");
        assert_eq!(heard, hint(number(&heard)));
    }
}

/// Obligation 1.
pub async fn a_hint_reaches_a_subscriber_a_bounded_number_of_times<A: Bus, B: Bus>((a, b): (A, B)) {
    let mut inbox = b.subscribe().await;
    for number in 1..=200 {
        a.publish(hint(number)).await;
    }
    let mut times = HashMap::new();
    for heard in fence(&a, &mut *inbox, 1_000).await {
        *times.entry(number(&heard)).or_insert(0) += 1;
    }
    assert!(times.values().all(|times| *times <= REPEATS_MAX), "{times:?}");
}

/// Obligation 1: each other subscriber.
pub async fn several_subscribers_hear_each_for_itself<A: Bus, B: Bus>((a, b): (A, B)) {
    let (mut first, mut second) = (b.subscribe().await, b.subscribe().await);
    fence(&a, &mut *first, 1).await;
    fence(&a, &mut *second, 2).await;
    fence(&a, &mut *first, 3).await;
}

/// Obligation 3.
pub async fn publishing_does_not_wait_for_a_subscriber_that_never_reads<A: Bus, B: Bus>((a, b): (A, B)) {
    let _unread = b.subscribe().await;
    for number in 1..=MANY {
        a.publish(hint(number)).await;
    }
}

/// Obligation 3: nobody is needed.
pub async fn publishing_without_subscribers_is_fine<A: Bus, B: Bus>((a, b): (A, B)) {
    a.publish(hint(1)).await;
    b.publish(hint(2)).await;
}

/// Obligation 3: it loses hints, and no more than that.
pub async fn a_subscriber_that_was_slow_goes_on_hearing<A: Bus, B: Bus>((a, b): (A, B)) {
    let mut inbox = b.subscribe().await;
    for number in 1..=MANY {
        a.publish(hint(number)).await;
    }
    let heard = fence(&a, &mut *inbox, MANY + 1).await;
    assert!(heard.iter().all(|heard| *heard == hint(number(heard))));
}

/// Obligation 3: who has gone is not waited for either.
pub async fn a_subscriber_that_is_gone_harms_nobody<A: Bus, B: Bus>((a, b): (A, B)) {
    let gone = b.subscribe().await;
    let mut stays = b.subscribe().await;
    drop(gone);
    fence(&a, &mut *stays, 1).await;
}

/// [`Inbox::next`]: cancel-safe.
pub async fn waiting_for_a_hint_can_be_given_up<A: Bus, B: Bus>((a, b): (A, B)) {
    let mut inbox = b.subscribe().await;
    for number in 1..=50 {
        assert!(inbox.next().now_or_never().is_none_or(|heard| heard.is_some()));
        fence(&a, &mut *inbox, number).await;
    }
}

/// Whether there can be other nodes.
pub async fn a_lone_bus_says_so<B: Bus>(bus: B) {
    assert!(!bus.has_other_nodes());
}

/// Nobody is there.
pub async fn publishing_on_a_lone_bus_reaches_nobody<B: Bus>(bus: B) {
    let mut inbox = bus.subscribe().await;
    for number in 1..=MANY {
        bus.publish(hint(number)).await;
    }
    let heard = inbox.next().now_or_never().flatten();
    assert_eq!(heard, None, "a lone bus has nobody to hear from");
}
