//! `Microsoft.Resources/resourceGroups`.

use serde_json::{Value, json};

use super::arm::{Call, ResourceType, page};
use super::http::{Answer, Outcome};
use super::ids::Id;
use super::rules;
use super::state::{Later, Operation};

/// How long a deletion takes, in the emulator's unit of time.
const DELETION: u32 = 2;

pub(super) struct ResourceGroup;

impl ResourceType for ResourceGroup {
    fn name(&self) -> &'static str {
        "Microsoft.Resources/resourceGroups"
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let body = call.body()?;
        if !rules::is_group_name(id.name()) {
            let message = format!(
                "The provided resource group name '{}' has invalid characters or ends with a period.",
                id.name()
            );
            return Err(Answer::gateway(400, "InvalidResourceGroup", message));
        }
        let Some(location) = body["location"].as_str() else {
            let message = "The location property is required for this definition.";
            return Err(Answer::gateway(400, "LocationRequired", message));
        };
        let location = rules::location(location).ok_or_else(|| {
            let message = format!(
                "The provided location '{location}' is not available for resource group. List of available regions is '{}'.",
                rules::LOCATIONS.join(",")
            );
            Answer::gateway(400, "LocationNotAvailableForResourceGroup", message)
        })?;
        let existing = call.state.get(id).cloned();
        if let Some(existing) = &existing {
            refuse_while_deleting(existing, id)?;
            if existing["location"] != location {
                let message = format!(
                    "Invalid resource group location '{location}'. The Resource group already exists in location '{}'.",
                    existing["location"].as_str().unwrap_or_default()
                );
                return Err(Answer::gateway(409, "InvalidResourceGroupLocation", message));
            }
        }
        let spelled = existing
            .as_ref()
            .and_then(|existing| existing["id"].as_str())
            .map_or_else(|| id.to_string(), str::to_owned);
        let name = spelled.rsplit('/').next().unwrap_or_default();
        let mut document = json!({
            "id": spelled,
            "name": name,
            "type": self.name(),
            "location": location,
        });
        for member in ["managedBy", "tags"] {
            if !body[member].is_null() {
                document[member] = body[member].clone();
            }
        }
        document["properties"] = json!({"provisioningState": "Succeeded"});
        call.state.put(id, document.clone());
        let status = if existing.is_some() { 200 } else { 201 };
        Ok(Answer::json(status, &document))
    }

    fn patch(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let body = call.body()?;
        let Some(document) = call.state.get_mut(id) else {
            return Err(self.absent(id));
        };
        refuse_while_deleting(document, id)?;
        if !body["tags"].is_null() {
            document["tags"] = body["tags"].clone();
        }
        Ok(Answer::json(200, document))
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let due = call.after(DELETION);
        let Some(document) = call.state.get_mut(id) else {
            return Err(self.absent(id));
        };
        if document["properties"]["provisioningState"] != "Deleting" {
            document["properties"]["provisioningState"] = "Deleting".into();
            call.state.schedule(id, vec![(due, Later::Vanish)]);
        }
        let path = format!("/subscriptions/{}/operationresults", id.subscription());
        let operation = Operation { due, result: None };
        let location = call.location(&path, operation);
        Ok(Answer::empty(202).with("location", location).with("retry-after", call.retry_after(DELETION)))
    }

    fn absent(&self, id: &Id) -> Answer {
        not_found(id.name())
    }
}

/// What a group holds: the resources directly in it, as ARM's generic list shows them.
pub(super) fn contents(call: &mut Call<'_>, group: &Id) -> Outcome {
    let below = format!("{}/providers/", group.key());
    let items: Vec<(String, Value)> = call
        .state
        .visible()
        .filter(|(key, _)| {
            // Locks and role assignments are said of the group; they are not in it.
            let rest = key.strip_prefix(&below).filter(|rest| !rest.starts_with("microsoft.authorization/"));
            rest.is_some_and(|rest| rest.matches('/').count() == 2)
        })
        .map(|(key, document)| {
            let mut item = json!({});
            for member in ["id", "name", "type", "sku", "kind", "location", "identity", "tags"] {
                if !document[member].is_null() {
                    item[member] = document[member].clone();
                }
            }
            (key.clone(), item)
        })
        .collect();
    Ok(page(call, items))
}

/// The 404 of a group that does not exist.
pub(super) fn not_found(name: &str) -> Answer {
    let message = format!("Resource group '{name}' could not be found.");
    Answer::gateway(404, "ResourceGroupNotFound", message)
}

fn refuse_while_deleting(document: &Value, id: &Id) -> Result<(), Answer> {
    if document["properties"]["provisioningState"] != "Deleting" {
        return Ok(());
    }
    let message =
        format!("The resource group '{}' is in deprovisioning state and cannot perform this operation.", id.name());
    Err(Answer::gateway(409, "ResourceGroupBeingDeleted", message))
}
