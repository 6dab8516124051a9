//! Between a template's vault and ARM's.

use super::{NetworkAcls, Vault};
use crate::translate::{answered_id, camel, decode, object, pascal, patch, tags_from_azure};
use cfn_provider::Result;
use serde_json::{Map, Value, json};

impl Vault {
    /// The body of a PUT, without tags. All identities in a vault are of its own tenant, so that a policy need not say it.
    pub(super) fn to_azure(&self, tenant: Option<&str>) -> Value {
        let policies = self.access_policies.as_ref().map(|policies| {
            let of_tenant = |policy| {
                let mut policy = object(camel(json!(policy)));
                policy.insert("tenantId".into(), json!(tenant));
                Value::Object(policy)
            };
            policies.iter().map(of_tenant).collect::<Vec<_>>()
        });
        let mut properties = object(camel(json!({
            "TenantId": tenant,
            "Sku": self.sku.as_ref().map(|sku| json!({"family": "A", "name": sku.name})),
            "EnableRbacAuthorization": self.enable_rbac_authorization,
            "AccessPolicies": policies,
            "EnabledForDeployment": self.enabled_for_deployment,
            "EnabledForDiskEncryption": self.enabled_for_disk_encryption,
            "EnabledForTemplateDeployment": self.enabled_for_template_deployment,
            "SoftDeleteRetentionInDays": self.soft_delete_retention_in_days,
            // Azure takes no false.
            "EnablePurgeProtection": self.enable_purge_protection.filter(|protected| *protected),
            "PublicNetworkAccess": self.public_network_access,
        })));
        if let Some(acls) = &self.network_acls {
            properties.insert("networkAcls".into(), acls.to_azure());
        }
        let mut body = Map::from_iter([("properties".into(), Value::Object(properties))]);
        if let Some(location) = &self.location {
            body.insert("location".into(), json!(location));
        }
        Value::Object(body)
    }

    /// What ARM answers for a vault.
    pub(super) fn from_azure(body: &Value) -> Result<Self> {
        let id = answered_id(body)?;
        let properties = &body["properties"];
        let mut members = object(pascal(properties.clone()));
        let is_disabled =
            properties["publicNetworkAccess"].as_str().is_some_and(|word| word.eq_ignore_ascii_case("Disabled"));
        members.extend(object(json!({
            "Id": id.to_string(),
            "ResourceGroupId": id.parent().map(|group| group.to_string()),
            "VaultName": id.name(),
            "Location": body["location"],
            "NetworkAcls": network_acls_from_azure(&properties["networkAcls"]),
            "PublicNetworkAccess": if is_disabled { "Disabled" } else { "Enabled" },
            // Absent means no, and only a value can be compared with a template's.
            "EnableRbacAuthorization": properties["enableRbacAuthorization"] == true,
            "EnabledForDeployment": properties["enabledForDeployment"] == true,
            "EnabledForDiskEncryption": properties["enabledForDiskEncryption"] == true,
            "EnabledForTemplateDeployment": properties["enabledForTemplateDeployment"] == true,
            "EnablePurgeProtection": properties["enablePurgeProtection"] == true,
        })));
        let vault: Self = decode(&id, members)?;
        Ok(Self { tags: Some(tags_from_azure(body)), ..vault })
    }

    /// The body of the PATCH that brings `current` to this model, without tags; empty where nothing differs.
    pub(super) fn changes(&self, previous: &Self, current: &Self) -> Value {
        let tenant = self.tenant_id.as_deref().or(current.tenant_id.as_deref());
        let defaults = json!({"properties": {
            "sku": {"family": "A", "name": "standard"},
            "enableRbacAuthorization": false,
            "accessPolicies": [],
            "enabledForDeployment": false,
            "enabledForDiskEncryption": false,
            "enabledForTemplateDeployment": false,
            "publicNetworkAccess": "Enabled",
            "networkAcls": NetworkAcls::open(),
        }});
        let now = current.to_azure(current.tenant_id.as_deref());
        patch(&self.to_azure(tenant), &previous.to_azure(tenant), &now, &defaults, &[]).unwrap_or_else(|| json!({}))
    }
}

impl NetworkAcls {
    /// What a vault has that says nothing.
    fn open() -> Value {
        json!({"defaultAction": "Allow", "bypass": "AzureServices", "ipRules": [], "virtualNetworkRules": []})
    }

    fn to_azure(&self) -> Value {
        let rules = |values: &Option<Vec<String>>, key: &str| {
            values.as_ref().map(|values| values.iter().map(|value| json!({key: value})).collect::<Vec<_>>())
        };
        camel(json!({
            "DefaultAction": self.default_action,
            "Bypass": self.bypass,
            "IpRules": rules(&self.ip_rules, "value"),
            "VirtualNetworkRules": rules(&self.virtual_network_subnet_ids, "id"),
        }))
    }
}

fn network_acls_from_azure(acls: &Value) -> Value {
    let mut all = object(NetworkAcls::open());
    all.extend(object(acls.clone()).into_iter().filter(|(_, member)| !member.is_null()));
    let values = |rules: &str, key: &str| -> Vec<String> {
        all[rules].as_array().into_iter().flatten().filter_map(|rule| rule[key].as_str()).map(str::to_owned).collect()
    };
    json!({
        "DefaultAction": all["defaultAction"],
        "Bypass": all["bypass"],
        // Azure makes a range of an address.
        "IpRules": values("ipRules", "value").iter().map(|rule| rule.trim_end_matches("/32")).collect::<Vec<_>>(),
        "VirtualNetworkSubnetIds": values("virtualNetworkRules", "id"),
    })
}
