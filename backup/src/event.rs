//! What S3 says has changed, from every form in which it says so.
//!
//! - EventBridge: one event, keys as they are.
//! - S3's own notifications: records, keys URL-encoded with `+` for a space. `+` is decoded before `%`: `%2B` is a plus.
//! - The event that S3 sends when notifications are set up, which changes nothing.
//! - S3 Batch Operations: tasks of a job, invocation schemas 1.0 and 2.0, keys URL-encoded.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{Error, Reason, Result};

/// One change of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The bucket's name.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// The version, in a versioned bucket.
    pub version: Option<String>,
    /// The order among the events of this key.
    pub sequencer: Option<String>,
    /// What happened.
    pub kind: Kind,
    /// Bytes, where the event says.
    pub size: Option<u64>,
    /// The bucket's region, where the event says.
    pub region: Option<String>,
    /// When it happened, where the event says.
    pub time: Option<OffsetDateTime>,
}

/// What happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is content to copy: the object was written, or restored from an archive.
    Created,
    /// Its tags or its storage class changed, its content did not.
    Described,
    /// It was deleted: a delete marker hides it, or it was in a bucket without versions.
    Deleted,
    /// One version was deleted for good.
    VersionDeleted,
    /// Nothing that a backup takes note of, by S3's name for it.
    Other(String),
}

/// The changes that a message tells of: none for S3's test event.
///
/// # Errors
/// `Malformed`, saying what is missing.
pub fn parse(body: &str) -> Result<Vec<Change>> {
    // The most of them by far, and read in one go.
    if let Ok(event) = serde_json::from_str::<Bridged>(body) {
        return Ok(vec![event.change()?]);
    }
    let value: Value = serde_json::from_str(body).map_err(|error| malformed(&format!("it is not JSON: {error}")))?;
    parse_value(value)
}

/// The same for an event that is JSON already.
///
/// # Errors
/// `Malformed`, saying what is missing.
pub fn parse_value(value: Value) -> Result<Vec<Change>> {
    if value.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(Vec::new());
    }
    if value.get("detail").is_some() {
        return Ok(vec![decode::<Bridged>(value)?.change()?]);
    }
    if value.get("Records").is_some() {
        return decode::<Notification>(value)?.records.into_iter().map(Record::change).collect();
    }
    Err(malformed("it is neither an EventBridge event of S3 nor a notification of S3"))
}

/// An EventBridge event of S3.
#[derive(Deserialize)]
struct Bridged {
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    region: Option<String>,
    time: Option<String>,
    detail: Detail,
}

#[derive(Deserialize)]
struct Detail {
    bucket: Bucket,
    object: Object,
    #[serde(rename = "deletion-type")]
    deletion_type: Option<String>,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
struct Object {
    key: String,
    size: Option<u64>,
    #[serde(alias = "versionId", alias = "version-id")]
    version: Option<String>,
    sequencer: Option<String>,
}

impl Bridged {
    fn change(self) -> Result<Change> {
        if self.source != "aws.s3" {
            return Err(malformed(&format!("its source is {:?}, not \"aws.s3\"", self.source)));
        }
        let kind = match self.detail_type.as_str() {
            "Object Created" | "Object Restore Completed" => Kind::Created,
            "Object Tags Added" | "Object Tags Deleted" | "Object Storage Class Changed" => Kind::Described,
            "Object Deleted" => match self.detail.deletion_type.as_deref() {
                Some("Permanently Deleted") if self.detail.object.version.is_some() => Kind::VersionDeleted,
                _ => Kind::Deleted,
            },
            other => Kind::Other(other.to_owned()),
        };
        change(self.detail.bucket, self.detail.object, kind, self.region, self.time.as_deref())
    }
}

/// A notification of S3.
#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    aws_region: Option<String>,
    event_time: Option<String>,
    s3: Place,
}

#[derive(Deserialize)]
struct Place {
    bucket: Bucket,
    object: Object,
}

impl Record {
    fn change(self) -> Result<Change> {
        let name = self.event_name.strip_prefix("s3:").unwrap_or(&self.event_name);
        let kind = match name.split_once(':').unwrap_or((name, "")) {
            ("ObjectCreated", _) | ("ObjectRestore", "Completed") => Kind::Created,
            ("ObjectTagging", _) | ("LifecycleTransition", _) => Kind::Described,
            ("ObjectRemoved" | "LifecycleExpiration", "Delete") if self.s3.object.version.is_some() => {
                Kind::VersionDeleted
            }
            ("ObjectRemoved" | "LifecycleExpiration", _) => Kind::Deleted,
            _ => Kind::Other(name.to_owned()),
        };
        let object = Object { key: decode_key(&self.s3.object.key)?, ..self.s3.object };
        change(self.s3.bucket, object, kind, self.aws_region, self.event_time.as_deref())
    }
}

fn change(bucket: Bucket, object: Object, kind: Kind, region: Option<String>, time: Option<&str>) -> Result<Change> {
    for (what, text) in [("bucket", &bucket.name), ("key", &object.key)] {
        if text.is_empty() {
            return Err(malformed(&format!("its {what} is empty")));
        }
    }
    Ok(Change {
        bucket: bucket.name,
        key: object.key,
        version: object.version.filter(|version| !version.is_empty()),
        sequencer: object.sequencer.filter(|sequencer| !sequencer.is_empty()),
        kind,
        size: object.size,
        region,
        time: time.and_then(|time| OffsetDateTime::parse(time, &Rfc3339).ok()),
    })
}

/// A batch of tasks of an S3 Batch Operations job.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// 1.0 or 2.0.
    pub invocation_schema_version: String,
    /// To be repeated in the answer.
    pub invocation_id: String,
    /// What to do: at present S3 sends one task at a time.
    pub tasks: Vec<Task>,
}

/// One object of a job.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// To be repeated in the answer.
    pub task_id: String,
    s3_key: String,
    s3_version_id: Option<String>,
    /// Schema 1.0.
    s3_bucket_arn: Option<String>,
    /// Schema 2.0.
    s3_bucket: Option<String>,
}

impl Job {
    /// Whether an invocation comes from S3 Batch Operations.
    pub fn is_one(event: &Value) -> bool {
        event.get("invocationSchemaVersion").is_some()
    }

    /// Reads an invocation.
    ///
    /// # Errors
    /// `Malformed`, saying what is missing.
    pub fn parse(event: Value) -> Result<Self> {
        decode(event)
    }
}

impl Task {
    /// The object that the task is about, as if it had just been written.
    ///
    /// # Errors
    /// `Malformed`: no bucket, or a key that is not UTF-8.
    pub fn change(&self) -> Result<Change> {
        let bucket = match (&self.s3_bucket, &self.s3_bucket_arn) {
            (Some(name), _) => name.clone(),
            (None, Some(arn)) => arn.rsplit(":::").next().unwrap_or_default().to_owned(),
            (None, None) => String::new(),
        };
        let object =
            Object { key: decode_key(&self.s3_key)?, size: None, version: self.s3_version_id.clone(), sequencer: None };
        change(Bucket { name: bucket }, object, Kind::Created, None, None)
    }
}

/// A key as S3 encodes it in notifications, inventories and job manifests: a query string's value.
///
/// # Errors
/// `Malformed`: what it encodes is not UTF-8.
pub fn decode_key(encoded: &str) -> Result<String> {
    let spaced = encoded.replace('+', " ");
    let key = percent_decode_str(&spaced).decode_utf8();
    key.map(|key| key.into_owned()).map_err(|_| malformed(&format!("its key {encoded:?} does not encode UTF-8")))
}

fn decode<T: serde::de::DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| malformed(&error.to_string()))
}

fn malformed(why: &str) -> Error {
    Error::new(
        Reason::Malformed,
        format!(
            "the event cannot be understood: {why}; look at who sends to the queue: only S3, directly or by EventBridge, should"
        ),
    )
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;
    use serde_json::json;
    use time::macros::datetime;

    use super::*;

    fn bridged(detail_type: &str, object: Value) -> Value {
        json!({
            "version": "0", "source": "aws.s3", "detail-type": detail_type, "region": "eu-west-1",
            "time": "2026-03-01T12:00:00Z",
            "detail": {"version": "0", "bucket": {"name": "source"}, "object": object, "reason": "PutObject"},
        })
    }

    fn notified(name: &str, object: Value) -> Value {
        json!({"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1", "eventName": name,
            "eventTime": "2026-03-01T12:00:00.000Z", "s3": {"bucket": {"name": "source"}, "object": object},
        }]})
    }

    #[test]
    fn both_forms_tell_the_same() {
        let expected = Change {
            bucket: "source".to_owned(),
            key: "a+b c%20d/é.txt".to_owned(),
            version: Some("v1".to_owned()),
            sequencer: Some("0062E99A88DC407460".to_owned()),
            kind: Kind::Created,
            size: Some(7),
            region: Some("eu-west-1".to_owned()),
            time: Some(datetime!(2026-03-01 12:00 UTC)),
        };
        let raw = json!({"key": "a+b c%20d/é.txt", "size": 7, "etag": "e", "version-id": "v1", "sequencer": "0062E99A88DC407460"});
        let encoded = json!({"key": "a%2Bb+c%2520d/%C3%A9.txt", "size": 7, "eTag": "e", "versionId": "v1", "sequencer": "0062E99A88DC407460"});
        assert_eq!(parse_value(bridged("Object Created", raw)).unwrap(), std::slice::from_ref(&expected));
        assert_eq!(parse(&notified("ObjectCreated:Put", encoded).to_string()).unwrap(), [expected]);
    }

    #[test]
    fn kinds() {
        let object = json!({"key": "k", "sequencer": "1"});
        let version = json!({"key": "k", "sequencer": "1", "version-id": "v"});
        let kind = |event| parse_value(event).unwrap().remove(0).kind;
        for (name, object, expected) in [
            ("Object Restore Completed", &object, Kind::Created),
            ("Object Tags Added", &object, Kind::Described),
            ("Object Storage Class Changed", &object, Kind::Described),
            ("Object Deleted", &object, Kind::Deleted),
            ("Object ACL Updated", &object, Kind::Other("Object ACL Updated".to_owned())),
        ] {
            assert_eq!(kind(bridged(name, object.clone())), expected, "{name}");
        }
        let mut marker = bridged("Object Deleted", version.clone());
        marker["detail"]["deletion-type"] = json!("Delete Marker Created");
        assert_eq!(kind(marker.clone()), Kind::Deleted);
        marker["detail"]["deletion-type"] = json!("Permanently Deleted");
        assert_eq!(kind(marker), Kind::VersionDeleted);
        let version = json!({"key": "k", "sequencer": "1", "versionId": "v"});
        for (name, object, expected) in [
            ("s3:ObjectCreated:CompleteMultipartUpload", &object, Kind::Created),
            ("ObjectRestore:Completed", &object, Kind::Created),
            ("ObjectTagging:Put", &object, Kind::Described),
            ("ObjectRemoved:Delete", &object, Kind::Deleted),
            ("ObjectRemoved:Delete", &version, Kind::VersionDeleted),
            ("ObjectRemoved:DeleteMarkerCreated", &version, Kind::Deleted),
            ("LifecycleExpiration:DeleteMarkerCreated", &version, Kind::Deleted),
            ("ObjectAcl:Put", &object, Kind::Other("ObjectAcl:Put".to_owned())),
        ] {
            assert_eq!(kind(notified(name, object.clone())), expected, "{name}");
        }
    }

    #[test]
    fn the_test_event_changes_nothing() {
        let event = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "source"});
        assert_eq!(parse_value(event).unwrap(), []);
    }

    #[test]
    fn what_cannot_be_understood_is_explained() {
        for (body, expected) in [
            ("", "not JSON"),
            ("[]", "neither"),
            ("{}", "neither"),
            (r#"{"detail": {}}"#, "missing field"),
            (r#"{"Records": [{"eventName": "x"}]}"#, "missing field `s3`"),
            (&bridged("Object Created", json!({"key": ""})).to_string(), "its key is empty"),
            (&bridged("Object Created", json!({})).to_string(), "missing field `key`"),
            (&bridged("Object Created", json!({"key": "k"})).to_string().replace("aws.s3", "aws.ec2"), "aws.ec2"),
            (&notified("ObjectCreated:Put", json!({"key": "%FF"})).to_string(), "does not encode UTF-8"),
        ] {
            let error = parse(body).unwrap_err();
            assert_eq!(error.reason, Reason::Malformed);
            assert!(error.message.contains(expected), "{body}: {error}");
        }
    }

    #[test]
    fn tasks_of_a_job() {
        for task in [
            json!({"taskId": "t", "s3Key": "a+b%2Bc", "s3VersionId": null, "s3BucketArn": "arn:aws:s3:::source"}),
            json!({"taskId": "t", "s3Key": "a+b%2Bc", "s3VersionId": null, "s3Bucket": "source"}),
        ] {
            let event =
                json!({"invocationSchemaVersion": "1.0", "invocationId": "i", "job": {"id": "j"}, "tasks": [task]});
            assert!(Job::is_one(&event));
            let change = Job::parse(event).unwrap().tasks[0].change().unwrap();
            assert_eq!((change.bucket.as_str(), change.key.as_str(), change.version), ("source", "a b+c", None));
        }
        let event =
            json!({"invocationSchemaVersion": "2.0", "invocationId": "i", "tasks": [{"taskId": "t", "s3Key": "k"}]});
        assert_eq!(Job::parse(event).unwrap().tasks[0].change().unwrap_err().reason, Reason::Malformed);
    }

    proptest! {
        #[test]
        fn every_key_survives_the_encoding(key in ".{1,60}") {
            let encoded = utf8_percent_encode(&key, NON_ALPHANUMERIC).to_string();
            prop_assert_eq!(&decode_key(&encoded).unwrap(), &key);
            prop_assert_eq!(decode_key(&encoded.replace("%20", "+")).unwrap(), key);
        }
    }
}
