//! What is deleted and kept, brought back, and purged.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use cfn_provider::{Action, HandlerErrorCode as Code, testing::Harness};
use handlers::{
    key_vault::{key::Key, vault::Vault},
    resources::resource_group::ResourceGroup,
};
use sandbox::azure::{Emulator, Fault, Match, Options, Shape};
use serde_json::{Value, json};

struct Azure {
    emulator: Emulator,
    vaults: Harness,
    group: Value,
}

impl Azure {
    async fn start() -> Self {
        let emulator = Emulator::start(Options::default()).await.unwrap();
        let groups = Harness::new::<ResourceGroup>(emulator.type_configuration());
        let group = groups.create(&json!({"ResourceGroupName": "copies", "Location": "australiaeast"})).await.unwrap();
        Self { vaults: Harness::new::<Vault>(emulator.type_configuration()), emulator, group }
    }

    fn vault(&self, more: Value) -> Value {
        let mut model = json!({"ResourceGroupId": self.group["Id"], "VaultName": "keys", "Location": "australiaeast"});
        model.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        model
    }

    fn asked(&self, method: &str, part: &str) -> usize {
        let requests = self.emulator.requests();
        requests.iter().filter(|request| request.method == method && request.path.contains(part)).count()
    }
}

fn with(model: &Value, more: Value) -> Value {
    let mut model = model.clone();
    model.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    model
}

#[tokio::test]
async fn a_deleted_vault_comes_back_only_where_the_template_says_so() {
    let azure = Azure::start().await;
    let policy = json!([{"ObjectId": "6f1d3c52-0b7a-4c7e-9d35-2f6f0a1b9c11", "Permissions": {"Keys": ["get"]}}]);
    let first = azure.vaults.create(&azure.vault(json!({"AccessPolicies": policy}))).await.unwrap();
    assert_eq!(first["SoftDeleteRetentionInDays"], 90, "Azure's default");
    azure.vaults.delete(&first).await.unwrap();

    let refused = azure.vaults.create(&azure.vault(json!({}))).await.unwrap_err();
    assert_eq!(refused.code, Code::AlreadyExists);
    for part in ["in deleted state", "RecoverDeleted true brings it back", "az keyvault purge"] {
        assert!(refused.message.contains(part), "{part} in {}", refused.message);
    }
    let wanted = azure.vault(json!({"RecoverDeleted": true, "EnabledForDeployment": true}));
    let again = azure.vaults.create(&wanted).await.unwrap();
    assert_eq!((&again["Id"], &again["EnabledForDeployment"]), (&first["Id"], &json!(true)));
    assert_eq!(again["AccessPolicies"], json!([]), "it takes on what the template says");
}

#[tokio::test]
async fn a_name_that_somebody_else_has_is_not_recovered() {
    let azure = Azure::start().await;
    let groups = Harness::new::<ResourceGroup>(azure.emulator.type_configuration());
    let other = groups.create(&json!({"ResourceGroupName": "other", "Location": "australiaeast"})).await.unwrap();
    azure.vaults.create(&azure.vault(json!({"ResourceGroupId": other["Id"]}))).await.unwrap();
    let refused = azure.vaults.create(&azure.vault(json!({"RecoverDeleted": true}))).await.unwrap_err();
    assert_eq!(refused.code, Code::AlreadyExists);
    assert!(refused.message.contains("VaultAlreadyExists"), "{}", refused.message);
}

#[tokio::test]
async fn a_vault_is_purged_only_on_demand() {
    let azure = Azure::start().await;
    let vault = azure.vaults.create(&azure.vault(json!({}))).await.unwrap();
    azure.vaults.delete(&with(&vault, json!({"PurgeOnDelete": true}))).await.unwrap();
    assert_eq!(azure.asked("POST", "/deletedVaults/keys/purge"), 1);
    let fresh = azure.vaults.create(&azure.vault(json!({}))).await.expect("its name is free");
    azure.vaults.delete(&fresh).await.unwrap();
    assert_eq!(azure.asked("POST", "/deletedVaults/"), 1, "nobody asked for it");
}

#[tokio::test]
async fn purge_protection_stays_and_forbids_a_purge() {
    let azure = Azure::start().await;
    let both = azure.vault(json!({"EnablePurgeProtection": true, "PurgeOnDelete": true}));
    assert_eq!(azure.vaults.create(&both).await.unwrap_err().code, Code::InvalidRequest);
    let wanted = azure.vault(json!({"EnablePurgeProtection": true}));
    let vault = azure.vaults.create(&wanted).await.unwrap();

    let off = with(&vault, json!({"EnablePurgeProtection": false}));
    let refused = azure.vaults.update(&vault, &off).await.unwrap_err();
    assert_eq!(refused.code, Code::NotUpdatable);
    assert!(refused.message.contains("/EnablePurgeProtection: Azure cannot take"), "{}", refused.message);

    let mut purged = with(&vault, json!({"PurgeOnDelete": true}));
    purged.as_object_mut().unwrap().remove("EnablePurgeProtection");
    let refused = azure.vaults.delete(&purged).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidRequest);
    assert!(refused.message.contains("/PurgeOnDelete: the vault has purge protection"), "{}", refused.message);
    assert_eq!(azure.asked("DELETE", "/vaults/keys"), 0, "refused before anything was deleted");
    azure.vaults.delete(&vault).await.expect("kept for its time");
}

impl Azure {
    /// A harness of keys, and what the template says of one.
    async fn key(&self, vault: Value, more: Value) -> (Harness, Value) {
        let vault = self.vaults.create(&self.vault(vault)).await.unwrap();
        let model = with(&json!({"VaultId": vault["Id"], "KeyName": "second-copy"}), more);
        (Harness::new::<Key>(self.emulator.type_configuration()), model)
    }
}

#[tokio::test]
async fn a_key_names_its_newest_version() {
    let azure = Azure::start().await;
    let (keys, model) = azure.key(json!({}), json!({})).await;
    let key = keys.create(&model).await.unwrap();
    let address = key["KeyUri"].as_str().unwrap();
    assert!(address.ends_with("/keys/second-copy"), "{address}");
    assert!(key["KeyUriWithVersion"].as_str().unwrap().starts_with(&format!("{address}/")));
    assert_eq!(
        (&key["Kty"], &key["KeySize"], &key["Attributes"]["Enabled"]),
        (&json!("RSA"), &json!(2048), &json!(true))
    );
    assert_eq!(
        azure.asked("PATCH", "/_vault/") + azure.asked("PUT", "/_vault/"),
        0,
        "making it takes no role in the vault"
    );
}

#[tokio::test]
async fn a_deleted_key_comes_back_only_where_the_template_says_so() {
    let azure = Azure::start().await;
    let (keys, model) = azure.key(json!({}), json!({})).await;
    let first = keys.create(&model).await.unwrap();
    keys.delete(&first).await.unwrap();
    let refused = keys.create(&model).await.unwrap_err();
    assert_eq!(refused.code, Code::AlreadyExists);
    assert!(refused.message.contains("RecoverDeleted true brings the deleted key back"), "{}", refused.message);

    let recovering = with(&model, json!({"RecoverDeleted": true}));
    let refused = keys.create(&with(&recovering, json!({"KeySize": 4096}))).await.unwrap_err();
    assert!(refused.message.contains("/KeySize: the key of this name that came back has 2048"), "{}", refused.message);
    keys.delete(&first).await.unwrap();

    let wanted =
        with(&recovering, json!({"Attributes": {"Enabled": false}, "KeyOps": ["wrapKey", "unwrapKey", "sign"]}));
    let again = keys.create(&wanted).await.unwrap();
    assert_eq!(again["KeyUriWithVersion"], first["KeyUriWithVersion"], "the same key");
    assert_eq!((&again["Attributes"]["Enabled"], &again["KeyOps"]), (&json!(false), &wanted["KeyOps"]));
}

#[tokio::test]
async fn a_key_is_purged_on_demand_and_never_against_its_protection() {
    let azure = Azure::start().await;
    let (keys, model) = azure.key(json!({}), json!({"PurgeOnDelete": true})).await;
    let key = keys.create(&model).await.unwrap();
    keys.delete(&with(&key, json!({"PurgeOnDelete": true}))).await.unwrap();
    keys.create(&model).await.expect("its name is free");

    let protected = Azure::start().await;
    let (keys, model) = protected.key(json!({"EnablePurgeProtection": true}), json!({})).await;
    let key = keys.create(&model).await.unwrap();
    let refused = keys.delete(&with(&key, json!({"PurgeOnDelete": true}))).await.unwrap_err();
    assert!(refused.message.contains("/PurgeOnDelete: the recovery level of the key is"), "{}", refused.message);
    keys.read(&key).await.expect("refused before anything was deleted");
}

#[tokio::test]
async fn whoever_may_not_delete_a_key_is_told_what_it_takes() {
    let azure = Azure::start().await;
    let (keys, model) = azure.key(json!({}), json!({})).await;
    let key = keys.create(&model).await.unwrap();
    let fault = Fault::Status {
        status: 403,
        code: "Forbidden".into(),
        message: "Caller is not authorized to perform action on resource.".into(),
        shape: Shape::Wrapped,
    };
    azure.emulator.faults().next(Match::new("DELETE", "/_vault/"), fault);
    let refused = keys.delete(&key).await.unwrap_err();
    assert_eq!(refused.code, Code::AccessDenied);
    assert!(refused.message.contains("Key Vault Crypto Officer"), "{}", refused.message);
}

#[tokio::test]
async fn impossible_keys_are_refused_before_azure_is_asked() {
    let azure = Azure::start().await;
    let (keys, model) = azure.key(json!({}), json!({})).await;
    let asked = azure.emulator.requests().len();
    for (change, part) in [
        (json!({"Kty": "EC", "KeySize": 2048}), "/KeySize: an EC key"),
        (json!({"CurveName": "P-256"}), "/CurveName: an RSA key"),
        (json!({"Attributes": {"Exportable": true}}), "/Attributes/Exportable: needs"),
        (
            json!({"RotationPolicy": {"LifetimeActions": [{"Action": "Rotate"}]}}),
            "/RotationPolicy/LifetimeActions/0: needs either",
        ),
    ] {
        let refused = keys.create(&with(&model, change)).await.unwrap_err();
        assert_eq!(refused.code, Code::InvalidRequest);
        assert!(refused.message.contains(part), "{}", refused.message);
    }
    assert_eq!(azure.emulator.requests().len(), asked);
}

#[tokio::test]
async fn a_purge_is_not_lost_with_the_answer_of_the_delete() {
    let azure = Azure::start().await;
    let (keys, model) = azure.key(json!({}), json!({"PurgeOnDelete": true})).await;
    let key = with(&keys.create(&model).await.unwrap(), json!({"PurgeOnDelete": true}));
    let vault = azure.vaults.read(&json!({"Id": key["VaultId"]})).await.unwrap();
    let vault = with(&vault, json!({"PurgeOnDelete": true}));
    for (harness, model) in [(&keys, &key), (&azure.vaults, &vault)] {
        let mut event = harness.event(Action::Delete, model);
        event["callbackContext"] = harness.invoke(event.clone()).await.callback_context.unwrap();
        assert!(harness.read(model).await.is_ok(), "what shall be purged is known before it is deleted");
        // Twice from here: the first time the process dies with its answer.
        harness.invoke(event.clone()).await;
        harness.drive(event).await.unwrap();
        let again = harness.create(&with(model, json!({"RecoverDeleted": false}))).await;
        assert!(again.is_ok(), "its name is free: {again:?}");
        harness.delete(&with(model, json!({"PurgeOnDelete": false}))).await.unwrap();
    }
}
