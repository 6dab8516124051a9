//! What the suites know of each type: a model with every property, and the changes that it can make in place.

use cfn_provider::{Entry, Resource, testing::Harness};
use handlers::{
    resources::resource_group::ResourceGroup,
    storage::{blob_container::BlobContainer, storage_account::StorageAccount},
};
use sandbox::azure::{Emulator, Options};
use serde_json::{Value, json};

/// A type on an emulator of its own, with the parents it needs.
pub(crate) struct Scenario {
    pub(crate) emulator: Emulator,
    pub(crate) harness: Harness,
    /// The least that a template must say.
    pub(crate) minimal: Value,
    /// Every optional property that can stand beside the others, at another value than Azure's default where it has one.
    pub(crate) full: Value,
    /// Another value for each property that changes in place.
    pub(crate) updates: Value,
    /// How often the parents' set-up spoke to Azure.
    pub(crate) set_up: usize,
}

impl Scenario {
    async fn new<R: Resource>(emulator: Emulator, minimal: Value, optional: Value, updates: Value) -> Self {
        let harness = Harness::new::<R>(emulator.type_configuration());
        let mut full = minimal.clone();
        full.as_object_mut().expect("a model").extend(optional.as_object().expect("a model").clone());
        let set_up = emulator.requests().len();
        Self { emulator, harness, minimal, full, updates, set_up }
    }

    /// The ARM calls since the set-up, token requests left out.
    pub(crate) fn calls(&self) -> Vec<String> {
        let requests = self.emulator.requests().split_off(self.set_up);
        requests
            .into_iter()
            .filter(|request| request.path.starts_with("/subscriptions"))
            .map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }
}

/// The type of a row, on an emulator of its own; `None` for a type that the suites do not know.
pub(crate) async fn of(entry: &Entry) -> Option<Scenario> {
    let emulator = Emulator::start(Options::default()).await.expect("the emulator starts");
    Some(match entry.type_name {
        ResourceGroup::TYPE_NAME => {
            let tags = json!([{"Key": "team", "Value": "storage"}, {"Key": "cost", "Value": "42"}]);
            let updates = json!({"Tags": [{"Key": "team", "Value": "backup"}]});
            let minimal = json!({"Location": "australiaeast"});
            Scenario::new::<ResourceGroup>(
                emulator,
                minimal,
                json!({"ResourceGroupName": "backups", "Tags": tags, "EmptyOnDelete": false}),
                updates,
            )
            .await
        }
        StorageAccount::TYPE_NAME => {
            let group = group(&emulator).await;
            let minimal =
                json!({"ResourceGroupId": group, "Location": "australiaeast", "Sku": {"Name": "Standard_LRS"}});
            Scenario::new::<StorageAccount>(emulator, minimal, account_properties(&group), account_updates(&group))
                .await
        }
        BlobContainer::TYPE_NAME => {
            let account = account(&emulator).await;
            Scenario::new::<BlobContainer>(
                emulator,
                json!({"StorageAccountId": account}),
                json!({
                    "ContainerName": "backups", "PublicAccess": "Blob", "Metadata": {"owner": "team", "purpose": "backup"},
                    "DenyEncryptionScopeOverride": false, "DefaultEncryptionScope": "$account-encryption-key",
                    "LegalHold": {"Tags": ["case42", "audit"]}, "EmptyOnDelete": false
                }),
                json!({
                    "PublicAccess": "Container", "Metadata": {"owner": "other"}, "LegalHold": {"Tags": ["case43"]}
                }),
            )
            .await
        }
        _ => return None,
    })
}

/// A resource group on an emulator, made by the type itself.
pub(crate) async fn group(emulator: &Emulator) -> String {
    let harness = Harness::new::<ResourceGroup>(emulator.type_configuration());
    let group = harness.create(&json!({"ResourceGroupName": "parent", "Location": "australiaeast"})).await;
    group.expect("the group is made")["Id"].as_str().expect("it has an id").to_owned()
}

/// A storage account on an emulator that lets containers be public, made by the type itself.
pub(crate) async fn account(emulator: &Emulator) -> String {
    let model = json!({
        "ResourceGroupId": group(emulator).await, "AccountName": "parentaccount", "Location": "australiaeast",
        "Sku": {"Name": "Standard_LRS"}, "AllowBlobPublicAccess": true
    });
    let account = Harness::new::<StorageAccount>(emulator.type_configuration()).create(&model).await;
    account.expect("the account is made")["Id"].as_str().expect("it has an id").to_owned()
}

fn account_properties(group: &str) -> Value {
    let subnet = format!("{group}/providers/Microsoft.Network/virtualNetworks/net/subnets/one");
    let identity = format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/backup");
    json!({
        "AccountName": "backups2026",
        "Kind": "StorageV2",
        "AccessTier": "Cool",
        "MinimumTlsVersion": "TLS1_2",
        "SupportsHttpsTrafficOnly": true,
        "AllowBlobPublicAccess": true,
        "AllowSharedKeyAccess": false,
        "DefaultToOAuthAuthentication": true,
        "AllowCrossTenantReplication": true,
        "AllowedCopyScope": "AAD",
        "PublicNetworkAccess": "Disabled",
        "NetworkAcls": {
            "DefaultAction": "Deny", "Bypass": ["Logging", "Metrics"], "IpRules": ["203.0.113.0/24", "198.51.100.7"],
            "VirtualNetworkSubnetIds": [subnet],
            "ResourceAccessRules": [{"TenantId": "11111111-1111-1111-1111-111111111111", "ResourceId": format!("{group}/providers/Microsoft.Synapse/workspaces/*")}]
        },
        "IsHnsEnabled": true,
        "IsSftpEnabled": true,
        "IsLocalUserEnabled": true,
        "DnsEndpointType": "Standard",
        "Encryption": {
            "RequireInfrastructureEncryption": true,
            "KeyVaultProperties": {"KeyVaultUri": "https://vault.vault.azure.net/", "KeyName": "key", "KeyVersion": "1"},
            "UserAssignedIdentityId": identity
        },
        "Identity": {"Type": "SystemAssigned,UserAssigned", "UserAssignedIdentityIds": [identity]},
        "SasPolicy": {"SasExpirationPeriod": "1.12:05:06", "ExpirationAction": "Log"},
        "KeyPolicy": {"KeyExpirationPeriodInDays": 90},
        "Tags": [{"Key": "team", "Value": "storage"}],
        "EmptyOnDelete": false
    })
}

fn account_updates(group: &str) -> Value {
    let identity = format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/other");
    json!({
        "Sku": {"Name": "Standard_GRS"},
        "AccessTier": "Hot",
        "MinimumTlsVersion": "TLS1_3",
        "SupportsHttpsTrafficOnly": false,
        "AllowBlobPublicAccess": false,
        "AllowSharedKeyAccess": true,
        "DefaultToOAuthAuthentication": false,
        "AllowCrossTenantReplication": false,
        "AllowedCopyScope": "PrivateLink",
        "PublicNetworkAccess": "Enabled",
        "NetworkAcls": {"DefaultAction": "Allow", "Bypass": [], "IpRules": []},
        "IsSftpEnabled": false,
        "IsLocalUserEnabled": false,
        "Encryption": {"RequireInfrastructureEncryption": true},
        "Identity": {"Type": "UserAssigned", "UserAssignedIdentityIds": [identity]},
        "SasPolicy": {"SasExpirationPeriod": "0.08:00:00", "ExpirationAction": "Block"},
        "KeyPolicy": {"KeyExpirationPeriodInDays": 30},
        "Tags": [{"Key": "cost", "Value": "42"}, {"Key": "team", "Value": "backup"}]
    })
}
