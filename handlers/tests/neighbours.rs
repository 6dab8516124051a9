//! What identities, role assignments and locks do to one another and to storage.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use cfn_provider::{HandlerErrorCode as Code, testing::Harness};
use handlers::{
    authorization::{management_lock::ManagementLock, role_assignment::RoleAssignment},
    insights::diagnostic_setting::DiagnosticSetting,
    managed_identity::{
        federated_identity_credential::FederatedIdentityCredential, user_assigned_identity::UserAssignedIdentity,
    },
    resources::resource_group::ResourceGroup,
};
use sandbox::azure::{Emulator, Options};
use serde_json::{Value, json};
use std::time::Duration;

struct Azure {
    emulator: Emulator,
    group: Value,
}

impl Azure {
    async fn start(pace: Duration) -> Self {
        let emulator = Emulator::start(Options { pace, ..Options::default() }).await.unwrap();
        let groups = Harness::new::<ResourceGroup>(emulator.type_configuration());
        let group = groups.create(&json!({"ResourceGroupName": "copies", "Location": "australiaeast"})).await.unwrap();
        Self { emulator, group }
    }

    fn of<R: cfn_provider::Resource>(&self) -> Harness {
        Harness::new::<R>(self.emulator.type_configuration())
    }

    async fn identity(&self, name: &str) -> Value {
        let model = json!({"ResourceGroupId": self.group["Id"], "IdentityName": name, "Location": "australiaeast"});
        self.of::<UserAssignedIdentity>().create(&model).await.unwrap()
    }

    /// How often a path was answered with a status.
    fn answered(&self, method: &str, part: &str, status: u16) -> usize {
        let requests = self.emulator.requests().into_iter();
        requests.filter(|r| r.method == method && r.path.contains(part) && r.status == Some(status)).count()
    }
}

#[tokio::test]
async fn a_lock_forbids_until_it_is_gone() {
    let azure = Azure::start(Duration::from_millis(10)).await;
    let identity = azure.identity("writer").await;
    let (identities, locks) = (azure.of::<UserAssignedIdentity>(), azure.of::<ManagementLock>());
    let model = json!({"Scope": azure.group["Id"], "LockName": "keep", "Level": "CanNotDelete"});
    let lock = locks.create(&model).await.unwrap();

    let mut tagged = identity.clone();
    tagged["Tags"] = json!([{"Key": "team", "Value": "backup"}]);
    let tagged = identities.update(&identity, &tagged).await.expect("CanNotDelete lets changes through");
    let refused = identities.delete(&tagged).await.unwrap_err();
    assert_eq!(refused.code, Code::ResourceConflict);
    for part in ["ScopeLocked", "resourceGroups/copies", "remove what protects it, such as a lock"] {
        assert!(refused.message.contains(part), "{part} in {}", refused.message);
    }

    let mut read_only = lock.clone();
    read_only["Level"] = "ReadOnly".into();
    let lock = locks.update(&lock, &read_only).await.expect("a lock does not hold itself");
    assert_eq!(identities.update(&tagged, &identity).await.unwrap_err().code, Code::ResourceConflict);
    locks.delete(&lock).await.unwrap();
    identities.delete(&tagged).await.expect("nothing holds it any more");
}

#[tokio::test]
async fn a_lock_below_holds_what_contains_it_and_is_no_content() {
    let azure = Azure::start(Duration::from_millis(10)).await;
    let identity = azure.identity("writer").await;
    let (groups, locks) = (azure.of::<ResourceGroup>(), azure.of::<ManagementLock>());
    let below = locks.create(&json!({"Scope": identity["Id"], "Level": "CanNotDelete"})).await.unwrap();
    let mut emptied = azure.group.clone();
    emptied["EmptyOnDelete"] = true.into();
    assert_eq!(groups.delete(&emptied).await.unwrap_err().code, Code::ResourceConflict);
    locks.delete(&below).await.unwrap();
    azure.of::<UserAssignedIdentity>().delete(&identity).await.unwrap();
    groups.delete(&azure.group).await.expect("an empty group goes without EmptyOnDelete");
}

#[tokio::test]
async fn locks_of_another_scope_are_not_listed() {
    let azure = Azure::start(Duration::from_millis(10)).await;
    let identity = azure.identity("writer").await;
    let locks = azure.of::<ManagementLock>();
    let above =
        locks.create(&json!({"Scope": azure.group["Id"], "LockName": "a", "Level": "CanNotDelete"})).await.unwrap();
    let below =
        locks.create(&json!({"Scope": identity["Id"], "LockName": "b", "Level": "CanNotDelete"})).await.unwrap();
    for lock in [above, below] {
        let listed = locks.list(&json!({"Scope": lock["Scope"]})).await.unwrap();
        assert_eq!(listed.iter().map(|model| &model["Id"]).collect::<Vec<_>>(), [&lock["Id"]]);
    }
}

#[tokio::test]
async fn a_role_waits_for_its_new_principal() {
    let azure = Azure::start(Duration::from_millis(40)).await;
    let identity = azure.identity("writer").await;
    let model = json!({
        "Scope": azure.group["Id"], "RoleName": "Storage Blob Data Contributor", "PrincipalId": identity["PrincipalId"]
    });
    let assignment = azure.of::<RoleAssignment>().create(&model).await.unwrap();
    assert!(azure.answered("PUT", "roleAssignments", 400) > 0, "Azure did not know the principal at first");
    assert_eq!(azure.answered("PUT", "roleAssignments", 201), 1);
    assert!(assignment["RoleDefinitionId"].as_str().unwrap().ends_with("ba92f5b4-2d11-453d-a403-e96b0029c9fe"));

    let other = azure.identity("reader").await;
    let mut typed = model.clone();
    typed["PrincipalId"] = other["PrincipalId"].clone();
    typed["PrincipalType"] = "ServicePrincipal".into();
    typed["RoleAssignmentName"] = "6f1d3c52-0b7a-4c7e-9d35-2f6f0a1b9c11".into();
    let before = azure.answered("PUT", "roleAssignments", 400);
    azure.of::<RoleAssignment>().create(&typed).await.unwrap();
    assert_eq!(azure.answered("PUT", "roleAssignments", 400), before, "with its type, nobody looks it up");
}

#[tokio::test]
async fn a_role_is_given_once() {
    let azure = Azure::start(Duration::from_millis(1)).await;
    let identity = azure.identity("writer").await;
    let assignments = azure.of::<RoleAssignment>();
    let mut model = json!({"Scope": azure.group["Id"], "RoleName": "Reader", "PrincipalId": identity["PrincipalId"]});
    assignments.create(&model).await.unwrap();
    model["RoleAssignmentName"] = "6f1d3c52-0b7a-4c7e-9d35-2f6f0a1b9c11".into();
    let twin = assignments.create(&model).await.unwrap_err();
    assert_eq!(twin.code, Code::AlreadyExists);
    assert!(twin.message.contains("by an assignment of another name"), "{}", twin.message);
}

/// The ARM id of a role by its GUID.
fn role(azure: &Azure, guid: &str) -> Value {
    let subscription = &azure.emulator.options().subscription_id;
    format!("/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{guid}").into()
}

const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";
const READER: &str = "acdd72a7-3385-48ef-bd42-f606fba81ae7";

#[tokio::test]
async fn a_role_that_cannot_be_found_is_not_given() {
    let azure = Azure::start(Duration::from_millis(1)).await;
    let none = json!({"Scope": azure.group["Id"], "PrincipalId": "6f1d3c52-0b7a-4c7e-9d35-2f6f0a1b9c11"});
    let mut unknown = none.clone();
    unknown["RoleName"] = "Bob's \"role\" & 100% +more#".into();
    let mut both = none.clone();
    both["RoleName"] = "Reader".into();
    both["RoleDefinitionId"] = role(&azure, CONTRIBUTOR);
    for (model, part) in [
        (none, "one of RoleName and RoleDefinitionId"),
        (unknown, "/RoleName: /subscriptions/"),
        (both, "/RoleDefinitionId: it is another role than \"Reader\""),
    ] {
        let refused = azure.of::<RoleAssignment>().create(&model).await.unwrap_err();
        assert_eq!(refused.code, Code::InvalidRequest);
        assert!(refused.message.contains(part), "{}", refused.message);
    }
    assert_eq!(azure.emulator.requests().iter().filter(|r| r.method == "PUT").count(), 1, "the group's");
}

#[tokio::test]
async fn the_same_role_by_another_property_is_no_change() {
    let azure = Azure::start(Duration::from_millis(1)).await;
    let identity = azure.identity("writer").await;
    let assignments = azure.of::<RoleAssignment>();
    let mut named = json!({"Scope": azure.group["Id"], "RoleName": "reader", "PrincipalId": identity["PrincipalId"]});
    let created = assignments.create(&named).await.unwrap();
    assert_eq!(created["RoleDefinitionId"], role(&azure, READER));
    assert_eq!(created.get("RoleName"), None, "it is write-only: Microsoft renames roles");
    for settled in ["Id", "RoleAssignmentName"] {
        named[settled] = created[settled].clone();
    }
    let mut by_id = created.clone();
    by_id["RoleDefinitionId"] = role(&azure, READER);
    let before = azure.answered("PUT", "roleAssignments", 200);
    assignments.update(&named, &by_id).await.unwrap();
    assignments.update(&by_id, &named).await.unwrap();
    assert_eq!(azure.answered("PUT", "roleAssignments", 200), before, "nothing was written");

    let mut other = named.clone();
    other["RoleName"] = "Contributor".into();
    assert_eq!(assignments.update(&named, &other).await.unwrap_err().code, Code::NotUpdatable, "it is replaced");
    let mut typed = named.clone();
    typed["PrincipalType"] = "Group".into();
    let refused = assignments.update(&named, &typed).await.unwrap_err();
    assert!(
        refused.message.contains("/PrincipalType: Azure says that the principal is a ServicePrincipal"),
        "{refused:?}"
    );
    typed["PrincipalType"] = "ServicePrincipal".into();
    assignments.update(&named, &typed).await.expect("said later, it is still true");
}

#[tokio::test]
async fn credentials_of_one_identity_take_turns() {
    let azure = Azure::start(Duration::from_millis(20)).await;
    let identity = azure.identity("writer").await;
    let credentials = azure.of::<FederatedIdentityCredential>();
    let model = |name: &str| {
        json!({"IdentityId": identity["Id"], "CredentialName": name, "Issuer": "https://one.tokens.sts.global.api.aws",
               "Subject": format!("arn:aws:iam::123456789012:role/{name}")})
    };
    let models = ["one", "two", "three"].map(model);
    let [one, two, three] = models.each_ref().map(|model| credentials.create(model));
    let made = tokio::join!(one, two, three);
    for created in [made.0, made.1, made.2] {
        assert_eq!(created.unwrap()["Audiences"], json!(["api://AzureADTokenExchange"]));
    }
    assert!(azure.answered("PUT", "federatedIdentityCredentials", 409) > 0, "they met");
    let mut twin = model("four");
    twin["Subject"] = model("one")["Subject"].clone();
    let refused = credentials.create(&twin).await.unwrap_err();
    assert!(refused.message.contains("Issuer and subject combination already exists"), "{}", refused.message);
}

#[tokio::test]
async fn what_azure_adds_to_a_diagnostic_setting_is_no_drift() {
    let azure = Azure::start(Duration::from_millis(1)).await;
    let identity = azure.identity("watched").await;
    let sink = |name: &str| {
        let group = azure.group["Id"].as_str().unwrap();
        json!(format!("{group}/providers/Microsoft.Storage/storageAccounts/{name}"))
    };
    let settings = azure.of::<DiagnosticSetting>();
    let model = json!({
        "Scope": identity["Id"], "StorageAccountId": sink("logs"), "Logs": [{"CategoryGroup": "audit"}],
        "LogAnalyticsDestinationType": "Dedicated"
    });
    let created = settings.create(&model).await.unwrap();
    assert_eq!(created["Logs"], model["Logs"], "no retention policy, no empty category");
    assert_eq!(created["Metrics"], json!([]), "a metric that is not sent is not shown");
    assert_eq!(
        created["Id"].as_str().unwrap().matches("userAssignedIdentities").count(),
        1,
        "in the template's casing"
    );
    assert_eq!(settings.list(&model).await.unwrap(), std::slice::from_ref(&created));

    let twin = json!({"Scope": identity["Id"], "SettingName": "twin", "StorageAccountId": sink("logs"), "Logs": model["Logs"]});
    let refused = settings.create(&twin).await.unwrap_err();
    assert!(refused.message.contains("can't be reused"), "{}", refused.message);

    let asked = azure.emulator.requests().len();
    for (change, part) in [
        (json!({"StorageAccountId": null}), "one of StorageAccountId"),
        (json!({"EventHubName": "h"}), "/EventHubName: needs"),
        (json!({"Logs": [{"Category": "a"}, {"Category": "a", "CategoryGroup": "b"}]}), "/Logs/1: needs either"),
        (json!({"Logs": [{}]}), "/Logs/0: needs either"),
    ] {
        let mut wrong = model.clone();
        wrong.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        wrong.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let refused = settings.create(&wrong).await.unwrap_err();
        assert!(refused.code == Code::InvalidRequest && refused.message.contains(part), "{}", refused.message);
    }
    assert_eq!(azure.emulator.requests().len(), asked, "refused before Azure is asked");
}
