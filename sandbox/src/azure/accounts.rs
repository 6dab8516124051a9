//! `Microsoft.Storage/storageAccounts`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

use super::account_document as document;
use super::account_refusals as refusals;
use super::arm::{Call, ResourceType};
use super::http::{Answer, Outcome};
use super::ids::Id;
use super::rules;
use super::state::{Later, Operation};

pub(super) struct StorageAccount;

/// How long a creation takes, in the emulator's unit of time: one unit each as unknown, `Creating` and `ResolvingDns`.
const CREATION: u32 = 3;

impl ResourceType for StorageAccount {
    fn name(&self) -> &'static str {
        "Microsoft.Storage/storageAccounts"
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let body = call.body()?;
        let name = id.name();
        if !rules::is_account_name(name) {
            let message = format!(
                "{name} is not a valid storage account name. Storage account name must be between 3 and 24 characters \
                 in length and use numbers and lower-case letters only."
            );
            return Err(Answer::error(400, "AccountNameInvalid", message));
        }
        let Some(location) = body["location"].as_str() else {
            let message = "The location property is required for this definition.";
            return Err(Answer::gateway(400, "LocationRequired", message));
        };
        let location = rules::location(location).ok_or_else(|| {
            let message = format!(
                "The provided location '{location}' is not available for resource type '{}'. List of available regions \
                 for the resource type is '{}'.",
                self.name(),
                rules::LOCATIONS.join(",")
            );
            Answer::gateway(400, "LocationNotAvailableForResourceType", message)
        })?;
        refusals::check(&body, true)?;

        if let Some(existing) = call.state.any(id) {
            let (existing, hidden) = (existing.document.clone(), existing.hidden);
            if existing["location"] != location {
                let message = format!(
                    "The resource '{name}' already exists in location '{}' in resource group '{}'. A resource with the \
                     same name cannot be created in location '{location}'. Please select a new resource name.",
                    existing["location"].as_str().unwrap_or_default(),
                    id.group().unwrap_or_default()
                );
                return Err(Answer::gateway(409, "InvalidResourceLocation", message));
            }
            if hidden || existing["properties"]["provisioningState"] != "Succeeded" {
                return Ok(accepted(call, id, location));
            }
            return update(call, id, &body);
        }
        if call.state.taken.contains(name) {
            let message = format!("The storage account named {name} is already taken.");
            return Err(Answer::error(409, "StorageAccountAlreadyTaken", message));
        }
        if named(call, name) {
            let message = format!("The account {name} is already in another resource group in this subscription.");
            return Err(Answer::error(409, "StorageAccountInAnotherResourceGroup", message));
        }
        refusals::check_creation(&body)?;
        let served = endpoints(call, name);
        let created = document::create(&body, id, location, &served, &call.options.tenant_id);
        let later = vec![
            (call.after(1), Later::Appear),
            (call.after(2), Later::Become("ResolvingDns")),
            (call.after(CREATION), Later::Become("Succeeded")),
        ];
        call.state.put_later(id, created, true, later);
        Ok(accepted(call, id, location))
    }

    fn patch(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let body = call.body()?;
        if call.state.any(id).is_none() {
            return Err(self.absent(id));
        }
        refuse_unprovisioned(call, id)?;
        refusals::check(&body, false)?;
        update(call, id, &body)
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let Some(account) = call.state.any(id) else {
            return Ok(Answer::empty(204));
        };
        let state = &account.document["properties"]["provisioningState"];
        if account.hidden || *state != "Succeeded" {
            return Err(busy());
        }
        let below = format!("{}/", id.key());
        let held = call
            .state
            .visible()
            .find(|(key, document)| key.starts_with(&below) && document["properties"]["hasLegalHold"] == true);
        if let Some((_, container)) = held {
            let message = format!(
                "{} is protected from deletion. The container(s) {} have a legal hold.",
                id.name(),
                container["name"].as_str().unwrap_or_default()
            );
            return Err(Answer::error(409, "AccountProtectedFromDeletion", message));
        }
        call.state.remove(id);
        Ok(Answer::empty(200))
    }

    fn act(&self, call: &mut Call<'_>, id: &Id, action: &str) -> Outcome {
        match action {
            "listkeys" | "regeneratekey" => {
                refuse_unprovisioned(call, id)?;
                let created =
                    call.state.get(id).map_or(Value::Null, |account| account["properties"]["keyCreationTime"].clone());
                let keys: Vec<Value> = ["key1", "key2"]
                    .iter()
                    .map(|key| {
                        json!({
                            "creationTime": created[*key],
                            "keyName": key,
                            "value": shared_key(id.name(), key),
                            "permissions": "FULL",
                        })
                    })
                    .collect();
                Ok(Answer::json(200, &json!({"keys": keys})))
            }
            _ => Err(super::arm::no_such_action(id, action)),
        }
    }
}

/// `POST …/checkNameAvailability`: always 200.
pub(super) fn check_name(call: &mut Call<'_>) -> Outcome {
    let body = call.body()?;
    let name = body["name"].as_str().unwrap_or_default();
    let answer = if !rules::is_account_name(name) {
        let message = format!(
            "{name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in \
             length and use numbers and lower-case letters only."
        );
        json!({"nameAvailable": false, "reason": "AccountNameInvalid", "message": message})
    } else if call.state.taken.contains(name) || named(call, name) {
        let message = format!("The storage account named {name} is already taken.");
        json!({"nameAvailable": false, "reason": "AlreadyExists", "message": message})
    } else {
        json!({"nameAvailable": true})
    };
    Ok(Answer::json(200, &answer))
}

/// 409 while another write on the account is under way.
pub(super) fn busy() -> Answer {
    Answer::error(
        409,
        "StorageAccountOperationInProgress",
        "An operation is currently performing on this storage account that requires exclusive access.",
    )
}

/// 409 if the account exists and is not ready.
pub(super) fn refuse_unprovisioned(call: &Call<'_>, account: &Id) -> Result<(), Answer> {
    match call.state.any(account) {
        Some(found) if found.document["properties"]["provisioningState"] != "Succeeded" => Err(Answer::error(
            409,
            "StorageAccountIsNotProvisioned",
            "The storage account provisioning state must be 'Succeeded' before executing the operation.",
        )),
        _ => Ok(()),
    }
}

/// Where the data of an account is, as far as it is served here or by Azurite.
fn endpoints(call: &Call<'_>, account: &str) -> Value {
    let here = |prefix: &str| format!("{}{prefix}{account}/", call.url);
    let blob = match &call.options.azurite {
        Some(azurite) => format!("{}/{account}/", azurite.trim_end_matches('/')),
        None => here(super::blobs::PREFIX),
    };
    json!({"blob": blob, "table": here(super::tables::PREFIX)})
}

fn named(call: &Call<'_>, name: &str) -> bool {
    call.state.of_type("Microsoft.Storage/storageAccounts").any(|account| account.document["name"] == name)
}

fn update(call: &mut Call<'_>, id: &Id, body: &Value) -> Outcome {
    let Some(before) = call.state.get(id) else {
        return Err(super::arm::not_found(id));
    };
    refusals::check_change(before, body)?;
    let after = document::update(before, body, &call.options.tenant_id);
    call.state.put(id, after.clone());
    Ok(Answer::json(200, &after))
}

fn accepted(call: &mut Call<'_>, id: &Id, location: &str) -> Answer {
    let due = call.after(CREATION);
    let path = format!(
        "/subscriptions/{}/providers/Microsoft.Storage/locations/{location}/asyncoperations",
        id.subscription()
    );
    let operation = Operation { due, result: Some(id.clone()) };
    let location = call.location(&path, operation);
    Answer::of(202, "text/plain; charset=utf-8", "")
        .with("location", location)
        .with("retry-after", call.retry_after(CREATION))
}

/// A key in the form of Azure's. No data plane here takes it: blobs are reached with tokens.
fn shared_key(account: &str, key: &str) -> String {
    STANDARD.encode(Sha512::digest(format!("{account}/{key}")))
}
