//! The key policy that is made of two lists, and the lists in a policy that was.
//!
//! The account's root stays in it, as in KMS's own default policy: IAM policies work, and a key whose administrators are gone
//! is not lost. Source of the actions: the default key policy of the KMS developer guide, without what would let an
//! administrator use the key (`kms:CreateGrant`) and without what is not about one key.

use super::arn::KeyArn;
use crate::policy::{items, same};
use serde_json::{Map, Value, json};

/// The Id of the policies that are made here.
pub(super) const ID: &str = "cross-region-kms-key";

const ADMINISTRATORS: &str = "KeyAdministrators";
const USERS: &str = "KeyUsers";

const ADMINISTRATION: [&str; 24] = [
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:GetPublicKey",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:ReplicateKey",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
];

/// Whom a policy that is made here names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lists {
    pub(super) administrators: Option<Vec<String>>,
    pub(super) users: Option<Vec<String>>,
}

/// What the users of a key may do with it, by its KeySpec and KeyUsage.
fn usage(spec: &str, usage: &str) -> &'static [&'static str] {
    match (spec, usage) {
        ("SYMMETRIC_DEFAULT", _) => {
            &["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
        }
        (_, "GENERATE_VERIFY_MAC") => &["kms:GenerateMac", "kms:VerifyMac", "kms:DescribeKey"],
        (_, "SIGN_VERIFY") => &["kms:Sign", "kms:Verify", "kms:GetPublicKey", "kms:DescribeKey"],
        (_, "KEY_AGREEMENT") => &["kms:DeriveSharedSecret", "kms:GetPublicKey", "kms:DescribeKey"],
        _ => &["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GetPublicKey", "kms:DescribeKey"],
    }
}

impl Lists {
    /// The policy of a key of this KeySpec and KeyUsage.
    pub(super) fn to_policy(&self, key: &KeyArn, spec: &str, key_usage: &str) -> Map<String, Value> {
        let allow = |sid: &str, principals: &Value, actions: Value| json!({"Sid": sid, "Effect": "Allow", "Principal": {"AWS": principals}, "Action": actions, "Resource": "*"});
        let root = json!(format!("arn:{}:iam::{}:root", key.partition(), key.account()));
        let mut statements = vec![allow("Account", &root, json!("kms:*"))];
        if let Some(administrators) = &self.administrators {
            statements.push(allow(ADMINISTRATORS, &json!(administrators), json!(ADMINISTRATION)));
        }
        if let Some(users) = &self.users {
            statements.push(allow(USERS, &json!(users), json!(usage(spec, key_usage))));
            if spec == "SYMMETRIC_DEFAULT" {
                let grants = json!(["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"]);
                let mut statement = allow("KeyUsersForAWSResources", &json!(users), grants);
                statement["Condition"] = json!({"Bool": {"kms:GrantIsForAWSResource": "true"}});
                statements.push(statement);
            }
        }
        let members = [("Version", json!("2012-10-17")), ("Id", json!(ID)), ("Statement", statements.into())];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The lists that a policy was made of; `None` where it was not, or where somebody has changed more than those.
    pub(super) fn of_policy(policy: &Map<String, Value>, key: &KeyArn, spec: &str, key_usage: &str) -> Option<Self> {
        let principals = |sid: &str| {
            let mut statements = items(policy.get("Statement")?).into_iter();
            let named = statements.find(|statement| statement["Sid"] == sid)?;
            let principals = items(&named["Principal"]["AWS"]);
            Some(principals.into_iter().filter_map(Value::as_str).map(str::to_owned).collect())
        };
        let lists = Self { administrators: principals(ADMINISTRATORS), users: principals(USERS) };
        same(&lists.to_policy(key, spec, key_usage), policy).then_some(lists)
    }
}

/// The principals that a policy names, for a person who looks for the one that does not exist.
pub(super) fn principals(policy: &Map<String, Value>) -> Vec<String> {
    let statements = items(policy.get("Statement").unwrap_or(&Value::Null));
    let kinds = statements.into_iter().flat_map(|statement| statement["Principal"].as_object().into_iter().flatten());
    let mut named: Vec<&str> = kinds.flat_map(|(_, names)| items(names)).filter_map(Value::as_str).collect();
    named.retain(|principal| !principal.ends_with(":root") && *principal != "*");
    named.sort_unstable();
    named.dedup();
    named.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> KeyArn {
        KeyArn::parse("arn:aws:kms:eu-west-1:123456789012:key/1").expect("reads")
    }

    fn lists() -> Lists {
        let role = |name: &str| format!("arn:aws:iam::123456789012:role/{name}");
        Lists { administrators: Some(vec![role("admin")]), users: Some(vec![role("b"), role("a")]) }
    }

    #[test]
    fn lists_come_back_from_their_policy() {
        for spec in ["SYMMETRIC_DEFAULT", "RSA_2048", "HMAC_256"] {
            for lists in [Lists::default(), lists(), Lists { users: None, ..lists() }] {
                let policy = lists.to_policy(&key(), spec, "");
                assert_eq!(Lists::of_policy(&policy, &key(), spec, ""), Some(lists), "{spec}");
            }
        }
    }

    #[test]
    fn a_policy_that_somebody_changed_is_none_of_lists() {
        let policy = lists().to_policy(&key(), "SYMMETRIC_DEFAULT", "");
        for (pointer, value) in [
            ("/Id", json!("key-default-1")),
            ("/Statement/0/Action", json!("kms:Describe*")),
            ("/Statement/2/Action", json!("kms:*")),
            ("/Statement/3/Condition", json!({})),
            ("/Statement/3/Principal/AWS", json!("*")),
        ] {
            let mut changed = Value::Object(policy.clone());
            *changed.pointer_mut(pointer).expect("is there") = value;
            let changed = changed.as_object().expect("still is one");
            assert_eq!(Lists::of_policy(changed, &key(), "SYMMETRIC_DEFAULT", ""), None, "{pointer}");
        }
    }

    #[test]
    fn administrators_do_not_use_the_key() {
        for used in ["Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "CreateGrant", "Sign", "GenerateMac"] {
            assert!(!ADMINISTRATION.iter().any(|action| action.starts_with(&format!("kms:{used}"))), "{used}");
        }
    }

    #[test]
    fn the_principals_that_may_not_exist_are_named() {
        let policy = lists().to_policy(&key(), "SYMMETRIC_DEFAULT", "");
        let roles = ["a", "admin", "b"].map(|name| format!("arn:aws:iam::123456789012:role/{name}"));
        assert_eq!(principals(&policy), roles);
        let one = json!({"Statement": {"Principal": {"Service": "x.amazonaws.com"}}});
        assert_eq!(principals(one.as_object().expect("is one")), ["x.amazonaws.com"]);
    }
}
