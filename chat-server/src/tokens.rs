//! Whose tokens are accepted: our own accounts', and those of one foreign issuer.

use std::sync::Arc;

use async_trait::async_trait;
use chat_core::{
    accounts::Accounts,
    auth::{AuthError, Authenticator, Hello, Identity, JwtAuthenticator, JwtRules},
    id::UserId,
    time::Clock,
};

use crate::config::External;

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
    pub(crate) fn new(accounts: Accounts, external: Option<&External>, clock: &Arc<dyn Clock>) -> Self {
        let external = external.map(|external| {
            let rules = JwtRules {
                issuer: external.issuer.clone(),
                audience: external.audience.clone(),
                token_type: None,
                external: true,
                ..JwtRules::default()
            };
            let secret = external.hs256_secret.expose().as_bytes();
            Arc::new(JwtAuthenticator::hs256(secret, rules, Arc::clone(clock)))
        });
        Self { own: Arc::new(accounts.authenticator()), accounts, external }
    }

    fn check(&self, token: &str) -> Result<Identity, AuthError> {
        match (self.own.check(token), &self.external) {
            (Err(AuthError::Invalid), Some(external)) => {
                // Nobody is who acts for the operator; no issuer may hand that out.
                external.check(token).and_then(|identity| {
                    if identity.user == UserId::nobody() { Err(AuthError::Invalid) } else { Ok(identity) }
                })
            }
            (own, _) => own,
        }
    }
}

#[async_trait]
impl Authenticator for Tokens {
    async fn authenticate(&self, hello: Hello) -> Result<Identity, AuthError> {
        let identity = self.check(hello.token.ok_or(AuthError::Missing)?.expose())?;
        if !identity.external {
            self.accounts.check_login(&identity).await?;
        }
        Ok(identity)
    }
}
