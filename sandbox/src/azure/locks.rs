//! `Microsoft.Authorization/locks`, and what they forbid.

use serde_json::{Value, json};

use super::arm::{Call, ResourceType};
use super::http::{Answer, Outcome};
use super::ids::Id;
use super::merge::spelled;
use super::state::State;

const LEVELS: &[&str] = &["CanNotDelete", "ReadOnly"];

pub(super) struct Lock;

impl ResourceType for Lock {
    fn name(&self) -> &'static str {
        "Microsoft.Authorization/locks"
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let sent = call.body()?["properties"].clone();
        let level = sent["level"].as_str().unwrap_or_default();
        let Some(level) = spelled(level, LEVELS) else {
            let message = format!("The lock level '{level}' is not valid. It is one of {}.", LEVELS.join(", "));
            return Err(Answer::gateway(400, "InvalidLockLevel", message));
        };
        let is_new = call.state.get(id).is_none();
        let mut document = json!({
            "properties": {"level": level},
            "id": id.to_string(),
            "type": self.name(),
            "name": id.name(),
        });
        for member in ["notes", "owners"] {
            if !sent[member].is_null() {
                document["properties"][member] = sent[member].clone();
            }
        }
        call.state.put(id, document.clone());
        Ok(Answer::json(if is_new { 201 } else { 200 }, &document))
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let existed = call.state.remove(id);
        Ok(Answer::empty(if existed { 200 } else { 204 }))
    }

    fn absent(&self, id: &Id) -> Answer {
        let message = format!("The lock '{}' could not be found.", id.name());
        Answer::gateway(404, "LockNotFound", message)
    }
}

/// Refuses what a lock forbids: a lock holds its scope and all below it, and what contains a locked resource cannot be
/// deleted either. Locks themselves are free.
pub(super) fn refuse_locked(state: &State, method: &str, id: &Id) -> Result<(), Answer> {
    let verb = match method {
        "DELETE" => "delete",
        "PUT" | "PATCH" | "POST" => "write",
        _ => return Ok(()),
    };
    if id.type_name().eq_ignore_ascii_case(Lock.name()) {
        return Ok(());
    }
    let own = id.key() + "/";
    let holds = |lock: &Value, scope: &str| {
        let scope = scope.to_lowercase() + "/";
        match verb {
            "delete" => own.starts_with(&scope) || scope.starts_with(&own),
            _ => lock["properties"]["level"] == "ReadOnly" && own.starts_with(&scope),
        }
    };
    let scopes = state.of_type(Lock.name()).filter_map(|lock| {
        let (scope, _) = lock.document["id"].as_str()?.rsplit_once("/providers/")?;
        holds(&lock.document, scope).then(|| format!("'{scope}'"))
    });
    let scopes: Vec<String> = scopes.collect();
    if scopes.is_empty() {
        return Ok(());
    }
    let message = format!(
        "The scope '{id}' cannot perform {verb} operation because following scope(s) are locked: {}. Please remove the \
         lock and try again.",
        scopes.join(",")
    );
    Err(Answer::gateway(409, "ScopeLocked", message))
}
