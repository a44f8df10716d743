//! Identifiers and names as keys.

use super::*;
use crate::limits::STORE_KEY_BYTES_MAX;

#[test]
fn a_uuid_stands_as_its_bytes_and_everything_else_as_a_hash_of_version_8() {
    let uuid = "0190b5a2-7a39-7c3e-8f00-000000000001";
    assert_eq!(id16(uuid)[..2], [0x01, 0x90]);
    for other in ["alice", &uuid.to_uppercase(), "0190b5a2-7a39-8c3e-8f00-000000000001"] {
        assert_eq!(id16(other)[6] >> 4, 8, "{other}");
        assert_eq!(id16(other)[8] >> 6, 2, "{other}");
    }
    assert_ne!(id16(uuid), id16(&uuid.to_uppercase()));
}

#[test]
fn keys_stay_within_their_bound_whatever_they_are_made_of() {
    let id = id16("x");
    // U+FDFA becomes eighteen characters when it is folded.
    let name = RoomName::from_stored(&"\u{fdfa}".repeat(100));
    let client = ClientMessageId::parse(&"\u{10ffff}".repeat(64)).unwrap();
    assert!(room_name(&name).len() <= STORE_KEY_BYTES_MAX);
    assert!(sent(1, &id, &id, &client).len() <= STORE_KEY_BYTES_MAX);
    let longest = ClientMessageId::parse(&"k".repeat(64)).unwrap();
    assert!(sent(1, &id, &id, &longest).len() <= STORE_KEY_BYTES_MAX);
}

#[test]
fn long_names_that_differ_only_at_their_end_have_different_keys() {
    let name = |end: &str| room_name(&RoomName::from_stored(&format!("{}{end}", "ü".repeat(99))));
    let long = |end: &str| room_name(&RoomName::from_stored(&format!("{}{end}", "\u{fdfa}".repeat(99))));
    assert_ne!(name("a"), name("b"));
    assert_ne!(long("a"), long("b"));
    assert_eq!(folded_name(&name("a")), Some(format!("{}a", "ü".repeat(99)).as_str()));
    assert_eq!(folded_name(&long("a")), None);
}

#[test]
fn the_end_of_a_prefix_is_after_all_its_keys() {
    assert_eq!(after_prefix(&[0x22, 0xff]), [0x23]);
    assert_eq!(after_prefix(&[0x22, 0x01]), [0x22, 0x02]);
}

#[test]
fn weeks_of_clocks_that_are_far_off_are_still_weeks() {
    assert_eq!(week(Timestamp::from_millis(-5)), 0);
    assert_eq!(week(Timestamp::from_millis(WEEK_MILLIS)), 1);
    assert_eq!(week(Timestamp::from_millis(i64::MAX)), u16::MAX);
}
