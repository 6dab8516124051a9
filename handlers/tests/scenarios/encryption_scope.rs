use super::{Scenario, account};
use handlers::storage::encryption_scope::EncryptionScope;
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let account = account(&emulator).await;
    Scenario::new::<EncryptionScope>(
        emulator,
        json!({"StorageAccountId": account, "Source": "Microsoft.KeyVault", "KeyVaultProperties": {
            "KeyUri": "https://vault.vault.azure.net/keys/payroll"
        }}),
        json!({"EncryptionScopeName": "payroll", "RequireInfrastructureEncryption": true}),
        json!({"KeyVaultProperties": {"KeyUri": "https://vault.vault.azure.net/keys/payroll/0123456789abcdef"}}),
    )
    .await
}
