//! What is particular to the types that live in a storage account.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod scenarios;

use cfn_provider::{HandlerErrorCode as Code, Resource, testing::Harness};
use handlers::storage::{
    blob_inventory_policy::BlobInventoryPolicy, encryption_scope::EncryptionScope, file_share::FileShare,
    local_user::LocalUser, management_policy::ManagementPolicy, queue::Queue, storage_account::StorageAccount,
    table::Table,
};
use sandbox::azure::{Emulator, Fault, Match, Options, Shape};
use serde_json::{Value, json};

struct Account {
    emulator: Emulator,
    id: String,
}

impl Account {
    async fn new() -> Self {
        Self::with(json!({"AllowBlobPublicAccess": true})).await
    }

    async fn with(properties: Value) -> Self {
        let emulator = Emulator::start(Options::default()).await.unwrap();
        let id = scenarios::account_with(&emulator, properties).await;
        Self { emulator, id }
    }

    fn harness<R: Resource>(&self) -> Harness {
        Harness::new::<R>(self.emulator.type_configuration())
    }

    fn model(&self, properties: &Value) -> Value {
        let mut model = json!({"StorageAccountId": self.id});
        model.as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
        model
    }

    /// Deleting is refused with `says`, loses nothing, and works with `EmptyOnDelete`.
    async fn kept<R: Resource>(&self, created: &Value, code: Code, says: &str) {
        let harness = self.harness::<R>();
        let failure = harness.delete(created).await.unwrap_err();
        assert_eq!(failure.code, code, "{}", failure.message);
        for part in [says, "EmptyOnDelete"] {
            assert!(failure.message.contains(part), "{part} is missing in: {}", failure.message);
        }
        harness.read(created).await.unwrap();
        let mut emptied = created.clone();
        emptied["EmptyOnDelete"] = true.into();
        harness.delete(&emptied).await.unwrap();
        assert_eq!(harness.read(created).await.unwrap_err().code, Code::NotFound);
    }

    /// A model is refused before Azure is asked, with the pointer.
    async fn refused<R: Resource>(&self, properties: Value, pointer: &str) {
        let before = self.emulator.requests().len();
        let failure = self.harness::<R>().create(&self.model(&properties)).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidRequest);
        assert!(failure.message.contains(pointer), "{pointer} is missing in: {}", failure.message);
        assert_eq!(self.emulator.requests().len(), before, "{}", failure.message);
    }
}

#[tokio::test]
async fn a_queue_is_kept_with_its_messages() {
    for (count, says) in [
        (json!(1), "still holds a message"),
        (json!(42), "about 42 messages"),
        (Value::Null, "does not say whether the queue still holds"),
    ] {
        let account = Account::new().await;
        let queue = account.harness::<Queue>().create(&account.model(&json!({}))).await.unwrap();
        let id = queue["Id"].as_str().unwrap();
        account.emulator.edit(id, |queue| queue["properties"]["approximateMessageCount"] = count.clone());
        account.kept::<Queue>(&queue, Code::InvalidRequest, says).await;
    }
}

#[tokio::test]
async fn a_table_is_kept_with_its_entities() {
    let account = Account::new().await;
    let harness = account.harness::<Table>();
    let table = harness.create(&account.model(&json!({"TableName": "Runs"}))).await.unwrap();
    account.emulator.put_entity("parentaccount", "Runs", "2026", "first");
    let says = "still holds the entity \"first\" of the partition \"2026\"";
    account.kept::<Table>(&table, Code::InvalidRequest, says).await;

    let table = harness.create(&account.model(&json!({"TableName": "Runs"}))).await.unwrap();
    harness.delete(&table).await.unwrap();
    // What is in the table of one account says nothing of another's.
    let table = harness.create(&account.model(&json!({"TableName": "Runs"}))).await.unwrap();
    account.emulator.put_entity("otheraccount", "Runs", "2026", "first");
    harness.delete(&table).await.unwrap();
}

#[tokio::test]
async fn who_may_not_read_a_table_may_still_delete_it() {
    for (code, says) in [
        ("AuthorizationPermissionMismatch", "assign the role Storage Table Data Reader"),
        ("AuthorizationFailure", "the account's network rules"),
    ] {
        let account = Account::new().await;
        let table = account.harness::<Table>().create(&account.model(&json!({}))).await.unwrap();
        let message = "This request is not authorized to perform this operation.".into();
        let refusal = Fault::Status { status: 403, code: code.into(), message, shape: Shape::Wrapped };
        account.emulator.faults().next(Match::new("GET", "/_table/"), refusal);
        account.kept::<Table>(&table, Code::AccessDenied, says).await;
    }
}

#[tokio::test]
async fn a_share_is_kept_with_its_files_and_its_snapshots() {
    let account = Account::new().await;
    let harness = account.harness::<FileShare>();
    let share = harness.create(&account.model(&json!({}))).await.unwrap();
    let id = share["Id"].as_str().unwrap();
    account.emulator.edit(id, |share| share["properties"]["shareUsageBytes"] = 524_288.into());
    account.kept::<FileShare>(&share, Code::InvalidRequest, "about 524288 bytes").await;

    let share = harness.create(&account.model(&json!({}))).await.unwrap();
    let id = share["Id"].as_str().unwrap();
    account.emulator.edit(id, |share| share["properties"]["snapshotTime"] = "2026-01-01T00:00:00.0000000Z".into());
    account.kept::<FileShare>(&share, Code::ResourceConflict, "ShareHasSnapshots").await;
}

#[tokio::test]
async fn a_premium_share_speaks_nfs() {
    let account = Account::new().await;
    let group = account.id.split("/providers/").next().unwrap();
    let premium = json!({
        "ResourceGroupId": group, "AccountName": "premiumaccount", "Location": "australiaeast", "Kind": "FileStorage",
        "Sku": {"Name": "Premium_LRS"}
    });
    let premium = account.harness::<StorageAccount>().create(&premium).await.unwrap();
    let harness = account.harness::<FileShare>();
    let model = json!({"StorageAccountId": premium["Id"], "EnabledProtocols": "NFS", "AccessTier": "Premium", "RootSquash": "AllSquash"});
    let share = harness.create(&model).await.unwrap();
    for (name, value) in model.as_object().unwrap() {
        assert_eq!(&share[name], value);
    }
    let mut model = model;
    model["Id"] = share["Id"].clone();
    let mut squashed = model.clone();
    squashed["RootSquash"] = "RootSquash".into();
    assert_eq!(harness.update(&model, &squashed).await.unwrap()["RootSquash"], "RootSquash");
    let mut plain = model.clone();
    for taken_out in ["RootSquash", "AccessTier"] {
        plain.as_object_mut().unwrap().remove(taken_out);
    }
    let plain = harness.update(&squashed, &plain).await.unwrap();
    assert_eq!((&plain["RootSquash"], &plain["AccessTier"]), (&json!("NoRootSquash"), &json!("Premium")));
}

#[tokio::test]
async fn a_deleted_scope_is_disabled_and_comes_back() {
    let account = Account::new().await;
    let harness = account.harness::<EncryptionScope>();
    let key = |key: &str| json!({"KeyUri": format!("https://vault.vault.azure.net/keys/{key}")});
    let own = |more: Value| {
        let mut model = account.model(&json!({"EncryptionScopeName": "payroll"}));
        model.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        model
    };
    let first = own(
        json!({"Source": "Microsoft.KeyVault", "KeyVaultProperties": key("first"), "RequireInfrastructureEncryption": true}),
    );
    let scope = harness.create(&first).await.unwrap();
    harness.delete(&scope).await.unwrap();
    let stored = account.emulator.get(scope["Id"].as_str().unwrap()).unwrap();
    assert_eq!(stored["properties"]["state"], "Disabled");
    assert!(harness.list(&first).await.unwrap().is_empty());

    let other = own(json!({"RequireInfrastructureEncryption": false}));
    let failure = harness.create(&other).await.unwrap_err();
    assert_eq!(failure.code, Code::InvalidRequest);
    assert!(failure.message.contains("/RequireInfrastructureEncryption"), "{}", failure.message);

    // Nothing of the key it had before is left.
    let again = harness.create(&own(json!({}))).await.unwrap();
    assert_eq!((&again["Id"], &again["Source"]), (&scope["Id"], &json!("Microsoft.Storage")));
    assert!(again.get("KeyVaultProperties").is_none());

    let mut model = own(json!({}));
    model["Id"] = again["Id"].clone();
    let mut keyed = own(json!({"Source": "Microsoft.KeyVault", "KeyVaultProperties": key("second")}));
    keyed["Id"] = again["Id"].clone();
    assert_eq!(harness.update(&model, &keyed).await.unwrap()["KeyVaultProperties"], key("second"));
    let back = harness.update(&keyed, &model).await.unwrap();
    assert_eq!(back["Source"], "Microsoft.Storage");
    assert!(back.get("KeyVaultProperties").is_none());
}

#[tokio::test]
async fn an_account_has_one_lifecycle() {
    let account = Account::new().await;
    let harness = account.harness::<ManagementPolicy>();
    let rule = json!({
        "Name": "old", "Enabled": true, "Filters": {"BlobTypes": ["blockBlob"]},
        "Actions": {"BaseBlob": {"Delete": {"DaysAfterModificationGreaterThan": 365}}}
    });
    let model = account.model(&json!({"Rules": [rule]}));
    assert!(harness.list(&model).await.unwrap().is_empty());
    let policy = harness.create(&model).await.unwrap();
    assert!(policy["Id"].as_str().unwrap().ends_with("/managementPolicies/default"));
    assert_eq!(harness.create(&model).await.unwrap_err().code, Code::AlreadyExists);
}

#[tokio::test]
async fn an_account_has_one_inventory_beside_its_lifecycle() {
    let account = Account::new().await;
    let harness = account.harness::<BlobInventoryPolicy>();
    let rule = json!({
        "Name": "all", "Enabled": true, "Destination": "reports", "ObjectType": "Container", "Format": "Csv",
        "Schedule": "Daily", "SchemaFields": ["Name"]
    });
    let model = account.model(&json!({"Enabled": true, "Rules": [rule]}));
    assert!(harness.list(&model).await.unwrap().is_empty());
    let policy = harness.create(&model).await.unwrap();
    let id = policy["Id"].as_str().unwrap();
    assert!(id.ends_with("/inventoryPolicies/default"));
    assert_eq!(account.emulator.get(id).unwrap()["name"], "DefaultInventoryPolicy");
    assert_eq!(harness.create(&model).await.unwrap_err().code, Code::AlreadyExists);
}

/// What Azure keeps of a user and shows nobody.
fn stored(account: &Account, user: &Value) -> Value {
    account.emulator.get(user["Id"].as_str().unwrap()).unwrap()["properties"].clone()
}

#[tokio::test]
async fn keys_that_the_template_does_not_name_survive_an_update() {
    let account = Account::with(json!({"IsHnsEnabled": true, "IsLocalUserEnabled": true})).await;
    let harness = account.harness::<LocalUser>();
    let user = harness.create(&account.model(&json!({"HomeDirectory": "in"}))).await.unwrap();
    let id = user["Id"].as_str().unwrap();
    let key = json!([{"key": "ssh-rsa AAAAB3NzaC1yc2E=", "description": "by hand"}]);
    account.emulator.edit(id, |user| {
        user["properties"]["hasSshKey"] = true.into();
        user["properties"]["sshAuthorizedKeys"] = key.clone();
        user["properties"]["hasSshPassword"] = true.into();
    });
    let model = |directory: &str| {
        let mut model = account.model(&json!({"HomeDirectory": directory}));
        model["Id"] = id.into();
        model
    };
    let updated = harness.update(&model("in"), &model("out")).await.unwrap();
    assert_eq!((&updated["HasSshKey"], &updated["HasSshPassword"]), (&json!(true), &json!(true)));
    assert_eq!(stored(&account, &user)["sshAuthorizedKeys"], key);

    // Whoever names keys says which there are; whoever stops to, that there are none.
    let mut keyed = model("out");
    keyed["SshAuthorizedKeys"] = json!([{"Key": "ssh-rsa AAAAB3NzaC1yc2EAAAA="}]);
    let updated = harness.update(&model("out"), &keyed).await.unwrap();
    assert!(updated.get("SshAuthorizedKeys").is_none());
    assert_eq!(stored(&account, &user)["sshAuthorizedKeys"], json!([{"key": "ssh-rsa AAAAB3NzaC1yc2EAAAA="}]));
    let updated = harness.update(&keyed, &model("out")).await.unwrap();
    assert_eq!(updated["HasSshKey"], false);
    assert!(stored(&account, &user).get("sshAuthorizedKeys").is_none());
}

#[tokio::test]
async fn a_password_can_be_kept_and_taken_away_but_not_made() {
    let account = Account::with(json!({"IsHnsEnabled": true, "IsLocalUserEnabled": true})).await;
    let harness = account.harness::<LocalUser>();
    account.refused::<LocalUser>(json!({"HasSshPassword": true}), "/HasSshPassword").await;
    let user = harness.create(&account.model(&json!({}))).await.unwrap();
    let id = user["Id"].as_str().unwrap();
    let with = |properties: Value| {
        let mut model = account.model(&properties);
        model["Id"] = id.into();
        model
    };
    let (nothing, kept) = (with(json!({})), with(json!({"HasSshPassword": true})));
    let failure = harness.update(&nothing, &kept).await.unwrap_err();
    assert_eq!(failure.code, Code::InvalidRequest);
    assert!(failure.message.contains("regenerate-password"), "{}", failure.message);
    account.emulator.edit(id, |user| user["properties"]["hasSshPassword"] = true.into());
    assert_eq!(harness.update(&nothing, &kept).await.unwrap()["HasSshPassword"], true);
    assert_eq!(harness.update(&kept, &nothing).await.unwrap()["HasSshPassword"], true);
    let none = with(json!({"HasSshPassword": false}));
    assert_eq!(harness.update(&nothing, &none).await.unwrap()["HasSshPassword"], false);
}

#[tokio::test]
async fn an_account_without_local_users_says_what_it_lacks() {
    let scope = json!([{"Service": "blob", "ResourceName": "incoming", "Permissions": ["Read"]}]);
    for (account, says) in [
        (json!({}), "does not have IsHnsEnabled and IsLocalUserEnabled"),
        (json!({"IsHnsEnabled": true, "IsLocalUserEnabled": false}), "does not have IsLocalUserEnabled,"),
    ] {
        let account = Account::with(account).await;
        let model = account.model(&json!({"PermissionScopes": scope}));
        let failure = account.harness::<LocalUser>().create(&model).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidRequest);
        for part in ["FeatureNotSupportedForAccount", says] {
            assert!(failure.message.contains(part), "{part} is missing in: {}", failure.message);
        }
    }
}

#[tokio::test]
async fn what_excludes_each_other_is_refused_before_azure_is_asked() {
    let account = Account::new().await;
    account.refused::<FileShare>(json!({"RootSquash": "AllSquash"}), "/RootSquash").await;
    account.refused::<FileShare>(json!({"ShareQuota": 0}), "/ShareQuota").await;
    let policy = json!({"Id": "a", "AccessPolicy": {"Permission": "a"}});
    account.refused::<FileShare>(json!({"SignedIdentifiers": [policy]}), "/SignedIdentifiers/0/AccessPolicy").await;
    let policy = json!({"Id": "a", "AccessPolicy": {"Permission": "w"}});
    account.refused::<Table>(json!({"SignedIdentifiers": [policy]}), "/SignedIdentifiers/0/AccessPolicy").await;
    account.refused::<Table>(json!({"TableName": "Tables"}), "/TableName").await;
    account.refused::<Table>(json!({"TableName": "1st"}), "/TableName").await;
    let ids = json!({"Type": "SystemAssigned", "UserAssignedIdentityIds": ["/subscriptions/s/id"]});
    let with_ids = json!({
        "ResourceGroupId": account.id.split("/providers/").next(), "Location": "australiaeast",
        "Sku": {"Name": "Standard_LRS"}, "Identity": ids
    });
    let failure = account.harness::<StorageAccount>().create(&with_ids).await.unwrap_err();
    assert!(failure.message.contains("/Identity/UserAssignedIdentityIds: needs"), "{}", failure.message);
    account.refused::<LocalUser>(json!({"ExtendedGroups": [2000]}), "/ExtendedGroups").await;
    let scope = |allowed: &str| json!({"Service": "file", "ResourceName": "share", "Permissions": [allowed]});
    let twice = json!({"PermissionScopes": [scope("Read"), scope("Write")]});
    account.refused::<LocalUser>(twice, "/PermissionScopes/1").await;
    account.refused::<LocalUser>(json!({"PermissionScopes": [scope("r")]}), "/PermissionScopes/0/Permissions").await;
    let key = json!({"SshAuthorizedKeys": [{"Key": "AAAAB3NzaC1yc2E="}]});
    account.refused::<LocalUser>(key, "/SshAuthorizedKeys/0/Key").await;
    account.refused::<EncryptionScope>(json!({"Source": "Microsoft.KeyVault"}), "/KeyVaultProperties").await;
    let key = json!({"KeyVaultProperties": {"KeyUri": "https://vault.vault.azure.net/keys/key"}});
    account.refused::<EncryptionScope>(key, "/KeyVaultProperties").await;
    let rule = json!({"Name": "r", "Enabled": true, "Filters": {"BlobTypes": ["appendBlob"]},
        "Actions": {"BaseBlob": {"TierToCool": {"DaysAfterModificationGreaterThan": 1}}}});
    account.refused::<ManagementPolicy>(json!({"Rules": [rule]}), "/Rules/0/Actions/BaseBlob/TierToCool").await;
    let rule = json!({"Name": "r", "Enabled": true, "Destination": "reports", "ObjectType": "Blob", "Format": "Csv",
        "Schedule": "Daily", "SchemaFields": ["Name", "Snapshot"], "Filters": {"BlobTypes": ["blockBlob"]}});
    account.refused::<BlobInventoryPolicy>(json!({"Enabled": true, "Rules": [rule]}), "/Rules/0/SchemaFields").await;
}
