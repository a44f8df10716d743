//! What bodies look like (JSON Schema 2020-12). Answers are described as they are; requests no wider than what is
//! accepted, but for rules that a schema can't say, such as which names are taken.

mod accounts;
mod kinds;
mod messages;
mod people;
mod requests;
mod reviewed;
mod rooms;

use serde_json::{Map, Value, json};

pub(super) use self::kinds::LINES;
use self::kinds::{id, list, number, object, text};

/// All of them by name.
pub(super) fn all() -> Value {
    let mut all = Map::new();
    let groups = [
        requests::requests(),
        accounts::accounts(),
        people::people(),
        rooms::rooms(),
        messages::messages(),
        reviewed::reviewed(),
    ];
    for (name, schema) in groups.into_iter().flatten() {
        all.insert(name.to_owned(), schema);
    }
    all.insert("Problem".to_owned(), problem());
    all.into()
}

/// A part of a path.
pub(super) fn of_path(name: &str) -> Value {
    match name {
        "room" | "user" => id(),
        "name" => {
            json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[A-Za-z0-9._-]+$" })
        }
        "emoji" => json!({ "type": "string", "pattern": "^[\u{1f300}-\u{1f5ff}\u{1f600}-\u{1f64f}]$" }),
        _ => json!({ "type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[A-Za-z0-9._:@|-]+$" }),
    }
}

type Schemas = Vec<(&'static str, Value)>;

fn problem() -> Value {
    let invalid = object([("field", text()), ("message", text())]);
    object([
        ("code", text()),
        ("title", text()),
        ("status", number(400, 599)),
        ("detail", text()),
        ("errors?", list(invalid)),
    ])
}
