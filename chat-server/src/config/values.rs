//! What was given for each key, and by what.

use std::{collections::BTreeMap, ops::RangeInclusive, str::FromStr};

use toml::{Table, Value};

use super::{
    ConfigError,
    keys::{KEYS, is_section, nearest, variable},
};

/// Raw values by key; the latest source wins.
#[derive(Default)]
pub(super) struct Values {
    given: BTreeMap<&'static str, Given>,
}

struct Given {
    source: String,
    raw: Raw,
}

enum Raw {
    /// From a file, which knows types.
    Typed(Value),
    /// From an environment variable or a flag, which do not.
    Text(String),
}

impl Values {
    /// Adds the text of a file.
    pub(super) fn add_file(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let table: Table = toml::from_str(text).map_err(|error| {
            // The parser's own display shows the line, which may hold a secret.
            let line =
                error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            ConfigError(format!("{name}, line {line}: {}", error.message().replace('\n', " ")))
        })?;
        self.add_table(name, "", table)
    }

    fn add_table(&mut self, source: &str, prefix: &str, table: Table) -> Result<(), ConfigError> {
        for (name, value) in table {
            let path = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match (KEYS.iter().find(|key| **key == path), value) {
                (Some(key), value) => {
                    self.given.insert(key, Given { source: source.into(), raw: Raw::Typed(value) });
                }
                (None, Value::Table(inner)) if is_section(&path) || !inner.is_empty() => {
                    self.add_table(source, &path, inner)?;
                }
                (None, _) if is_section(&path) => {
                    return Err(ConfigError(format!("{source}: `{path}` is a section, write [{path}]")));
                }
                (None, _) => {
                    let hint =
                        nearest(&path).map(|key| format!("; did you mean `{key}`?")).unwrap_or_default();
                    return Err(ConfigError(format!("{source}: unknown key `{path}`{hint}")));
                }
            }
        }
        Ok(())
    }

    /// Adds the variables that are ours. Returns what is to be said about those that look like ours but are not.
    pub(super) fn add_environment(&mut self, environment: BTreeMap<String, String>) -> Vec<String> {
        let mut warnings = Vec::new();
        for (name, text) in environment.into_iter().filter(|(name, _)| name.starts_with("CHAT_")) {
            if let Some(key) = KEYS.iter().find(|key| variable(key) == name) {
                self.given.insert(key, Given { source: name, raw: Raw::Text(text) });
            } else {
                let path = name["CHAT_".len()..].to_ascii_lowercase().replace("__", ".");
                let hint = nearest(&path)
                    .map(|key| format!("; did you mean {}?", variable(key)))
                    .unwrap_or_default();
                warnings.push(format!("unknown environment variable {name} is ignored{hint}"));
            }
        }
        warnings
    }

    /// Sets one key.
    pub(super) fn set(&mut self, key: &'static str, source: &str, text: String) {
        self.given.insert(key, Given { source: source.into(), raw: Raw::Text(text) });
    }

    /// The text given for a key.
    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, ConfigError> {
        match self.given.get(key).map(|given| &given.raw) {
            None => Ok(None),
            Some(Raw::Text(text) | Raw::Typed(Value::String(text))) => Ok(Some(text)),
            Some(Raw::Typed(_)) => Err(self.error(key, "text")),
        }
    }

    /// The text given for a key, parsed.
    pub(super) fn parsed<T: FromStr>(&self, key: &str, expected: &str) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|_| self.error(key, expected))
    }

    /// The whole number given for a key, or else `default`.
    pub(super) fn number<N>(
        &self,
        key: &str,
        range: RangeInclusive<i64>,
        default: N,
    ) -> Result<N, ConfigError>
    where
        N: TryFrom<i64>,
    {
        let given = match self.given.get(key).map(|given| &given.raw) {
            None => return Ok(default),
            Some(Raw::Typed(Value::Integer(number))) => Some(*number),
            Some(Raw::Typed(_)) => None,
            Some(Raw::Text(text)) => text.trim().parse().ok(),
        };
        given.filter(|number| range.contains(number)).and_then(|number| N::try_from(number).ok()).ok_or_else(
            || self.error(key, &format!("a whole number from {} to {}", range.start(), range.end())),
        )
    }

    /// True or false as given for a key; else false.
    pub(super) fn flag(&self, key: &str) -> Result<bool, ConfigError> {
        let given = match self.given.get(key).map(|given| &given.raw) {
            None => return Ok(false),
            Some(Raw::Typed(Value::Boolean(flag))) => Some(*flag),
            Some(Raw::Typed(_)) => None,
            Some(Raw::Text(text)) => text.trim().parse().ok(),
        };
        given.ok_or_else(|| self.error(key, "true or false"))
    }

    /// The list given for a key; in the environment, its items are parted by commas.
    pub(super) fn list(&self, key: &str) -> Result<Option<Vec<String>>, ConfigError> {
        let items = match self.given.get(key).map(|given| &given.raw) {
            None => return Ok(None),
            Some(Raw::Text(text)) => Some(
                text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect(),
            ),
            Some(Raw::Typed(Value::Array(items))) => {
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
            }
            Some(Raw::Typed(_)) => None,
        };
        items.map(Some).ok_or_else(|| self.error(key, "a list of texts"))
    }

    /// That what was given for `key` is not what was expected.
    pub(super) fn error(&self, key: &str, expected: &str) -> ConfigError {
        let source = self.given.get(key).map_or("default", |given| given.source.as_str());
        ConfigError(format!("`{key}` ({source}): expected {expected}"))
    }
}
