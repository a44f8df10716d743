//! Whose tokens are accepted: our own accounts', and those of one foreign issuer.

use std::sync::Arc;

use async_trait::async_trait;
use chat_core::{
    accounts::Accounts,
    auth::{AuthError, Authenticator, Hello, Identity, Jwks, JwtAuthenticator, JwtRules, Secret},
    engine::{Engine, Error, Session},
    id::UserId,
    time::Clock,
    wire::{ResumeFrom, SubscribeTo},
};

use crate::{
    config::{External, ExternalKeys},
    issuer::HttpKeys,
};

/// Tries each issuer's rules in turn. Which one a token is held against is never the token's choice: each has a
/// key of its own, and only one of them fits.
///
/// A token of our own is good for as long as its login has not ended; foreign ones can't be asked about.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    accounts: Accounts,
    own: Arc<JwtAuthenticator>,
    external: Option<Arc<JwtAuthenticator>>,
}

impl Tokens {
    /// Whose tokens the configuration names, beside our own.
    ///
    /// # Errors
    /// A line for the operator, when the key of the issuer can't be used.
    pub(crate) async fn new(
        accounts: Accounts,
        external: Option<&External>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let external = match external {
            Some(external) => Some(Arc::new(authenticator(external, clock).await?)),
            None => None,
        };
        Ok(Self { own: Arc::new(accounts.authenticator()), accounts, external })
    }

    /// Opens a session of whom a token has proven. Whoever ends its login from then on finds the session and closes it;
    /// where that was done since the token was looked at, there is none.
    ///
    /// # Errors
    /// As [`Engine::connect_with`], and that the login has ended.
    pub(crate) async fn connect(
        &self,
        engine: &Engine,
        identity: &Identity,
        subscribe: SubscribeTo,
        resume: Vec<ResumeFrom>,
        epoch: Option<String>,
    ) -> Result<Session, Error> {
        let session = engine.connect_with(identity.clone(), subscribe, resume, epoch).await?;
        self.check_login(identity).await?;
        Ok(session)
    }

    /// Of logins elsewhere nothing is known.
    async fn check_login(&self, identity: &Identity) -> Result<(), AuthError> {
        if identity.external { Ok(()) } else { self.accounts.check_login(identity).await }
    }

    async fn check(&self, token: Secret) -> Result<Identity, AuthError> {
        match (self.own.check(token.expose()), &self.external) {
            (Err(AuthError::Invalid), Some(external)) => {
                let hello = Hello { token: Some(token), address: None };
                // Nobody is who acts for the operator; no issuer may hand that out.
                external.authenticate(hello).await.and_then(|identity| {
                    if identity.user == UserId::nobody() { Err(AuthError::Invalid) } else { Ok(identity) }
                })
            }
            (own, _) => own,
        }
    }
}

async fn authenticator(external: &External, clock: &Arc<dyn Clock>) -> Result<JwtAuthenticator, String> {
    let rules = JwtRules {
        issuer: external.issuer.clone(),
        audience: external.audience.clone(),
        token_type: None,
        external: true,
        claims: external.claims.clone(),
    };
    let clock = Arc::clone(clock);
    match &external.keys {
        ExternalKeys::Hs256(secret) => Ok(JwtAuthenticator::hs256(secret.expose().as_bytes(), rules, clock)),
        ExternalKeys::Pem(algorithm, path) => {
            let said = |error: &dyn std::fmt::Display| {
                format!("auth.external.public_key: {}: {error}", path.display())
            };
            let pem = tokio::fs::read(path).await.map_err(|error| said(&error))?;
            JwtAuthenticator::pem(*algorithm, &pem, rules, clock).map_err(|error| said(&error))
        }
        ExternalKeys::Jwks(url) => {
            let keys = Jwks::new(HttpKeys::at(url)?, Arc::clone(&clock));
            if let Err(error) = keys.refresh().await {
                tracing::warn!(%error, "the keys of the issuer could not be fetched; it is tried again");
            }
            Ok(JwtAuthenticator::jwks(keys, rules, clock))
        }
    }
}

#[async_trait]
impl Authenticator for Tokens {
    async fn authenticate(&self, hello: Hello) -> Result<Identity, AuthError> {
        let identity = self.check(hello.token.ok_or(AuthError::Missing)?).await?;
        self.check_login(&identity).await?;
        Ok(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_core::{
        accounts::{Client, HashingCost, Registration, TokenKeys},
        store::MemoryStore,
        time::SystemClock,
    };

    #[tokio::test]
    async fn whose_login_ends_while_a_session_is_opened_gets_none() {
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let store = Arc::new(MemoryStore::new());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let keys = TokenKeys::new(Secret::new("an example of a secret, 32 bytes")).unwrap();
        let cost = HashingCost { memory_kib: 8, passes: 1, lanes: 1 };
        let accounts = Accounts::new(store.clone(), keys, cost, Arc::clone(&clock)).unwrap();
        let tokens = Tokens::new(accounts.clone(), None, &clock).await.unwrap();
        let engine =
            Engine::builder().shared_store(store).authenticator(tokens.clone()).build().await.unwrap();
        let registration = Registration {
            email: "ann@example.org".into(),
            username: "ann".into(),
            password: Secret::new("correct horse"),
        };
        let grant = accounts.register(registration, &Client::default()).await.unwrap();
        let hello = Hello { token: Some(grant.access_token.clone()), address: None };
        let identity = tokens.authenticate(hello).await.unwrap();
        let open = async || tokens.connect(&engine, &identity, SubscribeTo::All, Vec::new(), None).await;
        open().await.unwrap();
        // After the token was looked at, and before the session can be found.
        accounts.logout(&identity.user, grant.family).await.unwrap();
        engine.disconnect_login(&identity.user, &grant.family.to_string()).await;
        let refused = open().await.map(drop).unwrap_err();
        assert_eq!(refused.to_string(), AuthError::Invalid.to_string());
        assert!(!engine.has_session(&identity.user));
    }
}
