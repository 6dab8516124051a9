use super::{Scenario, account};
use handlers::storage::blob_service::BlobService;
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let account = account(&emulator).await;
    let rule = |origin: &str, age: u32| {
        json!({
            "AllowedOrigins": [origin], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["x-ms-meta-*", "range"],
            "ExposedHeaders": ["*"], "MaxAgeInSeconds": age
        })
    };
    let scenario = Scenario::new::<BlobService>(
        emulator,
        json!({"StorageAccountId": account, "IsVersioningEnabled": true}),
        json!({
            "DeleteRetentionPolicy": {"Enabled": true, "Days": 8, "AllowPermanentDelete": false},
            "ContainerDeleteRetentionPolicy": {"Enabled": true, "Days": 7},
            "ChangeFeed": {"Enabled": true, "RetentionInDays": 30},
            "RestorePolicy": {"Enabled": true, "Days": 7},
            "CorsRules": [rule("https://www.example.com", 200), rule("*", 0)],
            "LastAccessTimeTrackingPolicy": {"Enable": true},
            "DefaultServiceVersion": "2021-12-02",
            "StaticWebsite": {"Enabled": true, "IndexDocument": "index.html", "ErrorDocument404Path": "errors/404.html"}
        }),
        json!({
            "DeleteRetentionPolicy": {"Enabled": true, "Days": 30},
            "ContainerDeleteRetentionPolicy": {"Enabled": false},
            "ChangeFeed": {"Enabled": true},
            "RestorePolicy": {"Enabled": false},
            "CorsRules": [rule("https://other.example.com", 3600)],
            "LastAccessTimeTrackingPolicy": {"Enable": false},
            "DefaultServiceVersion": "2023-11-03",
            "StaticWebsite": {"Enabled": true, "DefaultIndexDocumentPath": "app/index.html"},
            "IsVersioningEnabled": false
        }),
    );
    Scenario {
        one_per_parent: true,
        needs: &[("RestorePolicy", &["DeleteRetentionPolicy", "ChangeFeed"])],
        ..scenario.await
    }
}
