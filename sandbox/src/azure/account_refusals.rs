//! What Azure refuses to make of an account.

use serde_json::{Value, json};

use super::http::Answer;
use super::merge::spelled;
use super::rules;

/// Members that are written on creation only. Sending the value an account has passes, except `false`, which Azure refuses.
const READ_ONLY: [&str; 2] = ["isHnsEnabled", "isNfsV3Enabled"];

/// Refuses what no account can be.
pub(super) fn check(body: &Value, is_whole: bool) -> Result<(), Answer> {
    for (pointer, allowed) in [("/sku/name", rules::SKUS), ("/kind", rules::KINDS)] {
        match body.pointer(pointer).filter(|value| !value.is_null()) {
            None if is_whole => return Err(invalid(pointer)),
            None => {}
            Some(value) => {
                let text = value.as_str().unwrap_or_default();
                spelled(text, allowed).ok_or_else(|| invalid(pointer))?;
            }
        }
    }
    for (pointer, allowed) in rules::CHOICES {
        let Some(value) = body["properties"].pointer(pointer).filter(|value| !value.is_null()) else {
            continue;
        };
        spelled(value.as_str().unwrap_or_default(), allowed).ok_or_else(|| invalid(pointer))?;
    }
    if let Some(bypass) = body.pointer("/properties/networkAcls/bypass") {
        rules::bypass(bypass.as_str().unwrap_or_default()).ok_or_else(|| invalid("/networkAcls/bypass"))?;
    }
    Ok(())
}

/// Refuses what no new account can be, once [`check`] has passed.
pub(super) fn check_creation(body: &Value) -> Result<(), Answer> {
    let spell = |value: &Value, allowed| spelled(value.as_str().unwrap_or_default(), allowed).unwrap_or_default();
    let (sku, kind) = (spell(&body["sku"]["name"], rules::SKUS), spell(&body["kind"], rules::KINDS));
    if !rules::goes_together(kind, sku) {
        return Err(invalid("/sku/name"));
    }
    // Blob accounts must say their tier, and the oldest kind has none.
    let has_tier = !body["properties"]["accessTier"].is_null();
    if (kind == "BlobStorage" && !has_tier) || (kind == "Storage" && has_tier) {
        return Err(invalid("/accessTier"));
    }
    check_worm(&Value::Null, &body["properties"]["immutableStorageWithVersioning"])
}

/// Refuses what an existing account cannot become.
pub(super) fn check_change(before: &Value, body: &Value) -> Result<(), Answer> {
    let sent = &body["properties"];
    for name in READ_ONLY {
        let value = &sent[name];
        if !value.is_null() && (*value == false || *value != before["properties"][name]) {
            return Err(fixed(name));
        }
    }
    let fixed_members = [
        ("dnsEndpointType", "/dnsEndpointType", json!("Standard")),
        ("immutableStorageWithVersioning.enabled", "/immutableStorageWithVersioning/enabled", json!(false)),
    ];
    for (name, pointer, default) in fixed_members {
        let is = before["properties"].pointer(pointer).unwrap_or(&default);
        if sent.pointer(pointer).is_some_and(|value| !value.is_null() && value != is) {
            return Err(fixed(name));
        }
    }
    // An encryption object is replaced whole, so one without the flag would switch it off.
    let double = |of: &Value| of["encryption"]["requireInfrastructureEncryption"] == true;
    if !sent["encryption"].is_null() && double(sent) != double(&before["properties"]) {
        return Err(fixed("requireInfrastructureEncryption"));
    }
    check_kind(before, body)?;
    check_sku(before, body)?;
    check_worm(&before["properties"]["immutableStorageWithVersioning"], &sent["immutableStorageWithVersioning"])
}

fn check_kind(before: &Value, body: &Value) -> Result<(), Answer> {
    let was = before["kind"].as_str().unwrap_or_default();
    let becomes = body["kind"].as_str().unwrap_or(was);
    let upgrades = matches!(was, "Storage" | "BlobStorage") && becomes.eq_ignore_ascii_case("StorageV2");
    if was.eq_ignore_ascii_case(becomes) || upgrades {
        return Ok(());
    }
    let message = format!("Account kind cannot be changed from '{was}' to '{becomes}'.");
    Err(Answer::error(400, "AccountKindConversionNotAllowed", message))
}

/// In place there is only LRS ↔ GRS ↔ RAGRS, and GZRS ↔ RAGZRS with ZRS; the rest takes a migration.
fn check_sku(before: &Value, body: &Value) -> Result<(), Answer> {
    let was = before["sku"]["name"].as_str().unwrap_or_default();
    let becomes = body["sku"]["name"].as_str().unwrap_or(was);
    let class = |sku: &str| {
        let zonal = rules::replication(sku).ends_with("ZRS");
        (sku.split('_').next().unwrap_or_default().to_lowercase(), zonal)
    };
    if class(was) == class(becomes) {
        return Ok(());
    }
    let message = format!("Account type cannot be changed from '{was}' to '{becomes}'.");
    Err(Answer::error(400, "AccountTypeConversionNotAllowed", message))
}

/// The account's default immutability policy: when it may be set, and what once it is locked.
fn check_worm(before: &Value, sent: &Value) -> Result<(), Answer> {
    let refuse = |message: &str| Err(Answer::error(400, "InvalidStorageAccountImmutabilityPolicy", message));
    let policy = &sent["immutabilityPolicy"];
    if policy.is_null() {
        return Ok(());
    }
    let days = &policy["immutabilityPeriodSinceCreationInDays"];
    let state = policy["state"].as_str();
    let is = &before["immutabilityPolicy"];
    if before.is_null() && (days.is_null() || state.is_none()) {
        return refuse(
            "The required property immutabilityPolicy.state, immutabilityPolicy.immutabilityPeriodSinceCreationInDays is missing.",
        );
    }
    if before["enabled"] != true && sent["enabled"] != true {
        return refuse(
            "Storage account level default immutability policy cannot be set as account level WORM is disabled",
        );
    }
    if is["state"] == "Locked" {
        if state.is_some_and(|state| state != "Locked") {
            return refuse("The immutability policy state cannot be changed once Locked.");
        }
        if days.as_u64() < is["immutabilityPeriodSinceCreationInDays"].as_u64() && !days.is_null() {
            return refuse("The immutabilityPeriodSinceCreationInDays can only be extended for a Locked policy.");
        }
        let appends = &policy["allowProtectedAppendWrites"];
        if !appends.is_null() && *appends != is["allowProtectedAppendWrites"] {
            return refuse("Request parameters are invalid: allowProtectedAppendWrites.");
        }
    } else if state == Some("Locked") && is["state"] != "Unlocked" {
        return refuse(
            "Storage account immutability policy state can be set to \"Unlocked, Disabled\". Note that the immutability \
             state can either be Disabled or Unlocked during account creation.",
        );
    }
    Ok(())
}

fn invalid(pointer: &str) -> Answer {
    let name = pointer.trim_start_matches('/').replace('/', ".");
    let message = format!("Values for request parameters are invalid: {name}.");
    Answer::error(400, "InvalidValuesForRequestParameters", message)
}

fn fixed(name: &str) -> Answer {
    let message = format!(
        "The property '{name}' was specified in the input, but it cannot be updated as it is read-only. For more \
         information, see - https://aka.ms/storageaccountupdate"
    );
    Answer::error(400, "AccountPropertyCannotBeUpdated", message)
}
