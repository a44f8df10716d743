//! `ETag` of answers that stand whole in memory (RFC 9110, 8.8.3 and 13.1.2), so that who asks again and again for what
//! has not changed is told so in a few bytes.

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

/// Names what a successful `GET` answers, or would for a `HEAD`, and says 304 to who has it already. Of a `HEAD` the body
/// is taken away later: it is whole here.
pub(super) async fn etag(request: Request, next: Next) -> Response {
    let asked = matches!(*request.method(), Method::GET | Method::HEAD).then(|| request.headers().clone());
    let response = next.run(request).await;
    let Some(asked) = asked.filter(|_| may_be_named(&response)) else { return response };
    let (mut parts, body) = response.into_parts();
    // It is in memory already, whole.
    let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
        return Response::from_parts(parts, Body::empty());
    };
    let Some(tag) = tag_of(&bytes) else { return Response::from_parts(parts, Body::from(bytes)) };
    let is_known = has(&asked, tag.as_bytes());
    parts.headers.insert(header::ETAG, tag);
    if !is_known {
        return Response::from_parts(parts, Body::from(bytes));
    }
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::empty())
}

/// A stream is of no length that is known before, and a file has a name of its own.
fn may_be_named(response: &Response) -> bool {
    response.status() == StatusCode::OK
        && response.body().size_hint().exact().is_some()
        && !response.headers().contains_key(header::ETAG)
}

fn tag_of(bytes: &Bytes) -> Option<HeaderValue> {
    let hash = blake3::hash(bytes).to_hex();
    HeaderValue::from_str(&format!("\"{}\"", &hash[..32])).ok()
}

/// Whether the client has what bears this tag. Weak tags count as strong ones do (RFC 9110, 13.1.2).
pub(super) fn has(headers: &HeaderMap, tag: &[u8]) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_alone_among_others_or_as_a_weak_one() {
        let known = |line: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(line));
            has(&headers, b"\"a\"")
        };
        assert!(known("\"a\"") && known("\"b\", \"a\"") && known("W/\"a\"") && known("*"));
        assert!(!known("\"b\"") && !known("a") && !known("\"a"));
        assert!(!has(&HeaderMap::new(), b"\"a\""));
    }
}
