//! What is left of the body of an upload that was refused: taken and thrown away for a while, since a client that goes
//! on to send would find the connection reset, and never see why.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, BodyDataStream},
    extract::Request,
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::header;
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::limits::{UPLOAD_REST_BYTES, UPLOAD_REST_TIMEOUT};

/// Answers at once, and takes the rest of the body beside that.
pub(super) async fn take_rest(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    // Who waits to be told to go on has sent nothing yet, and is not to.
    let waits = parts.headers.contains_key(header::EXPECT);
    let source = Source(Arc::new(Mutex::new(body.into_data_stream())));
    let body = Body::from_stream(source.clone());
    let response = next.run(Request::from_parts(parts, body)).await;
    if !response.status().is_success() && !waits {
        tokio::spawn(timeout(UPLOAD_REST_TIMEOUT, source.run_out()));
    }
    response
}

/// A body that is read by one, and then perhaps by another. The lock is held for one poll at a time, and both never
/// wait for each other.
#[derive(Clone)]
struct Source(Arc<Mutex<BodyDataStream>>);

impl Stream for Source {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.lock().poll_next_unpin(context)
    }
}

impl Source {
    async fn run_out(mut self) {
        let mut left = UPLOAD_REST_BYTES;
        while let Some(Ok(piece)) = self.next().await {
            match left.checked_sub(piece.len() as u64) {
                Some(less) => left = less,
                None => return,
            }
        }
    }
}
