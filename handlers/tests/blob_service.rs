//! The blob service of an account: adopted, changed without loss, set back, and held against recorded traffic.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod scenarios;

use cfn_provider::{Action, HandlerErrorCode as Code, testing::Harness};
use handlers::storage::{blob_service::BlobService, storage_account::StorageAccount};
use sandbox::azure::{Emulator, Fault, Match, Options, Shape};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const KIND: &str = "Microsoft.Storage/storageAccounts/blobServices";

struct Azure {
    emulator: Emulator,
    harness: Harness,
    account: String,
}

impl Azure {
    async fn new() -> Self {
        let emulator = Emulator::start(Options::default()).await.unwrap();
        let account = scenarios::account(&emulator).await;
        let harness = Harness::new::<BlobService>(emulator.type_configuration());
        Self { emulator, harness, account }
    }

    fn id(&self) -> String {
        format!("{}/blobServices/default", self.account)
    }

    fn model(&self, settings: Value) -> Value {
        let mut model = json!({"StorageAccountId": self.account});
        model.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        model
    }

    /// Sets the service as somebody else would.
    fn set(&self, properties: Value) {
        let document = json!({"id": self.id(), "name": "default", "type": KIND, "properties": properties});
        self.emulator.set(&self.id(), document);
    }

    fn properties(&self) -> Value {
        self.emulator.get(&self.id()).unwrap()["properties"].clone()
    }

    /// What was written since `first`.
    fn written(&self, first: usize) -> Vec<Value> {
        let requests = self.emulator.requests().split_off(first).into_iter();
        requests.filter(|request| request.method == "PUT").filter_map(|request| request.body).collect()
    }
}

#[tokio::test]
async fn what_nobody_has_set_is_adopted_and_what_somebody_has_set_is_imported() {
    let azure = Azure::new().await;
    let (harness, desired) = (&azure.harness, azure.model(json!({"IsVersioningEnabled": true})));
    let own = json!({"Id": azure.id()});
    assert_eq!(harness.read(&own).await.unwrap_err().code, Code::NotFound);
    assert!(harness.list(&desired).await.unwrap().is_empty());

    azure.set(json!({"isVersioningEnabled": false, "changeFeed": {"enabled": true}, "cors": {"corsRules": []}}));
    let refused = harness.create(&desired).await.unwrap_err();
    assert_eq!(refused.code, Code::AlreadyExists, "{}", refused.message);
    assert!(refused.message.contains("import it"), "{}", refused.message);
    assert_eq!(azure.properties()["changeFeed"], json!({"enabled": true}), "as it was");
    assert_eq!(harness.list(&desired).await.unwrap().len(), 1);
    let imported = harness.read(&own).await.unwrap();
    assert_eq!(imported["ChangeFeed"], json!({"Enabled": true}));
    assert_eq!(imported["IsVersioningEnabled"], false);

    // What is off in other words is Azure's own all the same.
    azure.set(json!({
        "isVersioningEnabled": false, "changeFeed": {"enabled": false}, "deleteRetentionPolicy": {"enabled": false},
        "restorePolicy": {"enabled": false}, "cors": {}, "staticWebsite": {"enabled": false, "indexDocument": "old"}
    }));
    harness.create(&desired).await.unwrap();
    assert_eq!(azure.properties()["isVersioningEnabled"], true);
}

#[tokio::test]
async fn a_change_keeps_what_the_template_does_not_name() {
    let azure = Azure::new().await;
    let harness = &azure.harness;
    azure.set(json!({
        "isVersioningEnabled": true, "automaticSnapshotPolicyEnabled": true, "futurePolicy": {"enabled": true},
        "deleteRetentionPolicy": {"enabled": true, "days": 9, "allowPermanentDelete": false}, "changeFeed": {"enabled": true},
        "restorePolicy": {"enabled": true, "days": 8, "minRestoreTime": "2026-01-01T00:00:00.0000000Z"}
    }));
    let id = azure.id();
    let before = azure.model(json!({"Id": id, "IsVersioningEnabled": true}));
    let after = azure.model(json!({"Id": id, "IsVersioningEnabled": true, "DefaultServiceVersion": "2021-12-02"}));
    let first = azure.emulator.requests().len();
    harness.update(&before, &after).await.unwrap();
    let sent = &azure.written(first)[0]["properties"];
    assert_eq!(
        *sent,
        json!({
            "isVersioningEnabled": true, "automaticSnapshotPolicyEnabled": true, "futurePolicy": {"enabled": true},
            "deleteRetentionPolicy": {"enabled": true, "days": 9, "allowPermanentDelete": false},
            "changeFeed": {"enabled": true}, "restorePolicy": {"enabled": true, "days": 8},
            "defaultServiceVersion": "2021-12-02"
        }),
        "the whole, without what Azure does not take back"
    );

    let first = azure.emulator.requests().len();
    harness.delete(&after).await.unwrap();
    let sent = &azure.written(first)[0]["properties"];
    assert_eq!(
        *sent,
        json!({
            "isVersioningEnabled": false, "automaticSnapshotPolicyEnabled": true, "futurePolicy": {"enabled": true},
            "deleteRetentionPolicy": {"enabled": false, "allowPermanentDelete": false},
            "changeFeed": {"enabled": false}, "restorePolicy": {"enabled": false}, "defaultServiceVersion": null,
            "cors": {"corsRules": []}
        }),
        "every setting of the model that was set goes back, and nothing else"
    );
    assert_eq!(harness.read(&after).await.unwrap_err().code, Code::NotFound);
}

#[tokio::test]
async fn a_template_that_says_nothing_is_refused_before_any_call() {
    let azure = Azure::new().await;
    let harness = &azure.harness;
    for (settings, about) in [
        (json!({}), ": /: the template states only"),
        (json!({"ChangeFeed": {"Enabled": false}, "CorsRules": []}), ": /ChangeFeed, /CorsRules: the template states"),
        (
            json!({"DeleteRetentionPolicy": {"Enabled": false, "AllowPermanentDelete": false}}),
            ": /DeleteRetentionPolicy: the template states",
        ),
        (json!({"RestorePolicy": {"Enabled": true, "Days": 7}}), "/RestorePolicy/Enabled: needs IsVersioningEnabled"),
        (json!({"ChangeFeed": {"Enabled": true, "RetentionInDays": 146_001}}), "/ChangeFeed/RetentionInDays: "),
    ] {
        let first = azure.emulator.requests().len();
        let refused = harness.create(&azure.model(settings.clone())).await.unwrap_err();
        assert_eq!(refused.code, Code::InvalidRequest, "{}", refused.message);
        assert!(refused.message.contains(about), "{settings}: {}", refused.message);
        assert_eq!(azure.emulator.requests().len(), first, "{settings}");
    }

    let created = harness.create(&azure.model(json!({"IsVersioningEnabled": true}))).await.unwrap();
    let nothing = azure.model(json!({"Id": created["Id"]}));
    let first = azure.emulator.requests().len();
    let refused = harness.update(&created, &nothing).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidRequest);
    assert!(refused.message.contains("or delete the resource"), "{}", refused.message);
    assert!(azure.written(first).is_empty());
}

#[tokio::test]
async fn versions_of_blobs_in_directories_are_refused_with_the_pointer() {
    let azure = Azure::new().await;
    let group = azure.account.split("/providers/").next().unwrap();
    let model = json!({
        "ResourceGroupId": group, "AccountName": "directories", "Location": "australiaeast",
        "Sku": {"Name": "Standard_LRS"}, "IsHnsEnabled": true
    });
    let account = Harness::new::<StorageAccount>(azure.emulator.type_configuration()).create(&model).await.unwrap();
    let service = |settings: Value| {
        let mut model = azure.model(settings);
        model["StorageAccountId"] = account["Id"].clone();
        model
    };
    let refused = azure.harness.create(&service(json!({"IsVersioningEnabled": true}))).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidRequest);
    assert!(refused.message.contains("/IsVersioningEnabled: the account has a hierarchical"), "{}", refused.message);
    let soft = service(json!({"DeleteRetentionPolicy": {"Enabled": true, "Days": 7}}));
    let first = azure.emulator.requests().len();
    azure.harness.create(&soft).await.unwrap();
    let sent = &azure.written(first)[0]["properties"];
    assert!(sent.get("isVersioningEnabled").is_none(), "Azure might refuse even its being off: {sent}");
}

#[tokio::test]
async fn a_rollback_of_a_create_that_azure_refused_changes_nothing() {
    let azure = Azure::new().await;
    let (harness, desired) = (&azure.harness, azure.model(json!({"IsVersioningEnabled": true})));
    let message = "The feature is not supported.".to_owned();
    let code = "FeatureNotSupportedForAccount".to_owned();
    let fault = Fault::Status { status: 409, code, message, shape: Shape::Wrapped };
    azure.emulator.faults().next(Match::new("PUT", "/subscriptions"), fault);
    assert_eq!(harness.create(&desired).await.unwrap_err().code, Code::InvalidRequest);
    let first = azure.emulator.requests().len();
    let gone = harness.delete(&json!({"Id": azure.id()})).await.unwrap_err();
    assert_eq!(gone.code, Code::NotFound);
    assert!(azure.written(first).is_empty());
}

/// What a recorded body says in the model's terms. Written apart from the handler's own translation, which it checks.
fn recorded_model(account: &str, body: &Value) -> Value {
    fn pascal(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                members.iter().map(|(key, value)| (key[..1].to_uppercase() + &key[1..], pascal(value))).collect()
            }
            Value::Array(items) => items.iter().map(pascal).collect(),
            other => other.clone(),
        }
    }
    let mut model = Map::from_iter([("StorageAccountId".to_owned(), account.into())]);
    for (name, value) in body["properties"].as_object().unwrap() {
        match name.as_str() {
            "cors" => _ = model.insert("CorsRules".into(), pascal(&value["corsRules"])),
            _ => _ = model.insert(name[..1].to_uppercase() + &name[1..], pascal(value)),
        }
    }
    Value::Object(model)
}

/// Every recorded change of a service is asked of the handler on the service as it was recorded: as a create, an update, or,
/// where it turns everything off, a delete. What the handler sends is what the client sent.
#[tokio::test]
async fn every_recorded_change_is_sent_as_azure_accepted_it() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/azure/recordings");
    let Ok(entries) = std::fs::read_dir(folder) else {
        println!("skipped: there is no ../shared/azure/recordings");
        return;
    };
    let azure = Azure::new().await;
    let harness = &azure.harness;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries {
        let recording: Value = serde_json::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        for interaction in recording["interactions"].as_array().unwrap() {
            let path = interaction["path"].as_str().unwrap();
            let (method, body) = (interaction["method"].as_str().unwrap(), &interaction["request_body"]["properties"]);
            let is_read = method == "GET" && interaction["status"] == 200;
            if !path.ends_with("/blobServices/default") || !(is_read || method == "PUT" && body.is_object()) {
                continue;
            }
            let place = format!("{} {}", recording["name"], interaction["seq"]);
            if is_read {
                azure.set(interaction["response_body"]["properties"].clone());
                match harness.read(&json!({"Id": azure.id()})).await {
                    Ok(_) => *counts.entry("GET decoded").or_default() += 1,
                    Err(failure) if failure.code == Code::NotFound => *counts.entry("GET untouched").or_default() += 1,
                    Err(failure) => panic!("{place}: {failure:?}"),
                }
                continue;
            }
            let mut desired = recorded_model(&azure.account, &interaction["request_body"]);
            let current = harness.read(&json!({"Id": azure.id()})).await;
            let first = azure.emulator.requests().len();
            let is_off = !body.to_string().contains("true");
            let what = match current {
                Ok(_) if is_off => {
                    harness.delete(&json!({"Id": azure.id()})).await.unwrap();
                    "PUT as a delete"
                }
                Ok(current) => {
                    desired["Id"] = azure.id().into();
                    harness.update(&current, &desired).await.unwrap_or_else(|e| panic!("{place}: {e:?}"));
                    "PUT as an update"
                }
                Err(_) => {
                    harness.create(&desired).await.unwrap_or_else(|e| panic!("{place}: {e:?}"));
                    "PUT as a create"
                }
            };
            let mut sent = azure.written(first)[0]["properties"].clone();
            // Azure and its clients have said this since 2022.
            if body["deleteRetentionPolicy"].get("allowPermanentDelete").is_none() {
                sent["deleteRetentionPolicy"].as_object_mut().unwrap().remove("allowPermanentDelete");
            }
            assert_eq!(sent, *body, "{place}");
            *counts.entry(what).or_default() += 1;
        }
    }
    println!("recorded interactions: {counts:#?}");
    assert!(counts.values().sum::<usize>() > 40, "{counts:?}");
}

#[tokio::test]
async fn a_list_that_is_refused_says_why() {
    let azure = Azure::new().await;
    let event = azure.harness.event(Action::List, &json!({"StorageAccountId": "nonsense"}));
    let refused = azure.harness.drive(event).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidRequest);
    assert!(refused.message.contains("/StorageAccountId: "), "{}", refused.message);
}
