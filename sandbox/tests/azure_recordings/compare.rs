//! What an answer of the emulator's has that Azure's has not, and the other way round.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{ACCOUNT, Answer, EXCEPTIONS, kind, text};

/// The differences in status, code, `Location` and shape; those that are known are added to `excused`.
pub(super) fn compare(interaction: &Value, answer: &Answer, excused: &mut BTreeSet<&'static str>) -> Vec<String> {
    let expected = interaction["status"].as_u64().unwrap() as u16;
    let code = |body: &Value| body["error"]["code"].as_str().unwrap_or_default().to_owned();
    let recorded = &interaction["response_body"];
    if answer.status != expected || code(&answer.body) != code(recorded) {
        return vec![format!(
            "status {} {}, Azure said {expected} {}",
            answer.status,
            code(&answer.body),
            code(recorded)
        )];
    }
    let mut differences = Vec::new();
    if answer.has_location != interaction["headers"]["location"].is_string() {
        differences.push(format!("Location header {}", answer.has_location));
    }
    let (ours, theirs) = (shape(&answer.body), shape(recorded));
    for (pointer, word) in ours
        .difference(&theirs)
        .map(|at| (at, "is not at Azure"))
        .chain(theirs.difference(&ours).map(|at| (at, "is missing")))
    {
        // The result of an operation is an account.
        let kind = kind(text(interaction, "path")).replace("asyncoperations", ACCOUNT);
        match EXCEPTIONS.iter().find(|(of, pattern, _)| *of == kind && fits(pattern, &pointer.0)) {
            Some((_, pattern, _)) => _ = excused.insert(pattern),
            None => differences.push(format!("{} ({}) {word}", pointer.0, pointer.1)),
        }
    }
    differences
}

fn fits(pattern: &str, pointer: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == pointer,
        Some((start, end)) => pointer.starts_with(start) && pointer[start.len()..].contains(end),
    }
}

/// Every pointer with the type found there; the items of an array count as one.
fn shape(value: &Value) -> BTreeSet<(String, &'static str)> {
    fn walk(value: &Value, pointer: &str, shape: &mut BTreeSet<(String, &'static str)>) {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(items) => {
                items.iter().for_each(|item| walk(item, &format!("{pointer}/-"), shape));
                "array"
            }
            Value::Object(members) => {
                members.iter().for_each(|(name, value)| walk(value, &format!("{pointer}/{name}"), shape));
                "object"
            }
        };
        shape.insert((pointer.into(), kind));
    }
    let mut found = BTreeSet::new();
    walk(value, "", &mut found);
    found
}
