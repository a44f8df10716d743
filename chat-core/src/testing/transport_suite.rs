//! The proof of a transport: one named test for each obligation of [`Transport`] and [`Connection`].

use std::{
    future::{Future, poll_fn},
    task::Poll,
};

use bytes::Bytes;
use futures::future::join;

use crate::{
    close::CloseReason,
    transport::{Connection, Frame, FromPeer, Gone, Received, SendQueue, ToPeer, Transport},
};

/// A transport under test and the way to reach it.
pub trait TransportFixture: Send + Sized {
    /// What is tested.
    type Transport: Transport;
    /// The other end.
    type Peer: TestPeer;

    /// Starts a transport.
    fn start() -> impl Future<Output = (Self, Self::Transport)> + Send;

    /// Connects a peer. It is awaited together with `accept`.
    fn dial(&mut self) -> impl Future<Output = Self::Peer> + Send;

    /// Tries to connect in a way that must fail, and gives up. Where a transport has no such way, it does
    /// nothing.
    fn dial_badly(&mut self) -> impl Future<Output = ()> + Send;
}

/// The far end of a connection, driven by hand: it reads only when asked to, so that a slow reader is one that
/// is not asked. Dropping it is vanishing without a goodbye.
pub trait TestPeer: Send {
    /// Sends; waits while the link is full.
    fn send(&mut self, what: FromPeer) -> impl Future<Output = Result<(), Gone>> + Send;

    /// What comes next from the server; `None` once it is gone.
    fn next(&mut self) -> impl Future<Output = Option<ToPeer>> + Send;
}

/// Makes the tests of a [`TransportFixture`], one for each obligation.
///
/// ```ignore
/// chat_core::transport_conformance!(MyFixture);
/// ```
#[macro_export]
macro_rules! transport_conformance {
    ($fixture:ty) => {
        $crate::transport_conformance! {
            @cases $fixture:
            frames_from_the_peer_arrive_whole_in_order_each_once
            frames_to_the_peer_arrive_whole_in_order_each_once
            a_stalled_peer_leaves_frames_in_the_queue_and_is_still_heard
            a_ping_never_falls_into_the_middle_of_a_frame
            a_sign_of_life_is_reported
            what_is_no_text_is_reported_and_costs_nothing_else
            a_lost_wait_to_receive_loses_no_frame
            a_peer_that_vanishes_is_closed_for_the_reader
            a_peer_that_vanishes_is_gone_for_the_writer
            every_close_reason_is_seen_by_the_peer
            the_close_reason_is_seen_by_a_peer_that_goes_on_sending
            a_close_in_the_middle_of_a_frame_lets_it_arrive_whole
            closing_ends_within_two_seconds_although_the_peer_does_nothing
            a_lost_wait_to_accept_loses_no_connection
            a_failed_handshake_does_not_end_accepting
        }
    };
    (@cases $fixture:ty: $($case:ident)*) => {
        $(
            #[::tokio::test]
            async fn $case() {
                $crate::testing::transport_suite::$case::<$fixture>().await;
            }
        )*
    };
}

type ConnectionOf<F> = <<F as TransportFixture>::Transport as Transport>::Connection;

async fn link<F: TransportFixture>() -> (ConnectionOf<F>, F::Peer) {
    let (mut fixture, mut transport) = F::start().await;
    connect(&mut fixture, &mut transport).await
}

async fn connect<F: TransportFixture>(
    fixture: &mut F,
    transport: &mut F::Transport,
) -> (ConnectionOf<F>, F::Peer) {
    let (accepted, peer) = join(transport.accept(), fixture.dial()).await;
    let Some((connection, _)) = accepted else { panic!("the transport accepts no more") };
    (connection, peer)
}

async fn receive(connection: &mut impl Connection) -> Received {
    poll_fn(|cx| connection.poll_receive(cx)).await
}

async fn receive_text(connection: &mut impl Connection) -> Vec<u8> {
    loop {
        match receive(connection).await {
            Received::Text(text) => return text,
            Received::Alive => {}
            other => panic!("expected a frame, got {other:?}"),
        }
    }
}

async fn send(connection: &mut impl Connection, queue: &mut SendQueue) -> Result<(), Gone> {
    poll_fn(|cx| connection.poll_send(cx, queue)).await
}

/// Sends and receives as the engine does: in one task, each whenever it can. Ends with the first frame that is
/// received.
async fn send_until_received(connection: &mut impl Connection, queue: &mut SendQueue) -> Received {
    poll_fn(|cx| {
        let sent = connection.poll_send(cx, queue);
        assert!(sent.is_pending(), "a peer that does not read took everything: {sent:?}");
        connection.poll_receive(cx)
    })
    .await
}

async fn close(connection: &mut impl Connection, reason: CloseReason) {
    poll_fn(|cx| connection.poll_close(cx, reason)).await;
}

async fn next_text(peer: &mut impl TestPeer) -> Bytes {
    loop {
        match peer.next().await {
            Some(ToPeer::Text(text)) => return text,
            Some(ToPeer::Ping) => {}
            other => panic!("expected a frame, got {other:?}"),
        }
    }
}

async fn peer_sends(peer: &mut impl TestPeer, text: impl Into<Vec<u8>>) {
    assert_eq!(peer.send(FromPeer::Text(text.into())).await, Ok(()), "the server is gone");
}

/// Frames of very different lengths, each telling its number; up to some 40 KiB.
fn frames(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(n * n * 7 % 40_009))).collect()
}

/// More than the operating system buffers between two ends that do not read.
fn flood() -> (String, usize) {
    (format!("{{\"pad\":\"{}\"}}", "x".repeat(60_000)), 500)
}

fn queue_of<'a>(connection: &impl Connection, texts: impl IntoIterator<Item = &'a str>) -> SendQueue {
    let mut queue = SendQueue::default();
    for text in texts {
        queue.push(Frame::new(text.to_owned()).framed(connection.framing()));
    }
    queue
}

macro_rules! cases {
    ($($(#[$doc:meta])* async fn $case:ident<$fixture:ident>() $body:block)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Panics
            /// When the transport does not hold it.
            pub async fn $case<$fixture: TransportFixture>() $body
        )*
    };
}

cases! {
    /// Obligation 1, inwards.
    async fn frames_from_the_peer_arrive_whole_in_order_each_once<F>() {
        let (mut connection, mut peer) = link::<F>().await;
        let sent = frames(300);
        let sending = async {
            for text in &sent {
                peer_sends(&mut peer, text.as_str()).await;
            }
        };
        let receiving = async {
            for text in &sent {
                assert_eq!(receive_text(&mut connection).await, text.as_bytes());
            }
        };
        join(sending, receiving).await;
    }

    /// Obligation 1, outwards.
    async fn frames_to_the_peer_arrive_whole_in_order_each_once<F>() {
        let (mut connection, mut peer) = link::<F>().await;
        let sent = frames(1_100);
        let sending = async {
            for batch in sent.chunks(400) {
                let mut queue = queue_of(&connection, batch.iter().map(String::as_str));
                assert_eq!(send(&mut connection, &mut queue).await, Ok(()));
                assert!(queue.is_empty() && queue.bytes() == 0);
            }
        };
        let reading = async {
            for text in &sent {
                assert_eq!(next_text(&mut peer).await, text.as_bytes());
            }
        };
        join(sending, reading).await;
    }

    /// Obligations 2 and 3.
    async fn a_stalled_peer_leaves_frames_in_the_queue_and_is_still_heard<F>() {
        let (mut connection, mut peer) = link::<F>().await;
        let (text, count) = flood();
        let mut queue = queue_of(&connection, std::iter::repeat_n(text.as_str(), count));
        let (heard, ()) =
            join(send_until_received(&mut connection, &mut queue), peer_sends(&mut peer, "{}")).await;
        assert!(matches!(heard, Received::Text(ref text) if text == b"{}"), "{heard:?}");
        assert!(!queue.is_empty());
        let reading = async {
            for _ in 0..count {
                assert_eq!(next_text(&mut peer).await, text.as_bytes());
            }
        };
        let (sent, ()) = join(send(&mut connection, &mut queue), reading).await;
        assert_eq!(sent, Ok(()));
    }

    /// Obligations 1 and 2.
    async fn a_ping_never_falls_into_the_middle_of_a_frame<F>() {
        let (mut connection, mut peer) = link::<F>().await;
        let (text, count) = flood();
        let mut queue = queue_of(&connection, std::iter::repeat_n(text.as_str(), count));
        join(send_until_received(&mut connection, &mut queue), peer_sends(&mut peer, "{}")).await;
        connection.ping();
        let reading = async {
            let (mut texts, mut pings) = (0, 0);
            while texts < count || pings < 1 {
                match peer.next().await {
                    Some(ToPeer::Text(read)) => {
                        assert_eq!(read, text.as_bytes());
                        texts += 1;
                    }
                    Some(ToPeer::Ping) => pings += 1,
                    other => panic!("expected a frame or a ping, got {other:?}"),
                }
            }
            (texts, pings)
        };
        let (sent, read) = join(send(&mut connection, &mut queue), reading).await;
        assert_eq!((sent, read), (Ok(()), (count, 1)));
    }

    /// Obligation 3.
    async fn a_sign_of_life_is_reported<F>() {
        let (mut connection, mut peer) = link::<F>().await;
        connection.ping();
        let asking = async {
            assert_eq!(send(&mut connection, &mut SendQueue::default()).await, Ok(()));
            let answer = receive(&mut connection).await;
            assert!(matches!(answer, Received::Alive), "{answer:?}");
        };
        let answering = async {
            assert_eq!(peer.next().await, Some(ToPeer::Ping));
            assert_eq!(peer.send(FromPeer::Pong).await, Ok(()));
        };
        join(asking, answering).await;
    }

    /// A binary frame costs an error, not the connection.
    async fn what_is_no_text_is_reported_and_costs_nothing_else<F>() {
        let (mut connection, mut peer) = link::<F>().await;
        let sending = async {
            assert_eq!(peer.send(FromPeer::NotText).await, Ok(()));
            peer_sends(&mut peer, "{}").await;
        };
        let receiving = async {
            let first = receive(&mut connection).await;
            assert!(matches!(first, Received::NotText), "{first:?}");
            assert_eq!(receive_text(&mut connection).await, b"{}");
        };
        join(sending, receiving).await;
    }

    /// Every call is cancel-safe.
    async fn a_lost_wait_to_receive_loses_no_frame<F>() {
        let (mut connection, mut peer) = link::<F>().await;
        let sent = frames(50);
        let sending = async {
            for text in &sent {
                peer_sends(&mut peer, text.as_str()).await;
            }
        };
        let receiving = async {
            for text in &sent {
                let received = loop {
                    let mut waiting = Box::pin(receive_text(&mut connection));
                    if let Poll::Ready(received) = futures::poll!(&mut waiting) {
                        break received;
                    }
                    drop(waiting);
                    tokio::task::yield_now().await;
                };
                assert_eq!(received, text.as_bytes());
            }
        };
        join(sending, receiving).await;
    }

    /// Obligation 4.
    async fn a_peer_that_vanishes_is_closed_for_the_reader<F>() {
        let (mut connection, mut peer) = link::<F>().await;
        let sending = async {
            peer_sends(&mut peer, "{}").await;
            drop(peer);
        };
        let receiving = async {
            assert_eq!(receive_text(&mut connection).await, b"{}");
            let last = receive(&mut connection).await;
            assert!(matches!(last, Received::Closed), "{last:?}");
        };
        join(sending, receiving).await;
    }

    /// Obligation 4.
    async fn a_peer_that_vanishes_is_gone_for_the_writer<F>() {
        let (mut connection, peer) = link::<F>().await;
        drop(peer);
        let (text, count) = flood();
        let mut queue = queue_of(&connection, std::iter::repeat_n(text.as_str(), count));
        assert_eq!(send(&mut connection, &mut queue).await, Err(Gone));
    }

    /// Obligation 5.
    async fn every_close_reason_is_seen_by_the_peer<F>() {
        use CloseReason::{Abuse, Banned, Draining, Flood, Normal, TimedOut, TooLarge, Unauthenticated};
        for reason in [Normal, Draining, TooLarge, Abuse, Unauthenticated, Banned, TimedOut, Flood] {
            let (mut connection, mut peer) = link::<F>().await;
            let mut queue = queue_of(&connection, ["{}"]);
            assert_eq!(send(&mut connection, &mut queue).await, Ok(()));
            let reading = async {
                assert_eq!(next_text(&mut peer).await, "{}");
                assert_eq!(peer.next().await, Some(ToPeer::Close(reason)));
                assert_eq!(peer.next().await, None);
                drop(peer);
            };
            join(close(&mut connection, reason), reading).await;
        }
    }

    /// Obligation 5.
    async fn the_close_reason_is_seen_by_a_peer_that_goes_on_sending<F>() {
        let (mut connection, mut peer) = link::<F>().await;
        let sending = async {
            for text in frames(200) {
                if peer.send(FromPeer::Text(text.into())).await.is_err() {
                    break;
                }
            }
            assert_eq!(peer.next().await, Some(ToPeer::Close(CloseReason::Flood)));
            drop(peer);
        };
        let closing = async {
            receive_text(&mut connection).await;
            close(&mut connection, CloseReason::Flood).await;
            drop(connection);
        };
        join(sending, closing).await;
    }

    /// Obligations 1 and 5.
    async fn a_close_in_the_middle_of_a_frame_lets_it_arrive_whole<F>() {
        let (mut connection, mut peer) = link::<F>().await;
        let (text, count) = flood();
        let mut queue = queue_of(&connection, std::iter::repeat_n(text.as_str(), count));
        join(send_until_received(&mut connection, &mut queue), peer_sends(&mut peer, "{}")).await;
        drop(queue);
        let reading = async {
            let last = loop {
                match peer.next().await {
                    Some(ToPeer::Text(read)) => assert_eq!(read, text.as_bytes()),
                    other => break other,
                }
            };
            drop(peer);
            last
        };
        let closing = async {
            close(&mut connection, CloseReason::Draining).await;
            drop(connection);
        };
        let ((), last) = join(closing, reading).await;
        assert_eq!(last, Some(ToPeer::Close(CloseReason::Draining)));
    }

    /// Obligation 5. It holds in virtual time: nothing but the deadline can end the wait.
    async fn closing_ends_within_two_seconds_although_the_peer_does_nothing<F>() {
        let (mut connection, peer) = link::<F>().await;
        tokio::time::pause();
        let before = tokio::time::Instant::now();
        close(&mut connection, CloseReason::Normal).await;
        let waited = before.elapsed().as_millis();
        assert!((1_999..=2_001).contains(&waited), "waited {waited} ms");
        drop(peer);
    }

    /// `accept` is cancel-safe.
    async fn a_lost_wait_to_accept_loses_no_connection<F>() {
        let (mut fixture, mut transport) = F::start().await;
        for _ in 0..3 {
            let mut waiting = Box::pin(transport.accept());
            assert!(futures::poll!(&mut waiting).is_pending());
        }
        let (_connection, _peer) = connect(&mut fixture, &mut transport).await;
        let (_connection, _peer) = connect(&mut fixture, &mut transport).await;
    }

    /// A peer that fails its handshake never ends accepting.
    async fn a_failed_handshake_does_not_end_accepting<F>() {
        let (mut fixture, mut transport) = F::start().await;
        fixture.dial_badly().await;
        let (mut connection, mut peer) = connect(&mut fixture, &mut transport).await;
        let ((), text) = join(peer_sends(&mut peer, "{}"), receive_text(&mut connection)).await;
        assert_eq!(text, b"{}");
    }
}
