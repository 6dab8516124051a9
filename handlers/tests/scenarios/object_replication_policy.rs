use super::{Scenario, account};
use cfn_provider::testing::Harness;
use handlers::storage::{
    blob_service::BlobService, object_replication_policy::ObjectReplicationPolicy, storage_account::StorageAccount,
};
use sandbox::azure::Emulator;
use serde_json::{Value, json};

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let source = account(&emulator).await;
    let model = json!({
        "ResourceGroupId": source.split("/providers/").next(), "AccountName": "replicaaccount",
        "Location": "australiasoutheast", "Sku": {"Name": "Standard_LRS"}
    });
    let destination = Harness::new::<StorageAccount>(emulator.type_configuration()).create(&model).await;
    let destination = destination.expect("the account is made")["Id"].clone();
    for (account, feed) in [(json!(source), true), (destination.clone(), false)] {
        let service =
            json!({"StorageAccountId": account, "IsVersioningEnabled": true, "ChangeFeed": {"Enabled": feed}});
        let service = Harness::new::<BlobService>(emulator.type_configuration()).create(&service).await;
        service.expect("the service is set");
    }
    let rule = |from: &str, to: &str| json!({"SourceContainer": from, "DestinationContainer": to});
    let filtered = |prefixes: Value| {
        let mut rule = rule("logs", "copies");
        rule["Filters"] = json!({"PrefixMatch": prefixes, "MinCreationTime": "2026-02-19T16:05:00Z"});
        rule
    };
    let scenario = Scenario::new::<ObjectReplicationPolicy>(
        emulator,
        json!({
            "SourceAccountId": source, "DestinationAccountId": destination, "Rules": [rule("backups", "backups")]
        }),
        json!({
            "Rules": [filtered(json!(["b", "a"])), rule("backups", "backups")], "Metrics": {"Enabled": true},
            "PriorityReplication": {"Enabled": true}, "TagsReplication": {"Enabled": true},
            "DataResidency": "Australia"
        }),
        json!({
            "Rules": [rule("backups", "backups"), rule("other", "backups"), filtered(json!(["a"]))],
            "Metrics": {"Enabled": false}, "PriorityReplication": {"Enabled": false}, "TagsReplication": {"Enabled": false}
        }),
    );
    Scenario {
        one_per_parent: true,
        read_calls: 2,
        is_of: |made, _| made.contains("/objectReplicationPolicies/"),
        ..scenario.await
    }
}
