//! The embedder's code under a deadline.

use std::{future::Future, panic::AssertUnwindSafe};

use futures::FutureExt;

use crate::hooks::HOOK_DEADLINE;

/// What a hook came to; `None` when it took too long or panicked, which ends neither the connection nor the task
/// that asked it.
pub(super) async fn within<T>(hook: impl Future<Output = T>) -> Option<T> {
    // A hook is given only references that it can't leave half changed.
    match tokio::time::timeout(HOOK_DEADLINE, AssertUnwindSafe(hook).catch_unwind()).await {
        Ok(Ok(verdict)) => Some(verdict),
        Ok(Err(_)) | Err(_) => None,
    }
}
