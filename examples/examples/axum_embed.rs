//! Chat inside a web service that exists already: a shop on axum with tokens of its own, in which every order
//! gets a room. One route upgrades to WebSocket and hands the stream to the engine; another one, which is the
//! shop's own business, talks into the chat. axum's feature `ws` is not needed, and brings a second WebSocket
//! implementation.
//!
//! ```sh
//! cargo run -p chat-examples --example axum_embed            # or: … --example axum_embed -- 127.0.0.1:0
//!
//! TOKEN=$(curl -s -X POST http://127.0.0.1:3000/login/ada)
//! curl -s -X POST -H "Authorization: Bearer $TOKEN" http://127.0.0.1:3000/orders/4711
//! ```
//!
//! Then open `ws://127.0.0.1:3000/chat` with the same header, and say `{"type":"authenticate","id":1}`: from
//! then on `ada` is told what happens in the room `order-4711`.

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use chat_core::{
    auth::{AuthError, Hello, Identity},
    domain::{Draft, ErrorCode, RoomSpec},
    engine::{Engine, Error as ChatError},
    id::{RoomId, UserId},
    time::Timestamp,
};
use chat_transport_ws::{WsConfig, WsConnection, handshake};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, get_current_timestamp};
use serde::{Deserialize, Serialize};

/// What the shop's handlers share.
#[derive(Clone)]
struct Shop {
    tokens: Arc<Tokens>,
    engine: Engine,
    websockets: WsConfig,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let tokens = Arc::new(Tokens::new(b"a secret of the shop, 32 bytes or more"));
    let engine = {
        let tokens = tokens.clone();
        // The engine asks the shop who somebody is.
        let identify = move |hello: Hello| std::future::ready(tokens.identify(hello));
        Engine::builder().authenticator(identify).build().await?
    };
    let websockets = WsConfig::new();
    let shop = Shop { tokens, engine: engine.clone(), websockets };
    let routes = Router::new()
        .route("/login/{name}", post(login))
        .route("/orders/{number}", post(order))
        .route("/chat", get(chat))
        .with_state(shop);

    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    // Chat frames are small and must not wait for more to fill a packet.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, routes.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
        .await?;
    // To axum an upgraded connection is over; the engine tells its clients to come back later.
    engine.shutdown(Duration::from_secs(10)).await?;
    Ok(())
}

/// The shop's tokens: who and until when, in its own words.
struct Tokens {
    signing: EncodingKey,
    checking: DecodingKey,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    name: String,
    exp: u64,
}

impl Tokens {
    fn new(secret: &[u8]) -> Self {
        Self { signing: EncodingKey::from_secret(secret), checking: DecodingKey::from_secret(secret) }
    }

    fn issue(&self, name: &str) -> Result<String, jsonwebtoken::errors::Error> {
        let exp = get_current_timestamp() + 3_600;
        let claims = Claims { sub: format!("customer-{name}"), name: name.to_owned(), exp };
        jsonwebtoken::encode(&Header::default(), &claims, &self.signing)
    }

    /// The door of the chat and of the shop alike.
    fn identify(&self, hello: Hello) -> Result<Identity, AuthError> {
        let token = hello.token.ok_or(AuthError::Missing)?;
        let checked = jsonwebtoken::decode::<Claims>(token.expose(), &self.checking, &Validation::default());
        let claims = checked.map_err(|_| AuthError::Invalid)?.claims;
        let user = UserId::parse(&claims.sub).map_err(|_| AuthError::Invalid)?;
        let expires_ms = i64::try_from(claims.exp.saturating_mul(1_000)).unwrap_or(i64::MAX);
        // With the time at which it ends the session ends, unless the client sends a newer token before.
        let expires_at = Some(Timestamp::from_millis(expires_ms));
        Ok(Identity { expires_at, ..Identity::new(user, claims.name) })
    }
}

/// Stands for a real login.
async fn login(State(shop): State<Shop>, Path(name): Path<String>) -> Response {
    match shop.tokens.issue(&name) {
        Ok(token) => token.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A route of the shop: somebody orders, and gets a room for it in which the order is confirmed.
async fn order(State(shop): State<Shop>, Path(number): Path<u32>, headers: HeaderMap) -> Response {
    match take_order(&shop, number, &headers).await {
        Ok(room) => (StatusCode::CREATED, room.to_string()).into_response(),
        Err(ChatError::Auth(_)) => StatusCode::UNAUTHORIZED.into_response(),
        Err(error) if error.code() == ErrorCode::Conflict => StatusCode::CONFLICT.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn take_order(shop: &Shop, number: u32, headers: &HeaderMap) -> Result<RoomId, ChatError> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).map(chat_core::auth::Secret::new);
    let identity = shop.tokens.identify(Hello { token, address: None })?;
    // The room's id is the shop's own, so that it needs no table of rooms.
    let room = RoomId::from_trusted(&format!("order-{number}"));
    let customer = shop.engine.caller(identity).await?;
    customer.create_room_as(room.clone(), RoomSpec::private(&format!("Order {number}"))?).await?;
    customer.send(&room, Draft::text(&format!("I have ordered {number}."))?).await?;
    Ok(room)
}

/// The chat: one route that upgrades.
async fn chat(
    State(shop): State<Shop>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    // An upgrade has no body, and a body may not be looked at by two threads.
    let mut request = request.map(|_: Body| ());
    let upgrade = match handshake::answer(&request, Some(peer.ip()), &shop.websockets).await {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refusal.response().into_response(),
    };
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        // A peer that is gone before the upgrade is complete.
        let Ok(upgraded) = upgraded.await else { return };
        let connection = WsConnection::adopt(TokioIo::new(upgraded), Vec::new(), &shop.websockets);
        // A task of its own, so that this one's memory is not kept for as long as the connection lives.
        tokio::spawn(shop.engine.attach(connection, upgrade.hello));
    });
    upgrade.response.map(|()| Body::empty())
}
