//! Refusals over HTTP: `application/problem+json` (RFC 9457).

use axum::response::{IntoResponse, Response};
use chat_core::{
    accounts::{AccountError, FieldError},
    auth::AuthError,
    domain::ErrorCode,
    engine::Error,
    store::StoreError,
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// Why a request got no answer, in words that may be shown.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: ErrorCode,
    detail: String,
    errors: Vec<Invalid>,
    retry_after_ms: Option<u64>,
    upgrade: bool,
}

/// One field that can't be accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Invalid {
    pub(crate) field: String,
    pub(crate) message: String,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Invalid],
}

impl Problem {
    /// The problem that a code stands for.
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            status: status(code),
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_ms: None,
            upgrade: false,
        }
    }

    /// Fields that can't be accepted.
    pub(crate) fn invalid(errors: Vec<Invalid>) -> Self {
        Self { errors, ..Self::new(ErrorCode::BadRequest, "some fields are not acceptable") }
    }

    /// Too much, too fast.
    pub(crate) fn rate_limited(retry_after_ms: u64) -> Self {
        let problem = Self::new(ErrorCode::RateLimited, "too many requests");
        Self { retry_after_ms: Some(retry_after_ms), ..problem }
    }

    /// Nothing is here.
    pub(crate) fn no_such_path() -> Self {
        Self::new(ErrorCode::NotFound, "there is nothing at this path")
    }

    /// The body is over its limit.
    pub(crate) fn too_large() -> Self {
        Self::new(ErrorCode::PayloadTooLarge, "the body is too large")
    }

    /// The part that was asked for is not there.
    pub(crate) fn range_not_satisfiable() -> Self {
        Self::new(ErrorCode::BadRequest, "this range is beyond the end")
            .with_status(StatusCode::RANGE_NOT_SATISFIABLE)
    }

    /// It can't be done at the moment.
    pub(crate) fn unavailable() -> Self {
        Self::new(ErrorCode::Unavailable, "the service is unavailable, try again")
    }

    /// A status that the codes do not tell apart.
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Says that the path speaks WebSocket.
    pub(crate) fn asking_for_upgrade(self) -> Self {
        Self { upgrade: true, ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            code: self.code.as_str(),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
        };
        let mut response = (self.status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            let seconds = self.retry_after_ms.unwrap_or(1_000).div_ceil(1_000).max(1);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.upgrade {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self { retry_after_ms: error.retry_after_ms(), ..Self::new(error.code(), error.to_string()) }
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let errors = match &error {
            AccountError::Invalid(errors) => errors.as_slice(),
            AccountError::Taken(error) => std::slice::from_ref(error),
            AccountError::WrongPassword => &[WRONG_PASSWORD],
            AccountError::Setup(what) => {
                tracing::error!(%what, "accounts can't work");
                return Self::new(ErrorCode::Internal, "the server is at fault");
            }
            _ => &[],
        };
        let errors = errors
            .iter()
            .map(|error| Invalid { field: error.field.into(), message: error.message.into() })
            .collect();
        let retry_after_ms = error.retry_after_ms();
        Self { errors, retry_after_ms, ..Self::new(error.code(), error.to_string()) }
    }
}

const WRONG_PASSWORD: FieldError = FieldError { field: "currentPassword", message: "the password is wrong" };

const fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest | ErrorCode::UnknownType => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthenticated | ErrorCode::InvalidToken | ErrorCode::TokenExpired => {
            StatusCode::UNAUTHORIZED
        }
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::Conflict => StatusCode::CONFLICT,
        ErrorCode::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_come_again_is_told_when() {
        let pause = |problem: Problem| {
            let response = problem.into_response();
            response.headers().get(header::RETRY_AFTER).map(|seconds| seconds.to_str().unwrap().to_owned())
        };
        assert_eq!(pause(Problem::rate_limited(1_001)).as_deref(), Some("2"));
        assert_eq!(pause(Problem::unavailable()).as_deref(), Some("1"));
        assert_eq!(pause(Problem::no_such_path()), None);
    }
}
