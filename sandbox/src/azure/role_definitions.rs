//! `Microsoft.Authorization/roleDefinitions`: the built-in roles, which every scope has.

use serde_json::{Value, json};

use super::arm::{Call, ResourceType};
use super::http::{Answer, Outcome};
use super::ids::Id;

/// Some of Azure's built-in roles: name and GUID, which is the same in every tenant.
const ROLES: &[(&str, &str)] = &[
    ("Owner", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"),
    ("Contributor", "b24988ac-6180-42a0-ab88-20f7382dd24c"),
    ("Reader", "acdd72a7-3385-48ef-bd42-f606fba81ae7"),
    ("Storage Account Contributor", "17d1049b-9a84-46fb-8f53-869881c3d3ab"),
    ("Storage Blob Data Owner", "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"),
    ("Storage Blob Data Contributor", "ba92f5b4-2d11-453d-a403-e96b0029c9fe"),
    ("Storage Blob Data Reader", "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"),
    ("Storage Queue Data Contributor", "974c5e8b-45b9-4653-ba55-5f855dd0fb88"),
    ("Storage Table Data Contributor", "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3"),
    ("Key Vault Crypto Officer", "14b46e9e-c2b7-41b4-b07b-48a6ebf60603"),
    ("Key Vault Crypto Service Encryption User", "e147488a-f6f5-4113-8e2d-b22465e65bf6"),
];

pub(super) struct RoleDefinition;

impl ResourceType for RoleDefinition {
    fn name(&self) -> &'static str {
        "Microsoft.Authorization/roleDefinitions"
    }

    fn get(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        match ROLES.iter().find(|(_, guid)| guid.eq_ignore_ascii_case(id.name())) {
            Some(role) => Ok(Answer::json(200, &document(call, role))),
            None => Err(self.absent(id)),
        }
    }

    fn absent(&self, id: &Id) -> Answer {
        let message = format!("The specified role definition with ID '{}' does not exist.", id.name());
        Answer::error(404, "RoleDefinitionDoesNotExist", message)
    }
}

/// All roles, or those that the filter names. Azure answers them in one page.
pub(super) fn list(call: &Call<'_>) -> Answer {
    let filter = call.request.parameters().remove("$filter").unwrap_or_default();
    let named = filter
        .strip_prefix("roleName eq '")
        .and_then(|rest| rest.strip_suffix('\''))
        .map(|name| name.replace("''", "'"));
    let is_asked = |name: &str| named.as_ref().is_none_or(|named| named.eq_ignore_ascii_case(name));
    let roles: Vec<Value> = ROLES.iter().filter(|(name, _)| is_asked(name)).map(|role| document(call, role)).collect();
    Answer::json(200, &json!({"value": roles}))
}

fn document(call: &Call<'_>, (name, guid): &(&str, &str)) -> Value {
    let subscription = &call.options.subscription_id;
    json!({
        "properties": {
            "roleName": name,
            "type": "BuiltInRole",
            "description": format!("What the role {name} allows."),
            "assignableScopes": ["/"],
            "permissions": [{"actions": [], "notActions": [], "dataActions": [], "notDataActions": []}],
            "createdOn": "2015-02-02T21:55:09.8806423Z",
            "updatedOn": "2021-11-11T20:13:28.6061853Z",
            "createdBy": null,
            "updatedBy": null,
        },
        "id": format!("/subscriptions/{subscription}/providers/{}/{guid}", RoleDefinition.name()),
        "type": RoleDefinition.name(),
        "name": guid,
    })
}
