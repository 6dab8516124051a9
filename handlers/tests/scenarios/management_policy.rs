use super::{Scenario, account};
use handlers::storage::management_policy::ManagementPolicy;
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let account = account(&emulator).await;
    let rule = json!({
        "Name": "keep-a-year", "Enabled": true,
        "Filters": {"BlobTypes": ["blockBlob", "appendBlob"]},
        "Actions": {"BaseBlob": {"Delete": {"DaysAfterModificationGreaterThan": 365}}}
    });
    let tiers = json!({
        "Name": "cool-down", "Enabled": false,
        "Filters": {
            "BlobTypes": ["blockBlob"], "PrefixMatch": ["backups/2025", "backups/2026"],
            "BlobIndexMatch": [{"Name": "stage", "Op": "==", "Value": "done"}]
        },
        "Actions": {
            "BaseBlob": {
                "TierToCool": {"DaysAfterLastAccessTimeGreaterThan": 30}, "EnableAutoTierToHotFromCool": true,
                "TierToCold": {"DaysAfterCreationGreaterThan": 60},
                "TierToArchive": {"DaysAfterModificationGreaterThan": 90, "DaysAfterLastTierChangeGreaterThan": 7}
            },
            "Snapshot": {"TierToCool": {"DaysAfterCreationGreaterThan": 0}, "Delete": {"DaysAfterCreationGreaterThan": 90}},
            "Version": {"TierToArchive": {"DaysAfterCreationGreaterThan": 30, "DaysAfterLastTierChangeGreaterThan": 7}}
        }
    });
    let scenario = Scenario::new::<ManagementPolicy>(
        emulator,
        json!({"StorageAccountId": account, "Rules": [rule]}),
        json!({"Rules": [rule, tiers]}),
        json!({"Rules": [tiers]}),
    );
    Scenario { one_per_parent: true, ..scenario.await }
}
