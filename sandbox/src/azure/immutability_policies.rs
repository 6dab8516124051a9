//! `Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies`: one at most, named `default`.
//!
//! Where there is none, a GET shows one in the state `Deleted`.

use serde_json::{Value, json};
use uuid::Uuid;

use super::arm::{Call, ResourceType, no_such_action, not_found, shown};
use super::http::{Answer, Outcome};
use super::ids::Id;

/// The longest that a policy can last, in days.
const LONGEST: u64 = 146_000;
const PERIOD: &str = "immutabilityPeriodSinceCreationInDays";
const APPENDS: [&str; 2] = ["allowProtectedAppendWrites", "allowProtectedAppendWritesAll"];

pub(super) struct ImmutabilityPolicy;

impl ResourceType for ImmutabilityPolicy {
    fn name(&self) -> &'static str {
        "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies"
    }

    fn get(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        if id.name() != "default" {
            return Err(not_found(id));
        }
        Ok(match call.state.get(id) {
            Some(policy) => shown(policy),
            None => Answer::json(200, &self.deleted(id, "")),
        })
    }

    /// Merges, and keeps the entity tag where nothing changes.
    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        if id.name() != "default" {
            return Err(not_found(id));
        }
        let sent = call.body()?["properties"].clone();
        let before = call.state.get(id).cloned();
        if let Some(policy) = &before {
            check_tag(call, policy, false)?;
            refuse_unless(policy, "Unlocked")?;
        }
        let mut properties = before.as_ref().map_or(json!({}), |policy| policy["properties"].clone());
        for name in APPENDS.into_iter().chain([PERIOD]).filter(|name| !sent[*name].is_null()) {
            properties[name] = sent[name].clone();
        }
        // Azure shows one of the two.
        for (name, other) in [(APPENDS[0], APPENDS[1]), (APPENDS[1], APPENDS[0])] {
            if properties[name] == false && properties[other] == true {
                properties.as_object_mut().map(|members| members.remove(name));
            }
        }
        check_period(&properties[PERIOD])?;
        if APPENDS.iter().all(|name| properties[*name] == true) {
            return Err(invalid(APPENDS[1]));
        }
        properties["state"] = "Unlocked".into();
        let tag = match &before {
            Some(policy) if policy["properties"] == properties => policy["etag"].as_str().unwrap_or_default().into(),
            _ => fresh_tag(),
        };
        Ok(self.keep(call, id, &tag, properties))
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let Some(policy) = call.state.get(id).cloned() else {
            return Err(condition_not_met());
        };
        check_tag(call, &policy, true)?;
        refuse_unless(&policy, "Unlocked")?;
        call.state.remove(id);
        self.mark_container(call, id, false);
        Ok(shown(&self.deleted(id, &fresh_tag())))
    }

    fn act(&self, call: &mut Call<'_>, id: &Id, action: &str) -> Outcome {
        let policy = call.state.get(id).cloned().ok_or_else(|| not_found(id))?;
        let mut properties = policy["properties"].clone();
        match action {
            "lock" => {
                check_tag(call, &policy, true)?;
                refuse_unless(&policy, "Unlocked")?;
                properties["state"] = "Locked".into();
            }
            "extend" => {
                check_tag(call, &policy, true)?;
                refuse_unless(&policy, "Locked")?;
                let sent = &call.body()?["properties"][PERIOD];
                check_period(sent)?;
                if sent.as_u64() < properties[PERIOD].as_u64() {
                    return Err(invalid(PERIOD));
                }
                properties[PERIOD] = sent.clone();
            }
            _ => return Err(no_such_action(id, action)),
        }
        Ok(self.keep(call, id, &fresh_tag(), properties))
    }
}

impl ImmutabilityPolicy {
    fn document(&self, id: &Id, tag: &str, properties: Value) -> Value {
        json!({"id": id.to_string(), "name": "default", "type": self.name(), "etag": tag, "properties": properties})
    }

    fn deleted(&self, id: &Id, tag: &str) -> Value {
        self.document(id, tag, json!({PERIOD: 0, "state": "Deleted"}))
    }

    fn keep(&self, call: &mut Call<'_>, id: &Id, tag: &str, properties: Value) -> Answer {
        let document = self.document(id, tag, properties);
        call.state.put(id, document.clone());
        self.mark_container(call, id, true);
        shown(&document)
    }

    fn mark_container(&self, call: &mut Call<'_>, id: &Id, has_policy: bool) {
        if let Some(container) = id.parent().and_then(|container| call.state.get_mut(&container)) {
            container["properties"]["hasImmutabilityPolicy"] = has_policy.into();
        }
    }
}

/// A fresh entity tag in the form that these policies have.
fn fresh_tag() -> String {
    let id = Uuid::new_v4().simple().to_string();
    format!("\"8d{}\"", &id[..13])
}

fn check_tag(call: &Call<'_>, policy: &Value, is_needed: bool) -> Result<(), Answer> {
    match call.request.header("if-match") {
        None if is_needed => {
            Err(Answer::error(400, "MissingRequiredHeader", "The required header If-Match was not specified."))
        }
        Some(tag) if tag != "*" && policy["etag"] != *tag => Err(condition_not_met()),
        _ => Ok(()),
    }
}

fn condition_not_met() -> Answer {
    Answer::error(412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.")
}

fn refuse_unless(policy: &Value, state: &str) -> Result<(), Answer> {
    if policy["properties"]["state"] == state {
        return Ok(());
    }
    let message = "Operation not allowed on immutability policy with current state.";
    Err(Answer::error(409, "ContainerImmutabilityPolicyFailure", message))
}

fn check_period(days: &Value) -> Result<(), Answer> {
    match days.as_u64().is_some_and(|days| (1..=LONGEST).contains(&days)) {
        true => Ok(()),
        false => Err(invalid(PERIOD)),
    }
}

fn invalid(member: &str) -> Answer {
    let message = format!("Values for request parameters are invalid: {member}.");
    Answer::error(400, "InvalidValuesForRequestParameters", message)
}
