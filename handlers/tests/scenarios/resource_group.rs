use super::Scenario;
use handlers::resources::resource_group::ResourceGroup;
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let tags = json!([{"Key": "team", "Value": "storage"}, {"Key": "cost", "Value": "42"}]);
    Scenario::new::<ResourceGroup>(
        emulator,
        json!({"Location": "australiaeast"}),
        json!({"ResourceGroupName": "backups", "Tags": tags, "DataResidency": "Australia", "EmptyOnDelete": false}),
        json!({"Tags": [{"Key": "team", "Value": "backup"}]}),
    )
    .await
}
