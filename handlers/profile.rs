//! Which of the type configuration's profiles manages a resource.

use azure_client::{Configuration, Profile, ResourceId};
use cfn_provider::{
    Result,
    schema::{not_secret, write_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::provider::explain;

// Every model has it as its last field, `profile: Option<ProfileName>`: the field is private and has no words of its own,
// so that those below are its description, and the engine strips it.
/// The name of the profile of the type configuration that manages this resource. If you do not give one, it is the profile of the subscription that the resource is in, or else the default one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, transform = write_only, transform = not_secret)]
pub struct ProfileName(#[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_-]+$"))] String);

/// The profile for a resource of which `properties` are known: the one it names, else that of the subscription it is in,
/// else the default one.
///
/// READ, LIST and drift detection know no name, only the resource's id or its parent's.
///
/// # Errors
/// `InvalidRequest` where it names no profile, or is in the subscriptions of several; `InvalidTypeConfiguration` where the
/// configuration has none for it.
pub(crate) fn choose<'a>(configuration: &'a Configuration, properties: &Map<String, Value>) -> Result<&'a Profile> {
    let name = properties.get("Profile").and_then(Value::as_str);
    let chosen = match name {
        Some(name) => configuration.named(name),
        None => configuration.of_subscriptions(&subscriptions(properties)),
    };
    chosen.map_err(|error| match name {
        Some(_) => explain(error).while_doing("/Profile"),
        None => explain(error),
    })
}

/// The subscription of the resource; until it has an id, those of what it names.
fn subscriptions(properties: &Map<String, Value>) -> Vec<String> {
    let of = |value: &Value| Some(value.as_str()?.parse::<ResourceId>().ok()?.subscription().to_owned());
    match properties.get("Id") {
        Some(id) => of(id).into_iter().collect(),
        None => properties.values().filter_map(of).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cfn_provider::HandlerErrorCode as Code;
    use serde_json::json;

    const A: &str = "aaaaaaaa-0000-0000-0000-000000000000";
    const B: &str = "bbbbbbbb-0000-0000-0000-000000000000";
    const OTHER: &str = "cccccccc-0000-0000-0000-000000000000";

    fn profile(subscription: &str) -> Value {
        json!({"TenantId": "tenant", "ClientId": "client", "ClientSecret": "hunter2", "SubscriptionId": subscription})
    }

    fn chosen(configuration: &Value, properties: Value) -> Result<String, (Code, String)> {
        let configuration: Configuration = serde_json::from_value(configuration.clone()).unwrap();
        let properties = properties.as_object().unwrap();
        choose(&configuration, properties)
            .map(|profile| profile.subscription_id.clone())
            .map_err(|error| (error.code, error.message))
    }

    #[test]
    fn the_name_wins_then_the_subscription_then_the_default() {
        let mut configuration = profile(A);
        configuration["Profiles"] = json!({"b": profile(B)});
        let group = |subscription: &str| format!("/subscriptions/{subscription}/resourceGroups/g");
        let cases = [
            (json!({}), A),
            (json!({"Profile": "b"}), B),
            (json!({"Profile": "default"}), A),
            (json!({"Profile": "default", "ResourceGroupId": group(B)}), A),
            (json!({"ResourceGroupId": group(B)}), B),
            (json!({"ResourceGroupId": group(&B.to_uppercase())}), B),
            (json!({"ResourceGroupId": group(OTHER)}), A),
            (json!({"ResourceGroupId": group(OTHER), "WorkspaceId": group(B)}), B),
            // With an id, what else it names does not count.
            (json!({"Id": group(A), "WorkspaceId": group(B)}), A),
            (json!({"Id": group(B)}), B),
        ];
        for (properties, expected) in cases {
            assert_eq!(chosen(&configuration, properties.clone()).as_deref(), Ok(expected), "{properties}");
        }
        let (code, message) =
            chosen(&configuration, json!({"SourceId": group(A), "DestinationId": group(B)})).unwrap_err();
        assert_eq!(code, Code::InvalidRequest);
        assert!(message.contains("b, default") && message.contains("Profile"), "{message}");
        let (code, message) = chosen(&configuration, json!({"Profile": "prod"})).unwrap_err();
        assert_eq!(code, Code::InvalidRequest);
        assert!(message.starts_with("/Profile: ") && message.contains("\"prod\"; it has b, default"), "{message}");
    }

    #[test]
    fn without_a_default_the_only_profile_is_it() {
        let one = json!({"Profiles": {"b": profile(B)}});
        assert_eq!(chosen(&one, json!({})).as_deref(), Ok(B));
        let two = json!({"Profiles": {"a": profile(A), "b": profile(B)}});
        let (code, message) = chosen(&two, json!({})).unwrap_err();
        assert_eq!(code, Code::InvalidRequest);
        assert!(message.contains("has no default profile") && message.contains("a, b"), "{message}");
        let named = json!({"Profiles": {"default": profile(A), "b": profile(B)}});
        assert_eq!(chosen(&named, json!({})).as_deref(), Ok(A));
        assert_eq!(chosen(&json!({}), json!({})).unwrap_err().0, Code::InvalidTypeConfiguration);
    }

    #[test]
    fn a_subscription_has_one_profile() {
        let mut configuration = profile(A);
        configuration["Profiles"] = json!({"again": profile(&A.to_uppercase())});
        for properties in [json!({}), json!({"Profile": "again"})] {
            let (code, message) = chosen(&configuration, properties).unwrap_err();
            assert_eq!(code, Code::InvalidTypeConfiguration);
            assert!(message.contains("profiles again and default"), "{message}");
        }
    }
}
