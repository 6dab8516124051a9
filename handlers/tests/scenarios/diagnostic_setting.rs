use super::{Scenario, account};
use handlers::insights::diagnostic_setting::DiagnosticSetting;
use sandbox::azure::Emulator;
use serde_json::json;

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let account = account(&emulator).await;
    let group = account.split("/providers/").next().expect("it is in a group").to_owned();
    let of = |kind: &str| format!("{group}/providers/{kind}");
    let sink = |name: &str| json!(of(&format!("Microsoft.Storage/storageAccounts/{name}")));
    let scenario = Scenario::new::<DiagnosticSetting>(
        emulator,
        json!({
            "Scope": format!("{account}/blobServices/default"),
            "EventHubAuthorizationRuleId": of("Microsoft.EventHub/namespaces/n/authorizationRules/r")
        }),
        json!({
            "SettingName": "who-reads", "StorageAccountId": sink("logs"), "WorkspaceId": of("Microsoft.OperationalInsights/workspaces/w"),
            "EventHubName": "logs", "ServiceBusRuleId": of("Microsoft.ServiceBus/namespaces/n/AuthorizationRules/r"),
            "MarketplacePartnerId": of("Microsoft.Datadog/monitors/m"), "LogAnalyticsDestinationType": "Dedicated",
            "Logs": [
                {"Category": "StorageRead"},
                {"CategoryGroup": "audit"}
            ],
            "Metrics": [{"Category": "Transaction", "TimeGrain": "PT1M"}]
        }),
        json!({
            "StorageAccountId": sink("archive"), "WorkspaceId": of("Microsoft.OperationalInsights/workspaces/x"),
            "EventHubName": "audit", "LogAnalyticsDestinationType": "AzureDiagnostics",
            "Logs": [{"CategoryGroup": "allLogs"}],
            "Metrics": [{"Category": "Capacity"}]
        }),
    )
    .await;
    scenario.distinct_by("StorageAccountId", ["a1", "b2", "c3", "d4", "e5"].map(sink).to_vec())
}
