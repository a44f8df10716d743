//! One layout for all embedded stores.
//!
//! [`KvStore`] lays the domain out over the small seam [`OrderedKv`]: the memory store is that over a
//! `BTreeMap`, the sled store is that over sled. So the layout, the group commit and the rule that nothing can
//! be read before it is durable are written and tested once.

#[cfg(feature = "accounts")]
mod accounts;
mod audit;
mod deleted;
mod erasure;
mod files;
mod group;
mod invites;
mod keys;
mod log;
mod mem;
mod operator;
mod people;
mod personal;
mod presence;
mod read;
mod reading;
mod request;
mod retention;
mod review;
mod rework;
mod seam;
mod sent;
mod store;
mod tally;
mod threads;
mod users;
mod values;
mod verify;
mod view;
mod writer;

pub use mem::MemKv;
pub use seam::{Direction, KvBatch, KvError, OrderedKv};
pub use store::{KvOptions, KvStore, MemoryStore};
