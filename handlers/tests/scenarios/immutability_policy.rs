use super::{Scenario, account};
use cfn_provider::testing::Harness;
use handlers::storage::{blob_container::BlobContainer, immutability_policy::ImmutabilityPolicy};
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let model = json!({"StorageAccountId": account(&emulator).await, "ContainerName": "parent"});
    let container = Harness::new::<BlobContainer>(emulator.type_configuration()).create(&model).await;
    let container = container.expect("the container is made")["Id"].clone();
    let scenario = Scenario::new::<ImmutabilityPolicy>(
        emulator,
        json!({"ContainerId": container, "ImmutabilityPeriodSinceCreationInDays": 7}),
        json!({
            "AllowProtectedAppendWrites": true, "AllowProtectedAppendWritesAll": false, "State": "Unlocked",
            "LockIrrevocably": false
        }),
        json!({
            "ImmutabilityPeriodSinceCreationInDays": 30, "AllowProtectedAppendWrites": false,
            "AllowProtectedAppendWritesAll": true
        }),
    );
    Scenario { one_per_parent: true, ..scenario.await }
}
