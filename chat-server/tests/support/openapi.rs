//! The operations of the API, as the server describes them.

use serde_json::{Map, Value};

use super::Server;

#[derive(Debug, Clone)]
pub struct Operation {
    /// Its `operationId`.
    pub name: String,
    /// In lower case.
    pub method: String,
    /// With its parameters in braces.
    pub path: String,
    /// The media type of its body, if it has one.
    pub body: Option<String>,
    /// Whether anybody may ask.
    pub is_open: bool,
}

/// All that `/api/openapi.json` tells of.
pub fn operations(server: &Server) -> Vec<Operation> {
    let document = server.get("/api/openapi.json").send().json();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let bodies = operation["requestBody"]["content"].as_object();
            operations.push(Operation {
                name: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.clone(),
                path: path.clone(),
                body: bodies.and_then(|bodies| bodies.keys().next().cloned()),
                is_open: operation.get("security").is_none(),
            });
        }
    }
    operations
}

impl Operation {
    /// The path with its parameters taken from `fields`, whose names have `Id` behind them or not.
    ///
    /// # Panics
    /// When a parameter is not among the fields.
    pub fn path(&self, fields: &mut Map<String, Value>) -> String {
        let mut path = String::new();
        for part in self.path.split('/').skip(1) {
            path.push('/');
            match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                Some(name) => {
                    let id = format!("{name}Id");
                    // Who gets a message is called so in its command.
                    let names = [id.as_str(), name, if name == "user" { "recipientId" } else { "" }];
                    let value = names.iter().find_map(|name| fields.remove(*name)).unwrap_or_default();
                    let text = value.as_str().unwrap_or_else(|| panic!("{}: no field {name}", self.name));
                    path += &encoded(text);
                }
                None => path += part,
            }
        }
        path
    }
}

/// A text as a part of a path or a query (RFC 3986, 2.1).
pub fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => encoded.push(char::from(byte)),
            false => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

/// Fields as a query: a list is its name repeated.
pub fn query(fields: &Map<String, Value>) -> String {
    let mut pairs = Vec::new();
    for (name, value) in fields {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            pairs.push(format!("{name}={}", encoded(&text)));
        }
    }
    pairs.join("&")
}
