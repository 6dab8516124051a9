//! `Microsoft.Storage/storageAccounts/localUsers`: users of an account's own, whose keys and passwords no GET shows.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::accounts::refuse_unprovisioned;
use super::arm::{Call, ResourceType, no_such_action, not_found};
use super::http::{Answer, Outcome};
use super::ids::Id;

/// Where Azure begins to count users.
const FIRST: u64 = 1000;
/// What is kept of a user and never shown.
const HIDDEN: [&str; 2] = ["sshAuthorizedKeys", "sharedKey"];

pub(super) struct LocalUser;

impl ResourceType for LocalUser {
    fn name(&self) -> &'static str {
        "Microsoft.Storage/storageAccounts/localUsers"
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let account = id.parent().ok_or_else(|| not_found(id))?;
        refuse_unprovisioned(call, &account)?;
        let mut sent = call.body()?["properties"].as_object().cloned().unwrap_or_default();
        sent.retain(|_, value| !value.is_null());
        refuse_unsupported(call.state.get(&account).unwrap_or(&Value::Null), &sent)?;
        let before = call.state.get(id).map_or(Value::Null, |user| user["properties"].clone());

        let mut properties = sent.clone();
        let number = before["userId"].as_u64().unwrap_or_else(|| next_number(call, &account));
        properties.insert("userId".into(), number.into());
        let sid = before["sid"].as_str().map_or_else(|| fresh_sid(number), str::to_owned);
        properties.insert("sid".into(), sid.into());
        // No flag makes a password or a key of one, but each can take away.
        let keeps = |flag: &str| sent.get(flag).is_none_or(|value| *value == true);
        let has_key = keeps("hasSshKey") && sent.get("sshAuthorizedKeys").is_some_and(|keys| *keys != json!([]));
        let has_password = keeps("hasSshPassword") && before["hasSshPassword"] == true;
        let has_shared_key = match sent.get("hasSharedKey") {
            Some(asked) => *asked == true,
            None => before["hasSharedKey"] == true,
        };
        if !has_key {
            properties.remove("sshAuthorizedKeys");
        }
        if has_shared_key {
            let key = before["sharedKey"].as_str().map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
            properties.insert("sharedKey".into(), key.into());
        }
        for (flag, has) in [("hasSshKey", has_key), ("hasSshPassword", has_password), ("hasSharedKey", has_shared_key)]
        {
            properties.insert(flag.into(), has.into());
        }
        let document = json!({
            // Azure spells the type in the id so.
            "id": format!("{account}/localusers/{}", id.name()), "name": id.name(), "type": self.name(),
            "properties": properties,
        });
        call.state.put(id, document.clone());

        // The answer to a PUT, and it alone, repeats the keys; and it says nothing of a password that nobody mentioned.
        let mut answer = shown(&document);
        if let Some(keys) = sent.get("sshAuthorizedKeys") {
            answer["properties"]["sshAuthorizedKeys"] = keys.clone();
        }
        if let Some(properties) = answer["properties"].as_object_mut() {
            properties.retain(|name, _| name != "hasSshPassword" || sent.contains_key(name));
        }
        Ok(Answer::json(200, &answer))
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let status = if call.state.remove(id) { 200 } else { 204 };
        Ok(Answer::of(status, "text/plain; charset=utf-8", ""))
    }

    fn get(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        match call.state.get(id) {
            Some(user) => Ok(Answer::json(200, &shown(user))),
            None => Err(self.absent(id)),
        }
    }

    fn item(&self, document: &Value) -> Value {
        shown(document)
    }

    fn act(&self, call: &mut Call<'_>, id: &Id, action: &str) -> Outcome {
        let Some(user) = call.state.get_mut(id) else {
            return Err(self.absent(id));
        };
        match action {
            "listkeys" => {
                let members = user["properties"].as_object().into_iter().flatten();
                let keys: Map<String, Value> = members
                    .filter(|(name, _)| HIDDEN.contains(&name.as_str()))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
                Ok(Answer::json(200, &keys.into()))
            }
            "regeneratepassword" => {
                user["properties"]["hasSshPassword"] = true.into();
                Ok(Answer::json(200, &json!({"sshPassword": Uuid::new_v4()})))
            }
            _ => Err(no_such_action(id, action)),
        }
    }
}

fn shown(document: &Value) -> Value {
    let mut shown = document.clone();
    if let Some(properties) = shown["properties"].as_object_mut() {
        properties.retain(|name, _| !HIDDEN.contains(&name.as_str()));
    }
    shown
}

fn next_number(call: &Call<'_>, account: &Id) -> u64 {
    let below = format!("{}/localusers/", account.key());
    let users = call.state.visible().filter(|(key, _)| key.starts_with(&below));
    users.filter_map(|(_, user)| user["properties"]["userId"].as_u64()).max().map_or(FIRST, |last| last + 1)
}

fn fresh_sid(number: u64) -> String {
    let random = Uuid::new_v4();
    let (a, b, c, _) = random.as_fields();
    format!("S-1-2-0-{a}-{b}-{c}-{number}")
}

/// Users of blobs need a hierarchical namespace, and any user an account that allows them.
fn refuse_unsupported(account: &Value, sent: &Map<String, Value>) -> Result<(), Answer> {
    let scopes = sent.get("permissionScopes").and_then(Value::as_array);
    let of_blobs = scopes.into_iter().flatten().any(|scope| scope["service"] == "blob");
    let properties = &account["properties"];
    if properties["isLocalUserEnabled"] == false || of_blobs && properties["isHnsEnabled"] != true {
        let message = "Local users are not supported for the account.";
        return Err(Answer::error(409, "FeatureNotSupportedForAccount", message));
    }
    Ok(())
}
