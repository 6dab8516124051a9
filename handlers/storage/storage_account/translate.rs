//! Between the model and ARM's body of a storage account: pure functions.

use super::StorageAccount;
use crate::translate::{answered_id, camel, decode, object, pascal, patch, tags_from_azure};
use azure_client::ResourceId;
use cfn_provider::{Error, HandlerErrorCode, Result};
use serde_json::{Map, Value, json};

/// Members of the model that are not members of ARM's `properties` by the same name.
const ELSEWHERE: [&str; 15] = [
    "Id",
    "ResourceGroupId",
    "AccountName",
    "Location",
    "Sku",
    "Kind",
    "Tags",
    "Identity",
    "DataResidency",
    "EmptyOnDelete",
    "Profile",
    "PrimaryEndpoints",
    "PrimaryLocation",
    "SecondaryLocation",
    "NetworkAcls",
];

impl StorageAccount {
    /// What the template says, as ARM's body; without tags, for those are the stack's too.
    pub(super) fn to_azure(&self) -> Value {
        let mut properties = object(json!(self));
        properties.retain(|name, _| !ELSEWHERE.contains(&name.as_str()) && name != "Encryption");
        let mut properties = object(camel(Value::Object(properties)));
        if let Some(acls) = &self.network_acls {
            properties.insert("networkAcls".into(), acls.to_azure());
        }
        if let Some(encryption) = &self.encryption {
            properties.insert("encryption".into(), encryption.to_azure());
        }
        let mut body = Map::new();
        if let Some(kind) = &self.kind {
            body.insert("kind".into(), json!(kind));
        }
        if let Some(sku) = &self.sku {
            body.insert("sku".into(), camel(json!(sku)));
        }
        if let Some(location) = &self.location {
            body.insert("location".into(), json!(location));
        }
        if let Some(identity) = &self.identity {
            body.insert("identity".into(), identity.to_azure());
        }
        body.insert("properties".into(), Value::Object(properties));
        Value::Object(body)
    }

    /// What ARM answers for an account.
    pub(super) fn from_azure(body: &Value) -> Result<Self> {
        let id = answered_id(body)?;
        let group = id.parent().ok_or_else(|| {
            Error::new(HandlerErrorCode::InternalFailure, format!("Azure's id {id} is in no resource group"))
        })?;
        let properties = &body["properties"];
        let mut members = object(pascal(properties.clone()));
        members.extend(object(json!({
            "Id": id.to_string(),
            "ResourceGroupId": group.to_string(),
            "AccountName": id.name(),
            "Location": body["location"],
            "Sku": {"Name": body["sku"]["name"]},
            "Kind": body["kind"],
            "Encryption": encryption_from_azure(&properties["encryption"]),
            "NetworkAcls": network_acls_from_azure(&properties["networkAcls"]),
            "Identity": identity_from_azure(&body["identity"]),
            // Absent means false, and only a value can be compared with a template's.
            "IsHnsEnabled": properties["isHnsEnabled"] == true,
            "IsNfsV3Enabled": properties["isNfsV3Enabled"] == true,
            // Absent means true.
            "AllowSharedKeyAccess": properties["allowSharedKeyAccess"] != false,
            "PublicNetworkAccess": properties["publicNetworkAccess"].as_str().unwrap_or("Enabled"),
            "DnsEndpointType": properties["dnsEndpointType"].as_str().unwrap_or("Standard"),
            "DefaultToOAuthAuthentication": properties["defaultToOAuthAuthentication"] == true,
        })));
        let account: Self = decode(&id, members)?;
        Ok(Self { tags: Some(tags_from_azure(body)), ..account })
    }

    /// The body of the PATCH that brings `current` to this model, without tags; empty where nothing differs.
    pub(super) fn changes(&self, previous: &Self, current: &Self) -> Value {
        let (desired, previous, now) = (self.to_azure(), previous.to_azure(), current.to_azure());
        let mut body =
            patch(&desired, &previous, &now, &defaults(), &["encryption", "identity"]).unwrap_or_else(|| json!({}));
        if body["properties"]["encryption"].is_object()
            && now["properties"]["encryption"]["requireInfrastructureEncryption"] == true
        {
            body["properties"]["encryption"]["requireInfrastructureEncryption"] = true.into();
        }
        // Azure refuses other create-only members when they come again; `enabled` is one, and never differs here.
        if let Some(Value::Object(versioning)) = body.pointer_mut("/properties/immutableStorageWithVersioning") {
            versioning.remove("enabled");
        }
        // A PATCH keeps the user-assigned identities that it does not name: null takes one away.
        if body["identity"]["type"].as_str().is_some_and(|kind| kind.contains("UserAssigned")) {
            let kept = object(body["identity"]["userAssignedIdentities"].clone());
            let attached = object(now["identity"]["userAssignedIdentities"].clone());
            for id in attached.keys().filter(|id| !kept.keys().any(|kept| kept.eq_ignore_ascii_case(id))) {
                body["identity"]["userAssignedIdentities"][id.as_str()] = Value::Null;
            }
        }
        body
    }
}

/// What a member goes back to when the template no longer has it. A null clears it, as in a merge patch. What is not
/// here stays as it is: it has no default, or one that depends on the subscription.
fn defaults() -> Value {
    json!({
        "identity": {"type": "None"},
        "properties": {
            "supportsHttpsTrafficOnly": true,
            "allowBlobPublicAccess": false,
            "allowSharedKeyAccess": true,
            "defaultToOAuthAuthentication": false,
            "allowCrossTenantReplication": false,
            "allowedCopyScope": null,
            "publicNetworkAccess": "Enabled",
            "networkAcls": {
                "defaultAction": "Allow", "bypass": "AzureServices",
                "ipRules": [], "virtualNetworkRules": [], "resourceAccessRules": []
            },
            "isSftpEnabled": false,
            "encryption": {"keySource": "Microsoft.Storage", "services": services()},
            "sasPolicy": null,
            "keyPolicy": null
        }
    })
}

impl super::NetworkAcls {
    fn to_azure(&self) -> Value {
        let rules = |values: &Option<Vec<String>>, key: &str| {
            values
                .as_ref()
                .map(|values| values.iter().map(|value| json!({key: value, "action": "Allow"})).collect::<Vec<_>>())
        };
        camel(json!({
            "DefaultAction": self.default_action,
            "Bypass": self.bypass.as_ref().map(|who| if who.is_empty() { "None".into() } else { who.join(", ") }),
            "IpRules": rules(&self.ip_rules, "value"),
            "VirtualNetworkRules": rules(&self.virtual_network_subnet_ids, "id"),
            "ResourceAccessRules": self.resource_access_rules,
        }))
    }
}

fn network_acls_from_azure(acls: &Value) -> Value {
    if !acls.is_object() {
        return Value::Null;
    }
    let values = |rules: &str, key: &str| -> Vec<Value> {
        acls[rules].as_array().into_iter().flatten().map(|rule| rule[key].clone()).collect()
    };
    let bypass = acls["bypass"].as_str().unwrap_or("None");
    json!({
        "DefaultAction": acls["defaultAction"],
        "Bypass": bypass.split(',').map(str::trim).filter(|who| *who != "None").collect::<Vec<_>>(),
        "IpRules": values("ipRules", "value"),
        "VirtualNetworkSubnetIds": values("virtualNetworkRules", "id"),
        "ResourceAccessRules": pascal(acls.get("resourceAccessRules").cloned().unwrap_or_else(|| json!([]))),
    })
}

fn services() -> Value {
    let service = json!({"enabled": true, "keyType": "Account"});
    json!({"blob": service, "file": service})
}

impl super::Encryption {
    /// Whole, always: ARM replaces the object, and wants `requireInfrastructureEncryption` again with every change.
    fn to_azure(&self) -> Value {
        let mut body = json!({"keySource": "Microsoft.Storage", "services": services()});
        if self.require_infrastructure_encryption == Some(true) {
            body["requireInfrastructureEncryption"] = json!(true);
        }
        if let Some(key) = &self.key_vault_properties {
            body["keySource"] = json!("Microsoft.Keyvault");
            // ARM's names here are in lower case, unlike everywhere else.
            body["keyvaultproperties"] = json!({
                "keyvaulturi": key.key_vault_uri, "keyname": key.key_name, "keyversion": key.key_version.as_deref().unwrap_or_default()
            });
        }
        let identity = camel(json!({
            "UserAssignedIdentity": self.user_assigned_identity_id,
            "FederatedIdentityClientId": self.federated_identity_client_id,
        }));
        if identity.as_object().is_some_and(|identity| !identity.is_empty()) {
            body["identity"] = identity;
        }
        body
    }
}

fn encryption_from_azure(encryption: &Value) -> Value {
    if !encryption.is_object() {
        return Value::Null;
    }
    let mut model = json!({
        "RequireInfrastructureEncryption": encryption["requireInfrastructureEncryption"] == true,
        "UserAssignedIdentityId": encryption["identity"]["userAssignedIdentity"],
        "FederatedIdentityClientId": encryption["identity"]["federatedIdentityClientId"],
    });
    let key = &encryption["keyvaultproperties"];
    if encryption["keySource"].as_str().is_some_and(|source| source.eq_ignore_ascii_case("Microsoft.Keyvault")) {
        model["KeyVaultProperties"] = json!({
            "KeyVaultUri": key["keyvaulturi"],
            "KeyName": key["keyname"],
            "KeyVersion": key["keyversion"].as_str().filter(|version| !version.is_empty()),
        });
    }
    model
}

impl super::Identity {
    fn to_azure(&self) -> Value {
        let mut body = json!({"type": self.kind});
        if let Some(ids) = &self.user_assigned_identity_ids {
            body["userAssignedIdentities"] = ids.iter().map(|id| (id.clone(), json!({}))).collect::<Map<_, _>>().into();
        }
        body
    }
}

fn identity_from_azure(identity: &Value) -> Value {
    if !identity.is_object() {
        return Value::Null;
    }
    let ids: Option<Vec<String>> = identity["userAssignedIdentities"].as_object().map(|identities| {
        identities.keys().map(|id| id.parse::<ResourceId>().map_or_else(|_| id.clone(), |id| id.to_string())).collect()
    });
    // Azure writes the two with and without a space.
    let kind = identity["type"].as_str().map(|kind| kind.replace(' ', ""));
    json!({"Type": kind, "UserAssignedIdentityIds": ids, "PrincipalId": identity["principalId"]})
}
