//! Who the caller is, and who others are.

use super::Caller;
use crate::{
    auth::AuthError,
    bus::Hint,
    domain::{Presence, Rejection, StatusText},
    engine::{error::Error, shared::Shared},
    id::UserId,
    limits::PAGE_ITEMS_MAX,
    store::{Page, PageRequest, ProfileChange, UpdateUserError, UserProfile},
};

impl Caller {
    /// The caller's own profile, and how they look to themselves: with their status text also while they are away.
    ///
    /// # Errors
    /// `forbidden` for who was erased meanwhile, and when the store fails.
    pub async fn profile(&self) -> Result<(UserProfile, Presence), Error> {
        let shared = self.shared();
        let user = std::slice::from_ref(self.user());
        let profile = shared.store.users(user).await?.pop().flatten();
        let profile = profile.filter(|profile| !profile.is_erased()).ok_or(AuthError::Erased)?;
        let [mut presence] = <[Presence; 1]>::try_from(shared.look(self.user(), user).await?)
            .map_err(|_| Error::Unavailable)?;
        presence.text = shared.kept_presence(self.user()).await?.text;
        Ok((profile, presence))
    }

    /// Changes the caller's profile, and what they say of themselves. Whether they are kept out is not theirs to
    /// change. Messages that stand already show another name from then on.
    ///
    /// # Errors
    /// `conflict` when somebody else has the name, `forbidden` for who was erased meanwhile, and when the store fails.
    pub async fn update_profile(
        &self,
        change: ProfileChange,
        status_text: Option<StatusText>,
    ) -> Result<(), Error> {
        let shared = self.shared();
        let change = ProfileChange { disabled: None, ..change };
        if change != ProfileChange::default() {
            shared.change_profile(self.user(), change).await.map_err(|error| match error {
                // They had a profile when they came.
                Error::Rejected(Rejection::NotFound(_)) => AuthError::Erased.into(),
                error => error,
            })?;
        }
        if let Some(text) = status_text {
            let kept = shared.kept_presence(self.user()).await?;
            shared.presences.say(self.user(), kept, text, shared.now());
        }
        Ok(())
    }

    /// A user, and how they look to the caller: as if offline for ever, to who shares no room with them.
    ///
    /// # Errors
    /// `not_found` for an unknown user, and when the store fails.
    pub async fn other(&self, user: &UserId) -> Result<(UserProfile, Presence), Error> {
        let profile = self.shared().store.users(std::slice::from_ref(user)).await?.pop().flatten();
        let profile = profile.filter(|profile| !profile.is_erased()).ok_or(Rejection::NO_USER)?;
        let presences = self.presences(std::slice::from_ref(user)).await?.pop();
        Ok((profile, presences.map_or_else(|| Presence::offline(None), |(_, _, presence)| presence)))
    }

    /// The users whose name begins like this, in the order of their names, without those who are kept out.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn find_users(
        &self,
        beginning: &str,
        cursor: Option<String>,
    ) -> Result<Page<(UserProfile, Presence)>, Error> {
        let page = PageRequest { cursor, limit: PAGE_ITEMS_MAX };
        let Page { items, next } = self.shared().store.users_like(beginning, page).await?;
        let profiles: Vec<_> = items.into_iter().filter(|profile| !profile.disabled).collect();
        let users: Vec<_> = profiles.iter().map(|profile| profile.id.clone()).collect();
        let mut presences = self.presences(&users).await?;
        let item = |profile: UserProfile| {
            let place = presences.iter().position(|(user, ..)| *user == profile.id);
            let presence = place.map(|place| presences.swap_remove(place).2);
            (profile, presence.unwrap_or_else(|| Presence::offline(None)))
        };
        Ok(Page { items: profiles.into_iter().map(item).collect(), next })
    }
}

impl Shared {
    /// Changes a profile, and has every node forget what the user was called.
    pub(crate) async fn change_profile(&self, user: &UserId, change: ProfileChange) -> Result<(), Error> {
        let changed = self.store.update_user(user, change).await;
        // Also when it is not known whether it was saved.
        self.profiles.forget(user);
        if self.bus.has_other_nodes() {
            self.bus.publish(Hint::Profile { from: self.node.clone(), user: user.clone() }).await;
        }
        changed.map_err(|error| match error {
            UpdateUserError::NoUser => Rejection::NO_USER.into(),
            UpdateUserError::NameTaken => Rejection::Conflict("the username is taken").into(),
            UpdateUserError::Store(error) => error.into(),
        })
    }
}
