use super::{Scenario, account};
use handlers::authorization::management_lock::ManagementLock;
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let account = account(&emulator).await;
    Scenario::new::<ManagementLock>(
        emulator,
        json!({"Scope": account, "Level": "CanNotDelete"}),
        json!({
            "LockName": "second-copy", "Notes": "holds the second copy",
            "Owners": [{"ApplicationId": "6f1d3c52-0b7a-4c7e-9d35-2f6f0a1b9c11"}]
        }),
        json!({
            "Level": "ReadOnly", "Notes": "under audit",
            "Owners": [{"ApplicationId": "0b7a6f1d-3c52-4c7e-9d35-2f6f0a1b9c11"}]
        }),
    )
    .await
}
