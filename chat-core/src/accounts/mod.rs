//! Own accounts (feature `accounts`): for those who have no users of their own.
//!
//! [`Accounts`] registers people, logs them in and renews their logins. What it hands out is a [`Grant`]: a
//! short-lived access token, which [`Accounts::authenticator`] accepts on every connection, and a refresh token.
//! It needs an [`AccountStore`], which [`crate::store::kv::KvStore`] is.
//!
//! # What is kept, and what is not
//!
//! * A password is kept as an Argon2id hash, made off the async threads, a few at a time.
//! * No token is kept. An access token is checked by its signature. A refresh token is derived from the key, its
//!   [`Family`] and its generation, so a store that leaks gives no token away.
//! * Attempts are never logged with what was typed.
//!
//! * Of a token by which a forgotten password is replaced, a hash is kept.
//!
//! # Failed logins
//!
//! A wrong user and a wrong password are told in the same words and take the same time (but for a password that was
//! imported as a hash of bcrypt, until its first login). Failures slow an account down, and the address that they come
//! from, up to a bound, and never lock it: who knows the password gets in. Rates per address are the business of the
//! server.
//!
//! # What ends with what
//!
//! A change of the password ends all other logins, a reset and a change of the role end all of them, in the same
//! commit. A login that was begun with the former password comes to nothing. The calls return which logins ended;
//! whoever is connected by one is to be disconnected ([`crate::engine::Engine::disconnect_login`]).

mod client;
mod delays;
mod email;
mod family;
mod file_pass;
mod login;
mod mail;
mod manage;
mod password;
mod recovery;
mod row;
mod rules;
mod service;
mod sessions;
mod tokens;

#[cfg(feature = "testing")]
#[doc(hidden)]
#[allow(missing_docs, reason = "each case is named by its sentence")]
pub mod suite;

pub use client::{Client, Device};
pub use email::Email;
pub use family::{Family, FamilyId, REFRESH_LIFETIME_MS};
pub use mail::{LogMailer, Mail, MailError, Mailer};
pub use manage::Import;
pub use password::{HashingCost, PasswordHash};
pub use row::{Account, AccountChange, AccountStore, CreateAccountError, NewAccount, PasswordReset};
pub use rules::is_reserved;
pub use service::{AccountError, Accounts, FieldError, Grant, Registration};
pub use sessions::Login;
pub use tokens::TokenKeys;
