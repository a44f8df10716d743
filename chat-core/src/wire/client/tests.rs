//! What clients may say.

use super::*;

fn refusal(json: &str) -> (Option<RequestId>, ErrorCode) {
    let error = ClientFrame::decode(json.as_bytes()).unwrap_err();
    (error.id, error.code)
}

#[test]
fn unknown_fields_are_ignored_and_unknown_types_are_told_apart() {
    let frame = ClientFrame::decode(br#"{"type":"ping","id":"a","later":{"x":1}}"#).unwrap();
    assert!(matches!(frame.command, ClientCommand::Ping));
    assert_eq!(frame.id, Some(RequestId::Text("a".into())));
    assert_eq!(refusal(r#"{"type":"dance","id":7}"#), (Some(RequestId::Number(7)), ErrorCode::UnknownType));
}

#[test]
fn a_frame_that_is_no_command_is_a_bad_request() {
    for json in ["", "{", "[]", "7", "null", r#"{"id":1}"#, r#"{"type":7}"#, r#"{"type":"ping","id":1.5}"#] {
        assert_eq!(refusal(json), (None, ErrorCode::BadRequest), "{json}");
    }
    let long = format!(r#"{{"type":"ping","id":"{}"}}"#, "x".repeat(65));
    assert_eq!(refusal(&long), (None, ErrorCode::BadRequest));
}

#[test]
fn wrong_field_types_are_a_bad_request_that_keeps_its_id() {
    let id = Some(RequestId::Number(1));
    for json in [
        r#"{"type":"send_message","id":1,"roomId":5,"content":"x"}"#,
        r#"{"type":"send_message","id":1,"roomId":"r"}"#,
        r#"{"type":"fetch_history","id":1,"roomId":"r","before":"x"}"#,
        r#"{"type":"fetch_history","id":1,"roomId":"r","before":-1}"#,
        r#"{"type":"authenticate","id":1,"resume":[{"roomId":"r"}]}"#,
        r#"{"type":"typing_start","id":1}"#,
        r#"{"type":"set_presence","id":1}"#,
        r#"{"type":"set_presence","id":1,"status":"offline"}"#,
        r#"{"type":"set_presence","id":1,"status":"dnd","statusText":7}"#,
        r#"{"type":"get_presence","id":1,"userIds":"u"}"#,
    ] {
        assert_eq!(refusal(json), (id.clone(), ErrorCode::BadRequest), "{json}");
    }
}

#[test]
fn a_status_text_that_is_left_out_is_told_from_one_that_goes() {
    let text = |more: &str| {
        let json = format!(r#"{{"type":"set_presence","status":"dnd"{more}}}"#);
        match ClientFrame::decode(json.as_bytes()).unwrap().command {
            ClientCommand::SetPresence(fields) => fields.status_text.map(|text| text.0),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(text(""), None);
    assert_eq!(text(r#","statusText":null"#), Some(None));
    assert_eq!(text(r#","statusText":"lunch""#), Some(Some("lunch".into())));
}

#[test]
fn a_refusal_never_repeats_what_was_sent() {
    let error = ClientFrame::decode(br#"{"type":"list_rooms","scope":"canary"}"#).unwrap_err();
    assert!(!error.message.contains("canary"), "{}", error.message);
    let secret = ClientFrame::decode(br#"{"type":"authenticate","token":"canary"}"#).unwrap();
    assert!(!format!("{secret:?}").contains("canary"));
}
