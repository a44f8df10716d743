//! Comparing what was answered and shown with what the model says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{device::Failed, shown::sorted, wire::Answer};

pub fn same(
    what: &str,
    expected: &BTreeMap<String, Value>,
    got: &BTreeMap<String, Value>,
) -> Result<(), Failed> {
    let (expected, got) = (json!(expected), json!(got));
    difference("", &expected, &got).map_or(Ok(()), |it| Err(format!("{what}: {it}")))
}

/// Where two values differ first. `"?"` is equal to any string, `"*"` to anything.
pub fn difference(path: &str, expected: &Value, got: &Value) -> Option<String> {
    match (expected, got) {
        (Value::String(any), Value::String(_)) if any == "?" => None,
        (Value::String(any), _) if any == "*" => None,
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));

            keys.filter_map(|key| match (a.get(key), b.get(key)) {
                (Some(a), Some(b)) => difference(&format!("{path}.{key}"), a, b),
                (a, b) => Some(format!("{path}.{key}: expected {a:?}, got {b:?}")),
            })
            .next()
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs.filter_map(|(at, (a, b))| difference(&format!("{path}[{at}]"), a, b)).next()
        }
        _ if expected == got => None,
        _ => Some(format!("{path}: expected {expected}, got {got}")),
    }
}

pub fn compare_answer(command: &Value, expected: Answer, answer: &Value) -> Result<(), Failed> {
    let mut got = answer.clone();
    for field in ["type", "id"] {
        got.as_object_mut().and_then(|got| got.remove(field));
    }
    let failed = match expected {
        Err(code) if answer["type"] == "error" && answer["code"] == code => None,
        Err(code) => Some(format!("expected {code}")),
        Ok(_) if answer["type"] == "error" => Some("expected success".to_owned()),
        Ok(mut expected) => {
            if let (Some(expected), Some(got)) = (
                expected.get_mut("items").and_then(Value::as_array_mut),
                got.get_mut("items").and_then(Value::as_array_mut),
            ) {
                // The order of lists of rooms and members is the store's.
                for items in [expected, got] {
                    // Who is there changes by itself.
                    for item in items.iter_mut().filter_map(Value::as_object_mut) {
                        item.retain(|field, _| !["status", "lastSeenAt"].contains(&field.as_str()));
                    }
                    *items = sorted(std::mem::take(items));
                }
            }
            difference("", &expected, &got)
        }
    };
    failed.map_or(Ok(()), |failed| Err(format!("{command} was answered {answer}: {failed}")))
}
