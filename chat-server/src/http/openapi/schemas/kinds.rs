//! The kinds of values that all others are made of.

use serde_json::{Map, Value, json};

/// An object of these fields; those whose name ends with a question mark may be left out.
pub(super) fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, schema) in fields {
        match name.strip_suffix('?') {
            Some(optional) => drop(properties.insert(optional.to_owned(), schema)),
            None => {
                required.push(name);
                properties.insert(name.to_owned(), schema);
            }
        }
    }
    let mut object = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}

/// An object of which exactly one of these fields is given.
pub(super) fn one_of(fields: &[&str], mut object: Value) -> Value {
    object["oneOf"] = fields.iter().map(|field| json!({ "required": [field] })).collect();
    object
}

pub(super) fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

pub(super) fn list(item: Value) -> Value {
    let mut list = json!({ "type": "array" });
    list["items"] = item;
    list
}

pub(super) fn page_of(item: Value) -> Value {
    object([("items", list(item)), ("nextCursor", nullable(text()))])
}

pub(super) fn page_in_room(item: Value) -> Value {
    object([("roomId", id()), ("items", list(item)), ("nextCursor", nullable(text()))])
}

pub(super) fn nullable(schema: Value) -> Value {
    Value::Object(
        [("anyOf".to_owned(), Value::Array(vec![schema, json!({ "type": "null" })]))].into_iter().collect(),
    )
}

pub(super) fn id() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9._:@|-]{1,64}$" })
}

/// Something that only the server can read.
pub(super) fn opaque() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[A-Za-z0-9._:@|-]+$" })
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

pub(super) fn flag() -> Value {
    json!({ "type": "boolean" })
}

pub(super) fn number(least: u64, most: u64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

pub(super) fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

pub(super) fn seq() -> Value {
    number(0, super::super::super::messages::SEQ_MAX)
}

pub(super) fn time() -> Value {
    json!({ "type": "string", "format": "date-time", "pattern": "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,9})?(Z|[+-]\\d\\d:\\d\\d)$" })
}

pub(super) fn choice(choices: &[&str]) -> Value {
    json!({ "type": "string", "enum": choices })
}

pub(super) fn role() -> Value {
    choice(&["owner", "admin", "moderator", "member"])
}

pub(super) fn message_type() -> Value {
    choice(&["text", "image", "file", "voice"])
}

pub(super) fn email() -> Value {
    json!({ "type": "string", "format": "email", "minLength": 3, "maxLength": 254 })
}

pub(super) fn username() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9_]{3,50}$" })
}

pub(super) fn room_name() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 100, "pattern": NAME })
}

pub(super) fn description() -> Value {
    json!({ "type": "string", "maxLength": 1_000, "pattern": LINES })
}

pub(super) fn reason() -> Value {
    json!({ "type": "string", "maxLength": 500, "pattern": LINES })
}

pub(super) fn content() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 5_000, "pattern": TEXT })
}

/// One line, without control characters.
pub(super) const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

/// One line, not only of white space.
pub(super) const NAME: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][^\x00-\x1f\x7f-\x9f]*$";

/// Lines, without other control characters.
pub(in super::super) const LINES: &str = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$";

/// Lines, not only of white space.
pub(super) const TEXT: &str = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][^\x00-\x08\x0b-\x1f\x7f-\x9f]*$";
