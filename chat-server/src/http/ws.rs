//! `/ws`: a request becomes a connection of the engine.

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use chat_core::{auth::Hello, domain::ErrorCode};
use chat_transport_ws::{
    Admission, Refused, WsConnection,
    handshake::{self, Refusal},
};
use futures::FutureExt;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{App, client::ClientAddress, problem::Problem};
use crate::{accept::Peer, stall::Taken};

/// Checks the cap of the address, the origin, and a token of the header; then upgrades.
pub(super) async fn upgrade(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    request: Request,
) -> Result<Response, Problem> {
    if app.is_draining() {
        return Err(Problem::unavailable());
    }
    let peer = request.extensions().get::<Peer>().cloned().ok_or_else(Problem::unavailable)?;
    // Without its body, which could not be shared with the checks.
    let (parts, _) = request.into_parts();
    let mut request = http::Request::from_parts(parts, ());
    let admission = app.gate().admit(address).map_err(|refused| match refused {
        Refused::Address(_) | Refused::Flood => Problem::rate_limited(1_000),
        Refused::Total(_) => Problem::unavailable(),
    })?;
    let upgrade = handshake::answer(&request, Some(address), app.ws_config()).await.map_err(problem)?;
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(attach(app, upgraded, upgrade.hello, admission, peer));
    Ok(upgrade.response.map(|()| Body::empty()))
}

/// Waits for the stream, then hands it on to a task of its own, which lives long and should be small.
async fn attach(app: App, upgraded: OnUpgrade, hello: Hello, admission: Admission, peer: Peer) {
    let Ok(upgraded) = upgraded.await else { return };
    // What our accept loop accepts is a TCP stream, always; with nothing around it, it needs less memory.
    let Ok(parts) = upgraded.downcast::<TokioIo<Taken<TcpStream>>>() else { return };
    let stream = parts.io.into_inner().into_inner();
    let connection = WsConnection::adopt(stream, parts.read_buf.to_vec(), app.ws_config());
    let session = app.engine().attach(connection.holding(admission), hello);
    // An async block would keep a place for what it has captured beside the one for what it awaits.
    tokio::spawn(session.map(move |()| drop(peer)));
}

fn problem(refusal: Refusal) -> Problem {
    let code = match refusal {
        Refusal::NotFound => ErrorCode::NotFound,
        Refusal::NoUpgrade | Refusal::Malformed | Refusal::TooLarge => ErrorCode::BadRequest,
        Refusal::ForeignOrigin => ErrorCode::Forbidden,
        Refusal::Unauthorized => ErrorCode::InvalidToken,
        Refusal::TooMany => ErrorCode::RateLimited,
        Refusal::Unavailable => ErrorCode::Unavailable,
    };
    let problem = Problem::new(code, refusal.to_string()).with_status(refusal.status());
    match refusal {
        Refusal::NoUpgrade => problem.asking_for_upgrade(),
        _ => problem,
    }
}
