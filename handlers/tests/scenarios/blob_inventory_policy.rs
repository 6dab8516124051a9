use super::{Scenario, account};
use handlers::storage::blob_inventory_policy::BlobInventoryPolicy;
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let account = account(&emulator).await;
    let containers = json!({
        "Name": "containers", "Enabled": true, "Destination": "reports", "ObjectType": "Container", "Format": "Csv",
        "Schedule": "Weekly", "SchemaFields": ["Name", "Last-Modified", "PublicAccess"]
    });
    let blobs = json!({
        "Name": "blobs", "Enabled": false, "Destination": "reports", "ObjectType": "Blob", "Format": "Parquet",
        "Schedule": "Daily",
        "SchemaFields": [
            "Name", "Creation-Time", "Content-Length", "Tags", "Snapshot", "VersionId", "IsCurrentVersion", "Deleted",
            "RemainingRetentionDays"
        ],
        "Filters": {
            "BlobTypes": ["blockBlob", "pageBlob"], "PrefixMatch": ["backups/2025", "backups/2026"],
            "ExcludePrefix": ["backups/2025/tmp"], "IncludeBlobVersions": true, "IncludeSnapshots": true,
            "IncludeDeleted": true, "CreationTime": {"LastNDays": 400}
        }
    });
    let scenario = Scenario::new::<BlobInventoryPolicy>(
        emulator,
        json!({"StorageAccountId": account, "Enabled": true, "Rules": [containers]}),
        json!({"Enabled": false, "Rules": [containers, blobs]}),
        json!({"Enabled": true, "Rules": [blobs]}),
    );
    Scenario { one_per_parent: true, ..scenario.await }
}
