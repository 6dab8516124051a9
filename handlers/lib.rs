//! The Azure resource types: one file and one row each.

pub mod authorization;
mod geography;
mod identifier;
pub mod insights;
pub mod key_vault;
pub mod managed_identity;
pub mod profile;
mod provider;
mod residency;
pub mod resources;
pub mod storage;
mod translate;

use authorization::{management_lock::ManagementLock, role_assignment::RoleAssignment};
use cfn_provider::Entry;
use insights::diagnostic_setting::DiagnosticSetting;
use key_vault::{key::Key, vault::Vault};
use managed_identity::{
    federated_identity_credential::FederatedIdentityCredential, user_assigned_identity::UserAssignedIdentity,
};
use resources::resource_group::ResourceGroup;
use storage::{
    blob_container::BlobContainer, blob_inventory_policy::BlobInventoryPolicy, blob_service::BlobService,
    encryption_scope::EncryptionScope, file_share::FileShare, immutability_policy::ImmutabilityPolicy,
    local_user::LocalUser, management_policy::ManagementPolicy, object_replication_policy::ObjectReplicationPolicy,
    queue::Queue, storage_account::StorageAccount, table::Table,
};

/// Every type that `bootstrap` serves.
pub const REGISTRY: &[Entry] = &[
    Entry::of::<ResourceGroup>(),
    Entry::of::<StorageAccount>(),
    Entry::of::<BlobService>(),
    Entry::of::<BlobContainer>(),
    Entry::of::<ImmutabilityPolicy>(),
    Entry::of::<ObjectReplicationPolicy>(),
    Entry::of::<Queue>(),
    Entry::of::<Table>(),
    Entry::of::<FileShare>(),
    Entry::of::<EncryptionScope>(),
    Entry::of::<ManagementPolicy>(),
    Entry::of::<BlobInventoryPolicy>(),
    Entry::of::<LocalUser>(),
    Entry::of::<UserAssignedIdentity>(),
    Entry::of::<FederatedIdentityCredential>(),
    Entry::of::<RoleAssignment>(),
    Entry::of::<ManagementLock>(),
    Entry::of::<Vault>(),
    Entry::of::<Key>(),
    Entry::of::<DiagnosticSetting>(),
];
