//! Fields of JSON that anyone may have written: a field of another type is kept, to be named in an error.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::pipeline::EventError;

/// A field of a record.
#[derive(Debug, Default)]
pub enum Field<T> {
    #[default]
    Missing,
    Present(T),
    /// A value of another type.
    Other(Value),
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(T::deserialize(&value).map_or_else(|_| Self::Other(value), Self::Present))
    }
}

impl<T> Field<T> {
    /// Returns the value if there is one of the right type.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Missing | Self::Other(_) => None,
        }
    }
}

impl<T: Default> Field<T> {
    /// Returns the value; without one, the value that has no fields.
    pub fn or_default(self) -> T {
        self.value().unwrap_or_default()
    }
}

impl Field<String> {
    /// Returns a text that is not empty.
    pub fn text(self) -> Option<String> {
        self.value().filter(|text| !text.is_empty())
    }

    /// Returns a valid text.
    ///
    /// # Errors
    /// [`EventError::Field`], which names the record, the path of the field, what it is, and what it should be.
    pub fn require(
        self,
        index: usize,
        field: &'static str,
        want: &'static str,
        is_valid: impl Fn(&str) -> bool,
    ) -> Result<String, EventError> {
        let seen = match self {
            Self::Present(text) if is_valid(&text) => return Ok(text),
            Self::Present(text) => describe(&Value::String(text)),
            Self::Other(value) => describe(&value),
            Self::Missing => "missing".into(),
        };
        Err(EventError::Field { index, field, seen, want })
    }
}

/// Describes a value briefly.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Object(fields) if fields.is_empty() => "an empty object".into(),
        Value::Object(fields) => {
            let names: Vec<_> = fields.keys().take(5).map(String::as_str).collect();
            let more = if fields.len() > names.len() { ", ..." } else { "" };
            format!("an object with {}{more}", names.join(", "))
        }
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::String(text) => format!("{:?}", text.chars().take(80).collect::<String>()),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
