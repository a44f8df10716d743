//! What a token says, read without trust in its form.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{AuthError, ServerRole};
use crate::{id::UserId, time::Timestamp};

/// Which claims of a token say who somebody is. Issuers differ in that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNames {
    /// The user's id: a text that is a good [`UserId`]. `sub` by default.
    pub user: String,
    /// The name under which they wish to appear: a text, if it is there. `name` by default.
    pub name: String,
    /// Their roles: a list of texts, or one text with spaces between them, if it is there. `roles` by default.
    pub roles: String,
    /// The role that makes somebody an admin of the server ([`ServerRole::Admin`]); nobody is one without it.
    pub admin_role: Option<String>,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self { user: "sub".into(), name: "name".into(), roles: "roles".into(), admin_role: None }
    }
}

/// The claims of one token, each named once.
#[derive(Debug)]
pub(super) struct Claims(Map<String, Value>);

/// The last second that can be written as a date: whatever runs out later was not meant.
const LAST_SECOND: f64 = 253_402_300_799.0;

impl Claims {
    pub(super) fn user(&self, names: &ClaimNames) -> Result<UserId, AuthError> {
        let user = self.text(&names.user)?.ok_or(AuthError::Invalid)?;
        UserId::parse(user).map_err(|_| AuthError::Invalid)
    }

    pub(super) fn role(&self, names: &ClaimNames) -> Result<ServerRole, AuthError> {
        let is_admin = |role: &str| names.admin_role.as_deref() == Some(role);
        let admin = match self.0.get(&names.roles) {
            None | Some(Value::Null) => false,
            Some(Value::String(roles)) => roles.split(' ').any(is_admin),
            Some(Value::Array(roles)) => {
                let roles: Option<Vec<&str>> = roles.iter().map(Value::as_str).collect();
                roles.ok_or(AuthError::Invalid)?.into_iter().any(is_admin)
            }
            Some(_) => return Err(AuthError::Invalid),
        };
        Ok(if admin { ServerRole::Admin } else { ServerRole::User })
    }

    /// A text that may be there.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, AuthError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(AuthError::Invalid),
        }
    }

    /// Whether a text is there and is this one; always, where none is asked for.
    pub(super) fn is(&self, name: &str, expected: Option<&str>) -> Result<bool, AuthError> {
        let found = self.text(name)?;
        Ok(expected.is_none() || found == expected)
    }

    /// Whether the token is meant for this audience, alone or among others (RFC 7519, 4.1.3).
    pub(super) fn is_for(&self, audience: Option<&str>) -> Result<bool, AuthError> {
        let found = match self.0.get("aud") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(several)) => {
                several.iter().map(Value::as_str).collect::<Option<_>>().ok_or(AuthError::Invalid)?
            }
            Some(_) => return Err(AuthError::Invalid),
        };
        Ok(audience.is_none_or(|audience| found.contains(&audience)))
    }

    /// From when on the token is good for nothing.
    pub(super) fn expires_at(&self) -> Result<Timestamp, AuthError> {
        self.time("exp")?.ok_or(AuthError::Invalid)
    }

    /// A time in seconds, possibly with a fraction, that may be there.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, AuthError> {
        let Some(value) = self.0.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
        let seconds = value.as_f64().filter(|seconds| (-LAST_SECOND..=LAST_SECOND).contains(seconds));
        let millis = seconds.ok_or(AuthError::Invalid)? * 1_000.0;
        Ok(Some(Timestamp::from_millis(millis as i64)))
    }
}

/// Refuses what names a claim twice: of two readers, one could take the first and one the last.
impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Unique;

        impl<'de> Visitor<'de> for Unique {
            type Value = Claims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
                let mut claims = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if claims.insert(name, value).is_some() {
                        return Err(A::Error::custom("a claim is named twice"));
                    }
                }
                Ok(Claims(claims))
            }
        }

        deserializer.deserialize_map(Unique)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(value: &Value) -> Claims {
        serde_json::from_value(value.clone()).unwrap()
    }

    fn names(roles: &str) -> ClaimNames {
        ClaimNames { roles: roles.into(), admin_role: Some("boss".into()), ..ClaimNames::default() }
    }

    #[test]
    fn roles_are_a_list_or_words_and_one_of_them_makes_an_admin() {
        let role = |roles: Value| claims(&json!({ "groups": roles })).role(&names("groups"));
        for admin in [json!(["boss"]), json!(["a", "boss"]), json!("boss"), json!("a boss b")] {
            assert_eq!(role(admin), Ok(ServerRole::Admin));
        }
        for user in [json!([]), json!(["bos"]), json!("bossy"), json!(""), json!(null), json!("BOSS")] {
            assert_eq!(role(user), Ok(ServerRole::User));
        }
        for bad in [json!(1), json!({"boss": true}), json!(["boss", 1]), json!(true)] {
            assert_eq!(role(bad), Err(AuthError::Invalid));
        }
        let nobody = ClaimNames::default();
        assert_eq!(claims(&json!({ "roles": "admin" })).role(&nobody), Ok(ServerRole::User));
    }

    #[test]
    fn the_id_of_a_user_stands_where_the_names_say() {
        let names = ClaimNames { user: "uid".into(), ..ClaimNames::default() };
        let user = claims(&json!({ "sub": "x", "uid": "ann" })).user(&names);
        assert_eq!(user.map(|user| user.as_str().to_owned()), Ok("ann".into()));
        assert_eq!(claims(&json!({ "sub": "ann" })).user(&names), Err(AuthError::Invalid));
    }

    #[test]
    fn a_claim_that_is_named_twice_is_refused() {
        assert!(serde_json::from_str::<Claims>(r#"{"sub":"ann","sub":"bob"}"#).is_err());
        assert!(serde_json::from_str::<Claims>(r#"["sub"]"#).is_err());
    }
}
