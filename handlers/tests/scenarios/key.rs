use super::{Scenario, group};
use cfn_provider::testing::Harness;
use handlers::key_vault::{key::Key, vault::Vault};
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let vault = json!({
        "ResourceGroupId": group(&emulator).await, "VaultName": "parent-vault", "Location": "australiaeast",
        "Sku": {"Name": "premium"}
    });
    let vault = Harness::new::<Vault>(emulator.type_configuration()).create(&vault).await.expect("the vault is made");
    let scenario = Scenario::new::<Key>(
        emulator,
        json!({"VaultId": vault["Id"]}),
        json!({
            "KeyName": "second-copy", "Kty": "RSA-HSM", "KeySize": 3072, "KeyOps": ["wrapKey", "unwrapKey"],
            "Attributes": {"Enabled": false, "Nbf": 1_800_000_000, "Exp": 1_900_000_000, "Exportable": true},
            "RotationPolicy": {"ExpiryTime": "P2Y", "LifetimeActions": [
                {"Action": "Rotate", "TimeAfterCreate": "P18M"}, {"Action": "Notify", "TimeBeforeExpiry": "P30D"}
            ]},
            "ReleasePolicy": {"ContentType": "application/json; charset=utf-8", "Data": "eyJ2ZXJzaW9uIjoiMS4wLjAifQ"},
            "RecoverDeleted": true, "PurgeOnDelete": true,
            "Tags": [{"Key": "team", "Value": "storage"}, {"Key": "cost", "Value": "42"}]
        }),
        json!({
            "KeyOps": ["wrapKey", "unwrapKey", "sign"],
            "Attributes": {"Enabled": true, "Nbf": 1_700_000_000, "Exp": 2_000_000_000, "Exportable": true},
            "RotationPolicy": {"ExpiryTime": "P1Y", "LifetimeActions": []},
            "Tags": [{"Key": "team", "Value": "backup"}]
        }),
    )
    .await;
    Scenario { needs: &[("Attributes", &["ReleasePolicy"])], ..scenario }
}
