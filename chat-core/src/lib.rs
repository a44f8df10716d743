//! An embeddable chat engine.
#![cfg_attr(not(feature = "engine"), doc = "")]

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
pub mod hooks;
#[cfg(feature = "engine")]
pub mod limits;
#[cfg(feature = "engine")]
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "engine")]
pub mod transport;
#[cfg(feature = "engine")]
pub mod wire;
