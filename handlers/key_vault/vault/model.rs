//! What a template says of a vault.

use crate::{profile::ProfileName, residency::DataResidency};
use cfn_provider::{
    Tag,
    schema::{create_only, not_secret, primary_identifier, read_only, tags, unordered, write_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Resource Type definition for Azure::KeyVault::Vault, which keeps the keys that encrypt storage accounts. Deleting a vault
/// keeps it, and its name, for SoftDeleteRetentionInDays: RecoverDeleted brings it back, PurgeOnDelete does not let it stay.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Vault {
    /// The ARM id of the vault.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of the resource group: `!Ref` of an Azure::Resources::ResourceGroup.
    #[schemars(required, transform = create_only)]
    pub resource_group_id: Option<String>,
    /// The name of the vault, which no other vault of Azure may have. If you do not give one, a name is derived from the
    /// stack and the logical id.
    #[schemars(transform = create_only, length(min = 3, max = 24), regex(pattern = "^[A-Za-z](-?[A-Za-z0-9])+$"))]
    pub vault_name: Option<String>,
    /// The Azure region, as in `az account list-locations`: `australiaeast`.
    #[schemars(required, transform = create_only, regex(pattern = "^[a-z0-9]+$"))]
    pub location: Option<String>,
    pub(crate) data_residency: Option<DataResidency>,
    /// The Entra tenant whose identities may reach the vault; the tenant of the subscription by default.
    #[schemars(regex(pattern = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))]
    pub tenant_id: Option<String>,
    /// What the vault can do, standard by default.
    pub sku: Option<Sku>,
    /// Whether roles say who may use keys, secrets and certificates, and not AccessPolicies; false by default.
    pub enable_rbac_authorization: Option<bool>,
    /// Who may use keys, secrets and certificates, unless EnableRbacAuthorization is true.
    #[schemars(transform = unordered, length(max = 1024))]
    pub access_policies: Option<Vec<AccessPolicy>>,
    /// Whether virtual machines may take certificates that are kept as secrets; false by default.
    pub enabled_for_deployment: Option<bool>,
    /// Whether Azure Disk Encryption may take secrets and unwrap keys; false by default.
    pub enabled_for_disk_encryption: Option<bool>,
    /// Whether Azure Resource Manager may take secrets for its templates; false by default.
    pub enabled_for_template_deployment: Option<bool>,
    /// For how many days a deleted vault, key, secret or certificate is kept; 90 by default.
    #[schemars(transform = create_only, range(min = 7, max = 90))]
    pub soft_delete_retention_in_days: Option<u32>,
    /// Whether nobody can purge what is deleted before its time, which encryption of a storage account demands. Azure cannot
    /// take it back: once true, it stays true.
    pub enable_purge_protection: Option<bool>,
    /// Which networks may reach the keys, secrets and certificates; all by default.
    pub network_acls: Option<NetworkAcls>,
    /// Whether the vault answers at its public address, Enabled by default; if Disabled, only at private endpoints.
    #[schemars(extend("enum" = ["Enabled", "Disabled"]))]
    pub public_network_access: Option<String>,
    /// Whether a deleted vault of this name, in this resource group, that Azure still keeps comes back, with all that it
    /// holds, and takes on what the template says. If false, which is the default, creating a vault of its name fails.
    #[schemars(transform = write_only, transform = not_secret)]
    pub recover_deleted: Option<bool>,
    /// Whether deleting the vault also purges it, so that all it holds is lost for ever and its name is free. Refused while
    /// purge protection is on. False by default. It takes the role Key Vault Contributor on the subscription.
    #[schemars(transform = write_only, transform = not_secret)]
    pub purge_on_delete: Option<bool>,
    /// The tags of the vault.
    #[schemars(transform = tags)]
    pub tags: Option<Vec<Tag>>,
    /// The address of the vault: `https://name.vault.azure.net/`, the KeyVaultUri of a storage account's encryption.
    #[schemars(transform = read_only)]
    pub vault_uri: Option<String>,
    pub(super) profile: Option<ProfileName>,
}

/// What a vault can do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Sku {
    /// With premium, keys can be kept in hardware (RSA-HSM and EC-HSM).
    #[schemars(required, extend("enum" = ["standard", "premium"]))]
    pub name: Option<String>,
}

/// What an identity of the vault's tenant may do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct AccessPolicy {
    /// The object id, in Entra, of the user, group or service principal: `!GetAtt Identity.PrincipalId`.
    #[schemars(required, length(min = 1))]
    pub object_id: Option<String>,
    /// The application through which it must act.
    #[schemars(length(min = 1))]
    pub application_id: Option<String>,
    /// What it may do.
    #[schemars(required)]
    pub permissions: Option<Permissions>,
}

/// What an identity may do in a vault, by what is done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Permissions {
    /// With keys: all, or some of get, list, create, update, import, delete, recover, backup, restore, purge, encrypt,
    /// decrypt, sign, verify, wrapKey, unwrapKey, release, rotate, getrotationpolicy, setrotationpolicy. To encrypt a storage
    /// account takes get, wrapKey and unwrapKey.
    #[schemars(transform = unordered, inner(regex(pattern = "^[A-Za-z]+$")))]
    pub keys: Option<Vec<String>>,
    /// With secrets: all, or some of get, list, set, delete, recover, backup, restore, purge.
    #[schemars(transform = unordered, inner(regex(pattern = "^[A-Za-z]+$")))]
    pub secrets: Option<Vec<String>>,
    /// With certificates: all, or some of get, list, create, update, import, delete, recover, backup, restore, purge,
    /// managecontacts, getissuers, listissuers, setissuers, deleteissuers, manageissuers.
    #[schemars(transform = unordered, inner(regex(pattern = "^[A-Za-z]+$")))]
    pub certificates: Option<Vec<String>>,
    /// With managed storage accounts: all, or some of get, list, set, update, delete, recover, backup, restore, purge,
    /// regeneratekey, getsas, listsas, setsas, deletesas.
    #[schemars(transform = unordered, inner(regex(pattern = "^[A-Za-z]+$")))]
    pub storage: Option<Vec<String>>,
}

/// Which networks may reach a vault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkAcls {
    /// What happens to a request that no rule names; Allow by default.
    #[schemars(extend("enum" = ["Allow", "Deny"]))]
    pub default_action: Option<String>,
    /// Whose traffic passes in spite of the rules: AzureServices, which is the default and lets storage accounts reach their
    /// keys, or None.
    #[schemars(extend("enum" = ["AzureServices", "None"]))]
    pub bypass: Option<String>,
    /// Public IPv4 addresses, and ranges (CIDR) of more than one, that are let in.
    #[schemars(transform = unordered, length(max = 1000), inner(regex(pattern = r"^[0-9]+(\.[0-9]+){3}(/([0-9]|[12][0-9]|3[01]))?$")))]
    pub ip_rules: Option<Vec<String>>,
    /// ARM ids of subnets that are let in.
    #[schemars(transform = unordered, length(max = 200))]
    pub virtual_network_subnet_ids: Option<Vec<String>>,
}
