//! Rooms for a few people who know each other.

use super::{Rejection, RoomName};
use crate::id::UserId;

/// People in one group, its creator included. It bounds what one message of a group costs, and how many people can
/// be drawn into a room without being asked.
pub const GROUP_MEMBERS_MAX: usize = 10;

/// What a new group is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSpec {
    name: RoomName,
    others: Vec<UserId>,
}

impl GroupSpec {
    /// A group of `creator` and others, under a name or none. Users who are named twice, and the creator, count
    /// once.
    ///
    /// # Errors
    /// `bad_request` when nobody is named, or there are more than [`GROUP_MEMBERS_MAX`] people in all; `forbidden` when
    /// only the creator is named.
    pub fn new(creator: &UserId, others: &[UserId], name: Option<RoomName>) -> Result<Self, Rejection> {
        let mut distinct: Vec<UserId> = Vec::new();
        for user in others {
            if user != creator && !distinct.contains(user) {
                distinct.push(user.clone());
            }
            if distinct.len() >= GROUP_MEMBERS_MAX {
                break;
            }
        }
        if (1..GROUP_MEMBERS_MAX).contains(&distinct.len()) {
            Ok(Self { name: name.unwrap_or_else(|| RoomName::from_stored("")), others: distinct })
        } else if distinct.is_empty() && !others.is_empty() {
            Err(Rejection::Forbidden("nobody is a group by themselves"))
        } else {
            Err(Rejection::BadRequest("a group has 2 to 10 people"))
        }
    }

    /// Its name; empty when it has none.
    #[must_use]
    pub const fn name(&self) -> &RoomName {
        &self.name
    }

    /// Who becomes a member beside the creator.
    #[must_use]
    pub fn others(&self) -> &[UserId] {
        &self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(count: usize) -> Vec<UserId> {
        (0..count).map(|number| UserId::parse(&format!("user-{number}")).unwrap()).collect()
    }

    #[test]
    fn a_group_has_two_to_ten_different_people() {
        let creator = UserId::parse("user-0").unwrap();
        let group =
            |others: &[UserId]| GroupSpec::new(&creator, others, None).map(|group| group.others.len());
        let refused = Err(Rejection::BadRequest("a group has 2 to 10 people"));
        assert_eq!(group(&[]), refused);
        let alone = Err(Rejection::Forbidden("nobody is a group by themselves"));
        assert_eq!(group(&users(1)), alone, "nobody but the creator");
        assert_eq!(group(&users(10)), Ok(9));
        assert_eq!(group(&[users(10), users(10)].concat()), Ok(9));
        assert_eq!(group(&users(11)), refused);
    }
}
