//! `Microsoft.KeyVault/vaults`, and those that were deleted and are kept.

use serde_json::{Value, json};

use super::arm::{Call, ResourceType, no_such_action};
use super::http::{Answer, Outcome, timestamp};
use super::ids::Id;
use super::merge::merge;
use super::rules;
use super::state::Later;

/// How long a new vault's name takes to be known, in the emulator's unit of time.
const DNS: u32 = 2;
/// How long a purge takes.
const PURGE: u32 = 1;
/// What marks the document of something that was deleted and is kept.
pub(super) const DELETED: &str = "deletionDate";
const SKUS: &[&str] = &["standard", "premium"];

pub(super) struct Vault;

impl ResourceType for Vault {
    fn name(&self) -> &'static str {
        "Microsoft.KeyVault/vaults"
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let body = call.body()?;
        let sent = &body["properties"];
        let Some(location) = body["location"].as_str().and_then(rules::location) else {
            return Err(Answer::gateway(
                400,
                "LocationRequired",
                "The location property is required for this definition.",
            ));
        };
        let is_recovery = sent["createMode"] == "recover";
        check(sent)?;
        if sent["tenantId"].as_str().is_none_or(str::is_empty) {
            return Err(bad("The parameter tenantId is required."));
        }
        if !is_recovery && !sent["accessPolicies"].is_array() {
            return Err(bad("The parameter accessPolicies is required."));
        }
        let existing = call.state.any(id).map(|vault| (vault.hidden, vault.document.clone()));
        match &existing {
            Some((true, _)) if !is_recovery => return Err(kept()),
            Some((true, _)) => call.state.bring_back(id, DELETED),
            Some((false, found)) => refuse_change(&found["properties"], sent)?,
            None if is_recovery => {
                let message = "A soft deleted vault with the given name does not exist. Ensure that the name for the vault \
                               that is being attempted to recover is in a recoverable state.";
                return Err(Answer::error(404, "SoftDeletedVaultDoesNotExist", message));
            }
            None => refuse_taken(call, id)?,
        }
        let mut properties = json!({"accessPolicies": [], "enabledForDeployment": false});
        // As recorded: whoever says that there is soft deletion says for how long, too.
        if sent["enableSoftDelete"].is_null() {
            properties["softDeleteRetentionInDays"] = 90.into();
        }
        if let Some((true, found)) = &existing {
            properties = found["properties"].clone();
        }
        merge(&mut properties, sent);
        if let Some(properties) = properties.as_object_mut() {
            properties.remove("createMode");
        }
        if let Some((_, found)) = &existing {
            for lasting in ["softDeleteRetentionInDays", "enablePurgeProtection"] {
                if !found["properties"][lasting].is_null() {
                    properties[lasting] = found["properties"][lasting].clone();
                }
            }
            if sent["enablePurgeProtection"] == true {
                properties["enablePurgeProtection"] = true.into();
            }
        }
        let state = if existing.is_some() { "Succeeded" } else { "RegisteringDns" };
        complete(&mut properties);
        merge(
            &mut properties,
            &json!({
                "enableSoftDelete": true,
                "vaultUri": format!("{}{PREFIX}{}/", call.url, id.name()),
                "provisioningState": state,
            }),
        );
        let (now, who) = (timestamp(), &call.options.client_id);
        let document = json!({
            "id": id.to_string(),
            "name": id.name(),
            "type": self.name(),
            "location": location,
            "tags": if body["tags"].is_object() { body["tags"].clone() } else { json!({}) },
            "systemData": {
                "createdBy": who, "createdByType": "Application", "createdAt": now,
                "lastModifiedBy": who, "lastModifiedByType": "Application", "lastModifiedAt": now,
            },
            "properties": properties,
        });
        let later = if state == "Succeeded" { Vec::new() } else { vec![(call.after(DNS), Later::Become("Succeeded"))] };
        call.state.put_later(id, document.clone(), false, later);
        Ok(Answer::json(200, &document))
    }

    fn patch(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let body = call.body()?;
        let sent = body["properties"].clone();
        check(&sent)?;
        let Some(document) = call.state.get(id) else { return Err(self.absent(id)) };
        let mut document = document.clone();
        refuse_change(&document["properties"], &sent)?;
        merge(&mut document["properties"], &sent);
        complete(&mut document["properties"]);
        if body["tags"].is_object() {
            document["tags"] = body["tags"].clone();
        }
        if let Some(stored) = call.state.get_mut(id) {
            *stored = document.clone();
        }
        Ok(Answer::json(200, &document))
    }

    /// The vault is kept, out of sight, with what it holds.
    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        if call.state.get(id).is_none() {
            return Ok(Answer::empty(204));
        }
        call.state.keep_deleted(id, DELETED, &timestamp());
        Ok(Answer::empty(200))
    }
}

/// Where the emulator serves what vaults hold: `/_vault/NAME/keys/…`.
pub(super) const PREFIX: &str = "/_vault/";

fn check(sent: &Value) -> Result<(), Answer> {
    let days = &sent["softDeleteRetentionInDays"];
    if !days.is_null() && !days.as_u64().is_some_and(|days| (7..=90).contains(&days)) {
        return Err(bad("The value of softDeleteRetentionInDays must be between 7 and 90."));
    }
    if sent["enablePurgeProtection"] == false {
        let message = "The property \"enablePurgeProtection\" cannot be set to false. Enabling the purge protection for a \
                       vault is an irreversible action.";
        return Err(bad(message));
    }
    let sku = &sent["sku"]["name"];
    if !sent["sku"].is_null() && !sku.as_str().is_some_and(|sku| SKUS.contains(&sku)) {
        return Err(bad(format!("The SKU {sku} is not one of {}.", SKUS.join(", "))));
    }
    let policies = sent["accessPolicies"].as_array().into_iter().flatten();
    for policy in policies {
        if policy["tenantId"].as_str().is_none() || policy["objectId"].as_str().is_none() {
            return Err(bad("An access policy needs tenantId and objectId."));
        }
    }
    Ok(())
}

fn refuse_change(found: &Value, sent: &Value) -> Result<(), Answer> {
    let days = &sent["softDeleteRetentionInDays"];
    if !days.is_null() && *days != found["softDeleteRetentionInDays"] {
        let message = "The property \"softDeleteRetentionInDays\" has been set already and it can't be modified.";
        return Err(bad(message));
    }
    Ok(())
}

/// What Azure adds to what was sent.
fn complete(properties: &mut Value) {
    if properties["publicNetworkAccess"].is_null() {
        properties["publicNetworkAccess"] = "Enabled".into();
    }
    for rule in properties.pointer_mut("/networkAcls/ipRules").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(address) = rule["value"].as_str().filter(|address| !address.contains('/')) {
            rule["value"] = format!("{address}/32").into();
        }
    }
    if let Some(acls) = properties.pointer_mut("/networkAcls").and_then(Value::as_object_mut) {
        for (member, default) in [("bypass", json!("AzureServices")), ("defaultAction", json!("Allow"))] {
            acls.entry(member).or_insert(default);
        }
        for member in ["ipRules", "virtualNetworkRules"] {
            acls.entry(member).or_insert_with(|| json!([]));
        }
    }
    if let Some(properties) = properties.as_object_mut() {
        properties.retain(|_, member| !member.is_null());
    }
}

/// No two vaults of Azure have one name, the deleted ones included.
fn refuse_taken(call: &Call<'_>, id: &Id) -> Result<(), Answer> {
    let other = call
        .state
        .of_type(Vault.name())
        .find(|vault| vault.document["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(id.name())));
    match other {
        None => Ok(()),
        Some(vault) if vault.hidden => Err(kept()),
        Some(_) => {
            let message = format!(
                "The vault name '{}' is already in use. Vault names are globally unique so it is possible that the name is \
                 already taken.",
                id.name()
            );
            Err(Answer::error(409, "VaultAlreadyExists", message))
        }
    }
}

fn kept() -> Answer {
    let message = "A vault with the same name already exists in deleted state. You need to either recover or purge existing \
                   key vault.";
    Answer::error(409, "ConflictError", message)
}

fn bad(message: impl AsRef<str>) -> Answer {
    Answer::error(400, "BadRequest", message)
}

/// A deleted vault, `deletedVaults/NAME`, or what is done with it, `deletedVaults/NAME/purge`.
pub(super) fn on_deleted(call: &mut Call<'_>, location: &str, name: &str, action: Option<&str>) -> Outcome {
    let is_it = |document: &Value| {
        document["location"] == location && document["name"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(name))
    };
    let found = call.state.of_type(Vault.name()).find(|vault| vault.hidden && is_it(&vault.document));
    let Some(document) = found.map(|vault| vault.document.clone()) else {
        let message = format!(
            "The specified deleted vault '{name}' does not exist. Ensure that the vault was indeed deleted and that it is in \
             recoverable state."
        );
        return Err(Answer::error(404, "DeletedVaultNotFound", message));
    };
    let path = format!(
        "/subscriptions/{}/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{name}",
        call.options.subscription_id
    );
    let id = super::arm::parse(document["id"].as_str().unwrap_or_default()).ok_or_else(|| bad("no vault"))?;
    match (call.request.method.as_str(), action) {
        ("GET", None) => Ok(Answer::json(
            200,
            &json!({
                "id": path,
                "name": name,
                "type": "Microsoft.KeyVault/deletedVaults",
                "properties": {
                    "vaultId": document["id"],
                    "location": location,
                    "tags": document["tags"],
                    "deletionDate": document[DELETED],
                    "scheduledPurgeDate": document[DELETED],
                },
            }),
        )),
        ("POST", Some("purge")) if document["properties"]["enablePurgeProtection"] == true => {
            let message = format!(
                "Operation \"purge\" is not allowed because purge protection is enabled for this vault '{name}'."
            );
            Err(Answer::error(403, "MethodNotAllowed", message))
        }
        ("POST", Some("purge")) => {
            call.state.schedule(&id, vec![(call.after(PURGE), Later::Vanish)]);
            Ok(Answer::empty(202).with("retry-after", call.retry_after(PURGE)))
        }
        (_, action) => Err(no_such_action(&id, action.unwrap_or_default())),
    }
}
