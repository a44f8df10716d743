//! Names for what is different each time: ids, times, secrets.

use serde_json::Value;

/// Names by what they stand for, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Names {
    names: Vec<(String, String)>,
    /// All that clients said: what they chose themselves needs no name.
    said: String,
}

impl Names {
    /// A client's line with the values in place of the names.
    pub(crate) fn fill(&mut self, said: &str) -> String {
        self.said += said;
        self.names
            .iter()
            .fold(said.to_owned(), |said, (name, value)| said.replace(&format!("<{name}>"), value))
    }

    /// A server's frame with names in place of the values. The order of fields stays.
    pub(crate) fn hide(&mut self, heard: &str) -> String {
        let frame: Value = serde_json::from_str(heard).unwrap();
        self.learn("", "", &frame);
        let hidden = self.names.iter().fold(heard.to_owned(), |heard, (name, value)| {
            heard.replace(&format!("\"{value}\""), &format!("\"<{name}>\""))
        });
        without_times(&hidden)
    }

    fn learn(&mut self, outer: &str, field: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.learn(field, name, value);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(outer, field, item)),
            Value::String(text) => {
                let is_known = self.names.iter().any(|(_, known)| known == text);
                let is_chosen = self.said.contains(&format!("\"{text}\""));
                if let Some(kind) = kind(outer, field).filter(|_| !is_known && !is_chosen) {
                    let count = self.names.iter().filter(|(name, _)| name.starts_with(kind)).count();
                    self.names.push((format!("{kind} {}", count + 1), text.clone()));
                }
            }
            _ => {}
        }
    }
}

/// What a field names, if it is different each time.
fn kind(outer: &str, field: &str) -> Option<&'static str> {
    Some(match (outer, field) {
        ("room", "id") | (_, "roomId") => "room",
        ("message" | "messages" | "lastMessage", "id") | (_, "messageId" | "replyTo" | "threadId") => {
            "message"
        }
        (_, "inviteId") => "invitation",
        (_, "linkId") => "link",
        (_, "token") => "token",
        (_, "reportId") => "report",
        (_, "sessionId") => "session",
        (_, "epoch") => "epoch",
        (_, "hash" | "previous") => "hash",
        _ => return None,
    })
}

/// Every time as `<time>`.
fn without_times(text: &str) -> String {
    let is_time = |part: &str| {
        part.len() == 24 && part.starts_with("20") && part.ends_with('Z') && part.as_bytes()[10] == b'T'
    };
    text.split('"').map(|part| if is_time(part) { "<time>" } else { part }).collect::<Vec<_>>().join("\"")
}
