use super::{Scenario, account};
use handlers::storage::queue::Queue;
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let account = account(&emulator).await;
    Scenario::new::<Queue>(
        emulator,
        json!({"StorageAccountId": account}),
        json!({"QueueName": "jobs", "Metadata": {"owner": "team", "purpose": "backup"}, "EmptyOnDelete": false}),
        json!({"Metadata": {"owner": "other"}}),
    )
    .await
}
