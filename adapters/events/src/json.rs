//! JSON that is put together member by member. Nothing can be put in here that has no form in JSON, so that making a message
//! cannot fail.

use serde_json::{Map, Value};

/// An object; its members stand in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Object(Map<String, Value>);

impl Object {
    fn with(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// With a text.
    pub(crate) fn text(self, name: &str, text: &impl ToString) -> Self {
        self.with(name, Value::String(text.to_string()))
    }

    /// With a text, if there is one.
    pub(crate) fn text_if_any(self, name: &str, text: Option<&impl ToString>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// With a number.
    pub(crate) fn number(self, name: &str, number: u32) -> Self {
        self.with(name, Value::from(number))
    }

    /// With another object.
    pub(crate) fn object(self, name: &str, object: Self) -> Self {
        self.with(name, Value::Object(object.0))
    }

    /// The document.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        Value::Object(self.0).to_string().into_bytes()
    }
}
