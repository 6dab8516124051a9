//! The services of an account.
//!
//! Every service is a singleton named `default` that always exists, whether or not anybody wrote it.

use serde_json::{Value, json};

use super::accounts::refuse_unprovisioned;
use super::arm::{Call, ResourceType, not_found};
use super::blobs::Protection;
use super::http::{Answer, Outcome, timestamp};
use super::ids::Id;
use super::merge::merge;
use super::state::State;

/// Whether `id` is of the kind that exists without being created.
pub(super) fn is_singleton(id: &Id) -> bool {
    id.name() == "default"
        && id
            .type_name()
            .strip_prefix("Microsoft.Storage/storageAccounts/")
            .is_some_and(|rest| rest.ends_with("Services"))
}

/// How the blob service of an account is set.
pub(super) fn protection(state: &State, account: &str) -> Protection {
    let service = state
        .of_type("Microsoft.Storage/storageAccounts/blobServices")
        .map(|resource| &resource.document)
        .find(|document| {
            let id = document["id"].as_str().unwrap_or_default();
            id.split('/').nth(8).is_some_and(|own| own.eq_ignore_ascii_case(account))
        });
    match service {
        None => Protection::default(),
        Some(service) => Protection {
            versioning: service["properties"]["isVersioningEnabled"] == true,
            soft_delete: service["properties"]["deleteRetentionPolicy"]["enabled"] == true,
            change_feed: service["properties"]["changeFeed"]["enabled"] == true,
        },
    }
}

/// `blobServices/default`.
pub(super) struct BlobService;

impl ResourceType for BlobService {
    fn name(&self) -> &'static str {
        "Microsoft.Storage/storageAccounts/blobServices"
    }

    fn get(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        get(call, id, self.name(), &blob_defaults())
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let sent = &call.body()?["properties"];
        if let Some(member) = unmet(sent) {
            let message = format!("Values for request parameters are invalid: {member}.");
            return Err(Answer::error(400, "InvalidValuesForRequestParameters", message));
        }
        let account = id.parent().and_then(|account| call.state.get(&account));
        let has_directories = account.is_some_and(|account| account["properties"]["isHnsEnabled"] == true);
        if has_directories && (sent["isVersioningEnabled"] == true || sent["restorePolicy"]["enabled"] == true) {
            let message = "The feature is not supported for accounts with a hierarchical namespace.";
            return Err(Answer::error(409, "FeatureNotSupportedForAccount", message));
        }
        put(call, id, self.name(), &blob_defaults())
    }
}

/// The setting that lacks what Azure documents that it needs.
fn unmet(sent: &Value) -> Option<&'static str> {
    let is_on = |name: &str| sent[name]["enabled"] == true;
    let restore = &sent["restorePolicy"];
    let deletes = &sent["deleteRetentionPolicy"];
    let restores = is_on("changeFeed") && is_on("deleteRetentionPolicy") && sent["isVersioningEnabled"] == true;
    let is_shorter = restore["days"].as_u64() < deletes["days"].as_u64() && restore["days"].is_u64();
    let rules = sent["cors"]["corsRules"].as_array().map_or(0, Vec::len);
    let website = &sent["staticWebsite"];
    match () {
        () if is_on("restorePolicy") && !(restores && is_shorter) => Some("restorePolicy"),
        () if is_on("restorePolicy") && deletes["allowPermanentDelete"] == true => Some("allowPermanentDelete"),
        () if is_on("deleteRetentionPolicy") && !deletes["days"].is_u64() => Some("deleteRetentionPolicy"),
        () if rules > 5 => Some("corsRules"),
        () if website["indexDocument"].is_string() && website["defaultIndexDocumentPath"].is_string() => {
            Some("staticWebsite")
        }
        () => None,
    }
}

fn blob_defaults() -> Value {
    json!({
        "cors": {"corsRules": []},
        "deleteRetentionPolicy": {"allowPermanentDelete": false, "enabled": false},
    })
}

/// A service whose settings nothing here depends on.
pub(super) struct Service {
    name: &'static str,
    defaults: &'static str,
}

pub(super) const FILES: Service = Service {
    name: "Microsoft.Storage/storageAccounts/fileServices",
    defaults: r#"{"protocolSettings":{"smb":{}},"cors":{"corsRules":[]},"shareDeleteRetentionPolicy":{"enabled":true,"days":7}}"#,
};
pub(super) const QUEUES: Service =
    Service { name: "Microsoft.Storage/storageAccounts/queueServices", defaults: r#"{"cors":{"corsRules":[]}}"# };
pub(super) const TABLES: Service =
    Service { name: "Microsoft.Storage/storageAccounts/tableServices", defaults: r#"{"cors":{"corsRules":[]}}"# };

impl Service {
    fn defaults(&self) -> Value {
        serde_json::from_str(self.defaults).expect("the constants above are JSON")
    }
}

impl ResourceType for Service {
    fn name(&self) -> &'static str {
        self.name
    }

    fn get(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        get(call, id, self.name, &self.defaults())
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        put(call, id, self.name, &self.defaults())
    }
}

fn get(call: &mut Call<'_>, id: &Id, kind: &str, defaults: &Value) -> Outcome {
    if !is_singleton(id) {
        return Err(not_found(id));
    }
    let account = id.parent().and_then(|account| call.state.get(&account));
    let sku = account.map_or(Value::Null, |account| account["sku"].clone());
    let stored = call.state.get(id);
    let properties = stored.map_or(defaults, |document| &document["properties"]);
    Ok(Answer::json(
        200,
        &json!({"sku": sku, "id": id.to_string(), "name": id.name(), "type": kind, "properties": properties}),
    ))
}

/// Writes the settings. The answer is a partial echo: nothing of what the service is where nothing was sent.
fn put(call: &mut Call<'_>, id: &Id, kind: &str, defaults: &Value) -> Outcome {
    if !is_singleton(id) {
        return Err(not_found(id));
    }
    if let Some(account) = id.parent() {
        refuse_unprovisioned(call, &account)?;
    }
    let body = call.body()?;
    if body["properties"].is_null() {
        return Ok(Answer::json(200, &json!({"name": id.name()})));
    }
    // Each setting that is sent replaces the whole setting, and one that is not sent goes back to its default.
    let mut properties = defaults.clone();
    for (name, value) in body["properties"].as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        properties[name] = value.clone();
    }
    complete(&mut properties);
    let document = json!({"id": id.to_string(), "name": id.name(), "type": kind, "properties": properties});
    call.state.put(id, document.clone());
    Ok(Answer::json(200, &document))
}

/// Adds what Azure adds to settings that are on, and takes away one that is off.
fn complete(properties: &mut Value) {
    let tracking = &mut properties["lastAccessTimeTrackingPolicy"];
    if tracking["enable"] == true {
        merge(
            tracking,
            &json!({"name": "AccessTimeTracking", "trackingGranularityInDays": 1, "blobType": ["blockBlob"]}),
        );
    } else {
        *tracking = Value::Null;
    }
    if properties["restorePolicy"]["enabled"] == true {
        properties["restorePolicy"]["minRestoreTime"] = timestamp().into();
    }
    if let Some(properties) = properties.as_object_mut() {
        properties.retain(|_, value| !value.is_null());
    }
}
