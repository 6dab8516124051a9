use super::{Scenario, group};
use handlers::key_vault::vault::Vault;
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let group = group(&emulator).await;
    let subnet = format!("{group}/providers/Microsoft.Network/virtualNetworks/n/subnets/s");
    let tenant = emulator.options().tenant_id.clone();
    let (one, two) = ("6f1d3c52-0b7a-4c7e-9d35-2f6f0a1b9c11", "0b7a6f1d-3c52-4c7e-9d35-2f6f0a1b9c11");
    Scenario::new::<Vault>(
        emulator,
        json!({"ResourceGroupId": group, "Location": "australiaeast"}),
        json!({
            "VaultName": "second-copy-keys", "DataResidency": "Australia", "TenantId": tenant,
            "Sku": {"Name": "premium"}, "EnableRbacAuthorization": true,
            "AccessPolicies": [
                {"ObjectId": one, "ApplicationId": two, "Permissions": {
                    "Keys": ["get", "wrapKey", "unwrapKey"], "Secrets": ["list"], "Certificates": ["all"], "Storage": ["get"]
                }},
                {"ObjectId": two, "Permissions": {"Keys": ["list"]}}
            ],
            "EnabledForDeployment": true, "EnabledForDiskEncryption": true, "EnabledForTemplateDeployment": true,
            "SoftDeleteRetentionInDays": 7, "EnablePurgeProtection": true,
            "NetworkAcls": {
                "DefaultAction": "Deny", "Bypass": "None", "IpRules": ["203.0.113.7", "198.51.100.0/24"],
                "VirtualNetworkSubnetIds": [subnet]
            },
            "PublicNetworkAccess": "Disabled", "RecoverDeleted": true,
            "Tags": [{"Key": "team", "Value": "storage"}, {"Key": "cost", "Value": "42"}]
        }),
        json!({
            "Sku": {"Name": "standard"}, "EnableRbacAuthorization": false,
            "AccessPolicies": [{"ObjectId": two, "Permissions": {"Keys": ["get"]}}],
            "EnabledForDeployment": false, "EnabledForDiskEncryption": false, "EnabledForTemplateDeployment": false,
            "NetworkAcls": {"DefaultAction": "Allow", "Bypass": "AzureServices", "IpRules": []},
            "PublicNetworkAccess": "Enabled", "Tags": [{"Key": "team", "Value": "backup"}]
        }),
    )
    .await
}
