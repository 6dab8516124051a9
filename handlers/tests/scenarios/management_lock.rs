use super::{Scenario, account};
use handlers::authorization::management_lock::ManagementLock;
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let account = account(&emulator).await;
    Scenario::new::<ManagementLock>(
        emulator,
        json!({"Scope": account, "Level": "CanNotDelete"}),
        json!({"LockName": "second-copy", "Notes": "holds the second copy"}),
        json!({"Level": "ReadOnly", "Notes": "under audit"}),
    )
    .await
}
