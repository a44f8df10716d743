//! One node, the default: nobody else to tell.

use async_trait::async_trait;

use super::{Bus, Hint, Inbox};

/// The bus of an engine that is alone on its store.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalBus;

#[async_trait]
impl Bus for LocalBus {
    async fn publish(&self, _hint: Hint) {}

    async fn subscribe(&self) -> Box<dyn Inbox> {
        Box::new(Silence)
    }

    fn has_other_nodes(&self) -> bool {
        false
    }
}

struct Silence;

#[async_trait]
impl Inbox for Silence {
    async fn next(&mut self) -> Option<Hint> {
        None
    }
}
