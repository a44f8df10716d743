//! Who the users are, to each other.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Page, PageRequest, StoreError};
use crate::{
    domain::{DisplayName, KeptPresence, Username},
    id::UserId,
    time::Timestamp,
};

/// Profiles of users, whoever authenticates them.
///
/// # To ensure correctness
///
/// 1. Of any number of users created at once with one username, or one id, exactly one is created.
/// 2. Usernames are compared by [`Username::key`].
/// 3. A presence that was saved is read as it was, also after reopening.
/// 4. Of any number of users who take one username at once, at most one gets it; who takes another one frees theirs
///    by the same commit. A change that is refused changes nothing.
/// 5. The profile of somebody who was erased changes no more.
#[async_trait]
pub trait UserStore: Send + Sync + 'static {
    /// Creates a profile, durably.
    ///
    /// # Errors
    /// [`CreateUserError`] when the id or the name is taken, or the store fails.
    async fn create_user(&self, user: UserProfile) -> Result<(), CreateUserError>;

    /// Changes a profile, durably.
    ///
    /// # Errors
    /// [`UpdateUserError`] when there is no such user, the name is taken, or the store fails.
    async fn update_user(&self, user: &UserId, change: ProfileChange) -> Result<(), UpdateUserError>;

    /// Profiles of these users, `None` for an unknown one, in the order asked.
    async fn users(&self, users: &[UserId]) -> Result<Vec<Option<UserProfile>>, StoreError>;

    /// Who has this username.
    async fn user_named(&self, name: &Username) -> Result<Option<UserId>, StoreError>;

    /// The users whose name begins like this, without regard to case, in the order of their names; all for an empty
    /// beginning. Nobody who was erased.
    async fn users_like(&self, beginning: &str, page: PageRequest) -> Result<Page<UserProfile>, StoreError>;

    /// Saves what is kept of the presence of these users, at most [`crate::limits::PRESENCES_SAVED_AT_ONCE`] of
    /// them, durably. What was saved before is replaced.
    async fn save_presences(&self, presences: Vec<(UserId, KeptPresence)>) -> Result<(), StoreError>;

    /// What was saved last of the presence of these users, `None` where nothing was, in the order asked.
    async fn presences(&self, users: &[UserId]) -> Result<Vec<Option<KeptPresence>>, StoreError>;
}

/// Who a user is to other users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserProfile {
    /// Their id.
    pub id: UserId,
    /// Their name.
    pub username: Username,
    /// When the profile was created.
    pub created_at: Timestamp,
    /// Whether somebody else's issuer vouches for them (then they have no password here).
    pub external: bool,
    /// What they wish to be called beside their name.
    pub display_name: Option<DisplayName>,
    /// Where their picture is: a path of the server, or a URL of the embedder's.
    pub avatar_url: Option<Arc<str>>,
    /// Whether they are kept out, until the operator lets them in again. What they wrote stays.
    pub disabled: bool,
}

impl UserProfile {
    /// Somebody with a name and nothing else.
    #[must_use]
    pub fn new(id: UserId, username: Username, created_at: Timestamp) -> Self {
        Self {
            id,
            username,
            created_at,
            external: false,
            display_name: None,
            avatar_url: None,
            disabled: false,
        }
    }

    /// Whether it stands for somebody who was erased: they are no user any more, but their id may still be shown.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.username.is_erased()
    }

    /// The profile after a change.
    #[must_use]
    pub fn changed(mut self, change: &ProfileChange) -> Self {
        let ProfileChange { username, display_name, avatar_url, disabled } = change;
        if let Some(username) = username {
            self.username = username.clone();
        }
        if let Some(display_name) = display_name {
            self.display_name.clone_from(display_name);
        }
        if let Some(avatar_url) = avatar_url {
            self.avatar_url.clone_from(avatar_url);
        }
        self.disabled = disabled.unwrap_or(self.disabled);
        self
    }
}

/// What is to change of a profile; what is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileChange {
    /// Another name.
    pub username: Option<Username>,
    /// What they wish to be called; `Some(None)` for nothing.
    pub display_name: Option<Option<DisplayName>>,
    /// Where their picture is; `Some(None)` for nowhere.
    pub avatar_url: Option<Option<Arc<str>>>,
    /// Whether they are kept out.
    pub disabled: Option<bool>,
}

/// Why a profile was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateUserError {
    /// There is a profile with this id.
    #[error("the user exists already")]
    IdTaken,
    /// Somebody else has this username.
    #[error("the username is taken")]
    NameTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a profile was not changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateUserError {
    /// There is no such user, or they were erased.
    #[error("there is no such user")]
    NoUser,
    /// Somebody else has this username.
    #[error("the username is taken")]
    NameTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
