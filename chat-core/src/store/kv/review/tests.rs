//! The stored bytes, and the damage that is noticed.

use super::*;
use crate::{
    domain::{Attachment, Content, Draft, MessageType, ReportReason},
    store::kv::{KvBatch, MemKv},
    time::Timestamp,
};

fn held(text: &str) -> HeldMessage {
    HeldMessage {
        id: HeldId::parse("0190b5a2-7a39-7c3e-8f00-000000000001").unwrap(),
        room: RoomId::parse("lobby").unwrap(),
        author: UserId::parse("ann").unwrap(),
        at: Timestamp::from_millis(1_790_000_000_000),
        draft: Draft::text(text).unwrap().replying(Seq::new(7)).keyed(ClientMessageId::parse("k").unwrap()),
    }
}

fn report(text: &str) -> Report {
    Report {
        id: ReportId::parse("0190b5a2-7a39-7c3e-8f00-000000000001").unwrap(),
        room: RoomId::parse("lobby").unwrap(),
        reporter: UserId::parse("bob").unwrap(),
        at: Timestamp::from_millis(1_790_000_000_000),
        reason: ReportReason::parse("rude").unwrap(),
        snapshot: Snapshot {
            seq: Seq::new(300),
            author: UserId::parse("ann").unwrap(),
            at: Timestamp::from_millis(-1),
            content: Content::from_stored(text),
            message_type: MessageType::Text,
            attachments: Attachments::default(),
        },
        resolved: Some(Resolution { by: UserId::parse("cid").unwrap(), at: Timestamp::from_millis(1) }),
    }
}

/// The bytes as they stand in files that are out there: a change here needs a new version.
#[test]
fn the_stored_bytes_of_held_messages_and_reports_stay_as_they_are() {
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let held_row = encode_held(&held("hello"), "hello", 0).unwrap();
    let report_row = encode_report(&report("hello"), "hello", 0).unwrap();
    assert_eq!(
        hex(held_row),
        "01000190b5a27a397c3e8f000000000000010103616e6e80b083c59868000101016b0700000568656c6c6f00"
    );
    assert_eq!(
        hex(report_row),
        "01000190b5a27a397c3e8f000000000000010103626f6280b083c598680472756465ac020103616e6e010000010103636964020568656c6c6f00"
    );
    assert_eq!(hex(values::encode(&v1::Count { count: 300 }).unwrap()), "01ac02");
}

#[tokio::test]
async fn a_row_that_is_missing_or_stands_elsewhere_is_noticed() {
    let kv = MemKv::new();
    let store = KvStore::inline(kv.clone()).unwrap();
    let long = "long ".repeat(1_000);
    let file = Attachment {
        file_id: "f".to_owned(),
        name: "picture".to_owned(),
        mime: "image/png".to_owned(),
        size: 1,
        url: "/f".to_owned(),
        width: None,
        height: None,
    };
    let files = Attachments::from_stored(vec![file]);
    let mut held = held(&long);
    held.draft.attachments = files.clone();
    let snapshot = Snapshot { attachments: files, ..report(&long).snapshot };
    let reported = Report { resolved: None, snapshot, ..report(&long) };
    assert_eq!(store.hold(held).await, Ok(Keeping::Kept));
    assert_eq!(store.report(reported).await, Ok(Keeping::Kept));
    let resolution = report("").resolved.unwrap();
    assert_eq!(store.resolve_report(&report("").room, &report("").id, resolution).await, Ok(true));
    let all = [check::rows(&kv, table::HELD).unwrap(), check::rows(&kv, table::REPORT).unwrap()].concat();
    assert_eq!(all.len(), 12, "six kinds of rows each");
    assert_eq!(differences(&kv), Ok(Vec::new()));
    let set = |key: &[u8], value| kv.apply(KvBatch { changes: vec![(key.to_vec(), value)] }).unwrap();
    for (key, value) in all {
        set(&key, None);
        assert_ne!(differences(&kv), Ok(Vec::new()), "{key:02x?}");
        let mut other = key.clone();
        other[5] ^= 1;
        set(&other, Some(value.clone()));
        assert_ne!(differences(&kv), Ok(Vec::new()), "{other:02x?}");
        set(&other, None);
        set(&key, Some(value));
    }
    assert_eq!(differences(&kv), Ok(Vec::new()));
}
