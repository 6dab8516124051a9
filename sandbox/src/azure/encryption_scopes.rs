//! `Microsoft.Storage/storageAccounts/encryptionScopes`. There is no DELETE: a scope can be disabled.

use serde_json::{Value, json};

use super::accounts::refuse_unprovisioned;
use super::arm::{Call, ResourceType};
use super::http::{Answer, Outcome, timestamp};
use super::ids::Id;
use super::merge::{merge, spelled};

const SOURCES: &[&str] = &["Microsoft.Storage", "Microsoft.Keyvault"];
const STATES: &[&str] = &["Enabled", "Disabled"];

pub(super) struct EncryptionScope;

impl ResourceType for EncryptionScope {
    fn name(&self) -> &'static str {
        "Microsoft.Storage/storageAccounts/encryptionScopes"
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        if let Some(account) = id.parent() {
            refuse_unprovisioned(call, &account)?;
        }
        let change = checked(&call.body()?["properties"])?;
        let now = timestamp();
        let existing = call.state.get(id).cloned();
        let is_new = existing.is_none();
        let mut document = existing.unwrap_or_else(|| {
            json!({
                "id": id.to_string(), "type": self.name(), "name": id.name(),
                "properties": {"source": "Microsoft.Storage", "creationTime": now, "state": "Enabled"},
            })
        });
        apply(&mut document, &change)?;
        call.state.put(id, document.clone());
        // Only this answer has an empty object for Azure's own key.
        if document["properties"]["keyVaultProperties"].is_null() {
            document["properties"]["keyVaultProperties"] = json!({});
        }
        Ok(Answer::json(if is_new { 201 } else { 200 }, &document))
    }

    fn patch(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let change = checked(&call.body()?["properties"])?;
        let Some(document) = call.state.get_mut(id) else {
            return Err(self.absent(id));
        };
        apply(document, &change)?;
        Ok(Answer::json(200, document))
    }
}

/// What was sent, spelled as Azure does; or why it cannot be.
fn checked(sent: &Value) -> Result<Value, Answer> {
    let mut change = sent.clone();
    for (member, words) in [("source", SOURCES), ("state", STATES)] {
        if let Some(word) = sent[member].as_str() {
            change[member] = spelled(word, words)
                .ok_or_else(|| {
                    let message = format!("Values for request parameters are invalid: {member}.");
                    Answer::error(400, "InvalidValuesForRequestParameters", message)
                })?
                .into();
        }
    }
    Ok(change)
}

fn apply(document: &mut Value, change: &Value) -> Result<(), Answer> {
    let fixed = "requireInfrastructureEncryption";
    let before = document["properties"][fixed] == true;
    let is_new = document["properties"]["lastModifiedTime"].is_null();
    if !is_new && !change[fixed].is_null() && before != (change[fixed] == true) {
        let message = format!("The value of {fixed} cannot be changed after the encryption scope was created.");
        return Err(Answer::error(400, "InvalidRequestPropertyValue", message));
    }
    merge(&mut document["properties"], change);
    let properties = &mut document["properties"];
    properties["lastModifiedTime"] = timestamp().into();
    if properties["source"] == "Microsoft.Storage"
        && let Some(properties) = properties.as_object_mut()
    {
        properties.remove("keyVaultProperties");
    }
    Ok(())
}
