//! An engine as an embedder with many busy users would set it up: their own users, no rates.

use std::{error::Error, time::Duration};

use chat_core::{
    auth::{AuthError, Hello, Identity},
    domain::RoomSpec,
    engine::{Engine, EngineBuilder},
    id::{RoomId, UserId},
    limits::Limits,
};
use futures::future::try_join_all;

/// What can go wrong while measuring: it ends the program.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

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
