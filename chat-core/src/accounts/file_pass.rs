//! Passes for files: what lets a browser load an image, which sends no header of its own.

use std::fmt;

use super::{Accounts, FamilyId};
use crate::{
    auth::{AuthError, Identity, Secret},
    time::Timestamp,
};

/// Makes and checks passes.
///
/// A pass names its login and is good for as long as that login is: it is looked up each time. It is no access token
/// and no refresh token, and can't be made into one: it is derived under a key of its own.
#[derive(Clone)]
pub(super) struct PassKey([u8; 32]);

impl PassKey {
    pub(super) fn new(secret: &Secret) -> Self {
        Self(blake3::derive_key("chat-core accounts: file passes", secret.expose().as_bytes()))
    }

    fn make(&self, login: FamilyId) -> Secret {
        Secret::new(format!("files.{login}.{}", self.tag(login).to_hex()))
    }

    fn open(&self, pass: &str) -> Option<FamilyId> {
        let (login, tag) = pass.strip_prefix("files.")?.split_once('.')?;
        let login = FamilyId::parse(login)?;
        let tag = blake3::Hash::from_hex(tag).ok()?;
        // `blake3::Hash` compares in constant time.
        (tag == self.tag(login)).then_some(login)
    }

    fn tag(&self, login: FamilyId) -> blake3::Hash {
        blake3::keyed_hash(&self.0, login.as_bytes())
    }
}

impl fmt::Debug for PassKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PassKey")
    }
}

impl Accounts {
    /// A pass for files, good for as long as a login is: for a cookie that is sent for files and for nothing else.
    #[must_use]
    pub fn file_pass(&self, login: FamilyId) -> Secret {
        self.inner.keys.pass_key().make(login)
    }

    /// Whose pass it is.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] for what is no pass, or one of a login that has ended; [`AuthError::Expired`] for one
    /// that was silent for too long; [`AuthError::Unavailable`] when it can't be looked up.
    pub async fn check_file_pass(&self, pass: &Secret) -> Result<Identity, AuthError> {
        let login = self.inner.keys.pass_key().open(pass.expose()).ok_or(AuthError::Invalid)?;
        let family = self.inner.store.family(login).await.map_err(|error| {
            tracing::warn!(%error, "the account store failed");
            AuthError::Unavailable
        })?;
        let family = family.ok_or(AuthError::Invalid)?;
        if family.expires_at() <= self.inner.clock.now() {
            return Err(AuthError::Expired);
        }
        let expires_at: Option<Timestamp> = Some(family.expires_at());
        let login = Some(login.to_string());
        Ok(Identity { username: None, expires_at, login, ..Identity::new(family.user, "") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_opens_only_unchanged_and_under_its_own_key() {
        let key = |secret: &str| PassKey::new(&Secret::new(secret));
        let login = FamilyId::new(Timestamp::from_millis(1), [3; 10]);
        let pass = key("one").make(login);
        assert_eq!(key("one").open(pass.expose()), Some(login));
        assert_eq!(key("other").open(pass.expose()), None);
        let other = FamilyId::new(Timestamp::from_millis(2), [3; 10]);
        for forged in [
            pass.expose().replace(&login.to_string(), &other.to_string()),
            format!("{}0", pass.expose()),
            pass.expose().replace("files.", ""),
            "files..".to_owned(),
            String::new(),
        ] {
            assert_eq!(key("one").open(&forged), None, "{forged}");
        }
        assert_eq!(format!("{:?}", key("one")), "PassKey");
    }
}
