//! The accept loop: TCP connections in, requests out, with a bound on everything a stranger can hold.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, body::Body, extract::Request};
use chat_core::auth::network_of;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
};
use tower::ServiceExt;

use crate::{
    config::Network,
    limits::{ACCEPT_PAUSE, BACKLOG, HEAD_BYTES_MAX, HEAD_TIMEOUT, HEADERS_MAX},
    stall::Taken,
};

/// Serves HTTP/1.1 on a listener until told to stop.
#[derive(Debug)]
pub(crate) struct Front {
    listener: TcpListener,
    http: http1::Builder,
    places: Arc<Semaphore>,
    peers: Arc<Peers>,
}

/// The other end of a TCP connection, and its place among the connections: it is given back when the last clone
/// is dropped, so a WebSocket keeps one.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    address: IpAddr,
    peers: Arc<Peers>,
    _permit: OwnedSemaphorePermit,
}

/// How many connections each address has.
#[derive(Debug)]
struct Peers {
    /// At most so many each; 0 for no limit.
    most: usize,
    /// Addresses that stand for many clients, and so are not counted.
    exempt: Vec<Network>,
    /// Guards the counts, which hold only addresses that are connected; taken for a look-up only.
    counts: Mutex<HashMap<IpAddr, usize>>,
}

impl Front {
    /// A front that admits so many `connections`, `per_address` of them from one address (0 for no limit), proxies
    /// excepted.
    pub(crate) fn new(
        listener: TcpListener,
        connections: usize,
        per_address: usize,
        proxies: Vec<Network>,
    ) -> Self {
        let peers = Peers { most: per_address, exempt: proxies, counts: Mutex::default() };
        Self {
            listener,
            http: rules(),
            places: Arc::new(Semaphore::new(connections)),
            peers: Arc::new(peers),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts until told to stop; ends when all running requests have.
    pub(crate) async fn serve(self, router: Router, mut stop: watch::Receiver<bool>) {
        // Every conversation holds a clone of the sender; the channel ends with the last of them.
        let (alive, mut all_ended) = mpsc::channel::<Infallible>(1);
        loop {
            let accepted = tokio::select! {
                accepted = self.accept() => accepted,
                () = told(&mut stop) => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let conversation =
                        converse(self.http.clone(), stream, peer, router.clone(), stop.clone());
                    let alive = alive.clone();
                    tokio::spawn(async move {
                        conversation.await;
                        drop(alive);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop((self.listener, alive));
        all_ended.recv().await;
    }

    /// The next connection that has a place. While all places are taken nothing is accepted.
    async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        loop {
            let permit = Arc::clone(&self.places).acquire_owned().await.map_err(io::Error::other)?;
            let (stream, address) = self.listener.accept().await?;
            let Some(peer) = Peers::admit(&self.peers, address.ip().to_canonical(), permit) else { continue };
            // Fails only for a connection that is gone already, which its first read will tell.
            let _ = stream.set_nodelay(true);
            return Ok((stream, peer));
        }
    }
}

/// What holds for every connection.
fn rules() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    http
}

/// Listens. As with [`TcpListener::bind`], but for how many may wait.
///
/// # Errors
/// When the address is taken or not this machine's.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Waits until it is time to stop; whoever would have told and is gone has told.
async fn told(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Answers the requests of one connection until it ends, or becomes a WebSocket; once told to stop, only the one
/// that is running.
async fn converse<S>(
    http: http1::Builder,
    stream: S,
    peer: Peer,
    router: Router,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (router, peer) = (router.clone(), peer.clone());
        async move {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            let Ok(response) = router.oneshot(request).await;
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection =
        pin!(http.serve_connection(TokioIo::new(Taken::new(stream)), service).with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

impl Peer {
    /// Its address.
    pub(crate) fn address(&self) -> IpAddr {
        self.place.address
    }
}

impl Peers {
    fn admit(peers: &Arc<Self>, address: IpAddr, permit: OwnedSemaphorePermit) -> Option<Peer> {
        let mut counts = peers.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(network_of(address)).or_default();
        let exempt = peers.most == 0 || peers.exempt.iter().any(|network| network.contains(address));
        if *count >= peers.most && !exempt {
            return None;
        }
        *count += 1;
        Some(Peer { place: Arc::new(Place { address, peers: Arc::clone(peers), _permit: permit }) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.peers.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let network = network_of(self.address);
        if let Some(count) = counts.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&network);
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::{Duration, Instant, sleep},
    };

    /// The client's end of a connection to this router.
    pub(crate) fn dial(router: Router) -> DuplexStream {
        let (client, server) = duplex(64 * 1024);
        let peers = Arc::new(Peers { most: 0, exempt: Vec::new(), counts: Mutex::default() });
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let peer = Peers::admit(&peers, ip("192.0.2.1"), permit).unwrap();
        let (going_on, stop) = watch::channel(false);
        tokio::spawn(async move {
            converse(rules(), server, peer, router, stop).await;
            drop(going_on);
        });
        client
    }

    /// Sends a piece each second until the other end hangs up: what it said until then, and how long that took.
    pub(crate) async fn trickle(mut client: DuplexStream, piece: &[u8]) -> (String, Duration) {
        let (mut said, began) = (Vec::new(), Instant::now());
        loop {
            tokio::select! {
                read = client.read_buf(&mut said) => if read.unwrap_or(0) == 0 { break },
                // Who hangs up may do so while something is on its way.
                () = sleep(Duration::from_secs(1)) => drop(client.write_all(piece).await),
            }
        }
        (String::from_utf8(said).unwrap(), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_too_long_for_a_head_is_cut_off_however_steadily_they_send() {
        let mut client = dial(Router::new());
        client.write_all(b"GET / HTTP/1.1\r\nHost: chat.example\r\nX-Slow: ").await.unwrap();
        let (said, took) = trickle(client, b"x").await;
        assert!((HEAD_TIMEOUT..HEAD_TIMEOUT + Duration::from_secs(2)).contains(&took), "{took:?} {said}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_connects_and_says_nothing_is_cut_off() {
        let (said, took) = trickle(dial(Router::new()), b"").await;
        assert!((HEAD_TIMEOUT..HEAD_TIMEOUT + Duration::from_secs(2)).contains(&took), "{took:?} {said}");
        assert_eq!(said, "");
    }

    #[tokio::test(start_paused = true)]
    async fn who_rests_too_long_between_two_requests_is_cut_off() {
        let mut client = dial(Router::new());
        client.write_all(b"GET / HTTP/1.1\r\nHost: chat.example\r\n\r\n").await.unwrap();
        let (said, took) = trickle(client, b"").await;
        assert!(said.starts_with("HTTP/1.1 404 "), "{said}");
        assert!((HEAD_TIMEOUT..HEAD_TIMEOUT + Duration::from_secs(2)).contains(&took), "{took:?}");
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_places_and_a_proxy_has_all() {
        let places = Arc::new(Semaphore::new(10));
        let permit = || Arc::clone(&places).try_acquire_owned().unwrap();
        let exempt = vec!["10.0.0.0/8".parse().unwrap()];
        let peers = Arc::new(Peers { most: 1, exempt, counts: Mutex::default() });
        let first = Peers::admit(&peers, ip("192.0.2.1"), permit()).unwrap();
        let upgraded = first.clone();
        drop(first);
        assert!(Peers::admit(&peers, ip("192.0.2.1"), permit()).is_none());
        assert!(Peers::admit(&peers, ip("192.0.2.2"), permit()).is_some());
        let proxied: Vec<_> =
            (0..3).map(|_| Peers::admit(&peers, ip("10.0.0.1"), permit()).unwrap()).collect();
        let wide = Peers::admit(&peers, ip("2001:db8::1"), permit()).unwrap();
        assert!(Peers::admit(&peers, ip("2001:db8::2"), permit()).is_none(), "a host has all of its /64");
        assert!(Peers::admit(&peers, ip("2001:db8:0:1::1"), permit()).is_some());
        drop((upgraded, proxied, wide));
        assert!(Peers::admit(&peers, ip("192.0.2.1"), permit()).is_some());
        assert!(peers.counts.lock().unwrap().is_empty());
        assert_eq!(places.available_permits(), 10);
    }
}
