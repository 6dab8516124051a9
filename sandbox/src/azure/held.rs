//! What the file, queue and table services hold: shares, queues and tables.

use serde_json::{Map, Value, json};

use super::accounts::refuse_unprovisioned;
use super::arm::{Call, ResourceType, shown};
use super::blobs::etag;
use super::containers::metadata;
use super::http::{Answer, Outcome, timestamp};
use super::ids::Id;
use super::merge::merge;
use super::state::{State, table_of};
use super::tables::{self, Place};

/// What is the same for all three.
struct Held {
    kind: &'static str,
    created: u16,
    deleted: u16,
    missing: (&'static str, &'static str),
}

impl Held {
    /// Puts a resource with the properties that the answer shows and `more`.
    fn put(&self, call: &mut Call<'_>, id: &Id, properties: Value, more: &Value) -> Outcome {
        if let Some(account) = id.parent().and_then(|service| service.parent()) {
            refuse_unprovisioned(call, &account)?;
        }
        let is_new = call.state.get(id).is_none();
        let mut document = json!({
            "id": id.to_string(), "name": id.name(), "type": self.kind, "properties": properties,
        });
        let answer = Answer::json(if is_new { self.created } else { 200 }, &document);
        // What was sent goes before what would be there without.
        let mut whole = more.clone();
        merge(&mut whole, &document["properties"]);
        document["properties"] = whole;
        call.state.put(id, document);
        Ok(answer)
    }

    /// Replaces the properties in `change`, and answers them.
    fn patch(&self, call: &mut Call<'_>, id: &Id, change: &Value) -> Outcome {
        let Some(document) = call.state.get_mut(id) else {
            return Err(self.absent());
        };
        for (name, value) in change.as_object().into_iter().flatten() {
            document["properties"][name] = value.clone();
        }
        Ok(Answer::json(
            200,
            &json!({"id": document["id"], "name": document["name"], "type": document["type"], "properties": change}),
        ))
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

/// The properties that were sent, metadata and times as Azure keeps them.
fn sent(call: &Call<'_>) -> Result<Value, Answer> {
    let mut sent = call.body()?["properties"].clone();
    let Some(members) = sent.as_object_mut() else {
        return Ok(Value::Null);
    };
    members.retain(|_, value| !value.is_null());
    if let Some(names) = members.get_mut("metadata") {
        *names = metadata(names)?;
    }
    for policy in members.get_mut("signedIdentifiers").and_then(Value::as_array_mut).into_iter().flatten() {
        for time in ["startTime", "expiryTime"] {
            if let Some(Value::String(time)) = policy["accessPolicy"].get_mut(time)
                && let Some(seconds) = time.strip_suffix('Z').filter(|seconds| !seconds.contains('.'))
            {
                *time = format!("{seconds}.0000000Z");
            }
        }
    }
    Ok(sent)
}

const SHARE: Held = Held {
    kind: "Microsoft.Storage/storageAccounts/fileServices/shares",
    created: 201,
    deleted: 200,
    missing: ("ShareNotFound", "The specified share does not exist."),
};

/// A file share. That it has snapshots shows in its `snapshotTime`; what it holds, in its `shareUsageBytes`.
pub(super) struct Share;

impl Share {
    /// A GET says nothing of the protocol that all but NFS shares have.
    fn stored(mut properties: Value) -> Value {
        if let Some(properties) = properties.as_object_mut() {
            properties.retain(|name, value| name != "enabledProtocols" || value != "SMB");
        }
        properties
    }
}

impl ResourceType for Share {
    fn name(&self) -> &'static str {
        SHARE.kind
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let sent = sent(call)?;
        let now = timestamp();
        if expands(call, "$expand", "snapshots") {
            let Some(share) = call.state.get_mut(id) else {
                return Err(SHARE.absent());
            };
            share["properties"]["snapshotTime"] = now.clone().into();
            let mut echo = sent.as_object().cloned().unwrap_or_default();
            echo.insert("snapshotTime".into(), now.into());
            return Ok(Answer::json(
                201,
                &json!({"id": id.to_string(), "name": id.name(), "type": SHARE.kind, "properties": echo}),
            ));
        }
        let account = id.parent().and_then(|service| service.parent());
        let is_premium = account
            .and_then(|account| call.state.get(&account))
            .is_some_and(|account| account["kind"] == "FileStorage");
        let mut more = json!({
            "leaseStatus": "unlocked",
            "leaseState": "available",
            "signedIdentifiers": [],
            "accessTier": if is_premium { "Premium" } else { "TransactionOptimized" },
            "lastModifiedTime": now,
            "shareQuota": if is_premium { 32 } else { 102_400 },
        });
        if !is_premium {
            more["accessTierChangeTime"] = now.into();
        }
        let answer = SHARE.put(call, id, if sent.is_null() { json!({}) } else { sent }, &more)?;
        let tag = etag();
        if let Some(document) = call.state.get_mut(id) {
            document["etag"] = tag.clone().into();
            document["properties"] = Share::stored(document["properties"].take());
        }
        Ok(answer.with("etag", tag))
    }

    fn patch(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let sent = sent(call)?;
        let answer = SHARE.patch(call, id, &sent)?;
        let tag = etag();
        if let Some(document) = call.state.get_mut(id) {
            document["etag"] = tag.clone().into();
            document["properties"]["lastModifiedTime"] = timestamp().into();
            document["properties"] = Share::stored(document["properties"].take());
        }
        Ok(answer.with("etag", tag))
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let has_snapshots = call.state.get(id).is_some_and(|share| share["properties"]["snapshotTime"].is_string());
        if has_snapshots && expands(call, "$include", "none") {
            let message = "The share has snapshots and the operation requires no snapshots.";
            return Err(Answer::passed_on(409, "ShareHasSnapshots", message));
        }
        SHARE.delete(call, id)
    }

    /// How much it holds is said to those who ask, and then nothing is said of its tier.
    fn get(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let asks = expands(call, "$expand", "stats");
        let Some(mut share) = call.state.get(id).cloned() else {
            return Err(SHARE.absent());
        };
        if let Some(properties) = share["properties"].as_object_mut() {
            if asks {
                properties.retain(|name, _| !name.starts_with("accessTier"));
                properties.entry("shareUsageBytes").or_insert(0.into());
            } else {
                properties.remove("shareUsageBytes");
            }
        }
        Ok(shown(&share))
    }

    /// A list shows other members than a GET.
    fn item(&self, document: &Value) -> Value {
        const LEFT_OUT: &[&str] = &["signedIdentifiers", "accessTierChangeTime", "metadata", "shareUsageBytes"];
        let mut item = document.clone();
        if let Some(properties) = item["properties"].as_object_mut() {
            properties.retain(|name, _| !LEFT_OUT.contains(&name.as_str()));
            properties.entry("enabledProtocols").or_insert("SMB".into());
        }
        item
    }

    fn absent(&self, _: &Id) -> Answer {
        SHARE.absent()
    }
}

fn expands(call: &Call<'_>, parameter: &str, word: &str) -> bool {
    call.request.parameters().get(parameter).is_some_and(|words| words.split(',').any(|own| own.trim() == word))
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
        merge(&mut properties, &sent(call)?);
        QUEUE.put(call, id, properties, &json!({"approximateMessageCount": 0}))
    }

    fn patch(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let sent = sent(call)?;
        QUEUE.patch(call, id, &sent)
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        QUEUE.delete(call, id)
    }

    /// A list does not count.
    fn item(&self, document: &Value) -> Value {
        let mut item = document.clone();
        item["properties"].as_object_mut().and_then(|properties| properties.remove("approximateMessageCount"));
        item
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
        let mut properties = json!({"tableName": id.name()});
        merge(&mut properties, &sent(call)?);
        TABLE.put(call, id, properties, &json!({"signedIdentifiers": []}))
    }

    fn patch(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let sent = sent(call)?;
        let mut change = Map::from_iter([("tableName".to_owned(), Value::from(id.name()))]);
        change.extend(sent.as_object().cloned().unwrap_or_default());
        TABLE.patch(call, id, &Value::Object(change))
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        TABLE.delete(call, id)
    }

    fn absent(&self, _: &Id) -> Answer {
        TABLE.absent()
    }
}

/// Lets a request of the data plane pass if its table exists.
pub(super) fn check_table_exists(state: &State, place: &Place<'_>) -> Result<(), Answer> {
    let wanted = (place.account.to_lowercase(), place.table.to_lowercase());
    let exists = state.visible().any(|(key, _)| table_of(key).is_some_and(|found| found == wanted));
    match exists {
        true => Ok(()),
        false => Err(tables::error(404, TABLE.missing.0, TABLE.missing.1)),
    }
}
