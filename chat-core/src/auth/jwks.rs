//! The keys of somebody else's issuer, fetched when they are needed and kept while they are good (RFC 7517).

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use parking_lot::RwLock;
use serde_json::Value;
use tokio::sync::Mutex;

use super::{JwtAlgorithm, KeyError};
use crate::{
    limits::{JWKS_BYTES_MAX, JWKS_KEYS_MAX},
    time::{Clock, Timestamp},
};

/// Fetches the document of an issuer's keys.
#[async_trait]
pub trait KeySource: Send + Sync + 'static {
    /// The document as it is now. It should be given up after some seconds, and at [`JWKS_BYTES_MAX`].
    ///
    /// # Errors
    /// [`KeyError`] when it can't be had.
    async fn fetch(&self) -> Result<String, KeyError>;
}

/// The keys of an issuer, by name (`kid`).
///
/// They are fetched when a token names one that is not known, at most once a minute, and anew after an hour. Of any
/// number who wait for that, one fetches. While nothing can be fetched, or that takes more than five seconds, the former
/// keys stay good. What is no public
/// key for signatures by an algorithm that is accepted here is passed over; which algorithm a key is for is said by the
/// key, never by a token. Cheap to clone.
#[derive(Clone)]
pub struct Jwks {
    inner: Arc<Inner>,
}

struct Inner {
    source: Box<dyn KeySource>,
    clock: Arc<dyn Clock>,
    known: RwLock<Known>,
    /// Held by whoever fetches.
    fetching: Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, IssuerKey>,
    /// When they were fetched last, and when that was last tried.
    fetched_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
}

/// A key and the one algorithm that it is for.
#[derive(Clone)]
pub(super) struct IssuerKey {
    pub(super) algorithm: JwtAlgorithm,
    pub(super) key: DecodingKey,
}

/// Keys are not asked for more often.
const PAUSE_MS: u64 = 60_000;

/// Keys are fetched anew after so long: one that was taken back is good no longer than that.
const GOOD_FOR_MS: u64 = 3_600_000;

/// How long a token waits for keys to be fetched anew, before the former ones are taken as good.
const FETCH_WAIT: Duration = Duration::from_secs(5);

/// Longest name of a key, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// Least modulus of an RSA key, as base64 of its 256 bytes: shorter ones are too weak (RFC 7518, 3.3).
const MODULUS_CHARS_MIN: usize = 342;

impl Jwks {
    /// Keys that will be fetched from there.
    #[must_use]
    pub fn new(source: impl KeySource, clock: Arc<dyn Clock>) -> Self {
        let known = RwLock::new(Known::default());
        Self { inner: Arc::new(Inner { source: Box::new(source), clock, known, fetching: Mutex::new(()) }) }
    }

    /// Fetches the keys now, so that it shows at once whether that works.
    ///
    /// # Errors
    /// [`KeyError`] when they can't be had, or none of them is of use.
    pub async fn refresh(&self) -> Result<(), KeyError> {
        let _one = self.inner.fetching.lock().await;
        self.inner.fetch().await
    }

    /// The key of this name, as far as it is known now. A token that names none is for the only key that there is.
    pub(super) fn known(&self, name: Option<&str>) -> Option<IssuerKey> {
        let known = self.inner.known.read();
        match name {
            Some(name) => known.keys.get(name).cloned(),
            None if known.keys.len() == 1 => known.keys.values().next().cloned(),
            None => None,
        }
    }

    /// Sees to it that the key of this name is known, if there is one, and that keys do not grow old.
    pub(super) async fn ensure(&self, name: Option<&str>) {
        let now = self.inner.clock.now();
        if self.known(name).is_some() {
            if self.inner.is_older(now, GOOD_FOR_MS) {
                let keys = self.clone();
                // The key at hand may have been taken back. Waited for also by who may not fetch themselves, since
                // somebody else does; it goes on when this one gives up.
                let fetched = tokio::spawn(async move {
                    keys.fetch_unless(|inner| !inner.is_due(now, GOOD_FOR_MS)).await;
                });
                let _ = tokio::time::timeout(FETCH_WAIT, fetched).await;
            }
        } else {
            // Whoever comes while another one fetches waits for what comes of it.
            self.fetch_unless(|inner| !inner.is_due(now, 0)).await;
        }
    }

    /// Fetches, unless somebody else has done so while this one waited for its turn.
    async fn fetch_unless(&self, is_done: impl Fn(&Inner) -> bool) {
        let _one = self.inner.fetching.lock().await;
        if is_done(&self.inner) {
            return;
        }
        if let Err(error) = self.inner.fetch().await {
            tracing::warn!(%error, "the keys of the issuer could not be fetched; the former ones stay good");
        }
    }
}

impl Inner {
    /// Whether keys that are older than this may be fetched now.
    fn is_due(&self, now: Timestamp, older_than: u64) -> bool {
        let tried_at = self.known.read().tried_at;
        tried_at.is_none_or(|at| now.millis_since(at) >= PAUSE_MS) && self.is_older(now, older_than)
    }

    /// Whether the keys are older than this.
    fn is_older(&self, now: Timestamp, older_than: u64) -> bool {
        let fetched_at = self.known.read().fetched_at;
        fetched_at.is_none_or(|at| now.millis_since(at) >= older_than)
    }

    async fn fetch(&self) -> Result<(), KeyError> {
        self.known.write().tried_at = Some(self.clock.now());
        let keys = keys_in(&self.source.fetch().await?)?;
        let mut known = self.known.write();
        known.keys = keys;
        known.fetched_at = Some(self.clock.now());
        Ok(())
    }
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwks").field("keys", &self.inner.known.read().keys.len()).finish_non_exhaustive()
    }
}

/// The keys of a document that are of use, by name. Of two with one name, neither is: which is meant nobody can say.
fn keys_in(text: &str) -> Result<HashMap<String, IssuerKey>, KeyError> {
    if text.len() > JWKS_BYTES_MAX {
        return Err(KeyError("the document of keys is too large".into()));
    }
    let document: Value =
        serde_json::from_str(text).map_err(|_| KeyError("the document of keys is no JSON".into()))?;
    let listed = document.get("keys").and_then(Value::as_array);
    let listed = listed.ok_or_else(|| KeyError("the document of keys has no list of keys".into()))?;
    let mut keys = HashMap::new();
    let mut doubled = Vec::new();
    for jwk in listed.iter().take(JWKS_KEYS_MAX) {
        let Some((name, key)) = serde_json::from_value(jwk.clone()).ok().and_then(|jwk| usable(&jwk)) else {
            continue;
        };
        if keys.insert(name.clone(), key).is_some() {
            doubled.push(name);
        }
    }
    doubled.iter().for_each(|name| drop(keys.remove(name)));
    if keys.is_empty() { Err(KeyError("the document holds no key that is of use".into())) } else { Ok(keys) }
}

/// The name of a key and what it is for; `None` for one that is not for signatures or not of an algorithm accepted
/// here. Secrets (`oct`) never are: a document that everybody can read holds none.
fn usable(jwk: &Jwk) -> Option<(String, IssuerKey)> {
    let common = &jwk.common;
    let name = common.key_id.clone().unwrap_or_default();
    let for_signatures =
        common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
    let verifies = common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
    if !for_signatures || !verifies || name.len() > NAME_BYTES_MAX {
        return None;
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) if rsa.n.len() >= MODULUS_CHARS_MIN => JwtAlgorithm::Rs256,
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => JwtAlgorithm::Es256,
        AlgorithmParameters::OctetKeyPair(ed) if ed.curve == EllipticCurve::Ed25519 => JwtAlgorithm::EdDsa,
        _ => return None,
    };
    let said = common.key_algorithm.as_ref();
    let fits = said.is_none_or(|said| match algorithm {
        JwtAlgorithm::Rs256 => *said == KeyAlgorithm::RS256,
        JwtAlgorithm::Es256 => *said == KeyAlgorithm::ES256,
        JwtAlgorithm::EdDsa => *said == KeyAlgorithm::EdDSA,
        JwtAlgorithm::Hs256 => false,
    });
    let key = DecodingKey::from_jwk(jwk).ok()?;
    fits.then_some((name, IssuerKey { algorithm, key }))
}
