//! Where images are made anew: off the async threads, a few at a time, within a budget of memory.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::Semaphore;

use crate::limits::{BYTES_PER_PIXEL, IMAGE_OVERHEAD_BYTES, IMAGES_AT_ONCE, IMAGES_WAITING_MAX};

/// Admits work on images.
#[derive(Debug)]
pub(crate) struct Workshop {
    hands: Arc<Semaphore>,
    /// In MiB.
    memory: Arc<Semaphore>,
    budget: u32,
    waiting: AtomicUsize,
}

/// There is too much to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overloaded;

impl Workshop {
    /// One with as much memory as an image of `pixels` needs: it is made alone, smaller ones side by side.
    pub(crate) fn new(pixels: u64) -> Self {
        let budget = mebibytes(pixels);
        Self {
            hands: Arc::new(Semaphore::new(IMAGES_AT_ONCE)),
            memory: Arc::new(Semaphore::new(budget as usize)),
            budget,
            waiting: AtomicUsize::new(0),
        }
    }

    /// Does work on an image of so many pixels, when there is room for it. Once it has begun it is done to its end,
    /// and holds its room for as long as it takes, whoever waits for it.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        pixels: u64,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        let waiting = Waiting::begin(&self.waiting)?;
        let need = mebibytes(pixels).min(self.budget);
        let memory = Arc::clone(&self.memory).acquire_many_owned(need).await.map_err(|_| Overloaded)?;
        let hand = Arc::clone(&self.hands).acquire_owned().await.map_err(|_| Overloaded)?;
        drop(waiting);
        let working = tokio::task::spawn_blocking(move || {
            let _held = (memory, hand);
            work()
        });
        working.await.map_err(|_| Overloaded)
    }
}

fn mebibytes(pixels: u64) -> u32 {
    let bytes = pixels.saturating_mul(BYTES_PER_PIXEL).saturating_add(IMAGE_OVERHEAD_BYTES);
    u32::try_from(bytes >> 20).unwrap_or(u32::MAX >> 4).min(u32::MAX >> 4)
}

/// One who waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Result<Self, Overloaded> {
        let waiting = Self(count);
        match count.fetch_add(1, Ordering::AcqRel) < IMAGES_WAITING_MAX {
            true => Ok(waiting),
            false => Err(Overloaded),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, future::join_all};
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_large_image_is_made_alone_and_who_comes_when_all_wait_is_sent_away() {
        let shop = Workshop::new(50_000_000);
        let (go_on, wait) = mpsc::sync_channel::<()>(0);
        let mut first = Box::pin(shop.work(50_000_000, move || wait.recv()));
        assert!(first.as_mut().now_or_never().is_none());
        assert_eq!(shop.memory.available_permits(), 0);
        let mut others: Vec<_> =
            (0..IMAGES_WAITING_MAX).map(|number| Box::pin(shop.work(1, move || number))).collect();
        assert!(others.iter_mut().all(|other| other.as_mut().now_or_never().is_none()));
        assert_eq!(shop.work(1, || ()).await, Err(Overloaded));
        go_on.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(()));
        let done = join_all(others).await;
        assert_eq!(done, (0..IMAGES_WAITING_MAX).map(Ok).collect::<Vec<_>>());
        assert_eq!(shop.waiting.load(Ordering::Acquire), 0);
    }
}
