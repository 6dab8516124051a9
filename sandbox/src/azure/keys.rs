//! `Microsoft.KeyVault/vaults/keys`: made by Resource Manager, and all else by the vault itself, under `/_vault/`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use uuid::Uuid;

use super::arm::{Call, ResourceType};
use super::entra::{Audience, Entra};
use super::http::{Answer, Outcome, timestamp};
use super::ids::Id;
use super::merge::merge;
use super::vaults::{DELETED, PREFIX};

const KINDS: &[&str] = &["RSA", "RSA-HSM", "EC", "EC-HSM"];

pub(super) struct Key;

impl ResourceType for Key {
    fn name(&self) -> &'static str {
        "Microsoft.KeyVault/vaults/keys"
    }

    /// Makes the first version of a key. One that exists is answered as it is.
    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let body = call.body()?;
        let sent = &body["properties"];
        if let Some(key) = call.state.any(id) {
            return match key.hidden {
                true => Err(kept(id.name())),
                false => Ok(Answer::json(200, &key.document)),
            };
        }
        let kind = sent["kty"].as_str().unwrap_or_default();
        if !KINDS.contains(&kind) {
            return Err(Answer::error(
                400,
                "BadRequest",
                format!("The key type '{kind}' is not one of {}.", KINDS.join(", ")),
            ));
        }
        let vault = id.parent().and_then(|vault| call.state.get(&vault).cloned()).unwrap_or_default();
        if kind.ends_with("-HSM") && vault["properties"]["sku"]["name"] != "premium" {
            return Err(Answer::error(400, "BadRequest", "Keys in hardware need a vault of the SKU premium."));
        }
        let is_elliptic = kind.starts_with("EC");
        let every = match is_elliptic {
            true => json!(["sign", "verify"]),
            false => json!(["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"]),
        };
        let now = seconds();
        let is_protected = vault["properties"]["enablePurgeProtection"] == true;
        let mut attributes = json!({
            "enabled": true,
            "created": now,
            "updated": now,
            "recoveryLevel": if is_protected { "Recoverable" } else { "Recoverable+Purgeable" },
            "exportable": false,
        });
        merge(&mut attributes, &sent["attributes"]);
        let address = format!("{}keys/{}", vault["properties"]["vaultUri"].as_str().unwrap_or_default(), id.name());
        let mut properties = json!({
            "attributes": attributes,
            "kty": kind,
            "keyOps": if sent["keyOps"].is_array() { sent["keyOps"].clone() } else { every },
            "keyUri": address,
            "keyUriWithVersion": format!("{address}/{}", Uuid::new_v4().simple()),
        });
        match is_elliptic {
            true => properties["curveName"] = sent["curveName"].as_str().unwrap_or("P-256").into(),
            false => properties["keySize"] = sent["keySize"].as_u64().unwrap_or(2048).into(),
        }
        let mut document = json!({
            "id": id.to_string(),
            "name": id.name(),
            "type": self.name(),
            "location": vault["location"],
            "properties": properties,
        });
        if body["tags"].as_object().is_some_and(|tags| !tags.is_empty()) {
            document["tags"] = body["tags"].clone();
        }
        call.state.put(id, document.clone());
        Ok(Answer::json(200, &document))
    }
}

/// What a vault itself answers.
pub(super) fn serve(call: &mut Call<'_>, entra: &Entra) -> Outcome {
    entra.check(call.request, Audience::Vault)?;
    let path = call.request.path.strip_prefix(PREFIX).unwrap_or_default().to_owned();
    let segments: Vec<&str> = path.split('/').collect();
    let [vault, collection, name, rest @ ..] = &segments[..] else { return Err(no_such(&path)) };
    let found = call.state.of_type("Microsoft.KeyVault/vaults").find(|found| {
        !found.hidden && found.document["name"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(vault))
    });
    let id = found.and_then(|found| super::arm::parse(found.document["id"].as_str()?)).ok_or_else(|| no_such(vault))?;
    let id = id.child("keys", name);
    let is_deleted = call.state.any(&id).map(|key| key.hidden);
    match (call.request.method.as_str(), *collection, rest, is_deleted) {
        ("PATCH", "keys", [_], Some(false)) => change(call, &id),
        ("PUT", "keys", ["rotationpolicy"], Some(false)) => {
            let policy = call.body()?;
            Ok(Answer::json(200, &policy))
        }
        ("DELETE", "keys", [], Some(false)) => {
            call.state.keep_deleted(&id, DELETED, &timestamp());
            Ok(Answer::json(200, &json!({"recoveryId": format!("{}/deletedkeys/{name}", call.url)})))
        }
        ("POST", "deletedkeys", ["recover"], Some(true)) => {
            call.state.bring_back(&id, DELETED);
            Ok(Answer::json(200, &json!({})))
        }
        ("DELETE", "deletedkeys", [], Some(true)) => {
            call.state.remove(&id);
            Ok(Answer::empty(204))
        }
        _ => Err(no_such(name)),
    }
}

fn change(call: &mut Call<'_>, id: &Id) -> Outcome {
    let body = call.body()?;
    let Some(document) = call.state.get_mut(id) else { return Err(no_such(id.name())) };
    merge(&mut document["properties"]["attributes"], &body["attributes"]);
    document["properties"]["attributes"]["updated"] = seconds().into();
    if body["key_ops"].is_array() {
        document["properties"]["keyOps"] = body["key_ops"].clone();
    }
    if body["tags"].is_object() {
        document["tags"] = body["tags"].clone();
    }
    Ok(Answer::json(200, &json!({"attributes": document["properties"]["attributes"]})))
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn kept(name: &str) -> Answer {
    let message = format!(
        "Key {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the key can \
         only be recovered or purged."
    );
    Answer::error(409, "Conflict", message)
}

fn no_such(name: &str) -> Answer {
    Answer::error(404, "KeyNotFound", format!("A key with (name/id) {name} was not found in this key vault."))
}
