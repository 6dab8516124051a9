//! Stored access policies, which shares and tables have alike.

use crate::translate::pascal;
use cfn_provider::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// A stored access policy: a shared access signature that names it takes its terms from it, and ends with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct SignedIdentifier {
    /// What signatures name the policy by.
    #[schemars(required, length(min = 1, max = 64))]
    pub id: Option<String>,
    /// The terms.
    #[schemars(required)]
    pub access_policy: Option<AccessPolicy>,
}

/// What a signature allows, and when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct AccessPolicy {
    /// From when it is valid, in UTC and whole seconds: `2026-01-31T00:00:00Z`.
    #[schemars(regex(pattern = TIME))]
    pub start_time: Option<String>,
    /// Until when it is valid, in UTC and whole seconds.
    #[schemars(regex(pattern = TIME))]
    pub expiry_time: Option<String>,
    /// What it allows, one letter each, in this order: of a share `rcwdl` (read, create, write, delete, list), of a table
    /// `raud` (read, add, update, delete).
    #[schemars(required, regex(pattern = "^(r?c?w?d?l?|r?a?u?d?)$"), length(min = 1))]
    pub permission: Option<String>,
}

const TIME: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$";

/// Checks what the schema cannot: that ids are unique, permissions are those of the resource (`letters`), and a policy
/// begins before it ends.
///
/// # Errors
/// `InvalidRequest` with the pointer and the rule.
pub(super) fn check(policies: Option<&[SignedIdentifier]>, letters: &str) -> Result<()> {
    let refuse = |at: usize, pointer: &str, rule: String| {
        Err(Error::invalid_request(format!("/SignedIdentifiers/{at}/{pointer}: {rule}")))
    };
    let mut ids = BTreeSet::new();
    for (at, policy) in policies.into_iter().flatten().enumerate() {
        if !ids.insert(&policy.id) {
            return refuse(at, "Id", "another policy has this id".into());
        }
        let terms = policy.access_policy.clone().unwrap_or_default();
        let permission = terms.permission.unwrap_or_default();
        if !permission.chars().all(|letter| letters.contains(letter)) {
            let rule = format!("{permission:?} is more than the letters {letters:?} that Azure knows here");
            return refuse(at, "AccessPolicy/Permission", rule);
        }
        // Both are in the one form that the schema allows, so that text compares as time.
        if let (Some(start), Some(end)) = (&terms.start_time, &terms.expiry_time)
            && start >= end
        {
            return refuse(at, "AccessPolicy/ExpiryTime", format!("{end} is not after StartTime, {start}"));
        }
    }
    Ok(())
}

/// The policies of an answer in the model's terms. Azure writes times with seven decimals of a second.
pub(super) fn from_azure(body: &Value) -> Value {
    let mut policies = pascal(body["properties"]["signedIdentifiers"].clone());
    for policy in policies.as_array_mut().into_iter().flatten() {
        for name in ["StartTime", "ExpiryTime"] {
            let time = policy["AccessPolicy"].get_mut(name);
            if let Some(time) = time
                && let Some((seconds, decimals)) = time.as_str().and_then(|text| text.split_once('.'))
                && decimals.trim_end_matches('Z').bytes().all(|digit| digit == b'0')
            {
                *time = format!("{seconds}Z").into();
            }
        }
    }
    policies
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(policies: Value, letters: &str) -> String {
        let policies: Vec<SignedIdentifier> = serde_json::from_value(policies).expect("is a list of policies");
        check(Some(&policies), letters).map_or_else(|error| error.message, |()| String::new())
    }

    #[test]
    fn what_the_schema_cannot_say_is_refused() {
        let policy = |id: &str, permission: &str, start: &str, end: &str| json!({"Id": id, "AccessPolicy": {"Permission": permission, "StartTime": start, "ExpiryTime": end}});
        let good = policy("a", "rl", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        assert_eq!(refusal(json!([good, {"Id": "b", "AccessPolicy": {"Permission": "r"}}]), "rcwdl"), "");
        assert!(refusal(json!([good, good]), "rcwdl").starts_with("/SignedIdentifiers/1/Id: "));
        assert!(refusal(json!([good]), "raud").starts_with("/SignedIdentifiers/0/AccessPolicy/Permission: "));
        let ended = policy("a", "r", "2027-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
        assert!(refusal(json!([ended]), "raud").starts_with("/SignedIdentifiers/0/AccessPolicy/ExpiryTime: "));
    }

    #[test]
    fn times_come_out_in_whole_seconds() {
        let body = |time: &str| json!({"properties": {"signedIdentifiers": [{"id": "a", "accessPolicy": {"startTime": time, "permission": "r"}}]}});
        for (time, expected) in [
            ("2026-04-01T08:49:37.0000000Z", "2026-04-01T08:49:37Z"),
            ("2026-04-01T08:49:37Z", "2026-04-01T08:49:37Z"),
            ("2026-04-01T08:49:37.5000000Z", "2026-04-01T08:49:37.5000000Z"),
        ] {
            assert_eq!(from_azure(&body(time))[0]["AccessPolicy"]["StartTime"], expected);
        }
    }
}
