//! `Microsoft.Storage/storageAccounts/objectReplicationPolicies`: one policy as two resources, in the destination first.

use serde_json::{Value, json};
use uuid::Uuid;

use super::accounts::refuse_unprovisioned;
use super::arm::{Call, ResourceType, not_found};
use super::http::{Answer, Outcome, timestamp};
use super::ids::Id;
use super::services;

/// The most rules that a policy has.
const MOST: usize = 1000;
const SWITCHES: [&str; 3] = ["metrics", "priorityReplication", "tagsReplication"];

pub(super) struct ObjectReplicationPolicy;

impl ResourceType for ObjectReplicationPolicy {
    fn name(&self) -> &'static str {
        "Microsoft.Storage/storageAccounts/objectReplicationPolicies"
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let Some(account) = id.parent() else { return Err(not_found(id)) };
        refuse_unprovisioned(call, &account)?;
        let sent = call.body()?["properties"].clone();
        let (Some(source), Some(destination)) = (name_of(&sent["sourceAccount"]), name_of(&sent["destinationAccount"]))
        else {
            return Err(invalid("sourceAccount"));
        };
        let rules = sent["rules"].as_array().cloned().unwrap_or_default();
        if rules.len() > MOST {
            return Err(invalid("rules"));
        }
        let is_received = destination.eq_ignore_ascii_case(account.name());
        if id.name() == "default" && !is_received {
            let message = "The value 'default' is not allowed for property policyId.";
            return Err(Answer::error(400, "InvalidRequestPropertyValue", message));
        }
        refuse_unprepared(call, &source, true)?;
        refuse_unprepared(call, &destination, false)?;
        let id = match id.name() {
            "default" => {
                refuse_second(call, &account, &source)?;
                account.child("objectReplicationPolicies", &Uuid::new_v4().to_string())
            }
            // The destination names the policy and its rules.
            name if !is_received && !is_known(call, &destination, name, &rules) => return Err(invalid("policyId")),
            _ => id.clone(),
        };
        let is_new = call.state.get(&id).is_none();
        let rules: Vec<Value> = rules.into_iter().map(named).collect();
        let mut properties = json!({
            "policyId": id.name(), "sourceAccount": sent["sourceAccount"],
            "destinationAccount": sent["destinationAccount"], "rules": rules,
        });
        for name in SWITCHES.into_iter().filter(|name| sent[*name].is_object()) {
            properties[name] = sent[name].clone();
        }
        let mut document =
            json!({"id": id.to_string(), "name": id.name(), "type": self.name(), "properties": properties});
        call.state.put(&id, document.clone());
        if !is_received && is_new {
            document["properties"]["enabledTime"] = timestamp().into();
        }
        Ok(Answer::json(200, &document))
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let status = if call.state.remove(id) { 200 } else { 204 };
        Ok(Answer::of(status, "text/plain; charset=utf-8", ""))
    }

    /// A list names the accounts and not the rules.
    fn item(&self, document: &Value) -> Value {
        let mut item = document.clone();
        if let Some(properties) = item["properties"].as_object_mut() {
            properties.remove("rules");
        }
        item
    }
}

/// The name of an account that is given by its id or by its name.
fn name_of(account: &Value) -> Option<String> {
    account.as_str()?.rsplit('/').next().map(str::to_owned)
}

/// A rule with an id.
fn named(mut rule: Value) -> Value {
    if !rule["ruleId"].is_string() {
        let mut whole = json!({"ruleId": Uuid::new_v4().to_string()});
        for (name, value) in rule.as_object().into_iter().flatten() {
            whole[name] = value.clone();
        }
        rule = whole;
    }
    rule
}

/// 409 unless the account, where it is one of the emulator's, has what its part in a replication needs.
fn refuse_unprepared(call: &Call<'_>, account: &str, is_source: bool) -> Result<(), Answer> {
    let mut accounts = call.state.of_type("Microsoft.Storage/storageAccounts");
    let Some(found) = accounts.find(|found| found.document["name"] == account) else { return Ok(()) };
    let has_directories = found.document["properties"]["isHnsEnabled"] == true;
    let protection = services::protection(call.state, account);
    let message = match () {
        () if has_directories => "Object replication is not supported for accounts with a hierarchical namespace.",
        () if !protection.versioning => "Object replication needs blob versioning on the account.",
        () if is_source && !protection.change_feed => "Object replication needs the change feed on the source account.",
        () => return Ok(()),
    };
    Err(Answer::error(409, "FeatureNotSupportedForAccount", message))
}

/// 409 where the account has a policy for the source already.
fn refuse_second(call: &Call<'_>, account: &Id, source: &str) -> Result<(), Answer> {
    let below = format!("{}/objectreplicationpolicies/", account.key());
    let is_it = |(key, document): (&String, &Value)| {
        let properties = &document["properties"];
        key.starts_with(&below)
            && name_of(&properties["sourceAccount"]).is_some_and(|own| own.eq_ignore_ascii_case(source))
            && name_of(&properties["destinationAccount"]).is_some_and(|own| own.eq_ignore_ascii_case(account.name()))
    };
    match call.state.visible().any(is_it) {
        false => Ok(()),
        true => Err(Answer::error(
            409,
            "ObjectReplicationPolicyAlreadyExists",
            "An object replication policy for this source account already exists.",
        )),
    }
}

/// Whether the destination, where it is one of the emulator's, has a policy of this name with all these rules.
fn is_known(call: &Call<'_>, destination: &str, policy: &str, rules: &[Value]) -> bool {
    let mut accounts = call.state.of_type("Microsoft.Storage/storageAccounts");
    if !accounts.any(|found| found.document["name"] == destination) {
        return true;
    }
    let end = format!("/storageaccounts/{destination}/objectreplicationpolicies/{policy}").to_lowercase();
    let Some((_, document)) = call.state.visible().find(|(key, _)| key.ends_with(&end)) else { return false };
    let known = document["properties"]["rules"].as_array().map_or(&[][..], Vec::as_slice);
    rules.iter().all(|rule| known.iter().any(|own| own["ruleId"] == rule["ruleId"]))
}

fn invalid(member: &str) -> Answer {
    let message = format!("Values for request parameters are invalid: {member}.");
    Answer::error(400, "InvalidValuesForRequestParameters", message)
}
