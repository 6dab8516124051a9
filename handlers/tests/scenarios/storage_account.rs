use super::{Scenario, group};
use handlers::storage::storage_account::StorageAccount;
use sandbox::azure::Emulator;
use serde_json::{Value, json};

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let group = group(&emulator).await;
    let minimal = json!({"ResourceGroupId": group, "Location": "australiaeast", "Sku": {"Name": "Standard_LRS"}});
    let scenario = Scenario::new::<StorageAccount>(emulator, minimal, properties(&group), updates(&group)).await;
    Scenario { needs: &[("IsSftpEnabled", &["IsHnsEnabled"]), ("Encryption", &["Identity"])], ..scenario }
}

fn properties(group: &str) -> Value {
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
        "DataResidency": "ap-southeast-2",
        "EmptyOnDelete": false
    })
}

fn updates(group: &str) -> Value {
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
