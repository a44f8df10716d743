//! The names of users: made at first sight, remembered for naming the authors of messages.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::error::Error;
use crate::{
    auth::{AuthError, Identity},
    domain::{Entry, Username},
    id::UserId,
    limits::PROFILES_CACHED_MAX,
    store::{CreateUserError, Store, StoreError, UserProfile},
    time::Timestamp,
};

/// Names by user, in front of the store's profiles. Where a name changes, or its user is erased, it is forgotten here.
pub(crate) struct Profiles {
    store: Arc<dyn Store>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    profiles: HashMap<UserId, UserProfile>,
    /// How often somebody was forgotten: what was read of the store before that is not remembered after it.
    forgotten: u64,
}

impl Profiles {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, known: Mutex::default() }
    }

    /// The name of an authenticated user; their profile is created if this is the first sight of them.
    pub(crate) async fn ensure(&self, identity: &Identity, now: Timestamp) -> Result<Username, Error> {
        // Asked of the store each time, so that who is erased comes in nowhere.
        let forgotten = self.known.lock().forgotten;
        let known = self.store.users(std::slice::from_ref(&identity.user)).await?.pop().flatten();
        if let Some(profile) = known {
            admitted(&profile)?;
            // Somebody else's issuer must not speak for an account of ours.
            let impostor = identity.external && !profile.external;
            if impostor {
                return Err(AuthError::Invalid.into());
            }
            let username = profile.username.clone();
            self.remember(forgotten, [profile]);
            return Ok(username);
        }
        for username in candidates(identity) {
            let profile = UserProfile {
                external: identity.external,
                ..UserProfile::new(identity.user.clone(), username, now)
            };
            match self.store.create_user(profile.clone()).await {
                Ok(()) => {
                    let username = profile.username.clone();
                    self.remember(forgotten, [profile]);
                    return Ok(username);
                }
                Err(CreateUserError::NameTaken) => {}
                // Another connection of theirs was first; it has made the same choice of names.
                Err(CreateUserError::IdTaken) => return Box::pin(self.ensure(identity, now)).await,
                Err(CreateUserError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Error::Unavailable)
    }

    /// Whether a user who has a profile may still come in, as the store knows it now.
    pub(crate) async fn admits(&self, user: &UserId) -> Result<(), Error> {
        match self.store.users(std::slice::from_ref(user)).await?.pop().flatten() {
            Some(profile) => Ok(admitted(&profile)?),
            // Nobody has taken their profile away, but for the operator, who has none.
            None => Ok(()),
        }
    }

    /// The names that entries are shown under: the author's for a message, the member's for a membership.
    pub(crate) async fn name(&self, entries: Vec<Entry>) -> Result<Vec<(Entry, Username)>, StoreError> {
        let users: Vec<_> = entries.iter().map(|entry| subject(entry).clone()).collect();
        let known = self.look_up(&users).await?;
        let named = |(entry, user)| (entry, name_of(&known, &user));
        Ok(entries.into_iter().zip(users).map(named).collect())
    }

    /// The names of these users, in the order given.
    pub(crate) async fn names(&self, users: &[UserId]) -> Result<Vec<Username>, StoreError> {
        let known = self.look_up(users).await?;
        Ok(users.iter().map(|user| name_of(&known, user)).collect())
    }

    /// Whether there is a profile of every one of these users.
    pub(crate) async fn are_known(&self, users: &[UserId]) -> Result<bool, StoreError> {
        let known = self.look_up(users).await?;
        Ok(users.iter().all(|user| known.get(user).is_some_and(|profile| !profile.is_erased())))
    }

    /// Forgets the name of a user who was erased, or has another one.
    pub(crate) fn forget(&self, user: &UserId) {
        let mut known = self.known.lock();
        known.forgotten += 1;
        known.profiles.remove(user);
    }

    async fn look_up(&self, users: &[UserId]) -> Result<HashMap<UserId, UserProfile>, StoreError> {
        let mut found = HashMap::new();
        let mut missing = Vec::new();
        let forgotten = {
            let known = self.known.lock();
            for user in users {
                match known.profiles.get(user) {
                    Some(profile) => drop(found.insert(user.clone(), profile.clone())),
                    None if missing.contains(user) => {}
                    None => missing.push(user.clone()),
                }
            }
            known.forgotten
        };
        if !missing.is_empty() {
            let fetched: Vec<_> = self.store.users(&missing).await?.into_iter().flatten().collect();
            self.remember(forgotten, fetched.iter().cloned());
            found.extend(fetched.into_iter().map(|profile| (profile.id.clone(), profile)));
        }
        Ok(found)
    }

    /// Remembers profiles that were read, or made, when so many had been forgotten.
    fn remember(&self, forgotten: u64, profiles: impl IntoIterator<Item = UserProfile>) {
        let mut known = self.known.lock();
        if known.forgotten != forgotten {
            return;
        }
        for profile in profiles {
            if known.profiles.len() >= PROFILES_CACHED_MAX {
                known.profiles = HashMap::new();
            }
            known.profiles.insert(profile.id.clone(), profile);
        }
    }
}

fn admitted(profile: &UserProfile) -> Result<(), AuthError> {
    match profile {
        erased if erased.is_erased() => Err(AuthError::Erased),
        UserProfile { disabled: true, .. } => Err(AuthError::Disabled),
        _ => Ok(()),
    }
}

impl std::fmt::Debug for Profiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Profiles")
    }
}

/// Whose name an entry is shown with.
pub(crate) fn subject(entry: &Entry) -> &UserId {
    entry.joins().or_else(|| entry.leaves()).unwrap_or(&entry.actor)
}

fn name_of(known: &HashMap<UserId, UserProfile>, user: &UserId) -> Username {
    // Everybody who ever acted has a profile; only an operator's own acts have none.
    known.get(user).map_or_else(|| Username::from_stored("unknown"), |profile| profile.username.clone())
}

/// Names to try: the wished one, then that with a number, then one derived from the id.
fn candidates(identity: &Identity) -> impl Iterator<Item = Username> {
    let wished = identity.username.as_deref().unwrap_or_default();
    let base = wordlike(wished).or_else(|| wordlike(identity.user.as_str())).unwrap_or_else(|| "user".into());
    // FNV-1a spreads ids over names; what it gives is only tried, never trusted to be free.
    let tag = identity.user.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let numbered = base.clone();
    let exact = Username::parse(wished).ok().or_else(|| Username::parse(&base).ok());
    exact
        .into_iter()
        .chain((2..10).filter_map(move |number| Username::parse(&format!("{numbered}_{number}")).ok()))
        .chain((0..8).filter_map(move |turn| {
            let suffix = tag.wrapping_add(turn).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            Username::parse(&format!("{base}_{suffix:016x}")).ok()
        }))
}

/// A text reduced to what usernames are made of, with room for a suffix of 17 characters.
fn wordlike(text: &str) -> Option<String> {
    let word: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(33).collect();
    let word = word.trim_matches('_');
    (!word.is_empty()).then(|| if word.len() < 3 { format!("user_{word}") } else { word.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(user: &str, name: Option<&str>) -> Vec<String> {
        let user = UserId::parse(user).unwrap();
        let identity = Identity {
            user,
            username: name.map(str::to_owned),
            expires_at: None,
            login: None,
            external: true,
            role: crate::auth::ServerRole::User,
        };
        candidates(&identity).map(|name| name.as_str().to_owned()).collect()
    }

    #[test]
    fn the_wished_name_is_tried_first_and_then_ones_like_it() {
        let names = tried("u1", Some("john_doe"));
        assert_eq!(names[..2], ["john_doe", "john_doe_2"]);
        assert_eq!(names.len(), 17);
    }

    #[test]
    fn a_missing_or_impossible_name_is_derived() {
        assert_eq!(tried("u1", Some("John Doe!"))[0], "John_Doe");
        assert_eq!(tried("auth0|5f7c", None)[0], "auth0_5f7c");
        assert_eq!(tried("-", Some("ü"))[0], "user");
        assert_eq!(tried("u1", Some("x"))[0], "user_x");
        assert!(tried(&"x".repeat(64), Some(&"y".repeat(500))).iter().all(|name| name.len() <= 50));
    }
}
