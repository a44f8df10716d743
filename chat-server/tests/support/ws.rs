//! A WebSocket client that hides nothing.

use std::{net::SocketAddr, time::Duration};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Error, Message, client::IntoClientRequest, handshake::client::Response},
};

use super::Server;

pub struct Ws {
    pub stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub response: Response,
}

/// Far longer than any answer takes; only so that a silent server fails a test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(60);

impl Ws {
    /// Connects and says nothing.
    pub async fn open(address: SocketAddr, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (stream, response) = tokio_tungstenite::connect_async(request).await?;
        Ok(Self { stream, response })
    }

    /// Connects and authenticates.
    pub async fn login(server: &Server, token: &str) -> Self {
        let mut ws = Self::open(server.address, &[]).await.unwrap();
        let answer = ws.ask(json!({ "type": "authenticate", "id": 0, "token": token })).await;
        assert_eq!(answer["type"], "authenticated", "{answer}");
        ws
    }

    pub async fn send(&mut self, frame: &Value) {
        self.send_raw(Message::text(frame.to_string())).await;
    }

    pub async fn send_raw(&mut self, message: Message) {
        self.stream.send(message).await.unwrap();
    }

    /// The next frame, whatever it is.
    pub async fn next(&mut self) -> Option<Result<Message, Error>> {
        tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("the server is silent")
    }

    /// The next JSON object.
    pub async fn receive(&mut self) -> Value {
        loop {
            match self.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("expected a frame, got {other:?}"),
            }
        }
    }

    /// Skips what comes until the answer to a request of that id.
    pub async fn answer(&mut self, id: &Value) -> Value {
        loop {
            let frame = self.receive().await;
            if frame.get("id") == Some(id) {
                return frame;
            }
        }
    }

    /// Sends a request and waits for its answer.
    pub async fn ask(&mut self, frame: Value) -> Value {
        self.send(&frame).await;
        self.answer(&frame["id"]).await
    }

    /// Skips what comes until an event of that type.
    pub async fn event(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.receive().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Everything until the server closes, and the code with which it does.
    pub async fn until_closed(&mut self) -> (Vec<Value>, Option<u16>) {
        let mut frames = Vec::new();
        loop {
            match self.next().await {
                Some(Ok(Message::Text(text))) => frames.push(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(close))) => return (frames, close.map(|close| close.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return (frames, None),
            }
        }
    }
}

/// The HTTP status by which an upgrade was refused.
pub fn refused(opened: Result<Ws, Error>) -> u16 {
    match opened {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("refused without an answer: {error}"),
        Ok(_) => 101,
    }
}
