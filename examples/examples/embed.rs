//! The whole of a chat service of one's own: an engine over a store on disk, one's own users, a WebSocket
//! listener, and an end on Ctrl-C that answers what is pending. README.md shows this program to the letter.
//!
//! ```sh
//! cargo run -p chat-examples --example embed                    # ws://127.0.0.1:8080/ws, data in ./chat.db
//! cargo run -p chat-examples --example embed -- 127.0.0.1:0     # another address; port 0 is any free one
//! ```
//!
//! Then connect with any WebSocket client and say `{"type":"authenticate","id":1,"token":"ada"}`.

use chat_core::auth::{AuthError, Hello, Identity};
use chat_core::{engine::Engine, id::UserId};
use chat_store_sled::SledStore;
use chat_transport_ws::WsTransport;

/// Stands for your own users: here a token is a user's id, and everybody is who they say.
async fn identify(hello: Hello) -> Result<Identity, AuthError> {
    let token = hello.token.ok_or(AuthError::Missing)?;
    let user = UserId::parse(token.expose()).map_err(|_| AuthError::Invalid)?;
    Ok(Identity::new(user, token.expose()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    let store = SledStore::open("chat.db")?;
    let engine = Engine::builder().store(store).authenticator(identify).build().await?;
    let transport = WsTransport::bind(address).await?;
    println!("ws://{}/ws", transport.local_addr());
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    engine.serve(transport).with_graceful_shutdown(stop).await?;
    Ok(())
}
