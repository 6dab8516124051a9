//! `Microsoft.Storage/storageAccounts/blobServices/containers`.

use serde_json::{Map, Value, json};

use super::accounts::refuse_unprovisioned;
use super::arm::{Call, ResourceType};
use super::blobs::{Place, error, etag};
use super::http::{Answer, Outcome, timestamp};
use super::ids::Id;
use super::merge::spelled;
use super::rules;
use super::state::{Effect, State, container_of};

/// How long the name of a deleted container stays blocked, in the emulator's unit of time.
const BLOCKED: u32 = 5;
const PUBLIC_ACCESS: &[&str] = &["None", "Blob", "Container"];
const ACCOUNT_KEY_SCOPE: &str = "$account-encryption-key";

pub(super) struct Container;

impl ResourceType for Container {
    fn name(&self) -> &'static str {
        "Microsoft.Storage/storageAccounts/blobServices/containers"
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let sent = call.body()?["properties"].clone();
        if !rules::is_container_name(id.name()) {
            let message = "The specifed resource name contains invalid characters.";
            return Err(Answer::passed_on(400, "InvalidResourceName", message));
        }
        let account = account_of(call, id)?;
        if call.state.is_blocked(id) {
            let message = "The specified container is being deleted. Try operation later.";
            return Err(Answer::passed_on(409, "ContainerOperationFailure", message));
        }
        let change = checked(&sent, &account)?;
        let existing = call.state.get(id).cloned();
        let is_new = existing.is_none();
        let mut document = existing.unwrap_or_else(|| fresh(self.name(), id));
        if is_new {
            // Version-level WORM comes from the account, or from the container where versions are kept.
            if account["properties"]["immutableStorageWithVersioning"]["enabled"] == true {
                document["properties"]["immutableStorageWithVersioning"] = json!({"enabled": true});
            } else if change["immutableStorageWithVersioning"]["enabled"] == true
                && !super::services::protection(call.state, id.ancestor(0)).versioning
            {
                let message = "Immutable storage with versioning needs blob versioning on the account.";
                return Err(Answer::error(409, "FeatureNotSupportedForAccount", message));
            }
            if let Some((account, container)) = container_of(&id.key()) {
                call.state.effects.push(Effect::CreateContainer { account, container });
            }
        } else {
            refuse_fixed(&document, &change)?;
        }
        apply(&mut document, &change);
        call.state.put(id, document.clone());
        let answer = Answer::json(if is_new { 201 } else { 200 }, &echo(&document, &sent, &change));
        Ok(answer.with("etag", document["etag"].as_str().unwrap_or_default()))
    }

    fn patch(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let sent = call.body()?["properties"].clone();
        let account = account_of(call, id)?;
        let change = checked(&sent, &account)?;
        let Some(document) = call.state.get_mut(id) else {
            return Err(self.absent(id));
        };
        refuse_fixed(document, &change)?;
        apply(document, &change);
        let answer = Answer::json(200, &echo(document, &sent, &change));
        Ok(answer.with("etag", document["etag"].as_str().unwrap_or_default()))
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let Some(document) = call.state.get(id) else {
            return Ok(Answer::empty(204));
        };
        if document["properties"]["hasLegalHold"] == true {
            let message = "The container is protected from deletion because it has a legal hold.";
            return Err(Answer::error(409, "ContainerProtectedFromDeletion", message));
        }
        let time = call.options.pace * BLOCKED;
        call.state.block(id, call.now, time);
        call.state.remove(id);
        Ok(Answer::of(200, "text/plain; charset=utf-8", ""))
    }

    fn act(&self, call: &mut Call<'_>, id: &Id, action: &str) -> Outcome {
        let sets = match action {
            "setlegalhold" => true,
            "clearlegalhold" => false,
            _ => return Err(super::arm::no_such_action(id, action)),
        };
        let body = call.body()?;
        let tags = hold_tags(&body)?;
        let tenant = call.options.tenant_id.clone();
        let object = call.options.client_id.clone();
        let Some(document) = call.state.get_mut(id) else {
            return Err(self.absent(id));
        };
        let properties = &mut document["properties"];
        let mut held: Vec<Value> = properties["legalHold"]["tags"].as_array().cloned().unwrap_or_default();
        held.retain(|held| !tags.iter().any(|tag| held["tag"] == **tag));
        if sets {
            let now = timestamp();
            held.extend(
                tags.iter()
                    .map(|tag| json!({"tag": tag, "timestamp": now, "objectIdentifier": object, "tenantId": tenant})),
            );
        }
        let names: Vec<Value> = held.iter().map(|held| held["tag"].clone()).collect();
        let is_held = !held.is_empty();
        properties["legalHold"] = json!({"hasLegalHold": is_held, "tags": held});
        properties["hasLegalHold"] = is_held.into();
        let mut answer = json!({"hasLegalHold": is_held, "tags": names});
        if !body["allowProtectedAppendWritesAll"].is_null() {
            answer["allowProtectedAppendWritesAll"] = body["allowProtectedAppendWritesAll"].clone();
        }
        Ok(Answer::json(200, &answer))
    }

    /// A list shows neither metadata nor the legal hold's tags, and always the version-level WORM.
    fn item(&self, document: &Value) -> Value {
        let mut item = document.clone();
        let mut properties = json!({"immutableStorageWithVersioning": {"enabled": false}});
        for (name, value) in item["properties"].as_object().into_iter().flatten() {
            if name != "metadata" && name != "legalHold" {
                properties[name] = value.clone();
            }
        }
        item["properties"] = properties;
        item
    }

    fn absent(&self, _: &Id) -> Answer {
        Answer::passed_on(404, "ContainerNotFound", "The specified container does not exist.")
    }
}

/// Lets a request of the data plane pass if its container exists.
pub(super) fn check_exists(state: &State, place: &Place<'_>) -> Result<(), Answer> {
    let wanted = (place.account.to_lowercase(), place.container.to_lowercase());
    let exists = state.visible().any(|(key, _)| container_of(key).is_some_and(|found| found == wanted));
    match exists {
        true => Ok(()),
        false => Err(error(404, "ContainerNotFound", "The specified container does not exist.")),
    }
}

/// The document of the container's account, which must be ready.
fn account_of(call: &Call<'_>, id: &Id) -> Result<Value, Answer> {
    let account = id.parent().and_then(|service| service.parent());
    let account = account.ok_or_else(|| super::arm::not_found(id))?;
    refuse_unprovisioned(call, &account)?;
    Ok(call.state.get(&account).cloned().unwrap_or_default())
}

fn fresh(kind: &str, id: &Id) -> Value {
    json!({
        "id": id.to_string(),
        "name": id.name(),
        "type": kind,
        "etag": etag(),
        "properties": {
            "deleted": false,
            "remainingRetentionDays": 0,
            "defaultEncryptionScope": ACCOUNT_KEY_SCOPE,
            "denyEncryptionScopeOverride": false,
            "publicAccess": "None",
            "leaseStatus": "Unlocked",
            "leaseState": "Available",
            "lastModifiedTime": timestamp(),
            "legalHold": {"hasLegalHold": false, "tags": []},
            "hasImmutabilityPolicy": false,
            "hasLegalHold": false,
        },
    })
}

/// What was sent, spelled as Azure does; or why it cannot be.
fn checked(sent: &Value, account: &Value) -> Result<Value, Answer> {
    let mut change = json!({});
    let none = Map::new();
    for (name, value) in sent.as_object().unwrap_or(&none) {
        if value.is_null() {
            continue;
        }
        change[name] = match name.as_str() {
            "publicAccess" => {
                let access = spelled(value.as_str().unwrap_or_default(), PUBLIC_ACCESS).ok_or_else(|| {
                    let message = "Values for request parameters are invalid: publicAccess.";
                    Answer::error(400, "InvalidValuesForRequestParameters", message)
                })?;
                if access != "None" && account["properties"]["allowBlobPublicAccess"] != true {
                    let message = "Public access is not permitted on this storage account.";
                    return Err(Answer::passed_on(409, "PublicAccessNotPermitted", message));
                }
                access.into()
            }
            "metadata" => metadata(value)?,
            _ => value.clone(),
        };
    }
    Ok(change)
}

/// Metadata travels as headers, so its names come back in lower case.
pub(super) fn metadata(sent: &Value) -> Result<Value, Answer> {
    let mut metadata = json!({});
    for (name, value) in sent.as_object().into_iter().flatten() {
        if !rules::is_metadata_name(name) {
            let message = "The metadata specified is invalid. It has characters that are not permitted.";
            return Err(Answer::passed_on(400, "InvalidMetadata", message));
        }
        metadata[name.to_lowercase()] = value.clone();
    }
    Ok(metadata)
}

fn refuse_fixed(document: &Value, change: &Value) -> Result<(), Answer> {
    for member in ["defaultEncryptionScope", "denyEncryptionScopeOverride"] {
        if !change[member].is_null() && change[member] != document["properties"][member] {
            let message = format!("The value of {member} cannot be changed after the container was created.");
            return Err(Answer::error(400, "InvalidRequestPropertyValue", message));
        }
    }
    let before = document["properties"]["immutableStorageWithVersioning"]["enabled"] == true;
    let after = &change["immutableStorageWithVersioning"]["enabled"];
    if !after.is_null() && before != (*after == true) {
        let message = "Immutable storage with versioning of an existing container is changed by a migration only.";
        return Err(Answer::error(400, "InvalidRequestPropertyValue", message));
    }
    Ok(())
}

fn apply(document: &mut Value, change: &Value) {
    for (name, value) in change.as_object().into_iter().flatten() {
        document["properties"][name] = value.clone();
    }
    document["properties"]["lastModifiedTime"] = timestamp().into();
    document["etag"] = etag().into();
}

/// What a PUT or PATCH answers: what was sent and little more. Nothing sent, no properties.
fn echo(document: &Value, sent: &Value, change: &Value) -> Value {
    let mut echo = json!({});
    for member in ["id", "name", "type"] {
        echo[member] = document[member].clone();
    }
    if !sent.is_null() {
        let mut properties = json!({});
        for member in ["deleted", "remainingRetentionDays", "hasImmutabilityPolicy", "hasLegalHold"] {
            properties[member] = document["properties"][member].clone();
        }
        for (name, value) in change.as_object().into_iter().flatten() {
            properties[name] = value.clone();
        }
        echo["properties"] = properties;
    }
    echo
}

/// The tags of a legal hold, in lower case.
fn hold_tags(body: &Value) -> Result<Vec<String>, Answer> {
    let tags: Vec<String> =
        body["tags"].as_array().into_iter().flatten().filter_map(|tag| tag.as_str().map(str::to_lowercase)).collect();
    if tags.is_empty() || !tags.iter().all(|tag| rules::is_hold_tag(tag)) {
        let message = "Values for request parameters are invalid: tags.";
        return Err(Answer::error(400, "InvalidValuesForRequestParameters", message));
    }
    Ok(tags)
}
