//! A listener of its own, for services without a web framework.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use chat_core::{auth::Hello, transport::Transport};
use http::{Request, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, ToSocketAddrs},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_tungstenite::tungstenite::handshake::{machine::TryParse, server::write_response};
use tracing::debug;

use crate::{
    Admission, Gate, Refused, WsConfig, WsConnection,
    handshake::{self, Refusal, Upgrade},
    limits::{ACCEPT_PAUSE, ACCEPTED_MAX, HEAD_BYTES_MAX, READ_BYTES, REFUSAL_LINGER},
};

/// Listens on TCP and upgrades. Stops listening when dropped; connections live on.
///
/// ```no_run
/// # async fn doc() -> std::io::Result<()> {
/// use chat_transport_ws::{WsConfig, WsTransport};
/// let transport = WsTransport::bind("127.0.0.1:8080").await?;
/// // or, with settings
/// let transport = WsTransport::bind_with("[::]:8080", WsConfig::new().path("/chat")).await?;
/// println!("ws://{}/chat", transport.local_addr());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct WsTransport {
    address: SocketAddr,
    accepted: mpsc::Receiver<(WsConnection<TcpStream>, Hello)>,
    accepting: JoinHandle<()>,
}

impl WsTransport {
    /// Listens with the default settings.
    ///
    /// # Errors
    /// When the address can't be had.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind_with(address, WsConfig::default()).await
    }

    /// Listens.
    ///
    /// # Errors
    /// When the address can't be had.
    pub async fn bind_with(address: impl ToSocketAddrs, config: WsConfig) -> io::Result<Self> {
        Self::from_listener(TcpListener::bind(address).await?, config)
    }

    /// Takes over a socket that listens already.
    ///
    /// # Errors
    /// When the operating system does not tell its address.
    pub fn from_listener(listener: TcpListener, config: WsConfig) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, accepted) = mpsc::channel(ACCEPTED_MAX);
        let door = Door {
            gate: Gate::new(config.connections, config.connections_per_address),
            handshakes: Arc::new(Semaphore::new(config.handshakes.clamp(1, Semaphore::MAX_PERMITS))),
            config: Arc::new(config),
            accepted: sender,
        };
        Ok(Self { address, accepted, accepting: tokio::spawn(door.accept_all(listener)) })
    }

    /// Where it listens; with the port that the system chose, if it was asked to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

impl Transport for WsTransport {
    type Connection = WsConnection<TcpStream>;

    async fn accept(&mut self) -> Option<(Self::Connection, Hello)> {
        self.accepted.recv().await
    }
}

impl Drop for WsTransport {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

struct Door {
    gate: Gate,
    handshakes: Arc<Semaphore>,
    config: Arc<WsConfig>,
    accepted: mpsc::Sender<(WsConnection<TcpStream>, Hello)>,
}

impl Door {
    async fn accept_all(self, listener: TcpListener) {
        loop {
            let Ok(permit) = Arc::clone(&self.handshakes).acquire_owned().await else { return };
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    debug!(%error, "accept failed");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let address = peer.ip().to_canonical();
            let admitted = self.gate.admit(address);
            if matches!(admitted, Err(Refused::Flood)) {
                continue;
            }
            let (config, accepted) = (Arc::clone(&self.config), self.accepted.clone());
            // A task and an allocation of its own, which the connection's long life does not carry on.
            tokio::spawn(Box::pin(async move {
                let _permit = permit;
                let handshake = shake_hands(stream, address, admitted, &config);
                let shaken = tokio::select! {
                    shaken = timeout(config.handshake_timeout, handshake) => shaken,
                    () = accepted.closed() => return,
                };
                if let Ok(Some(connection)) = shaken {
                    // Nobody accepts any more: the connection ends here.
                    drop(accepted.send(connection).await);
                }
            }));
        }
    }
}

async fn shake_hands(
    mut stream: TcpStream,
    address: IpAddr,
    admitted: Result<Admission, Refused>,
    config: &WsConfig,
) -> Option<(WsConnection<TcpStream>, Hello)> {
    // Small frames must not wait for others to fill a packet.
    drop(stream.set_nodelay(true));
    let decided = async {
        let (request, leftover) = read_head(&mut stream).await?;
        let admission = match &admitted {
            Ok(_) => Ok(()),
            Err(Refused::Address(_)) => Err(Refusal::TooMany),
            Err(Refused::Total(_) | Refused::Flood) => Err(Refusal::Unavailable),
        };
        if request.uri().path() != config.path {
            return Err(Refusal::NotFound);
        }
        admission?;
        handshake::answer(&request, Some(address), config).await.map(|upgrade| (upgrade, leftover))
    };
    match (decided.await, admitted) {
        (Ok((Upgrade { response, hello }, leftover)), Ok(admission)) => {
            write_head(&mut stream, &response).await.ok()?;
            Some((WsConnection::adopt(stream, leftover, config).holding(admission), hello))
        }
        (Ok(_), Err(_)) => None,
        (Err(refusal), _guard) => {
            debug!(status = refusal.status().as_u16(), "handshake refused");
            refuse(&mut stream, refusal).await.ok()?;
            None
        }
    }
}

/// The request and what came after it.
async fn read_head(stream: &mut TcpStream) -> Result<(Request<()>, Vec<u8>), Refusal> {
    let mut head = Vec::new();
    loop {
        if head.len() >= HEAD_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        head.reserve(READ_BYTES.min(HEAD_BYTES_MAX - head.len()));
        if stream.read_buf(&mut head).await.map_err(|_| Refusal::Malformed)? == 0 {
            return Err(Refusal::Malformed);
        }
        match Request::try_parse(&head) {
            Ok(Some((length, request))) => return Ok((request, head.split_off(length))),
            Ok(None) => {}
            Err(_) => return Err(Refusal::Malformed),
        }
    }
}

async fn write_head<T>(stream: &mut TcpStream, response: &Response<T>) -> io::Result<()> {
    let mut bytes = Vec::new();
    write_response(&mut bytes, response).map_err(io::Error::other)?;
    stream.write_all(&bytes).await
}

/// Answers and waits a moment for the peer to read it: closing at once while its request is still arriving would
/// reset the connection and lose the answer.
async fn refuse(stream: &mut TcpStream, refusal: Refusal) -> io::Result<()> {
    let mut response = refusal.response();
    let length = response.body().len().into();
    response.headers_mut().insert(http::header::CONTENT_LENGTH, length);
    let connection = if refusal == Refusal::NoUpgrade { "upgrade, close" } else { "close" };
    let connection = http::HeaderValue::from_static(connection);
    response.headers_mut().insert(http::header::CONNECTION, connection);
    write_head(stream, &response).await?;
    stream.write_all(response.body().as_bytes()).await?;
    stream.shutdown().await?;
    let discard = async {
        let mut space = [0; 1024];
        while stream.read(&mut space).await? > 0 {}
        io::Result::Ok(())
    };
    timeout(REFUSAL_LINGER, discard).await.unwrap_or(Ok(()))
}
