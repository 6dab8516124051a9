//! Operations on a model as JSON, led by its schema: what CloudFormation's wire does to values, undone and checked.

use crate::schema::TypeSchema;
use serde_json::{Map, Number, Value};

/// Gives values their schema's type back (CloudFormation recasts every primitive to a string) and drops nulls.
pub(crate) fn coerce(schema: &TypeSchema, model: &mut Value) {
    coerce_at(schema, &schema.json, model);
}

fn coerce_at(schema: &TypeSchema, at: &Value, value: &mut Value) {
    let at = schema.resolve(at);
    match value {
        Value::Object(map) => {
            map.retain(|_, member| !member.is_null());
            for (name, member) in map {
                coerce_at(schema, member_schema(at, name), member);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| coerce_at(schema, &at["items"], item)),
        Value::String(text) => match at["type"].as_str() {
            Some("boolean") => {
                if let Ok(boolean) = text.parse() {
                    *value = Value::Bool(boolean);
                }
            }
            Some("integer" | "number") => {
                if let Ok(number) = text.parse::<Number>() {
                    *value = Value::Number(number);
                }
            }
            _ => {}
        },
        Value::Number(_) | Value::Bool(_) if at["type"] == "string" => *value = Value::String(value.to_string()),
        _ => {}
    }
}

fn member_schema<'a>(at: &'a Value, name: &str) -> &'a Value {
    at["properties"]
        .get(name)
        .or_else(|| at["patternProperties"].as_object().and_then(|patterns| patterns.values().next()))
        .unwrap_or(&Value::Null)
}

/// Drops every null member: a model's absent properties do not exist on CloudFormation's wire.
pub(crate) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter().filter(|(_, member)| !member.is_null()).map(|(k, v)| (k, without_nulls(v))).collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// Removes what the pointers of a schema (`/properties/A/B`) name.
pub(crate) fn strip(model: &mut Value, pointers: &[String]) {
    for pointer in pointers {
        let path: Vec<&str> = pointer.trim_start_matches("/properties/").split('/').collect();
        strip_path(model, &path);
    }
}

fn strip_path(value: &mut Value, path: &[&str]) {
    match (value, path) {
        (Value::Object(map), [name]) => {
            map.remove(*name);
        }
        (Value::Object(map), [name, rest @ ..]) => {
            if let Some(member) = map.get_mut(*name) {
                strip_path(member, rest);
            }
        }
        (Value::Array(items), ["*", rest @ ..]) => items.iter_mut().for_each(|item| strip_path(item, rest)),
        _ => {}
    }
}

/// What a schema's pointer names in a model.
pub(crate) fn lookup<'a>(model: &'a Value, pointer: &str) -> Option<&'a Value> {
    model.pointer(pointer.trim_start_matches("/properties"))
}

/// Where a value still is a dynamic reference that CloudFormation should have resolved.
pub(crate) fn unresolved(model: &Value) -> Option<String> {
    match model {
        Value::String(text) if text.contains("{{resolve:") => Some(String::new()),
        Value::Object(map) => map.iter().find_map(|(name, member)| Some(format!("/{name}{}", unresolved(member)?))),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| Some(format!("/{index}{}", unresolved(item)?)))
        }
        _ => None,
    }
}

/// The pointers at which `actual` lacks or contradicts `desired`; members that only `actual` has do not count.
///
/// Arrays without insertion order are compared as sets, the tag property as a subset (a stack's or a policy's tags may
/// join it), and strings without case where nothing else differs: services normalise case.
pub(crate) fn difference(schema: &TypeSchema, desired: &Value, actual: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(schema, &schema.json, desired, actual, &mut String::new(), &mut found);
    found
}

fn compare(
    schema: &TypeSchema,
    at: &Value,
    desired: &Value,
    actual: &Value,
    path: &mut String,
    found: &mut Vec<String>,
) {
    let at = schema.resolve(at);
    match (desired, actual) {
        (Value::Object(desired), Value::Object(actual)) => {
            for (name, member) in desired {
                let length = path.len();
                path.push('/');
                path.push_str(name);
                match actual.get(name) {
                    Some(other) => compare(schema, member_schema(at, name), member, other, path, found),
                    None => found.push(path.clone()),
                }
                path.truncate(length);
            }
        }
        (Value::Array(desired), Value::Array(actual)) => {
            let same = |a: &Value, b: &Value| {
                let mut inner = Vec::new();
                compare(schema, &at["items"], a, b, &mut String::new(), &mut inner);
                inner.is_empty()
            };
            let subset = schema.tag_property.as_deref() == Some(path.as_str());
            let equal = if at["insertionOrder"] == false {
                desired.iter().all(|item| actual.iter().any(|other| same(item, other)))
                    && (subset || actual.iter().all(|other| desired.iter().any(|item| same(item, other))))
            } else {
                desired.len() == actual.len() && desired.iter().zip(actual).all(|(a, b)| same(a, b))
            };
            if !equal {
                found.push(path.clone());
            }
        }
        (Value::String(desired), Value::String(actual)) if desired.eq_ignore_ascii_case(actual) => {}
        (desired, actual) if desired == actual => {}
        _ => found.push(path.clone()),
    }
}

/// Gives strings of `actual` that differ from `desired` by case alone the template's spelling back.
pub(crate) fn respell(desired: &Value, actual: &mut Value) {
    match (desired, actual) {
        (Value::Object(desired), Value::Object(actual)) => {
            for (name, member) in desired {
                if let Some(other) = actual.get_mut(name) {
                    respell(member, other);
                }
            }
        }
        (Value::Array(desired), Value::Array(actual)) => {
            for other in actual {
                if let Some(item) = desired.iter().find(|item| equal_but_for_case(item, other)) {
                    *other = item.clone();
                }
            }
        }
        (Value::String(desired), Value::String(actual)) if desired.eq_ignore_ascii_case(actual) => {
            actual.clone_from(desired);
        }
        _ => {}
    }
}

/// Gives values of `actual` that were normalised on purpose the template's form back: `normalized` is what the type makes
/// of `desired`.
pub(crate) fn restore(desired: &Value, normalized: &Value, actual: &mut Value) {
    match (desired, normalized, actual) {
        (Value::Object(desired), Value::Object(normalized), Value::Object(actual)) => {
            for (name, member) in desired {
                if let (Some(normal), Some(other)) = (normalized.get(name), actual.get_mut(name)) {
                    restore(member, normal, other);
                }
            }
        }
        (desired, normalized, actual) if desired != normalized => actual.clone_from(desired),
        _ => {}
    }
}

fn equal_but_for_case(a: &Value, b: &Value) -> bool {
    a.to_string().eq_ignore_ascii_case(&b.to_string())
}

/// A model as a map; anything else is an empty one.
pub(crate) fn into_object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> TypeSchema {
        TypeSchema::from_json(json!({
            "definitions": {"Tag": {"type": "object", "properties": {"Key": {"type": "string"}, "On": {"type": "boolean"}}}},
            "properties": {
                "Flag": {"type": "boolean"}, "Count": {"type": "integer"}, "Ratio": {"type": "number"}, "Name": {"type": "string"},
                "Set": {"type": "array", "insertionOrder": false, "items": {"type": "string"}},
                "Row": {"type": "array", "insertionOrder": true, "items": {"type": "integer"}},
                "Tags": {"type": "array", "insertionOrder": false, "items": {"$ref": "#/definitions/Tag"}},
                "Map": {"type": "object", "patternProperties": {".*": {"type": "boolean"}}}
            },
            "tagging": {"taggable": true, "tagProperty": "/properties/Tags"}
        }))
    }

    #[test]
    fn coercion_follows_the_schema() {
        let mut model = json!({
            "Flag": "true", "Count": "5", "Ratio": "0.5", "Name": 7, "Row": ["1", 2], "Map": {"k": "false"},
            "Tags": [{"Key": true, "On": "false"}], "Gone": null, "Unknown": "1"
        });
        coerce(&schema(), &mut model);
        assert_eq!(
            model,
            json!({"Flag": true, "Count": 5, "Ratio": 0.5, "Name": "7", "Row": [1, 2], "Map": {"k": false},
                   "Tags": [{"Key": "true", "On": false}], "Unknown": "1"})
        );
        let mut wrong = json!({"Flag": "yes", "Count": "five"});
        coerce(&schema(), &mut wrong);
        assert_eq!(wrong, json!({"Flag": "yes", "Count": "five"}), "what does not parse is left for validation");
    }

    #[test]
    fn differences_are_named_by_pointer() {
        for (desired, actual, expected) in [
            (json!({"Name": "a"}), json!({"Name": "A", "Flag": true}), vec![]),
            (json!({"Name": "a"}), json!({}), vec!["/Name"]),
            (json!({"Set": ["a", "b"]}), json!({"Set": ["b", "a"]}), vec![]),
            (json!({"Set": ["a"]}), json!({"Set": ["b", "a"]}), vec!["/Set"]),
            (json!({"Row": [1, 2]}), json!({"Row": [2, 1]}), vec!["/Row"]),
            (json!({"Tags": [{"Key": "a"}]}), json!({"Tags": [{"Key": "stack"}, {"Key": "a"}]}), vec![]),
            (
                json!({"Map": {"k": true}, "Count": 1}),
                json!({"Map": {"k": false}, "Count": 2}),
                vec!["/Map/k", "/Count"],
            ),
        ] {
            assert_eq!(difference(&schema(), &desired, &actual), expected, "{desired} against {actual}");
        }
    }

    #[test]
    fn the_template_s_spelling_wins() {
        let mut actual = json!({"Name": "BLOB", "Set": ["X", "y"], "Count": 1});
        respell(&json!({"Name": "Blob", "Set": ["x"]}), &mut actual);
        assert_eq!(actual, json!({"Name": "Blob", "Set": ["x", "y"], "Count": 1}));
    }

    #[test]
    fn the_template_s_form_comes_back_where_it_was_normalised() {
        let desired = json!({"A": {"B": "x.", "C": 1}, "L": ["b", "a"], "Same": "s"});
        let normalized = json!({"A": {"B": "x", "C": 1}, "L": ["a", "b"], "Same": "s"});
        let mut actual = json!({"A": {"B": "x", "C": 1, "D": 2}, "L": ["a", "b"], "Same": "S", "More": true});
        restore(&desired, &normalized, &mut actual);
        assert_eq!(actual, json!({"A": {"B": "x.", "C": 1, "D": 2}, "L": ["b", "a"], "Same": "S", "More": true}));
    }

    #[test]
    fn stripping_reaches_into_arrays() {
        let mut model = json!({"A": {"B": 1, "C": 2}, "L": [{"S": 1, "T": 2}], "W": 1});
        strip(
            &mut model,
            &["/properties/A/B", "/properties/L/*/S", "/properties/W", "/properties/Absent/X"].map(Into::into),
        );
        assert_eq!(model, json!({"A": {"C": 2}, "L": [{"T": 2}]}));
    }

    #[test]
    fn unresolved_references_are_found() {
        assert_eq!(unresolved(&json!({"A": [{"B": "{{resolve:ssm:x}}"}]})).as_deref(), Some("/A/0/B"));
        assert_eq!(unresolved(&json!({"A": ["plain"]})), None);
    }
}
