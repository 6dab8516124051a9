//! The types that the recordings speak of: one row each.

use cfn_provider::{Resource, testing::Harness};
use handlers::{
    authorization::{management_lock::ManagementLock, role_assignment::RoleAssignment},
    insights::diagnostic_setting::DiagnosticSetting,
    key_vault::{key::Key, vault::Vault},
    managed_identity::{
        federated_identity_credential::FederatedIdentityCredential, user_assigned_identity::UserAssignedIdentity,
    },
    resources::resource_group::ResourceGroup,
    storage::{
        blob_container::BlobContainer, blob_inventory_policy::BlobInventoryPolicy, encryption_scope::EncryptionScope,
        file_share::FileShare, local_user::LocalUser, management_policy::ManagementPolicy, queue::Queue,
        storage_account::StorageAccount, table::Table,
    },
};
use serde_json::Value;

use crate::models::{self, Member};

/// A type, where its resources are, and what their bodies say.
pub(crate) struct Kind {
    pub(crate) type_name: &'static str,
    pub(crate) harness: fn(Value) -> Harness,
    arm: &'static str,
    /// The property that has the name at the end of a path; empty where there is none.
    name: &'static str,
    /// The property that has the beginning of a path, and what ends it; empty where there is none.
    parent: (&'static str, Parent),
    pub(crate) member: Member,
    /// Its PUT and PATCH answer a part of the resource.
    pub(crate) is_echo: bool,
    /// Why no recorded request can be asked of the handler; empty where all can.
    pub(crate) no_intents: &'static str,
}

#[derive(Clone, Copy)]
enum Parent {
    None,
    Group,
    /// A resource in a group.
    Resource,
    /// Whatever is before the last provider.
    Scope,
}

const ACCOUNT: (&str, Parent) = ("StorageAccountId", Parent::Resource);
const GROUP: (&str, Parent) = ("ResourceGroupId", Parent::Group);

const fn row<R: Resource>(
    arm: &'static str,
    name: &'static str,
    parent: (&'static str, Parent),
    member: Member,
) -> Kind {
    Kind {
        type_name: R::TYPE_NAME,
        harness: Harness::new::<R>,
        arm,
        name,
        parent,
        member,
        is_echo: false,
        no_intents: "",
    }
}

const fn echoing(kind: Kind) -> Kind {
    Kind { is_echo: true, ..kind }
}

pub(crate) const KINDS: &[Kind] = &[
    row::<ResourceGroup>("microsoft.resources/resourcegroups", "ResourceGroupName", ("", Parent::None), models::plain),
    row::<StorageAccount>("microsoft.storage/storageaccounts", "AccountName", GROUP, models::account),
    echoing(row::<BlobContainer>(
        "microsoft.storage/storageaccounts/blobservices/containers",
        "ContainerName",
        ACCOUNT,
        models::container,
    )),
    echoing(row::<Queue>(
        "microsoft.storage/storageaccounts/queueservices/queues",
        "QueueName",
        ACCOUNT,
        models::plain,
    )),
    echoing(row::<Table>(
        "microsoft.storage/storageaccounts/tableservices/tables",
        "TableName",
        ACCOUNT,
        models::plain,
    )),
    echoing(row::<FileShare>(
        "microsoft.storage/storageaccounts/fileservices/shares",
        "ShareName",
        ACCOUNT,
        models::plain,
    )),
    row::<EncryptionScope>(
        "microsoft.storage/storageaccounts/encryptionscopes",
        "EncryptionScopeName",
        ACCOUNT,
        models::scope,
    ),
    row::<ManagementPolicy>("microsoft.storage/storageaccounts/managementpolicies", "", ACCOUNT, models::policy),
    row::<BlobInventoryPolicy>("microsoft.storage/storageaccounts/inventorypolicies", "", ACCOUNT, models::policy),
    row::<LocalUser>("microsoft.storage/storageaccounts/localusers", "UserName", ACCOUNT, models::local_user),
    row::<UserAssignedIdentity>(
        "microsoft.managedidentity/userassignedidentities",
        "IdentityName",
        GROUP,
        models::plain,
    ),
    row::<FederatedIdentityCredential>(
        "microsoft.managedidentity/userassignedidentities/federatedidentitycredentials",
        "CredentialName",
        ("IdentityId", Parent::Resource),
        models::plain,
    ),
    Kind {
        no_intents: "Azure makes sure of the principal, which no recorded path leads to",
        ..row::<RoleAssignment>(
            "microsoft.authorization/roleassignments",
            "RoleAssignmentName",
            ("Scope", Parent::Scope),
            models::plain,
        )
    },
    row::<Vault>("microsoft.keyvault/vaults", "VaultName", GROUP, models::vault),
    row::<Key>("microsoft.keyvault/vaults/keys", "KeyName", ("VaultId", Parent::Resource), models::plain),
    row::<DiagnosticSetting>(
        "microsoft.insights/diagnosticsettings",
        "SettingName",
        ("Scope", Parent::Scope),
        models::diagnostic_setting,
    ),
    row::<ManagementLock>("microsoft.authorization/locks", "LockName", ("Scope", Parent::Scope), models::plain),
];

/// Types that have their recordings checked by a test of their own, and where.
pub(crate) const ELSEWHERE: &[(&str, &str)] = &[
    ("Azure::Storage::BlobService", "handlers/tests/blob_service.rs"),
    ("Azure::Storage::ImmutabilityPolicy", "handlers/tests/immutability_policy.rs"),
    ("Azure::Storage::ObjectReplicationPolicy", "handlers/tests/object_replication_policy.rs"),
];

impl Kind {
    /// The type that a path ends in, and whether it is the type's list.
    pub(crate) fn of(path: &str) -> Option<(&'static Self, bool)> {
        let path = path.trim_matches('/').to_lowercase();
        let words: Vec<&str> = path.split('/').collect();
        let (arm, is_list) = match words.iter().rposition(|word| *word == "providers") {
            None if words.len() < 3 => return None,
            None => (format!("microsoft.resources/{}", words[2]), words.len() == 3),
            Some(at) => {
                let (provider, rest) = words[at + 1..].split_first()?;
                let kinds: Vec<&str> = rest.iter().step_by(2).copied().collect();
                (format!("{provider}/{}", kinds.join("/")), rest.len() % 2 == 1)
            }
        };
        KINDS.iter().find(|kind| kind.arm == arm).map(|kind| (kind, is_list))
    }

    /// The type of a resource's document.
    pub(crate) fn of_document(document: &Value) -> Option<&'static Self> {
        let (kind, is_list) = Self::of(document["id"].as_str()?)?;
        (!is_list).then_some(kind)
    }

    /// What a body says in the model's terms.
    pub(crate) fn model(&self, id: &str, body: &Value, schema: &Value) -> Value {
        let mut model = models::model(body, self.member, schema);
        if !self.name.is_empty() {
            model[self.name] = id.rsplit('/').next().unwrap().into();
        }
        let words: Vec<&str> = id.split('/').collect();
        let parent = match self.parent.1 {
            Parent::None => return model,
            Parent::Group => words[..5].join("/"),
            Parent::Resource => words[..9].join("/"),
            Parent::Scope => id.rsplit_once("/providers/").unwrap().0.to_owned(),
        };
        model[self.parent.0] = parent.into();
        model
    }

    /// The name for people.
    pub(crate) fn short(&self) -> &'static str {
        self.type_name.rsplit("::").next().unwrap_or_default()
    }
}

/// The ARM type that a path names, as Azure spells most of them.
pub(crate) fn arm_type(path: &str) -> String {
    let words: Vec<&str> = path.split('/').collect();
    match words.iter().rposition(|word| *word == "providers") {
        None => "Microsoft.Resources/resourceGroups".into(),
        Some(at) => {
            let kinds: Vec<&str> = words[at + 2..].iter().step_by(2).copied().collect();
            format!("{}/{}", words[at + 1], kinds.join("/"))
        }
    }
}
