//! Who owns the default rooms: the accounts that the operator named, and nobody who came by their names later.

use std::collections::BTreeMap;

use chat_core::{
    accounts::Accounts,
    domain::Username,
    engine::Engine,
    id::{RoomId, UserId},
};
use serde::{Deserialize, Serialize};

use crate::data::{DataDir, DataError};

/// One of `room_owners`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// An account by its username.
    Name(Username),
    /// An account by its id, which nobody else can ever have.
    Id(UserId),
}

impl Owner {
    /// The name or, if it can't be one, the id.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // An id that might as well be somebody's name is none: ids of own accounts have `-` in them.
        Username::parse(text).map(Self::Name).ok().or_else(|| UserId::parse(text).map(Self::Id).ok())
    }
}

/// Whose each name was at the first start with it in `room_owners`, by [`Username::key`]; `None` for nobody's. What is
/// named no more is forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Known(BTreeMap<String, Option<String>>);

/// What comes of one of `room_owners`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Owns(UserId),
    /// The name was nobody's at first and is nobody's now.
    NoAccount,
    /// Somebody took the name after it was named here.
    TakenSince(UserId),
    /// The account that had the name is gone.
    Gone,
}

impl Known {
    /// Judges a name that is `now` somebody's, and remembers whose it was the first time.
    fn judge(&mut self, name: &Username, now: Option<UserId>) -> Verdict {
        let first =
            self.0.entry(name.key()).or_insert_with(|| now.as_ref().map(|now| now.as_str().to_owned()));
        match (first, now) {
            (Some(first), Some(now)) if first == now.as_str() => Verdict::Owns(now),
            (Some(_), _) => Verdict::Gone,
            (None, Some(now)) => Verdict::TakenSince(now),
            (None, None) => Verdict::NoAccount,
        }
    }
}

/// Makes owners of the default rooms those whom the operator named.
///
/// # Errors
/// When what was known of the names can't be read or written: then nobody is appointed, since nobody can be told
/// from who took a name.
pub(crate) async fn appoint(
    owners: &[Owner],
    rooms: &[RoomId],
    data: &DataDir,
    accounts: &Accounts,
    engine: &Engine,
) -> Result<(), DataError> {
    let before = data.known_owners()?;
    let mut known = Known::default();
    let mut appointed = Vec::new();
    for owner in owners {
        match owner {
            Owner::Id(user) => appointed.push(user.clone()),
            Owner::Name(name) => {
                if let Some(first) = before.0.get(&name.key()) {
                    known.0.insert(name.key(), first.clone());
                }
                match accounts.user_named(name).await {
                    Ok(now) => appointed.extend(told(name, known.judge(name, now))),
                    Err(error) => tracing::warn!(%error, "an owner could not be looked up"),
                }
            }
        }
    }
    // Remembered first, so that no start appoints whom the next one would not know.
    if known != before {
        data.remember_owners(&known)?;
    }
    for user in &appointed {
        for room in rooms {
            if let Err(error) = engine.appoint_owner(room, user).await {
                tracing::warn!(%room, %user, %error, "an owner could not be appointed");
            }
        }
    }
    Ok(())
}

/// Tells the operator of whoever does not own.
fn told(name: &Username, verdict: Verdict) -> Option<UserId> {
    let name = name.as_str();
    match verdict {
        Verdict::Owns(user) => return Some(user),
        Verdict::NoAccount => {
            tracing::warn!(
                name,
                "room_owners names no account: register it, and put its id there instead, since the name may by then be anybody's"
            );
        }
        Verdict::TakenSince(user) => {
            tracing::warn!(name, %user, "room_owners names an account that was registered after the name was put there, and may be anybody's: if it is the right one, put its id there instead");
        }
        Verdict::Gone => {
            tracing::warn!(
                name,
                "room_owners names an account that is gone: take it out; whoever has the name now does not own"
            );
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_for_the_account_alone_that_had_it_at_first() {
        let (ann, other) = (UserId::parse("user-1").unwrap(), UserId::parse("user-2").unwrap());
        let name = |text: &str| Username::parse(text).unwrap();
        let mut known = Known::default();
        assert_eq!(known.judge(&name("Ann"), Some(ann.clone())), Verdict::Owns(ann.clone()));
        assert_eq!(known.judge(&name("ann"), Some(ann.clone())), Verdict::Owns(ann.clone()));
        assert_eq!(known.judge(&name("ann"), None), Verdict::Gone);
        assert_eq!(known.judge(&name("ann"), Some(other.clone())), Verdict::Gone);
        assert_eq!(known.judge(&name("ben"), None), Verdict::NoAccount);
        assert_eq!(known.judge(&name("ben"), None), Verdict::NoAccount);
        assert_eq!(known.judge(&name("ben"), Some(other.clone())), Verdict::TakenSince(other));
    }

    #[test]
    fn an_owner_is_a_name_or_else_an_id() {
        let id = "01997f3e-1c1a-7000-8000-000000000001";
        assert_eq!(Owner::parse("ann_1"), Some(Owner::Name(Username::parse("ann_1").unwrap())));
        assert_eq!(Owner::parse(id), Some(Owner::Id(UserId::parse(id).unwrap())));
        assert_eq!(Owner::parse("a b"), None);
    }
}
