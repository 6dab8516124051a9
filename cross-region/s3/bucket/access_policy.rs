//! The bucket's policy: our statements, which enforce TLS and the default encryption, and those of the template.

use super::{
    Bucket, Place,
    encryption::{BucketEncryption, Cipher},
};
use crate::{
    policy::{items, same},
    provider::code_of,
};
use cfn_provider::{Error, Result};
use serde_json::{Map, Value, json};

/// What the names of our statements begin with.
const OURS: &str = "CrossRegion";
const VERSION: &str = "2012-10-17";

/// The policy of a bucket as a model has it.
#[derive(Debug, Default)]
pub(super) struct Policy {
    /// `None` where a statement of ours is there and says something else.
    pub(super) enforce_tls: Option<bool>,
    /// The same.
    pub(super) enforce_encryption: Option<bool>,
    pub(super) document: Option<Map<String, Value>>,
}

/// Refuses connections without TLS.
fn tls(arn: &str) -> Vec<Value> {
    vec![json!({
        "Sid": format!("{OURS}Tls"), "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": [arn, format!("{arn}/*")], "Condition": {"Bool": {"aws:SecureTransport": "false"}}
    })]
}

/// Refuses a PUT that names another algorithm or key than the default. A negated condition holds for a header that is not
/// there too, so each is guarded by a `Null`: a PUT without headers gets the default, and that is right.
fn encryption(arn: &str, cipher: Cipher<'_>) -> Vec<Value> {
    const ALGORITHM: &str = "s3:x-amz-server-side-encryption";
    const KEY: &str = "s3:x-amz-server-side-encryption-aws-kms-key-id";
    const CUSTOMER: &str = "s3:x-amz-server-side-encryption-customer-algorithm";
    let deny = |sid: &str, condition: Value| {
        json!({
            "Sid": format!("{OURS}{sid}"), "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
            "Resource": format!("{arn}/*"), "Condition": condition
        })
    };
    let mut statements = vec![
        deny("Algorithm", json!({"Null": {ALGORITHM: "false"}, "StringNotEquals": {ALGORITHM: cipher.algorithm}})),
        deny("CustomerKey", json!({"Null": {CUSTOMER: "false"}})),
    ];
    match cipher.key {
        Some(key) => statements.extend([
            deny("Key", json!({"Null": {KEY: "false"}, "StringNotEquals": {KEY: key}})),
            // S3 takes its own key, and not the bucket's, for a PUT that names the algorithm alone.
            deny("NoKey", json!({"Null": {KEY: "true"}, "StringEquals": {ALGORITHM: cipher.algorithm}})),
        ]),
        None => statements.push(deny("Key", json!({"Null": {KEY: "false"}}))),
    }
    statements
}

fn sid(statement: &Value) -> &str {
    statement["Sid"].as_str().unwrap_or_default()
}

fn policy(statements: Vec<Value>) -> Map<String, Value> {
    Map::from_iter([("Statement".to_owned(), statements.into())])
}

/// Whether a bucket's default encryption is enforced where the template does not say.
pub(super) fn enforces_by_default(encryption: Option<&BucketEncryption>) -> bool {
    BucketEncryption::effective(encryption).cipher().is_kms()
}

/// Checks what the schema cannot.
///
/// # Errors
/// `InvalidRequest` with the pointer and the rule.
pub(super) fn check(document: &Map<String, Value>) -> Result<()> {
    const AT: &str = "/PolicyDocument";
    let refused = |at: &str, why: &str| Err(Error::invalid_request(format!("{AT}{at}: {why}")));
    if let Some(name) = document.keys().find(|name| !["Version", "Id", "Statement"].contains(&name.as_str())) {
        return refused(&format!("/{name}"), "a policy has Version, Id and Statement");
    }
    if document.get("Version").is_some_and(|version| version != VERSION) {
        return refused("/Version", "S3 statements here are of the version 2012-10-17");
    }
    let statements = items(document.get("Statement").unwrap_or(&Value::Null));
    if statements.is_empty() {
        return refused("/Statement", "is empty; take PolicyDocument out");
    }
    for (at, statement) in statements.iter().enumerate() {
        if !["Allow", "Deny"].iter().any(|effect| statement["Effect"] == *effect) {
            return refused(&format!("/Statement/{at}/Effect"), "is Allow or Deny");
        }
        if sid(statement).starts_with(OURS) {
            let why = "this name is kept for EnforceTls and EnforceEncryption; choose another";
            return refused(&format!("/Statement/{at}/Sid"), why);
        }
    }
    Ok(())
}

/// The whole policy that a model asks for; `None` where that is none.
fn whole(bucket: &Bucket, arn: &str) -> Option<Map<String, Value>> {
    let mut document = bucket.policy_document.clone().unwrap_or_default();
    let mut statements: Vec<Value> = document.remove("Statement").iter().flat_map(items).cloned().collect();
    if bucket.enforce_tls != Some(false) {
        statements.extend(tls(arn));
    }
    let by_default = enforces_by_default(bucket.bucket_encryption.as_ref());
    if bucket.enforce_encryption.unwrap_or(by_default) {
        statements.extend(encryption(arn, BucketEncryption::effective(bucket.bucket_encryption.as_ref()).cipher()));
    }
    if statements.is_empty() {
        return None;
    }
    document.entry("Version").or_insert_with(|| VERSION.into());
    document.insert("Statement".into(), statements.into());
    Some(document)
}

/// Reads a policy. `asked` is the document of the template that is being deployed, if any: it is answered in its own words
/// where it means what is there.
pub(super) fn split(
    found: Option<Map<String, Value>>,
    arn: &str,
    current: Option<&BucketEncryption>,
    asked: Option<&Map<String, Value>>,
) -> Policy {
    let mut document = found.unwrap_or_default();
    let statements: Vec<Value> = document.remove("Statement").iter().flat_map(items).cloned().collect();
    let (ours, others): (Vec<Value>, Vec<Value>) =
        statements.into_iter().partition(|found| sid(found).starts_with(OURS));
    let (tls_found, encryption_found): (Vec<Value>, Vec<Value>) =
        ours.into_iter().partition(|statement| sid(statement) == format!("{OURS}Tls"));
    let is = |found: Vec<Value>, expected: Vec<Value>| match found.is_empty() {
        true => Some(false),
        false => same(&policy(found), &policy(expected)).then_some(true),
    };
    let cipher = current.map(BucketEncryption::cipher).unwrap_or_default();
    document.insert("Statement".into(), others.into());
    let has_others = document["Statement"].as_array().is_some_and(|statements| !statements.is_empty());
    let asked = asked.filter(|asked| {
        let mut asked = (*asked).clone();
        asked.entry("Version").or_insert_with(|| VERSION.into());
        same(&asked, &document)
    });
    Policy {
        enforce_tls: is(tls_found, tls(arn)),
        enforce_encryption: is(encryption_found, encryption(arn, cipher)),
        document: has_others.then(|| asked.cloned().unwrap_or(document)),
    }
}

pub(super) async fn read(place: &Place) -> Result<Option<Map<String, Value>>> {
    let answer = place.s3.get_bucket_policy().bucket(&place.name).send().await;
    let found = place.setting("GetBucketPolicy", "NoSuchBucketPolicy", answer)?.and_then(|found| found.policy);
    found.map(|text| serde_json::from_str(&text)).transpose().map_err(Error::internal)
}

pub(super) async fn apply(place: &Place, wanted: &Bucket, current: &Bucket) -> Result<()> {
    let arn = place.arn();
    let is_ours = current.enforce_tls.is_some() && current.enforce_encryption.is_some();
    let (after, before) = (whole(wanted, &arn), whole(current, &arn));
    let is_same = match (&after, &before) {
        (Some(after), Some(before)) => same(after, before),
        (None, None) => true,
        _ => false,
    };
    if is_ours && is_same {
        return Ok(());
    }
    let Some(after) = after else {
        let call = place.s3.delete_bucket_policy().bucket(&place.name);
        return call.send().await.map_err(place.failed("DeleteBucketPolicy")).map(drop);
    };
    let text = serde_json::to_string(&after).map_err(Error::internal)?;
    let answer = place.s3.put_bucket_policy().bucket(&place.name).policy(text).send().await;
    answer.map(drop).map_err(|error| {
        let is_malformed = code_of(&error) == Some("MalformedPolicy");
        let mut error = place.failed("PutBucketPolicy")(error);
        if is_malformed {
            error.message += &format!(" (the principals of /PolicyDocument: {})", principals(&after));
        }
        error
    })
}

/// Those whom the statements of the template name, so that a reader sees which of them AWS does not know.
fn principals(policy: &Map<String, Value>) -> String {
    let statements = items(&policy["Statement"]).into_iter().filter(|statement| !sid(statement).starts_with(OURS));
    let named: Vec<String> = statements
        .flat_map(|statement| match &statement["Principal"] {
            Value::Object(kinds) => kinds.values().flat_map(items).collect(),
            other => items(other),
        })
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:s3:::b";
    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1";

    /// Whether our statements refuse a PUT with these headers, by the rules of IAM: a negated operator holds for a key that
    /// is not there.
    fn refuses(cipher: Cipher<'_>, headers: &[(&str, &str)]) -> bool {
        let holds = |operator: &str, key: &str, wanted: &str| {
            let name = key.strip_prefix("s3:").expect("a key of S3");
            let header = headers.iter().find(|(header, _)| *header == name).map(|(_, value)| *value);
            match operator {
                "Null" => header.is_none() == (wanted == "true"),
                "StringEquals" => header == Some(wanted),
                "StringNotEquals" => header != Some(wanted),
                other => panic!("{other}"),
            }
        };
        encryption(ARN, cipher).iter().any(|statement| {
            let conditions = statement["Condition"].as_object().expect("conditions").iter();
            conditions
                .flat_map(|(operator, keys)| keys.as_object().expect("keys").iter().map(move |key| (operator, key)))
                .all(|(operator, (key, wanted))| holds(operator, key, wanted.as_str().expect("a text")))
        })
    }

    #[test]
    fn a_put_is_refused_for_another_key_and_not_for_none() {
        const ALGORITHM: &str = "x-amz-server-side-encryption";
        const KEY_ID: &str = "x-amz-server-side-encryption-aws-kms-key-id";
        const CUSTOMER: &str = "x-amz-server-side-encryption-customer-algorithm";
        let key = Cipher { algorithm: "aws:kms", key: Some(KEY) };
        let managed = Cipher { algorithm: "aws:kms", key: None };
        let plain = Cipher { algorithm: "AES256", key: None };
        for (cipher, headers, refused) in [
            (key, vec![], false),
            (key, vec![(ALGORITHM, "aws:kms"), (KEY_ID, KEY)], false),
            (key, vec![(ALGORITHM, "aws:kms")], true),
            (key, vec![(ALGORITHM, "aws:kms"), (KEY_ID, "another")], true),
            (key, vec![(ALGORITHM, "AES256")], true),
            (key, vec![(CUSTOMER, "AES256")], true),
            (managed, vec![], false),
            (managed, vec![(ALGORITHM, "aws:kms")], false),
            (managed, vec![(ALGORITHM, "aws:kms"), (KEY_ID, KEY)], true),
            (managed, vec![(ALGORITHM, "AES256")], true),
            (plain, vec![], false),
            (plain, vec![(ALGORITHM, "AES256")], false),
            (plain, vec![(ALGORITHM, "aws:kms")], true),
        ] {
            assert_eq!(refuses(cipher, &headers), refused, "{cipher:?} {headers:?}");
        }
    }

    #[test]
    fn a_policy_comes_apart_as_it_was_put_together() {
        let mine = json!({"Sid": "Mine", "Effect": "Allow", "Principal": {"AWS": [KEY]}, "Action": ["s3:GetObject"], "Resource": [ARN]});
        let user = Map::from_iter([("Version".to_owned(), VERSION.into()), ("Statement".to_owned(), json!([mine]))]);
        let bucket = Bucket { policy_document: Some(user.clone()), ..Bucket::default() };
        let effective = BucketEncryption::effective(None);
        let mut found = whole(&bucket, ARN).expect("has statements");
        let parts = split(Some(found.clone()), ARN, Some(&effective), None);
        assert_eq!((parts.enforce_tls, parts.enforce_encryption), (Some(true), Some(true)));
        assert_eq!(parts.document, Some(user.clone()));

        // S3 writes a list of one as its item; the template's own words come back where they are known.
        found["Statement"][0]["Action"] = "s3:GetObject".into();
        let parts = split(Some(found.clone()), ARN, Some(&effective), Some(&user));
        assert_eq!(parts.document, Some(user.clone()));
        assert_ne!(split(Some(found.clone()), ARN, Some(&effective), None).document, Some(user));

        // What somebody changed is neither on nor off.
        found["Statement"][1]["Effect"] = "Allow".into();
        let parts = split(Some(found), ARN, Some(&effective), None);
        assert_eq!((parts.enforce_tls, parts.enforce_encryption), (None, Some(true)));
        let none = split(None, ARN, Some(&effective), None);
        assert_eq!((none.enforce_tls, none.enforce_encryption, none.document), (Some(false), Some(false), None));
    }
}
