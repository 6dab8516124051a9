use super::{Scenario, identity};
use handlers::authorization::role_assignment::RoleAssignment;
use sandbox::azure::Emulator;
use serde_json::{Value, json};

const CONDITION: &str = "((!(ActionMatches{'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read'})) OR \
                         (@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name] StringEquals 'one'))";

pub(super) async fn scenario(emulator: Emulator) -> Scenario {
    let identity = identity(&emulator).await;
    let role = format!(
        "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/ba92f5b4-2d11-453d-a403-e96b0029c9fe",
        emulator.options().subscription_id
    );
    let scenario = Scenario::new::<RoleAssignment>(
        emulator,
        json!({
            "Scope": identity["ResourceGroupId"], "RoleName": "Storage Blob Data Contributor",
            "PrincipalId": identity["PrincipalId"]
        }),
        json!({
            "RoleAssignmentName": "6f1d3c52-0b7a-4c7e-9d35-2f6f0a1b9c11", "RoleDefinitionId": role,
            "PrincipalType": "ServicePrincipal", "Description": "writes the second copy", "Condition": CONDITION,
            "DelegatedManagedIdentityResourceId": identity["Id"]
        }),
        json!({"Description": "keeps the second copy", "Condition": CONDITION.replace("one", "two")}),
    )
    .await;
    let roles = ["Reader", "Contributor", "Owner", "Storage Account Contributor", "Storage Blob Data Reader"];
    scenario.distinct_by("RoleName", roles.map(Value::from).to_vec())
}
