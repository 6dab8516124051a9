//! The services of an account, and what the other three hold: enough to see that an account is not empty.
//!
//! Every service is a singleton named `default` that always exists, whether or not anybody wrote it.

use serde_json::{Value, json};

use super::accounts::refuse_unprovisioned;
use super::arm::{Call, ResourceType, not_found};
use super::blobs::{Protection, etag};
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
        put(call, id, self.name(), &blob_defaults())
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
    // Each setting that is sent replaces the whole setting.
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

/// What is the same for shares, queues and tables.
struct Held {
    kind: &'static str,
    created: u16,
    deleted: u16,
    missing: (&'static str, &'static str),
}

impl Held {
    fn put(&self, call: &mut Call<'_>, id: &Id, properties: Value, more: Value) -> Outcome {
        if let Some(account) = id.parent().and_then(|service| service.parent()) {
            refuse_unprovisioned(call, &account)?;
        }
        let is_new = call.state.get(id).is_none();
        let mut document = json!({
            "id": id.to_string(), "name": id.name(), "type": self.kind, "properties": properties,
        });
        let answer = Answer::json(if is_new { self.created } else { 200 }, &document);
        merge(&mut document["properties"], &more);
        call.state.put(id, document);
        Ok(answer)
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        match call.state.remove(id) {
            true => Ok(Answer::of(self.deleted, "text/plain; charset=utf-8", "")),
            false => Err(self.absent()),
        }
    }

    fn absent(&self) -> Answer {
        Answer::passed_on(404, self.missing.0, self.missing.1)
    }
}

const SHARE: Held = Held {
    kind: "Microsoft.Storage/storageAccounts/fileServices/shares",
    created: 201,
    deleted: 200,
    missing: ("ShareNotFound", "The specified share does not exist."),
};

/// A file share.
pub(super) struct Share;

impl ResourceType for Share {
    fn name(&self) -> &'static str {
        SHARE.kind
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let sent = call.body()?["properties"].clone();
        let now = timestamp();
        let more = json!({
            "leaseStatus": "unlocked",
            "leaseState": "available",
            "signedIdentifiers": [],
            "accessTier": "TransactionOptimized",
            "accessTierChangeTime": now,
            "lastModifiedTime": now,
            "shareQuota": sent["shareQuota"].as_u64().unwrap_or(102_400),
        });
        let sent = if sent.is_null() { json!({}) } else { sent };
        let answer = SHARE.put(call, id, sent, more)?;
        let tag = etag();
        if let Some(document) = call.state.get_mut(id) {
            document["etag"] = tag.clone().into();
        }
        Ok(answer.with("etag", tag))
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        SHARE.delete(call, id)
    }

    /// A list shows other members than a GET.
    fn item(&self, document: &Value) -> Value {
        let mut item = document.clone();
        if let Some(properties) = item["properties"].as_object_mut() {
            properties
                .retain(|name, _| !matches!(name.as_str(), "signedIdentifiers" | "accessTierChangeTime" | "metadata"));
            properties.insert("enabledProtocols".into(), "SMB".into());
        }
        item
    }

    fn absent(&self, _: &Id) -> Answer {
        SHARE.absent()
    }
}

const QUEUE: Held = Held {
    kind: "Microsoft.Storage/storageAccounts/queueServices/queues",
    created: 200,
    deleted: 204,
    missing: ("QueueNotFound", "The specified queue does not exist."),
};

/// A queue.
pub(super) struct Queue;

impl ResourceType for Queue {
    fn name(&self) -> &'static str {
        QUEUE.kind
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let mut properties = json!({"metadata": {}});
        merge(&mut properties, &call.body()?["properties"]);
        QUEUE.put(call, id, properties, json!({"approximateMessageCount": 0}))
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        QUEUE.delete(call, id)
    }

    fn absent(&self, _: &Id) -> Answer {
        QUEUE.absent()
    }
}

const TABLE: Held = Held {
    kind: "Microsoft.Storage/storageAccounts/tableServices/tables",
    created: 200,
    deleted: 204,
    missing: ("TableNotFound", "The table specified does not exist."),
};

/// A table.
pub(super) struct Table;

impl ResourceType for Table {
    fn name(&self) -> &'static str {
        TABLE.kind
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let properties = json!({"tableName": id.name()});
        TABLE.put(call, id, properties, json!({"signedIdentifiers": []}))
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        TABLE.delete(call, id)
    }

    fn absent(&self, _: &Id) -> Answer {
        TABLE.absent()
    }
}
