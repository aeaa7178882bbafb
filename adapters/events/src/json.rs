//! JSON that is put together member by member. Nothing that can be put in here has no form in JSON, so that making a message
//! cannot fail.

use serde_json::Value;

/// An object with these members in this order; those that are absent are left out.
pub(crate) fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let there = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect())
}

/// A member that is a text.
pub(crate) fn text(text: impl ToString) -> Option<Value> {
    Some(Value::String(text.to_string()))
}

/// A member that is a number.
pub(crate) fn number(number: u32) -> Option<Value> {
    Some(Value::from(number))
}
