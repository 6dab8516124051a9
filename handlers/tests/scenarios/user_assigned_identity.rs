use super::{Scenario, group};
use handlers::managed_identity::user_assigned_identity::UserAssignedIdentity;
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let group = group(&emulator).await;
    Scenario::new::<UserAssignedIdentity>(
        emulator,
        json!({"ResourceGroupId": group, "Location": "australiaeast"}),
        json!({"IdentityName": "backup_writer-1", "DataResidency": "Australia", "Tags": [
            {"Key": "team", "Value": "storage"}, {"Key": "cost", "Value": "42"}
        ]}),
        json!({"Tags": [{"Key": "team", "Value": "backup"}]}),
    )
    .await
}
