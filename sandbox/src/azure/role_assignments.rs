//! `Microsoft.Authorization/roleAssignments`.

use serde_json::{Value, json};
use uuid::Uuid;

use super::arm::{Call, ResourceType};
use super::http::{Answer, Outcome, timestamp};
use super::ids::Id;

pub(super) struct RoleAssignment;

impl ResourceType for RoleAssignment {
    fn name(&self) -> &'static str {
        "Microsoft.Authorization/roleAssignments"
    }

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let sent = call.body()?["properties"].clone();
        if Uuid::try_parse(id.name()).is_err() {
            let message =
                format!("The role assignment ID '{}' is not valid. The role assignment ID must be a GUID.", id.name());
            return Err(Answer::error(400, "InvalidRoleAssignmentId", message));
        }
        let text = |name: &str| sent[name].as_str().unwrap_or_default();
        let (principal, role) = (text("principalId"), text("roleDefinitionId"));
        if Uuid::try_parse(role.rsplit('/').next().unwrap_or_default()).is_err() {
            let message = format!("The specified role definition with ID '{role}' does not exist.");
            return Err(Answer::error(404, "RoleDefinitionDoesNotExist", message));
        }
        let existing = call.state.get(id).cloned();
        match &existing {
            Some(existing) => refuse_change(&existing["properties"], &sent)?,
            None => {
                find_principal(call, principal, !sent["principalType"].is_null())?;
                refuse_twin(call, id, principal, role)?;
            }
        }
        let kind = sent["principalType"].as_str().unwrap_or("ServicePrincipal");
        if kind != "ServicePrincipal" {
            let message = format!(
                "The PrincipalId '{principal}' has type 'ServicePrincipal', which is different from specified \
                 PrincipalType '{kind}'."
            );
            return Err(Answer::error(400, "UnmatchedPrincipalType", message));
        }
        let (now, who) = (timestamp(), &call.options.client_id);
        let created =
            existing.as_ref().map_or_else(|| json!(now), |existing| existing["properties"]["createdOn"].clone());
        let mut document = json!({
            "properties": {
                "roleDefinitionId": role,
                "principalId": principal,
                "principalType": kind,
                "scope": id.parent().map(|scope| scope.to_string()),
                "condition": sent["condition"],
                "conditionVersion": sent["conditionVersion"],
                "createdOn": created,
                "updatedOn": now,
                "createdBy": who,
                "updatedBy": who,
                "delegatedManagedIdentityResourceId": sent["delegatedManagedIdentityResourceId"],
                "description": sent["description"],
            },
            "id": id.to_string(),
            "type": self.name(),
            "name": id.name(),
        });
        call.state.put(id, document.clone());
        // The answer to a creation does not say by whom; a GET does.
        document["properties"]["createdBy"] = Value::Null;
        Ok(Answer::json(if existing.is_some() { 200 } else { 201 }, &document))
    }

    /// The answer is what was deleted.
    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        let Some(document) = call.state.get(id).cloned() else {
            return Ok(Answer::empty(204));
        };
        call.state.remove(id);
        Ok(Answer::json(200, &document))
    }

    fn absent(&self, id: &Id) -> Answer {
        let message = format!("The role assignment '{}' is not found.", id.name());
        Answer::error(404, "RoleAssignmentNotFound", message)
    }
}

/// Refuses a principal that the directory does not know, or does not know yet: one whose type is said is not looked up
/// in a replica that may be behind.
fn find_principal(call: &Call<'_>, principal: &str, has_type: bool) -> Result<(), Answer> {
    let since = call.state.introduced(principal);
    if since.is_some_and(|since| since <= call.now || has_type) || principal == call.options.client_id {
        return Ok(());
    }
    let message = format!(
        "Principal {} does not exist in the directory {}. Check that you have the correct principal ID. If you have just \
         created it, name its principalType, since a new principal takes a while to be known everywhere.",
        principal.replace('-', ""),
        call.options.tenant_id
    );
    Err(Answer::error(400, "PrincipalNotFound", message))
}

/// A principal has a role on a scope once.
fn refuse_twin(call: &Call<'_>, id: &Id, principal: &str, role: &str) -> Result<(), Answer> {
    let scope = id.parent().map(|scope| scope.key());
    let same = |a: &Value, b: &str| a.as_str().is_some_and(|a| a.eq_ignore_ascii_case(b));
    let is_twin = call.state.of_type(RoleAssignment.name()).any(|other| {
        let properties = &other.document["properties"];
        same(&properties["principalId"], principal)
            && same(&properties["roleDefinitionId"], role)
            && properties["scope"].as_str().map(str::to_lowercase) == scope
    });
    match is_twin {
        true => Err(Answer::error(409, "RoleAssignmentExists", "The role assignment already exists.")),
        false => Ok(()),
    }
}

/// Only what is said about an assignment changes.
fn refuse_change(existing: &Value, sent: &Value) -> Result<(), Answer> {
    let lower = |value: &Value| value.as_str().map(str::to_lowercase);
    match ["principalId", "roleDefinitionId"].iter().all(|name| lower(&existing[*name]) == lower(&sent[*name])) {
        true => Ok(()),
        false => {
            let message = "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.";
            Err(Answer::error(400, "RoleAssignmentUpdateNotPermitted", message))
        }
    }
}
