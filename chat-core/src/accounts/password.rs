//! Hashing of passwords, off the async threads and a few at a time.

use std::{fmt, sync::Arc};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{PasswordVerifier, phc},
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, TryAcquireError};

use super::AccountError;
use crate::{
    auth::Secret,
    limits::{PASSWORD_HASHES_AT_ONCE, PASSWORD_HASHES_WAITING_MAX},
};

/// What one hash costs whoever guesses, and us.
///
/// The default is the least that OWASP's Password Storage Cheat Sheet recommends for Argon2id: 19 MiB of
/// memory, two passes, one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashingCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for HashingCost {
    fn default() -> Self {
        Self { memory_kib: 19 * 1_024, passes: 2, lanes: 1 }
    }
}

impl HashingCost {
    /// Next to nothing: for tests, which hash what everybody may know.
    #[must_use]
    pub const fn trivial() -> Self {
        Self { memory_kib: 8, passes: 1, lanes: 1 }
    }
}

/// A hash with its parameters and its salt: Argon2 in the PHC string format, or one of bcrypt that was imported.
/// Never shows in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Arc<str>);

impl PasswordHash {
    /// Adopts a hash that somebody else made: Argon2 in the PHC string format, or bcrypt (`$2a$`, `$2b$`, `$2y$`).
    /// `None` when it is neither, or when verifying it would take too much memory or time: more than 256 MiB, 16
    /// passes or 16 lanes for Argon2, a cost over 14 for bcrypt.
    ///
    /// bcrypt looks at the first 72 bytes of a password alone. So does a login with such a hash, once: it is replaced
    /// by one of the whole password then.
    #[must_use]
    pub fn import(text: &str) -> Option<Self> {
        let good = match bcrypt_of(text) {
            Some(parts) => parts.get_cost() <= BCRYPT_COST_MAX,
            None => phc::PasswordHash::new(text).is_ok_and(|hash| is_affordable(&hash)),
        };
        good.then(|| Self::from_stored(text))
    }

    /// Adopts a hash from a store.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The hash, for a store.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// Hashes and verifies. At most [`PASSWORD_HASHES_AT_ONCE`] run, at most [`PASSWORD_HASHES_WAITING_MAX`] wait.
pub(crate) struct Passwords {
    hasher: Arc<Hasher>,
    /// What is verified where there is no account, so that the answer takes as long.
    nobodys: PasswordHash,
    /// Running and waiting together.
    places: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) fn new(cost: HashingCost) -> Result<Self, AccountError> {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None)
            .map_err(|error| AccountError::Setup(error.to_string()))?;
        let hasher = Hasher { argon2: Argon2::new(ALGORITHM, VERSION, params), memory: Mutex::default() };
        let nobodys = hasher.hash("nobody has this password")?;
        Ok(Self {
            hasher: Arc::new(hasher),
            nobodys,
            places: Arc::new(Semaphore::new(PASSWORD_HASHES_AT_ONCE + PASSWORD_HASHES_WAITING_MAX)),
            running: Arc::new(Semaphore::new(PASSWORD_HASHES_AT_ONCE)),
        })
    }

    pub(crate) async fn hash(&self, password: Secret) -> Result<PasswordHash, AccountError> {
        let hasher = Arc::clone(&self.hasher);
        self.run(move || hasher.hash(password.expose())).await?
    }

    /// Whether the password is the one that was hashed. Without a hash it is not, after the same time.
    pub(crate) async fn verify(
        &self,
        password: Secret,
        stored: Option<PasswordHash>,
    ) -> Result<bool, AccountError> {
        let hasher = Arc::clone(&self.hasher);
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.nobodys.clone());
        let verified = self.run(move || hasher.verify(password.expose(), &stored)).await?;
        Ok(verified && known)
    }

    /// Whether a hash was made otherwise than one is made now, and is to be replaced as soon as the password is there.
    pub(crate) fn is_outdated(&self, stored: &PasswordHash) -> bool {
        phc::PasswordHash::new(stored.expose()).map_or(true, |hash| !self.hasher.made(&hash))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AccountError> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(TryAcquireError::NoPermits) => return Err(AccountError::Overloaded),
            Err(TryAcquireError::Closed) => return Err(AccountError::Unavailable),
        };
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|_| AccountError::Unavailable)?;
        // The permits go along: the memory is in use until the hash is made, whether or not anybody waits for it.
        let hashing = tokio::task::spawn_blocking(move || {
            let _held = (place, turn);
            work()
        });
        hashing.await.map_err(|_| AccountError::Unavailable)
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("params", self.hasher.argon2.params()).finish_non_exhaustive()
    }
}

const ALGORITHM: Algorithm = Algorithm::Argon2id;
const VERSION: Version = Version::V0x13;

/// Makes hashes of one cost, and verifies those of others.
///
/// The memory in which it works is kept, as much as hashes are made at once: an allocator keeps what it is given back
/// for the thread that gave it, and hashes are made on whichever thread is free.
struct Hasher {
    argon2: Argon2<'static>,
    memory: Mutex<Vec<Vec<Block>>>,
}

impl Hasher {
    fn hash(&self, password: &str) -> Result<PasswordHash, AccountError> {
        let mut salt = [0; phc::Salt::RECOMMENDED_LENGTH];
        getrandom::fill(&mut salt).map_err(|_| AccountError::Unavailable)?;
        let made = phc::Salt::new(&salt).ok().and_then(|salt| {
            Some(phc::PasswordHash {
                algorithm: ALGORITHM.ident(),
                version: Some(VERSION.into()),
                params: self.argon2.params().try_into().ok()?,
                salt: Some(salt),
                hash: Some(self.output(password, &salt, Params::DEFAULT_OUTPUT_LEN)?),
            })
        });
        Ok(PasswordHash(made.ok_or(AccountError::Unavailable)?.to_string().into()))
    }

    /// The parameters are those of the stored hash, so that raising the cost locks nobody out.
    fn verify(&self, password: &str, stored: &PasswordHash) -> bool {
        if bcrypt_of(stored.expose()).is_some() {
            return bcrypt::verify(password, stored.expose()).unwrap_or(false);
        }
        let Ok(stored) = phc::PasswordHash::new(stored.expose()) else { return false };
        match (&stored.salt, &stored.hash) {
            // Outputs are compared in constant time.
            (Some(salt), Some(hash)) if self.made(&stored) => {
                self.output(password, salt, hash.len()).is_some_and(|output| output == *hash)
            }
            _ => self.argon2.verify_password(password.as_bytes(), &stored).is_ok(),
        }
    }

    /// Whether a hash is of the cost and the kind of those that are made here.
    fn made(&self, stored: &phc::PasswordHash) -> bool {
        let cost = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        stored.algorithm == ALGORITHM.ident()
            && stored.version == Some(VERSION.into())
            && Params::try_from(stored).is_ok_and(|then| cost(&then) == cost(self.argon2.params()))
    }

    fn output(&self, password: &str, salt: &[u8], length: usize) -> Option<phc::Output> {
        let mut memory = self.memory.lock().pop().unwrap_or_default();
        memory.resize(self.argon2.params().block_count(), Block::default());
        let mut output = [0; phc::Output::MAX_LENGTH];
        let output = output.get_mut(..length)?;
        let made = self.argon2.hash_password_into_with_memory(password.as_bytes(), salt, output, &mut memory);
        self.memory.lock().push(memory);
        made.ok().and_then(|()| phc::Output::new(output).ok())
    }
}

/// Longest that an imported hash of bcrypt may take: 2^14 rounds are a second.
const BCRYPT_COST_MAX: u32 = 14;

/// The parts of a hash of bcrypt.
fn bcrypt_of(text: &str) -> Option<bcrypt::HashParts> {
    let is_known = ["$2a$", "$2b$", "$2y$"].iter().any(|version| text.starts_with(version));
    is_known.then(|| text.parse().ok()).flatten()
}

fn is_affordable(hash: &phc::PasswordHash) -> bool {
    let is_argon2 = [Algorithm::Argon2id, Algorithm::Argon2i, Algorithm::Argon2d]
        .iter()
        .any(|algorithm| hash.algorithm == algorithm.ident());
    let fits =
        |params: Params| params.m_cost() <= 256 * 1_024 && params.t_cost() <= 16 && params.p_cost() <= 16;
    is_argon2 && hash.hash.is_some() && Params::try_from(hash).is_ok_and(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_verified_exactly_as_it_was_typed() {
        let passwords = Passwords::new(HashingCost::trivial()).unwrap();
        let hash = passwords.hash(Secret::new("correct horse ☃")).await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        assert!(passwords.verify(Secret::new("correct horse ☃"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(Secret::new("Correct horse ☃"), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn hashes_made_in_the_same_memory_are_what_others_make_in_memory_of_their_own() {
        let passwords = Passwords::new(HashingCost { memory_kib: 64, passes: 2, lanes: 2 }).unwrap();
        let params = Params::new(64, 2, 2, None).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        for number in 0..10 {
            let password = format!("correct horse {number}");
            let hash = passwords.hash(Secret::new(&*password)).await.unwrap();
            assert!(!passwords.is_outdated(&hash));
            let parsed = phc::PasswordHash::new(hash.expose()).unwrap();
            assert!(argon2.verify_password(password.as_bytes(), &parsed).is_ok(), "{number}");
            assert!(!passwords.verify(Secret::new("correct horse"), Some(hash)).await.unwrap());
        }
        assert!(passwords.hasher.memory.lock().len() <= PASSWORD_HASHES_AT_ONCE);
    }

    #[tokio::test]
    async fn without_a_hash_no_password_is_right_not_even_the_stand_in() {
        let passwords = Passwords::new(HashingCost::trivial()).unwrap();
        assert!(!passwords.verify(Secret::new("nobody has this password"), None).await.unwrap());
    }

    #[tokio::test]
    async fn hashes_of_bcrypt_are_verified_by_their_first_72_bytes() {
        let passwords = Passwords::new(HashingCost::trivial()).unwrap();
        let long = "x".repeat(80);
        for version in [bcrypt::Version::TwoA, bcrypt::Version::TwoB, bcrypt::Version::TwoY] {
            let parts = bcrypt::hash_with_salt(&long, 4, [7; 16]).unwrap();
            let hash = PasswordHash::import(&parts.format_for_version(version.clone())).unwrap();
            assert!(passwords.is_outdated(&hash));
            for (password, right) in [(&*long, true), (&long[..72], true), (&long[..71], false), ("", false)]
            {
                let verified = passwords.verify(Secret::new(password), Some(hash.clone())).await.unwrap();
                assert_eq!(verified, right, "{version:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_hash_is_outdated_when_it_was_made_otherwise() {
        let now = Passwords::new(HashingCost::trivial()).unwrap();
        let then = Passwords::new(HashingCost { passes: 2, ..HashingCost::trivial() }).unwrap();
        let hash = then.hash(Secret::new("correct horse")).await.unwrap();
        assert!(now.is_outdated(&hash) && !then.is_outdated(&hash));
        assert!(now.verify(Secret::new("correct horse"), Some(hash)).await.unwrap());
        assert!(now.is_outdated(&PasswordHash::from_stored("no hash at all")));
    }

    #[test]
    fn what_cannot_be_verified_or_costs_too_much_is_not_imported() {
        let bcrypt = |cost: u32| {
            bcrypt::hash_with_salt("x", 4, [7; 16])
                .unwrap()
                .to_string()
                .replace("$04$", &format!("${cost:02}$"))
        };
        let argon2 = |params: &str| {
            format!("$argon2id$v=19${params}$c29tZXNhbHRzb21l$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3")
        };
        for good in [bcrypt(4), bcrypt(14), argon2("m=65536,t=3,p=4")] {
            assert!(PasswordHash::import(&good).is_some(), "{good}");
        }
        for bad in [
            String::new(),
            "password".into(),
            bcrypt(15),
            bcrypt(31),
            bcrypt(4).replace("$2b$", "$2x$"),
            bcrypt(4)[..50].into(),
            argon2("m=1048576,t=3,p=4"),
            argon2("m=65536,t=99,p=4"),
            argon2("m=65536,t=3,p=99"),
            "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21l".into(),
            "$pbkdf2-sha256$i=1000$c29tZXNhbHRzb21l$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3".into(),
            "$6$rounds=5000$salt$hash".into(),
        ] {
            assert!(PasswordHash::import(&bad).is_none(), "{bad}");
        }
    }

    #[tokio::test]
    async fn more_hashes_than_may_wait_are_refused_at_once() {
        let passwords = Passwords::new(HashingCost::trivial()).unwrap();
        let held = Arc::clone(&passwords.places)
            .try_acquire_many_owned((PASSWORD_HASHES_AT_ONCE + PASSWORD_HASHES_WAITING_MAX) as u32)
            .unwrap();
        assert!(matches!(passwords.hash(Secret::new("x")).await, Err(AccountError::Overloaded)));
        drop(held);
        assert!(passwords.hash(Secret::new("x")).await.is_ok());
    }

    #[test]
    fn the_default_cost_is_what_owasp_recommends() {
        let cost = HashingCost::default();
        assert_eq!((cost.memory_kib, cost.passes, cost.lanes), (19_456, 2, 1));
    }
}
