use super::{Scenario, account};
use handlers::storage::table::Table;
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let account = account(&emulator).await;
    Scenario::new::<Table>(
        emulator,
        json!({"StorageAccountId": account}),
        json!({
            "TableName": "Runs2026",
            "SignedIdentifiers": [
                {"Id": "writers", "AccessPolicy": {
                    "StartTime": "2026-01-01T00:00:00Z", "ExpiryTime": "2027-01-01T00:00:00Z", "Permission": "raud"
                }},
                {"Id": "readers", "AccessPolicy": {"Permission": "r"}}
            ],
            "EmptyOnDelete": false
        }),
        json!({"SignedIdentifiers": [{"Id": "readers", "AccessPolicy": {"Permission": "ra"}}]}),
    )
    .await
}
