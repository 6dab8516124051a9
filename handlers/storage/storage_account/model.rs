//! The model of a storage account. Enumerations are texts with a list of values in the schema, so that an account that
//! has a value newer than this file can still be read.

use crate::{profile::ProfileName, residency::DataResidency};
use cfn_provider::{
    Tag,
    schema::{conditional_create_only, create_only, primary_identifier, read_only, tags, unordered, write_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Resource Type definition for Azure::Storage::StorageAccount, which holds blobs, files, queues and tables under one
/// name that is unique in all of Azure.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct StorageAccount {
    /// The ARM id of the storage account.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of the resource group: `!Ref` of an Azure::Resources::ResourceGroup.
    #[schemars(required, transform = create_only)]
    pub resource_group_id: Option<String>,
    /// The name of the account, unique in all of Azure: 3 to 24 lower-case letters and digits. If you do not give one, a
    /// name is derived from the stack and the logical id.
    #[schemars(transform = create_only, regex(pattern = "^[a-z0-9]{3,24}$"))]
    pub account_name: Option<String>,
    /// The Azure region, as in `az account list-locations`: `australiaeast`.
    #[schemars(required, transform = create_only, regex(pattern = "^[a-z0-9]+$"))]
    pub location: Option<String>,
    /// How the data is replicated and how fast it is.
    #[schemars(required)]
    pub sku: Option<Sku>,
    /// The kind of the account; StorageV2 by default. In place, only Storage and BlobStorage change, to StorageV2.
    #[schemars(transform = conditional_create_only, extend("enum" = ["StorageV2", "BlockBlobStorage", "FileStorage", "BlobStorage", "Storage"]))]
    pub kind: Option<String>,
    /// The access tier of blobs that name none; Hot by default.
    #[schemars(extend("enum" = ["Hot", "Cool", "Cold", "Premium"]))]
    pub access_tier: Option<String>,
    /// The lowest version of TLS that a request may use. Azure's own default depends on the subscription: say it.
    #[schemars(extend("enum" = ["TLS1_0", "TLS1_1", "TLS1_2", "TLS1_3"]))]
    pub minimum_tls_version: Option<String>,
    /// Whether only https is served; true by default.
    pub supports_https_traffic_only: Option<bool>,
    /// Whether a container of the account may be public; false by default.
    pub allow_blob_public_access: Option<bool>,
    /// Whether a request may sign with an account key; true by default. False leaves Entra alone.
    pub allow_shared_key_access: Option<bool>,
    /// Whether tools sign in with Entra unless told otherwise; false by default.
    pub default_to_o_auth_authentication: Option<bool>,
    /// Whether object replication may cross Entra tenants; false by default.
    pub allow_cross_tenant_replication: Option<bool>,
    /// Where data may be copied from: accounts of the same tenant (AAD) or of the same private link. Anywhere by default.
    #[schemars(extend("enum" = ["AAD", "PrivateLink"]))]
    pub allowed_copy_scope: Option<String>,
    /// Whether the public endpoints answer; Enabled by default.
    #[schemars(extend("enum" = ["Enabled", "Disabled", "SecuredByPerimeter"]))]
    pub public_network_access: Option<String>,
    /// Which networks the public endpoints answer; all by default.
    pub network_acls: Option<NetworkAcls>,
    /// Whether blobs live in a hierarchy of directories (Data Lake Storage).
    #[schemars(transform = create_only)]
    pub is_hns_enabled: Option<bool>,
    /// Whether NFS 3.0 is served; needs the hierarchical namespace.
    #[schemars(transform = create_only)]
    pub is_nfs_v3_enabled: Option<bool>,
    /// Whether SFTP is served; needs the hierarchical namespace.
    pub is_sftp_enabled: Option<bool>,
    /// Whether local users, which SFTP uses, may sign in.
    pub is_local_user_enabled: Option<bool>,
    /// Whether the endpoints are in the standard zone or in a zone of their own, of which a subscription may have more.
    #[schemars(transform = create_only, extend("enum" = ["Standard", "AzureDnsZone"]))]
    pub dns_endpoint_type: Option<String>,
    /// How the data is encrypted at rest; with Microsoft's keys by default.
    pub encryption: Option<Encryption>,
    /// The identities the account itself acts with, such as to reach its customer-managed key.
    pub identity: Option<Identity>,
    /// Limits of shared access signatures.
    pub sas_policy: Option<SasPolicy>,
    /// Limits of the account keys.
    pub key_policy: Option<KeyPolicy>,
    /// Immutability of blob versions in every container of the account.
    pub immutable_storage_with_versioning: Option<ImmutableStorageAccount>,
    pub(crate) data_residency: Option<DataResidency>,
    /// The tags of the account.
    #[schemars(transform = tags)]
    pub tags: Option<Vec<Tag>>,
    /// Whether deleting the account also deletes what it still holds. If false, which is the default, an account that
    /// holds containers, file shares, queues or tables is not deleted.
    #[schemars(transform = write_only)]
    pub empty_on_delete: Option<bool>,
    /// Where the account answers.
    #[schemars(transform = read_only)]
    pub primary_endpoints: Option<Endpoints>,
    /// The region of the primary copy.
    #[schemars(transform = read_only)]
    pub primary_location: Option<String>,
    /// The region of the secondary copy, where the replication has one.
    #[schemars(transform = read_only)]
    pub secondary_location: Option<String>,
    pub(super) profile: Option<ProfileName>,
}

/// How the data is replicated and how fast it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Sku {
    /// Performance and replication. Azure changes LRS, GRS and RAGRS into each other in place; other changes replace the
    /// account.
    #[schemars(required, transform = conditional_create_only, extend("enum" = [
        "Standard_LRS", "Standard_ZRS", "Standard_GRS", "Standard_RAGRS", "Standard_GZRS", "Standard_RAGZRS",
        "Premium_LRS", "Premium_ZRS"
    ]))]
    pub name: Option<String>,
}

/// Which networks the public endpoints answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkAcls {
    /// What happens to a request that no rule names; Allow by default.
    #[schemars(extend("enum" = ["Allow", "Deny"]))]
    pub default_action: Option<String>,
    /// Whose traffic passes in spite of the rules; AzureServices by default, an empty list lets nobody pass.
    #[schemars(transform = unordered, inner(regex(pattern = "^(AzureServices|Logging|Metrics)$")))]
    pub bypass: Option<Vec<String>>,
    /// Public IPv4 addresses and ranges (CIDR) that are let in.
    #[schemars(transform = unordered, length(max = 400))]
    pub ip_rules: Option<Vec<String>>,
    /// ARM ids of subnets that are let in.
    #[schemars(transform = unordered, length(max = 400))]
    pub virtual_network_subnet_ids: Option<Vec<String>>,
    /// Azure resources that are let in by their identity.
    #[schemars(transform = unordered)]
    pub resource_access_rules: Option<Vec<ResourceAccessRule>>,
}

/// An Azure resource that is let in by its identity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ResourceAccessRule {
    /// The Entra tenant of the resource.
    #[schemars(required)]
    pub tenant_id: Option<String>,
    /// The ARM id of the resource; `*` may stand for its name.
    #[schemars(required)]
    pub resource_id: Option<String>,
}

/// How the data is encrypted at rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Encryption {
    /// Whether the data is encrypted a second time, with another key and algorithm, on the disks.
    #[schemars(transform = create_only)]
    pub require_infrastructure_encryption: Option<bool>,
    /// The customer-managed key; without it, Microsoft keeps the key.
    pub key_vault_properties: Option<KeyVaultProperties>,
    /// The ARM id of the user-assigned identity that reaches the key; without it, the system-assigned one does.
    pub user_assigned_identity_id: Option<String>,
    /// The client id of the multi-tenant application that reaches a key of another tenant.
    pub federated_identity_client_id: Option<String>,
}

/// A customer-managed key in a key vault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct KeyVaultProperties {
    /// The address of the vault: `https://name.vault.azure.net/`.
    #[schemars(required)]
    pub key_vault_uri: Option<String>,
    /// The name of the key.
    #[schemars(required)]
    pub key_name: Option<String>,
    /// The version of the key; without it, the account follows the newest.
    pub key_version: Option<String>,
}

/// The identities the account itself acts with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Identity {
    /// Which identities there are.
    #[schemars(required, extend("enum" = ["None", "SystemAssigned", "UserAssigned", "SystemAssigned,UserAssigned"]))]
    #[serde(rename = "Type")]
    pub kind: Option<String>,
    /// ARM ids of the user-assigned identities.
    #[schemars(transform = unordered)]
    pub user_assigned_identity_ids: Option<Vec<String>>,
    /// The object id of the system-assigned identity.
    #[schemars(transform = read_only)]
    pub principal_id: Option<String>,
}

/// Limits of shared access signatures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct SasPolicy {
    /// How long a signature may be valid: `days.hours:minutes:seconds`, such as `1.12:05:06`.
    #[schemars(required, regex(pattern = r"^\d{1,5}\.\d{2}:\d{2}:\d{2}$"))]
    pub sas_expiration_period: Option<String>,
    /// What happens to one that is valid for longer; Log by default.
    #[schemars(extend("enum" = ["Log", "Block"]))]
    pub expiration_action: Option<String>,
}

/// Limits of the account keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct KeyPolicy {
    /// After how many days a key should be renewed.
    #[schemars(required, range(min = 1, max = 365_000))]
    pub key_expiration_period_in_days: Option<u32>,
}

/// Immutability of blob versions in every container of the account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ImmutableStorageAccount {
    /// Whether versions can be made immutable. Needs versioning of the account's blobs.
    #[schemars(required, transform = create_only)]
    pub enabled: Option<bool>,
    /// The policy that blobs inherit.
    pub immutability_policy: Option<AccountImmutabilityPolicy>,
}

/// The immutability policy that blobs inherit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct AccountImmutabilityPolicy {
    /// For how many days after its creation a version cannot change: 1 to 146,000.
    #[schemars(required, range(min = 1, max = 146_000))]
    pub immutability_period_since_creation_in_days: Option<u32>,
    /// Unlocked policies can be changed and removed; a Locked one only grows.
    #[schemars(required, extend("enum" = ["Unlocked", "Locked", "Disabled"]))]
    pub state: Option<String>,
    /// Whether an append blob may grow in spite of the policy.
    #[schemars(required)]
    pub allow_protected_append_writes: Option<bool>,
}

/// Addresses of the account's services.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Endpoints {
    /// The address of the blob service.
    #[schemars(transform = read_only)]
    pub blob: Option<String>,
    /// The address of the Data Lake Storage service.
    #[schemars(transform = read_only)]
    pub dfs: Option<String>,
    /// The address of the file service.
    #[schemars(transform = read_only)]
    pub file: Option<String>,
    /// The address of the queue service.
    #[schemars(transform = read_only)]
    pub queue: Option<String>,
    /// The address of the table service.
    #[schemars(transform = read_only)]
    pub table: Option<String>,
    /// The address of the static website.
    #[schemars(transform = read_only)]
    pub web: Option<String>,
}
