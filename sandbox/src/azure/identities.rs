//! `Microsoft.ManagedIdentity`: identities that Azure keeps.

use serde_json::json;
use uuid::Uuid;

use super::arm::{Call, ResourceType};
use super::http::{Answer, Outcome};
use super::ids::Id;
use super::rules;

/// How long Entra's replicas take to know a new identity, in the emulator's unit of time.
const REPLICATION: u32 = 2;

pub(super) struct UserAssignedIdentity;

impl ResourceType for UserAssignedIdentity {
    fn name(&self) -> &'static str {
        "Microsoft.ManagedIdentity/userAssignedIdentities"
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let body = call.body()?;
        let Some(location) = body["location"].as_str() else {
            let message = "The location property is required for this definition.";
            return Err(Answer::gateway(400, "LocationRequired", message));
        };
        let location = rules::location(location).ok_or_else(|| {
            let message =
                format!("The provided location '{location}' is not available for resource type '{}'.", self.name());
            Answer::gateway(400, "LocationNotAvailableForResourceType", message)
        })?;
        let existing = call.state.get(id).cloned();
        if let Some(existing) = existing.as_ref().filter(|existing| existing["location"] != location) {
            let message = format!(
                "Invalid resource location '{location}'. The Resource already exists in location '{}' in resource group '{}'.",
                existing["location"].as_str().unwrap_or_default(),
                id.group().unwrap_or_default()
            );
            return Err(Answer::gateway(409, "InvalidResourceLocation", message));
        }
        let is_new = existing.is_none();
        let tags = match &body["tags"] {
            tags if tags.is_object() => tags.clone(),
            _ => json!({}),
        };
        let mut document = existing.unwrap_or_else(|| {
            json!({
                "location": location,
                "tags": {},
                // The provider writes this word of an id in lower case.
                "id": id.to_string().replacen("/resourceGroups/", "/resourcegroups/", 1),
                "name": id.name(),
                "type": self.name(),
                "properties": {
                    "tenantId": call.options.tenant_id,
                    "principalId": Uuid::new_v4().to_string(),
                    "clientId": Uuid::new_v4().to_string(),
                },
            })
        });
        document["tags"] = tags;
        call.state.put(id, document.clone());
        if !is_new {
            return Ok(Answer::json(200, &document));
        }
        let known = call.after(REPLICATION);
        call.state.introduce(document["properties"]["principalId"].as_str().unwrap_or_default(), known);
        let location = document["id"].as_str().unwrap_or_default();
        Ok(Answer::json(201, &document).with("location", location))
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let existed = call.state.remove(id);
        Ok(Answer::empty(if existed { 200 } else { 204 }))
    }
}

/// How long a write of a credential takes, in the emulator's unit of time.
const WRITE: u32 = 1;

pub(super) struct FederatedIdentityCredential;

impl ResourceType for FederatedIdentityCredential {
    fn name(&self) -> &'static str {
        "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials"
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let sent = call.body()?["properties"].clone();
        for member in ["issuer", "subject"] {
            if sent[member].as_str().is_none_or(str::is_empty) {
                return Err(Answer::error(400, "BadRequest", format!("The property '{member}' is required.")));
            }
        }
        if sent["audiences"].as_array().is_none_or(|audiences| audiences.len() != 1) {
            return Err(Answer::error(400, "BadRequest", "The property 'audiences' must have exactly one value."));
        }
        take_turns(call, id)?;
        let is_twin = call.state.of_type(self.name()).any(|other| {
            let document = &other.document;
            let is_sibling = document["id"].as_str().is_some_and(|other| is_sibling(other, &id.key()));
            is_sibling && ["issuer", "subject"].iter().all(|member| document["properties"][member] == sent[member])
        });
        if is_twin {
            let message = "Issuer and subject combination already exists for this Managed Identity.";
            return Err(Answer::error(409, "Conflict", message));
        }
        let is_new = call.state.get(id).is_none();
        let document = json!({
            "id": id.to_string(),
            "name": id.name(),
            "type": self.name(),
            "properties": {
                "issuer": sent["issuer"],
                "subject": sent["subject"],
                "audiences": sent["audiences"],
            },
        });
        call.state.put(id, document.clone());
        match is_new {
            true => Ok(Answer::json(201, &document).with("location", id.to_string())),
            false => Ok(Answer::json(200, &document)),
        }
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        if call.state.get(id).is_none() {
            return Ok(Answer::empty(204));
        }
        take_turns(call, id)?;
        call.state.remove(id);
        Ok(Answer::empty(200))
    }

    fn absent(&self, id: &Id) -> Answer {
        Answer::error(404, "NotFound", format!("Resource '{id}' was not found."))
    }
}

/// Whether two ids of credentials are of one identity and different.
fn is_sibling(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    a != b && a.rsplit_once('/').map(|(above, _)| above) == b.rsplit_once('/').map(|(above, _)| above)
}

/// Writes of the credentials of one identity exclude each other.
fn take_turns(call: &mut Call<'_>, id: &Id) -> Result<(), Answer> {
    let Some(identity) = id.parent() else { return Ok(()) };
    if call.state.is_blocked(&identity) {
        let message = format!(
            "Too many Federated Identity Credentials are written concurrently for the managed identity '{identity}'. \
             Concurrent Federated Identity Credentials writes under the same managed identity are not supported."
        );
        return Err(Answer::error(
            409,
            "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity",
            message,
        ));
    }
    call.state.block(&identity, call.now, call.options.pace * WRITE);
    Ok(())
}
