//! What cannot change is replaced, and an import reads all that there is.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod scenarios;

use cfn_provider::HandlerErrorCode as Code;
use scenarios::{
    Scenario, assert_contains, changed, each,
    schema::{resolved, validator, words},
    visible,
};
use serde_json::{Value, json};

/// Another value of a string that a pattern may bind, or of a word or a flag.
fn others(at: &Value, value: &Value) -> Vec<Value> {
    match value {
        Value::String(text) => {
            let (head, last) = text.split_at(text.len() - 1);
            let spelled =
                ["b", "c", "2"].iter().filter(|other| **other != last).map(|other| json!(format!("{head}{other}")));
            words(at).into_iter().filter(|word| word != value).chain(spelled).collect()
        }
        Value::Bool(flag) => vec![json!(!flag)],
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn what_cannot_change_is_replaced() {
    for scenario in each().await {
        let Scenario { harness, full, emulator, .. } = &scenario;
        let schema = &harness.schema().json;
        let (name, validator) = (schema["typeName"].as_str().unwrap(), validator(&scenario));
        let created = harness.create(full).await.unwrap();
        let full = changed(full, "Id", &created["Id"]);
        let (mut replaced, mut made) = (Vec::new(), Vec::new());
        for pointer in schema["createOnlyProperties"].as_array().into_iter().flatten() {
            let pointer = pointer.as_str().unwrap().trim_start_matches("/properties");
            let Some(value) = full.pointer(pointer) else { continue };
            let mut at = schema;
            for part in pointer.split('/').skip(1) {
                at = resolved(schema, &resolved(schema, at)["properties"][part]);
            }
            let wanted = others(at, value).into_iter().find_map(|other| {
                let mut wanted = full.clone();
                *wanted.pointer_mut(pointer).unwrap() = other;
                validator.is_valid(&wanted).then_some(wanted)
            });
            let Some(wanted) = wanted else { continue };
            let before = emulator.requests().len();
            let failure = harness.update(&full, &wanted).await.unwrap_err();
            // Some are refused beside others, by a rule that comes first.
            let is_named =
                failure.message.contains(pointer.trim_start_matches('/')) || failure.code == Code::InvalidRequest;
            assert!(matches!(failure.code, Code::NotUpdatable | Code::InvalidRequest), "{name}{pointer}: {failure:?}");
            assert!(is_named, "{name}{pointer}: {failure:?}");
            let writes = emulator.requests().split_off(before).into_iter().filter(|request| request.method != "GET");
            assert_eq!(
                writes.filter(|request| request.path.starts_with("/subscriptions")).count(),
                0,
                "{name}{pointer}"
            );
            assert_eq!(harness.read(&created).await.unwrap(), created, "{name}{pointer}");
            replaced.push(pointer.to_owned());
            // CloudFormation makes the replacement first and deletes the old one then.
            let is_name = pointer.ends_with("Name") && failure.code == Code::NotUpdatable;
            if is_name && scenario.distinct.is_none() {
                let mut new = wanted.clone();
                new.as_object_mut().unwrap().remove("Id");
                let new = harness.create(&new).await.unwrap_or_else(|e| panic!("{name}{pointer}: {e:?}"));
                assert_ne!(new["Id"], created["Id"], "{name}{pointer}");
                assert_eq!(harness.read(&created).await.unwrap(), created, "{name}{pointer}");
                made.push(pointer.to_owned());
            }
        }
        println!("{name}: {replaced:?} not changed in place, replaced under {made:?}");
        assert!(!replaced.is_empty(), "{name} has nothing that replaces it");
    }
}

#[tokio::test]
async fn an_import_reads_all_and_then_writes_nothing() {
    for scenario in each().await {
        let Scenario { harness, full, emulator, .. } = &scenario;
        let name = harness.schema().json["typeName"].clone();
        let created = harness.create(full).await.unwrap();
        let read = harness.read(&json!({"Id": created["Id"]})).await.unwrap();
        assert_contains(&visible(&scenario, full), &read, "imported");
        let before = emulator.requests().len();
        let template = changed(&visible(&scenario, full), "Id", &created["Id"]);
        for (previous, desired) in [(&read, &read), (&read, &template), (&template, &template)] {
            let updated = harness.update(previous, desired).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
            assert_eq!(updated, read, "{name}");
        }
        let writes = emulator.requests().split_off(before).into_iter().filter(|request| request.method != "GET");
        let writes: Vec<String> = writes.map(|request| format!("{} {}", request.method, request.path)).collect();
        assert!(writes.iter().all(|write| write.ends_with("/token")), "{name}: {writes:?}");
    }
}
