//! What the suites know of each type: a model with every property, and the changes that it can make in place. One file for
//! each type.

mod blob_container;
mod blob_inventory_policy;
mod blob_service;
mod diagnostic_setting;
mod encryption_scope;
mod federated_identity_credential;
mod file_share;
mod immutability_policy;
mod key;
mod local_user;
mod management_lock;
mod management_policy;
mod object_replication_policy;
mod queue;
mod resource_group;
mod role_assignment;
pub(crate) mod schema;
mod storage_account;
mod table;
mod user_assigned_identity;
mod vault;

use cfn_provider::{Entry, Resource, testing::Harness};
use handlers::{
    REGISTRY,
    authorization::{management_lock::ManagementLock, role_assignment::RoleAssignment},
    insights::diagnostic_setting::DiagnosticSetting,
    key_vault::{key::Key, vault::Vault},
    managed_identity::{
        federated_identity_credential::FederatedIdentityCredential, user_assigned_identity::UserAssignedIdentity,
    },
    resources::resource_group::ResourceGroup,
    storage::{
        blob_container::BlobContainer, blob_inventory_policy::BlobInventoryPolicy, blob_service::BlobService,
        encryption_scope::EncryptionScope, file_share::FileShare, immutability_policy::ImmutabilityPolicy,
        local_user::LocalUser, management_policy::ManagementPolicy, object_replication_policy::ObjectReplicationPolicy,
        queue::Queue, storage_account::StorageAccount, table::Table,
    },
};
use sandbox::azure::{Emulator, Options};
use serde_json::{Value, json};

/// A type on an emulator of its own, with the parents it needs.
pub(crate) struct Scenario {
    pub(crate) emulator: Emulator,
    pub(crate) harness: Harness,
    /// The least that a template must say.
    pub(crate) minimal: Value,
    /// Every optional property that can stand beside the others, at another value than Azure's default where it has one.
    pub(crate) full: Value,
    /// Another value for each property that changes in place.
    pub(crate) updates: Value,
    /// A property that no two resources of the type may share beside the name, and values of it; none if there is no such.
    pub(crate) distinct: Option<(&'static str, Vec<Value>)>,
    /// How often the parents' set-up spoke to Azure.
    pub(crate) set_up: usize,
    /// The parent has one at most.
    pub(crate) one_per_parent: bool,
    /// How many calls a READ takes.
    pub(crate) read_calls: usize,
    /// Whether an ARM id is the resource of this `Id`, or in it.
    pub(crate) is_of: fn(&str, &str) -> bool,
    /// Properties that Azure takes only together with others, and those.
    pub(crate) needs: &'static [(&'static str, &'static [&'static str])],
}

impl Scenario {
    pub(crate) async fn new<R: Resource>(emulator: Emulator, minimal: Value, optional: Value, updates: Value) -> Self {
        let harness = Harness::new::<R>(emulator.type_configuration());
        let mut full = minimal.clone();
        full.as_object_mut().expect("a model").extend(optional.as_object().expect("a model").clone());
        full["Profile"] = "default".into();
        let set_up = emulator.requests().len();
        Self {
            emulator,
            harness,
            minimal,
            full,
            updates,
            distinct: None,
            set_up,
            one_per_parent: false,
            read_calls: 1,
            is_of: is_below,
            needs: &[],
        }
    }

    /// The same for a type of which no two may share a value of `property`.
    pub(crate) fn distinct_by(self, property: &'static str, values: Vec<Value>) -> Self {
        Self { distinct: Some((property, values)), ..self }
    }

    /// The model with what its properties need, as `full` has it.
    pub(crate) fn completed(&self, model: &Value) -> Value {
        let mut whole = model.clone();
        for (_, needed) in self.needs.iter().filter(|(name, _)| model.get(*name).is_some()) {
            for needed in *needed {
                whole[*needed] = self.full[*needed].clone();
            }
        }
        whole
    }

    /// The ARM calls since the set-up, token requests left out.
    pub(crate) fn calls(&self) -> Vec<String> {
        let requests = self.emulator.requests().split_off(self.set_up);
        requests
            .into_iter()
            .filter(|request| request.path.starts_with("/subscriptions"))
            .map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }
}

fn is_below(made: &str, id: &str) -> bool {
    made.to_lowercase().starts_with(&id.to_lowercase())
}

/// Every type, each on an emulator of its own.
pub(crate) async fn each() -> Vec<Scenario> {
    let mut all = Vec::new();
    for entry in REGISTRY {
        all.push(of(entry).await.unwrap_or_else(|| panic!("{} has no scenario", entry.type_name)));
    }
    all
}

/// The type of a row, on an emulator of its own; `None` for a type that the suites do not know.
pub(crate) async fn of(entry: &Entry) -> Option<Scenario> {
    let small_pages = Options { page_size: 2, ..Options::default() };
    let emulator = Emulator::start(small_pages).await.expect("the emulator starts");
    Some(match entry.type_name {
        ResourceGroup::TYPE_NAME => resource_group::scenario(emulator).await,
        StorageAccount::TYPE_NAME => storage_account::scenario(emulator).await,
        BlobService::TYPE_NAME => blob_service::scenario(emulator).await,
        BlobContainer::TYPE_NAME => blob_container::scenario(emulator).await,
        ImmutabilityPolicy::TYPE_NAME => immutability_policy::scenario(emulator).await,
        ObjectReplicationPolicy::TYPE_NAME => object_replication_policy::scenario(emulator).await,
        Queue::TYPE_NAME => queue::scenario(emulator).await,
        Table::TYPE_NAME => table::scenario(emulator).await,
        FileShare::TYPE_NAME => file_share::scenario(emulator).await,
        EncryptionScope::TYPE_NAME => encryption_scope::scenario(emulator).await,
        ManagementPolicy::TYPE_NAME => management_policy::scenario(emulator).await,
        BlobInventoryPolicy::TYPE_NAME => blob_inventory_policy::scenario(emulator).await,
        LocalUser::TYPE_NAME => local_user::scenario(emulator).await,
        UserAssignedIdentity::TYPE_NAME => user_assigned_identity::scenario(emulator).await,
        FederatedIdentityCredential::TYPE_NAME => federated_identity_credential::scenario(emulator).await,
        RoleAssignment::TYPE_NAME => role_assignment::scenario(emulator).await,
        ManagementLock::TYPE_NAME => management_lock::scenario(emulator).await,
        Key::TYPE_NAME => key::scenario(emulator).await,
        Vault::TYPE_NAME => vault::scenario(emulator).await,
        DiagnosticSetting::TYPE_NAME => diagnostic_setting::scenario(emulator).await,
        _ => return None,
    })
}

/// A resource group on an emulator, made by the type itself.
pub(crate) async fn group(emulator: &Emulator) -> String {
    let harness = Harness::new::<ResourceGroup>(emulator.type_configuration());
    let group = harness.create(&json!({"ResourceGroupName": "parent", "Location": "australiaeast"})).await;
    group.expect("the group is made")["Id"].as_str().expect("it has an id").to_owned()
}

/// A storage account on an emulator that lets containers be public, made by the type itself.
pub(crate) async fn account(emulator: &Emulator) -> String {
    account_with(emulator, json!({"AllowBlobPublicAccess": true})).await
}

/// A storage account on an emulator with properties of its own, made by the type itself.
pub(crate) async fn account_with(emulator: &Emulator, properties: Value) -> String {
    let mut model = json!({
        "ResourceGroupId": group(emulator).await, "AccountName": "parentaccount", "Location": "australiaeast",
        "Sku": {"Name": "Standard_LRS"}
    });
    model.as_object_mut().expect("a model").extend(properties.as_object().expect("properties").clone());
    let account = Harness::new::<StorageAccount>(emulator.type_configuration()).create(&model).await;
    account.expect("the account is made")["Id"].as_str().expect("it has an id").to_owned()
}

/// A managed identity on an emulator, made by the type itself.
pub(crate) async fn identity(emulator: &Emulator) -> Value {
    let model = json!({
        "ResourceGroupId": group(emulator).await, "IdentityName": "parent-identity", "Location": "australiaeast"
    });
    Harness::new::<UserAssignedIdentity>(emulator.type_configuration())
        .create(&model)
        .await
        .expect("the identity is made")
}

/// What a template asks for and a READ must therefore answer.
pub(crate) fn visible(scenario: &Scenario, model: &Value) -> Value {
    let mut model = model.clone();
    let hidden = scenario.harness.schema().json["writeOnlyProperties"].clone();
    for pointer in hidden.as_array().into_iter().flatten() {
        model
            .as_object_mut()
            .expect("a model")
            .remove(pointer.as_str().expect("a pointer").trim_start_matches("/properties/"));
    }
    model
}

/// Fails unless `actual` has all of `expected`: lists as sets, as CloudFormation compares those without insertion order.
pub(crate) fn assert_contains(expected: &Value, actual: &Value, at: &str) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (name, value) in expected {
                let other = actual.get(name).unwrap_or_else(|| panic!("{at}/{name} is missing in {actual:?}"));
                assert_contains(value, other, &format!("{at}/{name}"));
            }
        }
        (Value::Array(expected), Value::Array(actual)) => {
            assert_eq!(expected.len(), actual.len(), "{at}: {expected:?} against {actual:?}");
            assert!(expected.iter().all(|item| actual.contains(item)), "{at}: {expected:?} against {actual:?}");
        }
        _ => assert_eq!(expected, actual, "{at}"),
    }
}

/// The model with another value of a property.
pub(crate) fn changed(model: &Value, name: &str, value: &Value) -> Value {
    let mut model = model.clone();
    model[name] = value.clone();
    model
}
