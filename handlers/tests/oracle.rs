//! The published SDK as the compiled specification: what we send to Microsoft.Storage are requests it could have sent.
//!
//! A member that the specification does not have, that is misspelled or whose value is of another type does not come
//! back from the SDK's model unchanged.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod scenarios;

use azure_mgmt_storage::package_2023_05::models::{
    BlobContainer, BlobServiceProperties, ImmutabilityPolicy, LegalHold, ObjectReplicationPolicy,
    StorageAccountCreateParameters, StorageAccountUpdateParameters,
};
use cfn_provider::Resource;
use handlers::{REGISTRY, storage};
use sandbox::azure::Recorded;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;

/// What the SDK makes of a body.
fn through<T: Serialize + DeserializeOwned>(body: &Value) -> Result<Value, serde_json::Error> {
    serde_json::from_value::<T>(body.clone()).and_then(serde_json::to_value)
}

/// The request's kind and what the SDK makes of it; `None` for a request of another provider.
fn judged(request: &Recorded) -> Option<(String, Result<Value, serde_json::Error>)> {
    let words: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    let body = request.body.as_ref().filter(|_| words.get(5) == Some(&"Microsoft.Storage"))?;
    let body = &known(body);
    let (what, result) = match (request.method.as_str(), &words[6..]) {
        ("PUT", ["storageAccounts", _]) => ("account", through::<StorageAccountCreateParameters>(body)),
        ("PATCH", ["storageAccounts", _]) => ("account", through::<StorageAccountUpdateParameters>(body)),
        ("PUT" | "PATCH", ["storageAccounts", _, "blobServices", "default", "containers", _]) => {
            ("container", through::<BlobContainer>(body))
        }
        ("PUT", ["storageAccounts", _, "blobServices", "default"]) => {
            ("blob service", through::<BlobServiceProperties>(body))
        }
        ("PUT", [.., "immutabilityPolicies", "default"]) => {
            ("immutability policy", through::<ImmutabilityPolicy>(body))
        }
        ("PUT", ["storageAccounts", _, "objectReplicationPolicies", _]) => {
            ("object replication policy", through::<ObjectReplicationPolicy>(body))
        }
        ("POST", [.., "containers", _, action @ ("setLegalHold" | "clearLegalHold")]) => {
            (*action, through::<LegalHold>(body))
        }
        other => panic!("the oracle has no model for {other:?}"),
    };
    Some((format!("{} {what}", request.method), result))
}

/// Without what is younger than the SDK.
fn known(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(Value::Object(properties)) = body.get_mut("properties") {
        let younger = ["staticWebsite", "metrics", "priorityReplication", "tagsReplication"];
        properties.retain(|name, _| !younger.contains(&name.as_str()));
    }
    body
}

/// What the SDK cannot say: it leaves out empty lists, and nulls, which clear a member.
fn without_nothings(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(_, value)| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()))
            .map(|(key, value)| (key.clone(), without_nothings(value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_nothings).collect(),
        other => other.clone(),
    }
}

#[tokio::test]
async fn the_sdk_could_have_sent_what_we_send() {
    let mut counts = BTreeMap::new();
    let types = [
        storage::storage_account::StorageAccount::TYPE_NAME,
        storage::blob_container::BlobContainer::TYPE_NAME,
        storage::blob_service::BlobService::TYPE_NAME,
        storage::immutability_policy::ImmutabilityPolicy::TYPE_NAME,
        storage::object_replication_policy::ObjectReplicationPolicy::TYPE_NAME,
    ];
    for entry in REGISTRY.iter().filter(|entry| types.contains(&entry.type_name)) {
        let scenario = scenarios::of(entry).await.unwrap();
        let (harness, minimal) = (&scenario.harness, &scenario.minimal);
        let mut current = harness.create(&scenario.full).await.unwrap();
        for (name, value) in scenario.updates.as_object().unwrap() {
            let mut wanted = current.clone();
            wanted[name] = value.clone();
            current = harness.update(&current, &wanted).await.unwrap();
        }
        // Everything that can be taken back at once.
        let mut least = minimal.clone();
        for name in ["Id", "Encryption", "Sku"] {
            least[name] = current[name].clone();
        }
        least.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        harness.update(&current, &least).await.unwrap();
        if !scenario.one_per_parent {
            harness.create(minimal).await.unwrap();
        }

        for request in scenario.emulator.requests() {
            let Some((what, result)) = judged(&request) else { continue };
            let body = &known(request.body.as_ref().unwrap());
            let result = result.unwrap_or_else(|error| panic!("{what}: the SDK does not understand {body}: {error}"));
            assert_eq!(without_nothings(&result), without_nothings(body), "{what}");
            *counts.entry(what).or_insert(0) += 1;
        }
    }
    println!("bodies that went through the SDK unchanged: {counts:#?}");
    let kinds: Vec<&str> = counts.keys().map(String::as_str).collect();
    let expected = [
        "PATCH account",
        "PATCH container",
        "POST clearLegalHold",
        "POST setLegalHold",
        "PUT account",
        "PUT blob service",
        "PUT container",
        "PUT immutability policy",
        "PUT object replication policy",
    ];
    assert_eq!(kinds, expected);
}
