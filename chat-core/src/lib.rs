//! A chat engine to embed: rooms, members, history and live delivery behind storage and transport traits.
//!
//! ```
//! use chat_core::{auth::Identity, domain::{Draft, RoomSpec}, engine::{Engine, Event}, id::UserId};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::builder().build().await?;
//! let mut alice = engine.connect(Identity::new(UserId::parse("alice")?, "alice")).await?;
//! let room = alice.caller().create_room(RoomSpec::public("Lobby")?).await?;
//!
//! let sent = alice.send(&room.id, Draft::text("hello")?).await?;
//! assert_eq!(sent.seq.get(), 3, "after the room's creation and alice's joining");
//!
//! let mut seqs = Vec::new();
//! while seqs.last() != Some(&3) {
//!     if let Some(Event::Entry(posted)) = alice.recv().await {
//!         seqs.push(posted.entry().seq.get());
//!     }
//! }
//! assert_eq!(seqs, [1, 2, 3]);
//! # Ok(()) }
//! ```
//!
//! A service gives the engine its store and its users and lets it serve a transport
//! (`chat-store-sled`, `chat-transport-ws`), or hands over connections of its own with
//! [`Engine::attach`](engine::Engine::attach).
//!
//! # In reading order
//!
//! * [`domain`]: the rules, pure: commands are planned into entries, entries move the room.
//! * [`store`], [`bus`], [`transport`], [`auth`], [`domain::Policy`], [`hooks`]: the six points of extension.
//! * [`engine`]: the async shell that authorises, plans, appends, applies, answers and fans out.
//! * [`files`]: what is remembered of uploads, and how messages refer to them.
//! * [`wire`]: the JSON protocol.
//! * [`limits`]: every bound, with its reason.
//! * `testing` (feature): conformance suites by one macro line each, decorators that fail and delay, a seeded
//!   simulator of several nodes, a test client.
//!
//! # Features
//!
//! * `engine` (default): everything but the pure domain. Without it there is no tokio in the tree.
//! * `accounts`: own accounts, for those who have no users of their own.
//! * `testing`: for authors of stores, buses and transports.

#![cfg_attr(not(feature = "engine"), allow(rustdoc::broken_intra_doc_links))]

pub mod domain;
pub mod id;
pub mod time;

#[cfg(feature = "accounts")]
pub mod accounts;
#[cfg(feature = "engine")]
pub mod auth;
#[cfg(feature = "engine")]
pub mod bus;
#[cfg(feature = "engine")]
pub mod close;
#[cfg(feature = "engine")]
pub mod engine;
#[cfg(feature = "engine")]
pub mod files;
#[cfg(feature = "engine")]
pub mod hooks;
pub mod limits;
#[cfg(feature = "engine")]
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "engine")]
pub mod transport;
#[cfg(feature = "engine")]
pub mod wire;
