//! What has to be done now and then: letting go of idle rooms and rates, deleting what is out of date, bringing
//! erasures to their end that broke off.

use std::{sync::Weak, time::Duration};

use super::{erasure, shared::Shared};

/// How often that is done. A sweep of a store in which nothing is out of date writes nothing.
const EVERY: Duration = Duration::from_secs(30);

/// Steps that one sweep of the store takes at most; what is left waits for the next.
const STORE_STEPS_MAX: usize = 1_000;

/// Runs until the engine has ended.
pub(crate) async fn run(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(shared) = shared.upgrade() else { return };
        shared.rooms.sweep();
        shared.message_rates.sweep(shared.now());
        shared.typists.sweep(shared.now());
        sweep_store(&shared).await;
        erasure::resume(&shared).await;
    }
}

async fn sweep_store(shared: &Shared) {
    for _ in 0..STORE_STEPS_MAX {
        match shared.store.sweep(shared.now()).await {
            Ok(true) => tokio::task::yield_now().await,
            Ok(false) => return,
            Err(error) => return tracing::warn!(%error, "can't sweep the store"),
        }
    }
}
