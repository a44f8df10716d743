//! An engine as an embedder with many busy users would set it up: their own users, no rates, a store on disk.

use std::{error::Error, path::Path, time::Duration};

use chat_core::{
    auth::{AuthError, Hello, Identity},
    domain::RoomSpec,
    engine::{Engine, EngineBuilder},
    id::{RoomId, UserId},
    limits::Limits,
    store::Durability,
};
use chat_store_sled::SledStore;
use chat_transport_ws::WsConfig;
use futures::future::try_join_all;

/// What can go wrong while measuring: it ends the program.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Bytes of a message's text: a line or two.
pub(crate) const TEXT_BYTES: usize = 100;

/// Users who join at the same time while rooms are being filled: about one commit's worth.
const JOINING_AT_ONCE: usize = 128;

/// An engine without rates, in which a token is a user's id.
///
/// Signs of life are asked for every ten minutes: no measurement lasts longer, and none is about them.
pub(crate) fn builder() -> EngineBuilder {
    let limits = Limits {
        messages_per_minute: 0,
        commands_per_second: 0,
        connections_per_user: 0,
        rooms_per_user: 0,
        ..Limits::default()
    };
    let heartbeat = Duration::from_secs(600);
    Engine::builder().authenticator(identify).limits(limits).heartbeat(heartbeat, 2 * heartbeat)
}

async fn identify(hello: Hello) -> Result<Identity, AuthError> {
    let token = hello.token.ok_or(AuthError::Missing)?;
    let user = UserId::parse(token.expose()).map_err(|_| AuthError::Invalid)?;
    Ok(Identity::new(user, token.expose()))
}

/// The store, as by default but without the file that it keeps for opening on a full disk.
pub(crate) fn store(dir: &Path, durability: Durability) -> Result<SledStore, Failure> {
    Ok(SledStore::builder().durability(durability).ballast_bytes(0).open(dir.join("chat.db"))?)
}

/// A listener without caps: all connections come from one machine here.
pub(crate) fn websockets() -> WsConfig {
    WsConfig::new().connections(0, 0)
}

/// The name of the n-th room, which is its id, too.
pub(crate) fn room(number: usize) -> RoomId {
    RoomId::from_trusted(&format!("room-{number}"))
}

/// The n-th user's id, token and name.
pub(crate) fn user(number: usize) -> String {
    format!("user_{number}")
}

pub(crate) fn identity(number: usize) -> Identity {
    let user = user(number);
    Identity::new(UserId::from_trusted(&user), user)
}

/// Makes rooms, and users of whom each is a member of one of them, evenly spread.
pub(crate) async fn fill(engine: &Engine, rooms: usize, users: usize) -> Result<(), Failure> {
    for number in 0..rooms {
        let room = room(number);
        engine.ensure_room(room.clone(), RoomSpec::public(room.as_str())?).await?;
    }
    for first in (0..users).step_by(JOINING_AT_ONCE) {
        let joining = (first..users.min(first + JOINING_AT_ONCE)).map(|number| async move {
            engine.caller(identity(number)).await?.join(&room(number % rooms)).await
        });
        try_join_all(joining).await?;
    }
    Ok(())
}
