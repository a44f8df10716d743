//! Access tokens and refresh tokens: made here, kept nowhere.

use std::{fmt, sync::Arc};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use super::{AccountError, Family, FamilyId, file_pass::PassKey};
use crate::{
    auth::{ClaimNames, JwtAuthenticator, JwtRules, Secret, ServerRole},
    domain::Username,
    time::{Clock, Timestamp},
};

/// How long an access token is good.
pub(crate) const ACCESS_LIFETIME_S: i64 = 15 * 60;

/// `iss` and `aud` of our access tokens, and their `typ`, which tells them from anything else under the key.
const ISSUER: &str = "chat";
const AUDIENCE: &str = "chat";
const ACCESS: &str = "access";

/// What all tokens are made of. Losing it ends every login; leaking it gives every account away.
#[derive(Clone)]
pub struct TokenKeys {
    signing: Secret,
    refresh: [u8; 32],
    pass: PassKey,
}

/// Shortest secret that is accepted: HS256 is as strong as its key, up to 32 bytes (RFC 7518, 3.2).
const SECRET_BYTES_MIN: usize = 32;

impl TokenKeys {
    /// Keys out of one secret of 32 bytes or more, which must be random. Access tokens are signed with the secret
    /// itself; what refresh tokens are made of is derived from it.
    ///
    /// # Errors
    /// [`AccountError::Setup`] when the secret is too short.
    pub fn new(secret: Secret) -> Result<Self, AccountError> {
        if secret.expose().len() < SECRET_BYTES_MIN {
            return Err(AccountError::Setup("the signing key has fewer than 32 bytes".into()));
        }
        let refresh = blake3::derive_key("chat-core accounts: refresh tokens", secret.expose().as_bytes());
        let pass = PassKey::new(&secret);
        Ok(Self { signing: secret, refresh, pass })
    }

    /// What passes for files are made with.
    pub(super) const fn pass_key(&self) -> &PassKey {
        &self.pass
    }

    /// Accepts the access tokens made with these keys, and nothing else.
    #[must_use]
    pub fn authenticator(&self, clock: Arc<dyn Clock>) -> JwtAuthenticator {
        let rules = JwtRules {
            issuer: Some(ISSUER.into()),
            audience: Some(AUDIENCE.into()),
            token_type: Some(ACCESS.into()),
            external: false,
            claims: ClaimNames {
                roles: "role".into(),
                admin_role: Some(ServerRole::Admin.as_str().into()),
                ..ClaimNames::default()
            },
        };
        JwtAuthenticator::hs256(self.signing.expose().as_bytes(), rules, clock)
    }

    /// A new access token, and when it runs out.
    pub(crate) fn access(
        &self,
        family: &Family,
        name: &Username,
        role: ServerRole,
        now: Timestamp,
    ) -> Result<(Secret, Timestamp), AccountError> {
        let iat = now.as_millis().div_euclid(1_000);
        let exp = iat + ACCESS_LIFETIME_S;
        let claims = AccessClaims {
            iss: ISSUER,
            aud: AUDIENCE,
            typ: ACCESS,
            sub: family.user.as_str(),
            name: name.as_str(),
            sid: family.id.to_string(),
            role: role.as_str(),
            iat,
            exp,
        };
        let key = EncodingKey::from_secret(self.signing.expose().as_bytes());
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
            .map_err(|error| AccountError::Setup(error.to_string()))?;
        Ok((Secret::new(token), Timestamp::from_millis(exp * 1_000)))
    }

    /// The refresh token of a family's generation: always the same one, so that it can be given out twice.
    pub(crate) fn refresh(&self, family: FamilyId, generation: u64) -> Secret {
        Secret::new(format!("{family}.{generation}.{}", self.tag(family, generation).to_hex()))
    }

    /// Which family's and generation's token this is, or `None` when it is none of ours.
    pub(crate) fn open_refresh(&self, token: &str) -> Option<(FamilyId, u64)> {
        let mut parts = token.splitn(3, '.');
        let family = FamilyId::parse(parts.next()?)?;
        let generation = parts.next()?.parse().ok()?;
        let tag = blake3::Hash::from_hex(parts.next()?).ok()?;
        // `blake3::Hash` compares in constant time.
        (tag == self.tag(family, generation)).then_some((family, generation))
    }

    fn tag(&self, family: FamilyId, generation: u64) -> blake3::Hash {
        let mut message = [0; 24];
        message[..16].copy_from_slice(family.as_bytes());
        message[16..].copy_from_slice(&generation.to_be_bytes());
        blake3::keyed_hash(&self.refresh, &message)
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKeys")
    }
}

#[derive(Serialize)]
struct AccessClaims<'a> {
    iss: &'static str,
    aud: &'static str,
    typ: &'static str,
    sub: &'a str,
    name: &'a str,
    /// The login that it stems from.
    sid: String,
    role: &'static str,
    iat: i64,
    exp: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{accounts::Device, id::UserId};

    const SECRET: &str = "an example of a secret, 32 bytes";

    fn keys(secret: &str) -> TokenKeys {
        TokenKeys::new(Secret::new(secret)).unwrap()
    }

    #[test]
    fn a_refresh_token_opens_only_unchanged_and_under_its_own_key() {
        let family = FamilyId::new(Timestamp::from_millis(1), [3; 10]);
        let token = keys(SECRET).refresh(family, 9);
        assert_eq!(keys(SECRET).open_refresh(token.expose()), Some((family, 9)));
        assert_eq!(keys("another example of such a secret").open_refresh(token.expose()), None);
        for forged in [
            token.expose().replace(".9.", ".10."),
            format!("{}0", token.expose()),
            token.expose()[..60].into(),
            String::new(),
        ] {
            assert_eq!(keys(SECRET).open_refresh(&forged), None, "{forged}");
        }
    }

    #[test]
    fn an_access_token_is_accepted_for_15_minutes() {
        struct At(i64);
        impl Clock for At {
            fn now(&self) -> Timestamp {
                Timestamp::from_millis(self.0)
            }
        }
        let user = UserId::parse("ann").unwrap();
        let family = Family::begin(
            FamilyId::new(Timestamp::from_millis(1), [3; 10]),
            user,
            Device::default(),
            Timestamp::default(),
        );
        let name = Username::parse("Ann").unwrap();
        let (token, expires_at) =
            keys(SECRET).access(&family, &name, ServerRole::User, Timestamp::from_millis(5_500)).unwrap();
        assert_eq!(expires_at, Timestamp::from_millis(905_000));
        let check = |now| keys(SECRET).authenticator(Arc::new(At(now))).check(token.expose());
        let identity = check(904_999).unwrap();
        assert_eq!((identity.user.as_str(), identity.username.as_deref()), ("ann", Some("Ann")));
        assert_eq!((identity.expires_at, identity.external), (Some(expires_at), false));
        assert_eq!(check(905_000), Err(crate::auth::AuthError::Expired));
    }

    #[test]
    fn a_short_secret_is_refused_and_no_secret_shows_in_debug_output() {
        assert!(matches!(TokenKeys::new(Secret::new("short")), Err(AccountError::Setup(_))));
        assert_eq!(format!("{:?}", keys(SECRET)), "TokenKeys");
    }
}
