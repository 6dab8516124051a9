//! The policies of an account's blobs, for their lifecycle and for their inventory: one of each at most, named `default`
//! in its id and otherwise in its body.

use serde_json::{Value, json};

use super::accounts::refuse_unprovisioned;
use super::arm::{Call, ResourceType, not_found};
use super::http::{Answer, Outcome, timestamp};
use super::ids::Id;

pub(super) struct Policy {
    kind: &'static str,
    /// What messages call it.
    word: &'static str,
    /// Its name in its body.
    own_name: &'static str,
}

/// The lifecycle.
pub(super) const MANAGEMENT: Policy = Policy {
    kind: "Microsoft.Storage/storageAccounts/managementPolicies",
    word: "ManagementPolicy",
    own_name: "DefaultManagementPolicy",
};

/// The inventory.
pub(super) const INVENTORY: Policy = Policy {
    kind: "Microsoft.Storage/storageAccounts/inventoryPolicies",
    word: "BlobInventoryPolicy",
    own_name: "DefaultInventoryPolicy",
};

impl ResourceType for Policy {
    fn name(&self) -> &'static str {
        self.kind
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        if id.name() != "default" {
            return Err(not_found(id));
        }
        if let Some(account) = id.parent() {
            refuse_unprovisioned(call, &account)?;
        }
        let policy = kept(call.body()?["properties"]["policy"].clone());
        if policy["rules"].as_array().is_none_or(Vec::is_empty) {
            let message = "Values for request parameters are invalid: policy.";
            return Err(Answer::error(400, "InvalidValuesForRequestParameters", message));
        }
        let document = json!({
            "id": id.to_string(), "name": self.own_name, "type": self.kind,
            "properties": {"policy": policy, "lastModifiedTime": timestamp()},
        });
        call.state.put(id, document.clone());
        Ok(Answer::json(200, &document))
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let status = if call.state.remove(id) { 200 } else { 204 };
        Ok(Answer::of(status, "text/plain; charset=utf-8", ""))
    }

    fn absent(&self, id: &Id) -> Answer {
        let message = format!("No {} found for account {}", self.word, id.ancestor(0));
        Answer::error(404, &format!("{}NotFound", self.word), message)
    }
}

/// A policy as Azure keeps it: without nulls, and days as floats.
fn kept(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(name, member)| match (name.starts_with("daysAfter"), member.as_f64()) {
                (true, Some(days)) => (name, days.into()),
                _ => (name, kept(member)),
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(kept).collect(),
        other => other,
    }
}
