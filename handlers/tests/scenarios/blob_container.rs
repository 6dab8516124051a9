use super::{Scenario, account};
use handlers::storage::blob_container::BlobContainer;
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let account = account(&emulator).await;
    Scenario::new::<BlobContainer>(
        emulator,
        json!({"StorageAccountId": account}),
        json!({
            "ContainerName": "backups", "PublicAccess": "Blob", "Metadata": {"owner": "team", "purpose": "backup"},
            "DenyEncryptionScopeOverride": false, "DefaultEncryptionScope": "$account-encryption-key",
            "LegalHold": {"Tags": ["case42", "audit"]}, "EmptyOnDelete": false
        }),
        json!({"PublicAccess": "Container", "Metadata": {"owner": "other"}, "LegalHold": {"Tags": ["case43"]}}),
    )
    .await
}
