//! The rules of a lifecycle: what they are, what of them Azure allows together, and how it writes them.

use crate::translate::{camel, pascal};
use cfn_provider::{Error, Result, schema::unordered};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What happens to which blobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Rule {
    /// The name of the rule, unique within the policy. Case matters.
    #[schemars(required, regex(pattern = "^[A-Za-z0-9-]{1,256}$"))]
    pub name: Option<String>,
    /// Whether the rule is followed.
    #[schemars(required)]
    pub enabled: Option<bool>,
    /// Which blobs it is about.
    #[schemars(required)]
    pub filters: Option<Filters>,
    /// What is done with them: one action at least.
    #[schemars(required)]
    pub actions: Option<Actions>,
}

/// Which blobs a rule is about: those that fit every filter given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Filters {
    /// The types of blobs. Append blobs can be deleted, not moved to another tier.
    #[schemars(required, transform = unordered, length(min = 1), inner(regex(pattern = "^(blockBlob|appendBlob)$")))]
    pub blob_types: Option<Vec<String>>,
    /// How names begin, container first: `backups/2026`. Blobs with any of these.
    #[schemars(transform = unordered, length(min = 1, max = 10))]
    pub prefix_match: Option<Vec<String>>,
    /// The index tags that blobs carry, all of them.
    #[schemars(transform = unordered, length(min = 1, max = 10))]
    pub blob_index_match: Option<Vec<TagFilter>>,
}

/// An index tag that a blob carries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct TagFilter {
    /// The name of the tag.
    #[schemars(required, length(min = 1, max = 128))]
    pub name: Option<String>,
    /// How it is compared; Azure knows `==` only.
    #[schemars(required, extend("enum" = ["=="]))]
    pub op: Option<String>,
    /// The value of the tag.
    #[schemars(required, length(max = 256))]
    pub value: Option<String>,
}

/// What is done with the blobs of a rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Actions {
    /// With the blobs themselves.
    pub base_blob: Option<BaseBlob>,
    /// With their snapshots.
    pub snapshot: Option<Snapshot>,
    /// With their earlier versions.
    pub version: Option<Version>,
}

/// What is done with blobs themselves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct BaseBlob {
    /// Move them to the hot tier. Only in accounts of premium block blobs.
    pub tier_to_hot: Option<DateAfterModification>,
    /// Move them to the cool tier.
    pub tier_to_cool: Option<DateAfterModification>,
    /// Move them to the cold tier.
    pub tier_to_cold: Option<DateAfterModification>,
    /// Move them to the archive tier.
    pub tier_to_archive: Option<DateAfterModification>,
    /// Delete them.
    pub delete: Option<DateAfterModification>,
    /// Whether a cool blob goes back to the hot tier when somebody reads it. Needs TierToCool by the last access.
    pub enable_auto_tier_to_hot_from_cool: Option<bool>,
}

/// When something is done with blobs: more than so many days after one of three events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct DateAfterModification {
    /// Days after the blob was last changed.
    #[schemars(range(min = 0))]
    pub days_after_modification_greater_than: Option<u32>,
    /// Days after the blob was last read or changed. The account must track the last access.
    #[schemars(range(min = 0))]
    pub days_after_last_access_time_greater_than: Option<u32>,
    /// Days after the blob was made.
    #[schemars(range(min = 0))]
    pub days_after_creation_greater_than: Option<u32>,
    /// And days after it last changed its tier, so that a blob taken out of the archive does not go straight back. Only
    /// for TierToArchive, with DaysAfterModificationGreaterThan.
    #[schemars(range(min = 0))]
    pub days_after_last_tier_change_greater_than: Option<u32>,
}

/// What is done with snapshots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Snapshot {
    /// Move them to the hot tier. Only in accounts of premium block blobs.
    pub tier_to_hot: Option<DateAfterCreation>,
    /// Move them to the cool tier.
    pub tier_to_cool: Option<DateAfterCreation>,
    /// Move them to the cold tier.
    pub tier_to_cold: Option<DateAfterCreation>,
    /// Move them to the archive tier.
    pub tier_to_archive: Option<DateAfterCreation>,
    /// Delete them.
    pub delete: Option<DateAfterCreation>,
}

/// What is done with earlier versions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Version {
    /// Move them to the hot tier. Only in accounts of premium block blobs.
    pub tier_to_hot: Option<DateAfterCreation>,
    /// Move them to the cool tier.
    pub tier_to_cool: Option<DateAfterCreation>,
    /// Move them to the cold tier.
    pub tier_to_cold: Option<DateAfterCreation>,
    /// Move them to the archive tier.
    pub tier_to_archive: Option<DateAfterCreation>,
    /// Delete them.
    pub delete: Option<DateAfterCreation>,
}

/// When something is done with snapshots or versions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct DateAfterCreation {
    /// More than so many days after it was made.
    #[schemars(required, range(min = 0))]
    pub days_after_creation_greater_than: Option<u32>,
    /// And days after it last changed its tier. Only for TierToArchive.
    #[schemars(range(min = 0))]
    pub days_after_last_tier_change_greater_than: Option<u32>,
}

/// Checks what the schema cannot: names that are unique, and what Azure allows together.
///
/// # Errors
/// `InvalidRequest` with the pointer and the rule.
pub(super) fn check(rules: &[Rule]) -> Result<()> {
    let mut names = BTreeSet::new();
    for (at, rule) in rules.iter().enumerate() {
        let refused = match names.insert(&rule.name) {
            true => violation(&json!(rule)),
            false => Some(("/Name".to_owned(), "another rule has this name")),
        };
        if let Some((pointer, why)) = refused {
            return Err(Error::invalid_request(format!("/Rules/{at}{pointer}: {why}")));
        }
    }
    Ok(())
}

/// The first thing that Azure would refuse of a rule, and why. Over JSON, because the three sets of actions are alike.
fn violation(rule: &Value) -> Option<(String, &'static str)> {
    const MODIFIED: &str = "DaysAfterModificationGreaterThan";
    const ACCESSED: &str = "DaysAfterLastAccessTimeGreaterThan";
    const CREATED: &str = "DaysAfterCreationGreaterThan";
    const TIERED: &str = "DaysAfterLastTierChangeGreaterThan";
    let has = |value: &Value, name: &str| value.get(name).is_some_and(|member| !member.is_null());
    let appends =
        rule["Filters"]["BlobTypes"].as_array().is_some_and(|types| types.iter().any(|kind| kind == "appendBlob"));
    let mut actions = 0;
    for target in ["BaseBlob", "Snapshot", "Version"] {
        let members = rule["Actions"][target].as_object().into_iter().flatten();
        for (name, when) in members.filter(|(_, when)| when.is_object()) {
            actions += 1;
            let pointer = format!("/Actions/{target}/{name}");
            if appends && name != "Delete" {
                return Some((pointer, "append blobs can only be deleted; /Filters/BlobTypes has appendBlob"));
            }
            let events = [MODIFIED, ACCESSED, CREATED].iter().filter(|event| has(when, event)).count();
            if events != 1 {
                return Some((
                    pointer,
                    "takes one of DaysAfterModificationGreaterThan, DaysAfterLastAccessTimeGreaterThan and \
                     DaysAfterCreationGreaterThan, and no more",
                ));
            }
            if has(when, TIERED) && name != "TierToArchive" {
                return Some((format!("{pointer}/{TIERED}"), "is for TierToArchive only"));
            }
            if has(when, TIERED) && target == "BaseBlob" && !has(when, MODIFIED) {
                return Some((format!("{pointer}/{TIERED}"), "needs DaysAfterModificationGreaterThan"));
            }
        }
    }
    let blobs = &rule["Actions"]["BaseBlob"];
    if blobs["EnableAutoTierToHotFromCool"] == true && !has(&blobs["TierToCool"], ACCESSED) {
        let pointer = "/Actions/BaseBlob/EnableAutoTierToHotFromCool".to_owned();
        return Some((pointer, "needs TierToCool/DaysAfterLastAccessTimeGreaterThan"));
    }
    (actions == 0).then(|| ("/Actions".to_owned(), "needs one action at least"))
}

/// Rules as Azure wants them.
pub(super) fn to_azure(rules: &[Rule]) -> Value {
    rules
        .iter()
        .map(|rule| {
            camel(json!({
                "Name": rule.name, "Enabled": rule.enabled, "Type": "Lifecycle",
                "Definition": {"Filters": rule.filters, "Actions": rule.actions},
            }))
        })
        .collect()
}

/// Rules as Azure answers them, in the model's terms.
pub(super) fn from_azure(rules: &Value) -> Value {
    let rules = rules.as_array().into_iter().flatten();
    rules
        .map(|rule| {
            let mut rule = pascal(rule.clone());
            let definition = rule["Definition"].take();
            rule["Filters"] = definition["Filters"].clone();
            rule["Actions"] = whole(definition["Actions"].clone());
            rule
        })
        .collect()
}

/// Azure answers days as `30.0`.
fn whole(value: Value) -> Value {
    match value {
        Value::Object(members) => members.into_iter().map(|(name, member)| (name, whole(member))).collect(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&float) => {
                format!("{float:.0}").parse::<u32>().map_or(Value::Number(number), Value::from)
            }
            _ => Value::Number(number),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(actions: Value, types: &[&str]) -> String {
        let rule = json!({"Name": "r", "Enabled": true, "Filters": {"BlobTypes": types}, "Actions": actions});
        let rule: Rule = serde_json::from_value(rule).expect("is a rule");
        check(&[rule]).map_or_else(|error| error.message, |()| String::new())
    }

    #[test]
    fn what_azure_does_not_allow_together_is_refused_with_pointer_and_rule() {
        let after = |event: &str| json!({ event: 30 });
        let modified = after("DaysAfterModificationGreaterThan");
        let accessed = after("DaysAfterLastAccessTimeGreaterThan");
        let archived = |event: &str| json!({ event: 30, "DaysAfterLastTierChangeGreaterThan": 7 });
        let block = &["blockBlob"][..];
        for (actions, types, expected) in [
            (json!({"BaseBlob": {"Delete": modified}}), block, ""),
            (json!({"BaseBlob": {"Delete": modified}}), &["appendBlob", "blockBlob"], ""),
            (json!({"BaseBlob": {"TierToArchive": archived("DaysAfterModificationGreaterThan")}}), block, ""),
            (json!({"Version": {"TierToArchive": archived("DaysAfterCreationGreaterThan")}}), block, ""),
            (json!({"BaseBlob": {"TierToCool": accessed, "EnableAutoTierToHotFromCool": true}}), block, ""),
            (json!({}), block, "/Rules/0/Actions: "),
            (json!({"BaseBlob": {"EnableAutoTierToHotFromCool": false}}), block, "/Rules/0/Actions: "),
            (json!({"BaseBlob": {"TierToCool": modified}}), &["appendBlob"], "/Rules/0/Actions/BaseBlob/TierToCool: "),
            (json!({"BaseBlob": {"Delete": {}}}), block, "/Rules/0/Actions/BaseBlob/Delete: takes one"),
            (
                json!({"BaseBlob": {"Delete": {"DaysAfterModificationGreaterThan": 1, "DaysAfterCreationGreaterThan": 1}}}),
                block,
                "/Rules/0/Actions/BaseBlob/Delete: takes one",
            ),
            (
                json!({"BaseBlob": {"TierToArchive": archived("DaysAfterCreationGreaterThan")}}),
                block,
                "/Rules/0/Actions/BaseBlob/TierToArchive/DaysAfterLastTierChangeGreaterThan: needs",
            ),
            (
                json!({"Snapshot": {"Delete": archived("DaysAfterCreationGreaterThan")}}),
                block,
                "/Rules/0/Actions/Snapshot/Delete/DaysAfterLastTierChangeGreaterThan: is for",
            ),
            (
                json!({"BaseBlob": {"TierToCool": modified, "EnableAutoTierToHotFromCool": true}}),
                block,
                "/Rules/0/Actions/BaseBlob/EnableAutoTierToHotFromCool: needs",
            ),
        ] {
            let said = refusal(actions.clone(), types);
            assert!(
                if expected.is_empty() { said.is_empty() } else { said.starts_with(expected) },
                "{actions}: {said}"
            );
        }
        let rule = Rule { name: Some("twice".into()), ..Rule::default() };
        let rule = Rule {
            actions: serde_json::from_value(json!({"BaseBlob": {"Delete": modified}})).expect("are actions"),
            ..rule
        };
        let twice = check(&[rule.clone(), rule]).expect_err("a name twice").message;
        assert!(twice.starts_with("/Rules/1/Name: "), "{twice}");
    }

    #[test]
    fn days_that_azure_writes_as_fractions_are_whole() {
        let answered = json!([{"name": "r", "enabled": true, "type": "Lifecycle", "definition": {
            "filters": {"blobTypes": ["blockBlob"]},
            "actions": {"version": {"delete": {"daysAfterCreationGreaterThan": 30.0}}}}}]);
        let read: Vec<Rule> = serde_json::from_value(from_azure(&answered)).expect("decodes");
        let delete = read[0].actions.clone().and_then(|actions| actions.version?.delete);
        assert_eq!(delete.and_then(|when| when.days_after_creation_greater_than), Some(30));
        assert_eq!(
            to_azure(&read)[0]["definition"]["actions"]["version"]["delete"],
            json!({"daysAfterCreationGreaterThan": 30})
        );
    }
}
