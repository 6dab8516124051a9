//! What two bodies say differently.

use serde_json::Value;

/// A member of one value that another lacks or contradicts.
pub(crate) struct Leaf {
    pub(crate) pointer: String,
    pub(crate) value: Value,
    /// It says what was so before.
    pub(crate) is_unchanged: bool,
}

impl Leaf {
    pub(crate) fn is_within(&self, known: &str) -> bool {
        self.pointer == known || self.pointer.strip_prefix(known).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// The leaves of `expected` that `actual` lacks or contradicts; lists are compared as sets.
pub(crate) fn differences(expected: &Value, actual: &Value, before: &Value) -> Vec<Leaf> {
    fn walk(expected: &Value, actual: &Value, before: &Value, pointer: &str, found: &mut Vec<Leaf>) {
        match expected {
            Value::Object(members) if !members.is_empty() => {
                for (key, value) in members {
                    walk(value, &actual[key], &before[key], &format!("{pointer}/{key}"), found);
                }
            }
            _ if same(expected, actual) || is_spelling(pointer, expected, actual) => {}
            _ => {
                let is_unchanged = same(expected, before);
                found.push(Leaf { pointer: pointer.into(), value: expected.clone(), is_unchanged });
            }
        }
    }
    let mut found = Vec::new();
    walk(expected, actual, before, "", &mut found);
    // Nothing is nothing, be it null, empty or left out; where something was before, an empty value takes it away.
    found.retain(|leaf| !(leaf.is_unchanged && is_empty(&leaf.value)));
    found
}

/// Azure takes its own words in any case, and clients make use of that.
fn is_spelling(pointer: &str, a: &Value, b: &Value) -> bool {
    let is_word = !pointer.contains("/tags/") && !pointer.contains("/metadata/");
    is_word && a.as_str().zip(b.as_str()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        other => other.is_null(),
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().all(|item| b.iter().any(|other| same(item, other)))
        }
        (Value::Object(x), Value::Object(y)) => x.keys().chain(y.keys()).all(|key| same(&a[key], &b[key])),
        _ => a == b || (is_empty(a) && is_empty(b)),
    }
}
