#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use super::*;
use cfn_provider::testing::Harness;
use serde_json::{Value, json};
use std::{env, process};

fn harness(test: &str) -> Harness {
    let folder = env::temp_dir().join(format!("widget-{}-{test}", process::id()));
    let _ = fs::remove_dir_all(&folder);
    Harness::new::<Widget>(json!({"Directory": folder}))
}

#[tokio::test]
async fn a_widget_lives() {
    let harness = harness("lives");
    let template = json!({"Name": "lives", "Text": "hello", "Tags": [{"Key": "k", "Value": "v"}]});
    let created = harness.create(&template).await.unwrap();
    assert_eq!(created["Revision"], 1);
    assert_eq!(harness.read(&created).await.unwrap(), created);
    assert_eq!(harness.create(&template).await.unwrap_err().code, HandlerErrorCode::AlreadyExists);

    let changed = json!({"Name": "lives", "Text": "goodbye"});
    let updated = harness.update(&template, &changed).await.unwrap();
    assert_eq!(updated["Revision"], 2);
    assert_eq!(harness.list(&json!({})).await.unwrap(), std::slice::from_ref(&updated));

    harness.delete(&updated).await.unwrap();
    assert_eq!(harness.read(&updated).await.unwrap_err().code, HandlerErrorCode::NotFound);
}

#[tokio::test]
async fn lists_have_pages() {
    let harness = harness("pages");
    for number in 0..205 {
        harness.create(&json!({"Name": format!("w{number:03}"), "Text": "x"})).await.unwrap();
    }
    let names: Vec<Value> = harness.list(&json!({})).await.unwrap().iter().map(|model| model["Name"].clone()).collect();
    assert_eq!((names.len(), &names[0], &names[204]), (205, &json!("w000"), &json!("w204")));
}

#[tokio::test]
async fn a_name_cannot_leave_the_folder() {
    let harness = harness("escape");
    let refused = harness.create(&json!({"Name": "../x", "Text": "x"})).await.unwrap_err();
    assert_eq!(refused.code, HandlerErrorCode::InvalidRequest);
    assert_eq!(harness.read(&json!({"Name": "../x"})).await.unwrap_err().code, HandlerErrorCode::NotFound);
}

#[test]
fn the_schema_is_the_types() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/example-demo-widget.json");
    let generated = serde_json::to_string_pretty(&harness("schema").schema().json).unwrap() + "\n";
    if env::var_os("UPDATE_GOLDENS").is_some() {
        fs::write(file, &generated).unwrap();
    }
    assert_eq!(fs::read_to_string(file).unwrap(), generated, "UPDATE_GOLDENS=1 writes it again");
}

#[test]
fn the_type_has_less_than_150_lines() {
    assert!(include_str!("../widget.rs").lines().count() < 150);
}
