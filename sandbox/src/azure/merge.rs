//! How Azure puts a change into a document.

use serde_json::Value;

/// Members of `change` replace those of `document`; objects are merged member by member; null means not sent.
pub(super) fn merge(document: &mut Value, change: &Value) {
    match (document, change) {
        (_, Value::Null) => {}
        (Value::Object(document), Value::Object(change)) => {
            for (name, value) in change {
                merge(document.entry(name).or_insert(Value::Null), value);
            }
            // A null member that was never there must not appear.
            document.retain(|_, value| !value.is_null());
        }
        (document, change) => *document = change.clone(),
    }
}

/// The member of a closed set that `value` spells in any casing.
pub(super) fn spelled(value: &str, allowed: &[&'static str]) -> Option<&'static str> {
    allowed.iter().copied().find(|candidate| candidate.eq_ignore_ascii_case(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merges_as_azure_does() {
        let table = [
            (json!({"a": 1}), json!({"b": 2}), json!({"a": 1, "b": 2})),
            (json!({"a": 1}), json!({"a": 2}), json!({"a": 2})),
            (json!({"a": 1}), json!({"a": null}), json!({"a": 1})),
            (json!({"a": 1}), json!({"b": null}), json!({"a": 1})),
            (json!({"a": [1, 2]}), json!({"a": []}), json!({"a": []})),
            (json!({"a": {"b": 1, "c": 2}}), json!({"a": {"c": 3}}), json!({"a": {"b": 1, "c": 3}})),
            (json!({"a": {"b": 1}}), json!({"a": "x"}), json!({"a": "x"})),
            (json!({"a": "x"}), json!({"a": {"b": 1}}), json!({"a": {"b": 1}})),
        ];
        for (before, change, after) in table {
            let mut document = before.clone();
            merge(&mut document, &change);
            assert_eq!(document, after, "{before} + {change}");
        }
    }

    #[test]
    fn merging_twice_is_merging_once() {
        let change = json!({"p": {"x": 1, "y": {"z": []}}, "q": null});
        let mut once = json!({"p": {"w": 0}});
        merge(&mut once, &change);
        let mut twice = once.clone();
        merge(&mut twice, &change);
        assert_eq!(once, twice);
    }

    #[test]
    fn spelling_is_azures() {
        assert_eq!(spelled("blob", &["None", "Blob"]), Some("Blob"));
        assert_eq!(spelled("blobs", &["None", "Blob"]), None);
    }
}
