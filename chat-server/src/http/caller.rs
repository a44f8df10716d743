//! Who makes a request, proven by its bearer token.

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use chat_core::{
    accounts::FamilyId,
    auth::{AuthError, Authenticator, Hello, Identity, Secret},
    domain::ErrorCode,
    engine::Caller,
    id::UserId,
    wire::{Answer, ClientCommand},
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use serde::Serialize;
use serde_json::{Value, json};

use super::{App, client::ClientAddress, problem::Problem};

/// What the token of a request proves, and no more: whether its user is kept out, or asks too often, is looked at by
/// whoever takes this.
#[derive(Debug)]
pub(crate) struct Proven(pub(crate) Identity);

impl FromRequestParts<App> for Proven {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let ClientAddress(address) = ClientAddress::from_request_parts(parts, app).await?;
        let hello = Hello { token: Some(bearer(&parts.headers)?), address: Some(address) };
        Ok(Self(app.tokens().authenticate(hello).await?))
    }
}

/// The user behind a request. Whatever takes this answers 401 to everybody else.
#[derive(Debug)]
pub(crate) struct Authenticated(pub(crate) Caller);

impl FromRequestParts<App> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Proven(identity) = Proven::from_request_parts(parts, app).await?;
        let caller = app.engine().caller(identity).await?;
        app.admit_request(&caller)?;
        Ok(Self(caller))
    }
}

/// The user behind a request and the login that their token stems from, which is one of their account here.
#[derive(Debug)]
pub(super) struct LoggedIn {
    pub(super) user: UserId,
    pub(super) login: FamilyId,
}

impl FromRequestParts<App> for LoggedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Proven(identity) = Proven::from_request_parts(parts, app).await?;
        let login = identity.login.as_deref().filter(|_| !identity.external).and_then(FamilyId::parse);
        let caller = app.engine().caller(identity).await?;
        app.admit_request(&caller)?;
        let elsewhere = || Problem::new(ErrorCode::Forbidden, "this login is ended where it was begun");
        Ok(Self { user: caller.user().clone(), login: login.ok_or_else(elsewhere)? })
    }
}

/// A proof of who asks, and on whose behalf: handlers that serve both members and the operator take any.
pub(super) trait Principal: FromRequestParts<App, Rejection = Problem> + Send + 'static {
    /// Whose acts these are.
    fn into_caller(self) -> Caller;
}

impl Principal for Authenticated {
    fn into_caller(self) -> Caller {
        self.0
    }
}

/// Carries out a command of the protocol for a caller: 200 with its answer, or 204 where there is nothing to say.
pub(super) async fn performed(caller: &Caller, command: ClientCommand) -> Result<Response, Problem> {
    Ok(answered(StatusCode::OK, &caller.perform(command).await?))
}

/// The answer of a command, without its `type` and `id`.
pub(super) fn answered(status: StatusCode, answer: &Answer) -> Response {
    match answer {
        Answer::Done {} => StatusCode::NO_CONTENT.into_response(),
        answer => encoded(status, answer.body()),
    }
}

/// An answer of JSON.
pub(super) fn shown(status: StatusCode, body: &Value) -> Response {
    encoded(status, body.to_string().into())
}

/// A page of a list.
pub(super) fn listed(items: impl IntoIterator<Item = impl Serialize>, next: Option<&str>) -> Response {
    let items: Vec<_> = items.into_iter().collect();
    shown(StatusCode::OK, &json!({ "items": items, "nextCursor": next }))
}

fn encoded(status: StatusCode, body: Bytes) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The one bearer token of a request (RFC 6750, 2.1).
fn bearer(headers: &HeaderMap) -> Result<Secret, AuthError> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let line = lines.next().ok_or(AuthError::Missing)?;
    let text = line.to_str().map_err(|_| AuthError::Invalid)?;
    let (scheme, token) = text.split_once(' ').ok_or(AuthError::Invalid)?;
    if lines.next().is_some() || !scheme.eq_ignore_ascii_case("bearer") {
        return Err(AuthError::Invalid);
    }
    Ok(Secret::new(token.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_request_has_exactly_one_bearer_token() {
        let read = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::AUTHORIZATION, HeaderValue::from_static(line));
            }
            bearer(&headers).map(|token| token.expose().to_owned())
        };
        assert_eq!(read(&["Bearer abc"]), Ok("abc".into()));
        assert_eq!(read(&["bearer  abc "]), Ok("abc".into()));
        assert_eq!(read(&[]), Err(AuthError::Missing));
        assert_eq!(read(&["Basic abc"]), Err(AuthError::Invalid));
        assert_eq!(read(&["Bearer"]), Err(AuthError::Invalid));
        assert_eq!(read(&["Bearer a", "Bearer b"]), Err(AuthError::Invalid));
    }
}
