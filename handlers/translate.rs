//! Between CloudFormation's models and ARM's JSON: pure functions that every type shares.

use azure_client::ResourceId;
use cfn_provider::{Change, Error, HandlerErrorCode, Request, Result, Tag};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// ARM's `camelCase` from CloudFormation's `PascalCase`, at every depth.
pub(crate) fn camel(value: Value) -> Value {
    rename(value, char::to_ascii_lowercase)
}

/// CloudFormation's `PascalCase` from ARM's `camelCase`, at every depth.
pub(crate) fn pascal(value: Value) -> Value {
    rename(value, char::to_ascii_uppercase)
}

fn rename(value: Value, first: fn(&char) -> char) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .filter(|(_, member)| !member.is_null())
                .map(|(key, member)| {
                    let mut chars = key.chars();
                    let key = chars.next().map(|c| first(&c)).into_iter().chain(chars).collect();
                    (key, rename(member, first))
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| rename(item, first)).collect()),
        other => other,
    }
}

/// A value as an object; anything else is an empty one.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A model from members that ARM answered. Members that the model does not have are ignored: ARM answers more than its
/// specification says.
///
/// # Errors
/// `InternalFailure` that names the resource, where a member has another type than the model's.
pub(crate) fn decode<T: DeserializeOwned>(id: &ResourceId, members: Map<String, Value>) -> Result<T> {
    serde_json::from_value(Value::Object(members)).map_err(|error| {
        let message = format!("Azure's answer for {id} does not have the expected shape: {error}");
        Error::new(HandlerErrorCode::InternalFailure, message)
    })
}

/// The id in ARM's answer, in canonical case.
///
/// # Errors
/// `InternalFailure` where the answer has none.
pub(crate) fn answered_id(body: &Value) -> Result<ResourceId> {
    body["id"].as_str().unwrap_or_default().parse().map_err(|error: azure_client::Error| {
        Error::new(HandlerErrorCode::InternalFailure, format!("Azure's answer has no usable id: {}", error.message))
    })
}

/// The body of a PATCH that brings `current` to `desired`, or `None` where nothing differs.
///
/// All are ARM bodies. A member of `previous` that `desired` no longer has was removed by the user: it goes back to
/// `defaults`, and stays as it is where that names none. A member of `properties` is sent whole or not at all, because
/// ARM replaces some of them whole; those in `whole` are taken from `desired` alone, with nothing of `current` in them.
pub(crate) fn patch(
    desired: &Value,
    previous: &Value,
    current: &Value,
    defaults: &Value,
    whole: &[&str],
) -> Option<Value> {
    let target = overlay(current, previous, desired, defaults, whole);
    let mut body = changed(&target, current);
    let properties = changed(&target["properties"], &current["properties"]);
    body.remove("properties");
    if !properties.is_empty() {
        body.insert("properties".into(), Value::Object(properties));
    }
    (!body.is_empty()).then_some(Value::Object(body))
}

fn changed(target: &Value, current: &Value) -> Map<String, Value> {
    target
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, value)| current.get(key.as_str()).unwrap_or(&Value::Null) != *value)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn overlay(current: &Value, previous: &Value, desired: &Value, defaults: &Value, whole: &[&str]) -> Value {
    let mut target = current.as_object().cloned().unwrap_or_default();
    for key in previous.as_object().into_iter().flat_map(Map::keys) {
        if let (None, Some(default)) = (desired.get(key), defaults.get(key)) {
            target.insert(key.clone(), default.clone());
        }
    }
    for (key, value) in desired.as_object().into_iter().flatten() {
        let member = match (target.get(key), value) {
            (Some(Value::Object(_)), Value::Object(_)) if !whole.contains(&key.as_str()) => {
                overlay(&current[key], &previous[key], value, defaults.get(key).unwrap_or(&Value::Null), whole)
            }
            _ => value.clone(),
        };
        target.insert(key.clone(), member);
    }
    Value::Object(target)
}

/// The tags of an ARM body as CloudFormation's list. ARM answers an empty map where there are none.
pub(crate) fn tags_from_azure(body: &Value) -> Vec<Tag> {
    Tag::list(serde_json::from_value(body["tags"].clone()).unwrap_or_default())
}

/// The tags that an update leaves on a resource ([`Request::updated_tags`]).
pub(crate) fn retagged<R>(
    request: &Request,
    desired: Option<&[Tag]>,
    change: &Change<R>,
    tags: fn(&R) -> Option<&[Tag]>,
) -> BTreeMap<String, String> {
    request.updated_tags(desired, tags(&change.previous), tags(&change.current))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn case_is_changed_at_every_depth_and_nulls_go() {
        let model = json!({"IsHnsEnabled": true, "NetworkAcls": {"IpRules": [{"Value": "a"}], "Bypass": null}});
        let azure = json!({"isHnsEnabled": true, "networkAcls": {"ipRules": [{"value": "a"}]}});
        assert_eq!(camel(model), azure);
        assert_eq!(pascal(azure), json!({"IsHnsEnabled": true, "NetworkAcls": {"IpRules": [{"Value": "a"}]}}));
    }

    #[test]
    fn a_patch_holds_what_changed_and_no_more() {
        let defaults = json!({"tags": {}, "properties": {"acl": {"rules": []}, "flag": false, "gone": null}});
        for (case, desired, previous, current, expected) in [
            ("same", json!({"properties": {"a": 1}}), json!({}), json!({"properties": {"a": 1, "b": 2}}), None),
            (
                "changed",
                json!({"properties": {"a": 2}}),
                json!({}),
                json!({"properties": {"a": 1}}),
                Some(json!({"properties": {"a": 2}})),
            ),
            ("new", json!({"sku": {"name": "x"}}), json!({}), json!({}), Some(json!({"sku": {"name": "x"}}))),
            ("never ours", json!({}), json!({}), json!({"properties": {"flag": true}}), None),
            (
                "removed below properties",
                json!({"properties": {}}),
                json!({"properties": {"flag": true, "gone": 1, "kept": 1}}),
                json!({"properties": {"flag": true, "gone": 1, "kept": 1}}),
                Some(json!({"properties": {"flag": false, "gone": null}})),
            ),
            (
                "whole member",
                json!({"properties": {"acl": {"action": "Deny"}}}),
                json!({"properties": {"acl": {"rules": [1]}}}),
                json!({"properties": {"acl": {"action": "Allow", "rules": [1], "other": 1}}}),
                Some(json!({"properties": {"acl": {"action": "Deny", "rules": [], "other": 1}}})),
            ),
            (
                "nothing of current",
                json!({"properties": {"one": {"a": 1}}}),
                json!({}),
                json!({"properties": {"one": {"b": 1}}}),
                Some(json!({"properties": {"one": {"a": 1}}})),
            ),
        ] {
            assert_eq!(patch(&desired, &previous, &current, &defaults, &["one"]), expected, "{case}");
        }
    }

    #[test]
    fn the_patch_applied_is_the_target_and_then_nothing_is_left_to_do() {
        let desired = json!({"tags": {"a": "1"}, "properties": {"acl": {"action": "Deny"}, "flag": true}});
        let current = json!({"tags": {}, "properties": {"acl": {"action": "Allow", "rules": []}, "b": 1}});
        let body = patch(&desired, &current, &current, &Value::Null, &[]).expect("they differ");
        let mut after = current.clone();
        after["tags"] = body["tags"].clone();
        for (key, value) in body["properties"].as_object().expect("properties changed") {
            after["properties"][key] = value.clone();
        }
        assert_eq!(patch(&desired, &current, &after, &Value::Null, &[]), None);
    }
}
