//! What the suites read in a type's schema to make other models of it.

use super::Scenario;
use serde_json::Value;

/// The schema at `at`, references followed.
pub(crate) fn resolved<'a>(schema: &'a Value, at: &'a Value) -> &'a Value {
    match at["$ref"].as_str() {
        Some(name) => &schema["definitions"][name.rsplit('/').next().unwrap()],
        None => at,
    }
}

/// The words of an enumeration, or of a pattern that is one.
pub(crate) fn words(at: &Value) -> Vec<Value> {
    if let Some(words) = at["enum"].as_array() {
        return words.clone();
    }
    let pattern = at["pattern"].as_str().unwrap_or_default();
    let inner = pattern.strip_prefix("^(").and_then(|rest| rest.strip_suffix(")$")).unwrap_or_default();
    match inner.contains('|') && inner.chars().all(|c| c.is_ascii_alphanumeric() || c == '|') {
        true => inner.split('|').map(Value::from).collect(),
        false => Vec::new(),
    }
}

/// What a model of the type is checked by.
pub(crate) fn validator(scenario: &Scenario) -> jsonschema::Validator {
    let mut schema = scenario.harness.schema().json.clone();
    schema["type"] = "object".into();
    jsonschema::draft7::new(&schema).unwrap()
}
