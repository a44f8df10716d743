//! An issuer, and what a test wants to know of it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use chat_core::auth::{KeyError, KeySource};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// An issuer whose document a test changes.
#[derive(Clone, Default)]
pub struct Issuer {
    document: Arc<Mutex<Option<String>>>,
    fetched: Arc<AtomicUsize>,
}

impl Issuer {
    pub fn with(keys: &[Value]) -> Self {
        let issuer = Self::default();
        issuer.has(keys);
        issuer
    }

    pub fn has(&self, keys: &[Value]) {
        *self.document.lock() = Some(json!({ "keys": keys }).to_string());
    }

    pub fn says(&self, text: Option<&str>) {
        *self.document.lock() = text.map(str::to_owned);
    }

    pub fn count(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl KeySource for Issuer {
    async fn fetch(&self) -> Result<String, KeyError> {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        // Others get their turn, so that they could fetch as well.
        tokio::task::yield_now().await;
        self.document.lock().clone().ok_or_else(|| KeyError("nobody is there".into()))
    }
}
