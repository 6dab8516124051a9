use super::{Scenario, account};
use handlers::storage::file_share::FileShare;
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let account = account(&emulator).await;
    Scenario::new::<FileShare>(
        emulator,
        json!({"StorageAccountId": account}),
        json!({
            "ShareName": "exports", "ShareQuota": 100, "AccessTier": "Cool", "EnabledProtocols": "SMB",
            "Metadata": {"owner": "team"},
            "SignedIdentifiers": [{"Id": "readers", "AccessPolicy": {
                "StartTime": "2026-01-01T00:00:00Z", "ExpiryTime": "2027-01-01T00:00:00Z", "Permission": "rl"
            }}],
            "EmptyOnDelete": false
        }),
        json!({
            "ShareQuota": 200, "AccessTier": "Hot", "Metadata": {"purpose": "export"},
            "SignedIdentifiers": [{"Id": "writers", "AccessPolicy": {"Permission": "rcwdl"}}]
        }),
    )
    .await
}
