//! The HTTP side: may this request become a connection, and what does it present?
//!
//! For a service with its own web framework (here hyper, on which axum stands):
//!
//! ```ignore
//! async fn ws(config: &WsConfig, mut request: Request<Incoming>, peer: IpAddr) -> Response<String> {
//!     let upgrade = match handshake::answer(&request, Some(peer), config).await {
//!         Ok(upgrade) => upgrade,
//!         Err(refusal) => return refusal.response(),
//!     };
//!     let upgraded = hyper::upgrade::on(&mut request);
//!     let (engine, config) = (engine.clone(), config.clone());
//!     tokio::spawn(async move {
//!         let Ok(upgraded) = upgraded.await else { return };
//!         let connection = WsConnection::adopt(TokioIo::new(upgraded), Vec::new(), &config);
//!         engine.attach(connection, upgrade.hello).await;
//!     });
//!     upgrade.response.map(|()| String::new())
//! }
//! ```

use std::net::IpAddr;

use chat_core::auth::{AuthError, Hello, Secret};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use tokio_tungstenite::tungstenite::{
    error::{Error, ProtocolError},
    handshake::server::create_response_with_body,
};

use crate::WsConfig;

/// The subprotocol of docs/protocol.md. It is selected where a client offers it.
pub const SUBPROTOCOL: &str = "chat.v1";

/// In the list of subprotocols, what is followed by a token: for browsers, which can set no other header.
const TOKEN_PREFIX: &str = "bearer.";

/// A request that may become a connection.
#[derive(Debug)]
pub struct Upgrade {
    /// What to answer: 101.
    pub response: Response<()>,
    /// What the request presents; goes to the engine together with the upgraded stream.
    pub hello: Hello,
}

/// A request that may not become a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another path than the configured one: 404.
    #[error("not found")]
    NotFound,
    /// No upgrade to WebSocket version 13: 426.
    #[error("this address speaks WebSocket, version 13")]
    NoUpgrade,
    /// Not a well-formed request: 400.
    #[error("malformed request")]
    Malformed,
    /// Larger than a request's head may be: 431.
    #[error("request head too large")]
    TooLarge,
    /// A page of a foreign origin: 403.
    #[error("this origin may not connect")]
    ForeignOrigin,
    /// The header's token, or the header itself, is not valid: 401.
    #[error("the token is not valid")]
    Unauthorized,
    /// Too many connections or attempts from this address: 429.
    #[error("too many connections")]
    TooMany,
    /// No room, or tokens can't be checked at the moment: 503.
    #[error("unavailable")]
    Unavailable,
}

impl Refusal {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NoUpgrade => StatusCode::UPGRADE_REQUIRED,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The whole answer, with a sentence for a person as its body.
    #[must_use]
    pub fn response(self) -> Response<String> {
        let mut response = Response::new(self.to_string());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        let text = header::HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, text);
        match self {
            Self::NoUpgrade => {
                headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
                headers.insert(header::SEC_WEBSOCKET_VERSION, header::HeaderValue::from_static("13"));
            }
            Self::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

/// Decides about a request: origin, token, then the upgrade itself. Paths and caps are the caller's business.
/// `address` is where the request comes from, trusted proxies resolved.
///
/// # Errors
/// [`Refusal`] says what to answer instead of 101.
pub async fn answer<B>(
    request: &Request<B>,
    address: Option<IpAddr>,
    config: &WsConfig,
) -> Result<Upgrade, Refusal> {
    let examined = examine(request, address, config)?;
    let Some((authenticator, token)) = config.authenticator.as_ref().zip(examined.header_token) else {
        return Ok(examined.upgrade);
    };
    let checked = authenticator.authenticate(Hello { token: Some(token), address }).await;
    match checked {
        // Whoever was erased, or is kept out, learns it by the close code.
        Ok(_) | Err(AuthError::Erased | AuthError::Disabled) => Ok(examined.upgrade),
        Err(AuthError::RateLimited) => Err(Refusal::TooMany),
        Err(AuthError::Unavailable) => Err(Refusal::Unavailable),
        Err(AuthError::Missing | AuthError::Invalid | AuthError::Expired) => Err(Refusal::Unauthorized),
    }
}

struct Examined {
    upgrade: Upgrade,
    /// A token of the `Authorization` header, still to be checked.
    header_token: Option<Secret>,
}

/// Everything that needs no waiting. It stands apart so that the request is not held over an await.
fn examine<B>(request: &Request<B>, address: Option<IpAddr>, config: &WsConfig) -> Result<Examined, Refusal> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(Refusal::NoUpgrade);
    }
    check_origin(request, config)?;
    let header_token = authorization(headers)?;
    let mut response = create_response_with_body(request, || ()).map_err(|error| match error {
        Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader
            | ProtocolError::MissingSecWebSocketVersionHeader
            | ProtocolError::WrongHttpVersion,
        ) => Refusal::NoUpgrade,
        _ => Refusal::Malformed,
    })?;
    let offered = subprotocols(headers);
    if offered.chat {
        let selected = header::HeaderValue::from_static(SUBPROTOCOL);
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, selected);
    }
    let token = header_token.clone().or(offered.token);
    let upgrade = Upgrade { response, hello: Hello { token, address } };
    Ok(Examined { upgrade, header_token })
}

fn check_origin<B>(request: &Request<B>, config: &WsConfig) -> Result<(), Refusal> {
    let Some(origin) = only(request.headers(), header::ORIGIN).map_err(|()| Refusal::ForeignOrigin)? else {
        return Ok(());
    };
    let host = only(request.headers(), header::HOST).map_err(|()| Refusal::Malformed)?;
    let host = request.uri().authority().map(http::uri::Authority::as_str).or(host).unwrap_or_default();
    if config.origins.permits(origin, host) { Ok(()) } else { Err(Refusal::ForeignOrigin) }
}

/// The token of the `Authorization` header. Anything but one well-formed bearer token is refused rather than
/// ignored: who sends the header means it.
fn authorization(headers: &HeaderMap) -> Result<Option<Secret>, Refusal> {
    let Some(value) = only(headers, header::AUTHORIZATION).map_err(|()| Refusal::Unauthorized)? else {
        return Ok(None);
    };
    let (scheme, token) = value.split_once(' ').ok_or(Refusal::Unauthorized)?;
    let token = token.trim();
    if scheme.eq_ignore_ascii_case("bearer") && is_token(token) {
        Ok(Some(Secret::new(token)))
    } else {
        Err(Refusal::Unauthorized)
    }
}

/// The alphabet of bearer tokens (RFC 6750 section 2.1).
fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b))
}

struct Subprotocols {
    chat: bool,
    token: Option<Secret>,
}

fn subprotocols(headers: &HeaderMap) -> Subprotocols {
    let mut offered = Subprotocols { chat: false, token: None };
    let lists = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    for item in lists.iter().filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(',')) {
        let item = item.trim();
        if item == SUBPROTOCOL {
            offered.chat = true;
        } else if let Some(token) = item.strip_prefix(TOKEN_PREFIX) {
            offered.token = Some(Secret::new(token));
        }
    }
    offered
}

/// The one value of a header that may occur once.
fn only(headers: &HeaderMap, name: header::HeaderName) -> Result<Option<&str>, ()> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(());
    }
    value.to_str().map(Some).map_err(|_| ())
}
