//! What the suites of the bucket know of it.

use crate::support::Emulator;
use serde_json::{Value, json};

/// Where the buckets are; the stacks of the harness are in ap-southeast-2.
pub(crate) const REGION: &str = "eu-central-1";
pub(crate) const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555";
const OTHER_KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/99999999-2222-3333-4444-555555555555";
const ROLE: &str = "arn:aws:iam::123456789012:role/replication";

/// The least that a template must say.
pub(crate) fn minimal() -> Value {
    json!({ "Region": REGION })
}

/// Every optional property.
pub(crate) fn full(emulator: Emulator) -> Value {
    let mut model = json!({
        "Region": REGION,
        "VersioningConfiguration": {"Status": "Enabled"},
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [{
            "BucketKeyEnabled": true,
            "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}}]},
        "PublicAccessBlockConfiguration": {"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true,
            "RestrictPublicBuckets": false},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]},
        "LifecycleConfiguration": {"Rules": [
            {"Id": "age", "Status": "Enabled", "Prefix": "data/", "ExpirationInDays": 365,
             "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 7},
                             {"StorageClass": "DEEP_ARCHIVE", "TransitionInDays": 100}],
             "TagFilters": [{"Key": "class", "Value": "old"}, {"Key": "team", "Value": "hana"}]},
            {"Status": "Enabled", "ExpiredObjectDeleteMarker": true,
             "NoncurrentVersionTransitions": [{"StorageClass": "STANDARD_IA", "TransitionInDays": 30, "NewerNoncurrentVersions": 2}],
             "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
             "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
            {"Id": "once", "Status": "Disabled", "Prefix": "", "ExpirationDate": "2030-01-31T00:00:00Z",
             "Transitions": [{"StorageClass": "INTELLIGENT_TIERING", "TransitionDate": "2029-12-31T00:00:00Z"}]}]},
        "ObjectLockEnabled": true,
        "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}},
        "EnforceTls": false,
        "EnforceEncryption": false,
        "PolicyDocument": {"Version": "2012-10-17", "Statement": [{"Sid": "Writers", "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam::123456789012:root"]}, "Action": ["s3:PutObject"],
            "Resource": "arn:aws:s3:::a-bucket-lives/*"}]},
        "EmptyOnDelete": true,
        "Tags": [{"Key": "team", "Value": "storage"}, {"Key": "empty", "Value": ""}]
    });
    // moto keeps of a replication its destinations alone, and of these rules neither sizes nor how many versions stay; it
    // logs into no bucket that does not exist.
    if emulator == Emulator::MiniStack {
        model["LoggingConfiguration"] = json!({"DestinationBucketName": "logs", "LogFilePrefix": "bucket/",
            "TargetObjectKeyFormat": {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}}});
        model["LifecycleConfiguration"]["TransitionDefaultMinimumObjectSize"] = "all_storage_classes_128K".into();
        model["LifecycleConfiguration"]["Rules"][1]["NoncurrentVersionExpiration"]["NewerNoncurrentVersions"] =
            3.into();
        model["LifecycleConfiguration"]["Rules"].as_array_mut().expect("a list").push(json!({
            "Status": "Enabled", "ExpirationInDays": 10, "ObjectSizeGreaterThan": 500, "ObjectSizeLessThan": 5_000_000_000_u64}));
        model["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["BlockedEncryptionTypes"] =
            json!({"EncryptionType": ["SSE-C"]});
        model["ReplicationConfiguration"] = replication();
    }
    model
}

fn replication() -> Value {
    json!({"Role": ROLE, "Rules": [
        {"Id": "all", "Priority": 5, "Status": "Enabled", "Filter": {"Prefix": ""},
         "DeleteMarkerReplication": {"Status": "Enabled"},
         "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"},
                                     "ReplicaModifications": {"Status": "Enabled"}},
         "Destination": {"Bucket": "arn:aws:s3:::copies", "Account": "111122223333", "StorageClass": "STANDARD_IA",
            "AccessControlTranslation": {"Owner": "Destination"},
            "EncryptionConfiguration": {"ReplicaKmsKeyID": "arn:aws:kms:eu-west-1:111122223333:key/1"},
            "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}},
            "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}}}},
        {"Status": "Disabled", "Filter": {"And": {"Prefix": "a/", "TagFilters": [{"Key": "k", "Value": "v"}]}},
         "Destination": {"Bucket": "arn:aws:s3:::more"}},
        {"Status": "Enabled", "Filter": {"TagFilter": {"Key": "k", "Value": "v"}},
         "Destination": {"Bucket": "arn:aws:s3:::more"}}]})
}

/// Another value for each property that changes in place, one after the other.
pub(crate) fn updates(emulator: Emulator) -> Value {
    let mut updates = json!({
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [{
            "BucketKeyEnabled": false,
            "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": OTHER_KEY}}]},
        "PublicAccessBlockConfiguration": {"BlockPublicAcls": false, "BlockPublicPolicy": false, "IgnorePublicAcls": false,
            "RestrictPublicBuckets": false},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]},
        "LifecycleConfiguration": {"Rules": [{"Status": "Enabled", "ExpirationInDays": 30, "Prefix": "logs/"}]},
        "ObjectLockConfiguration": {"Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 1}}},
        "EnforceTls": true,
        "EnforceEncryption": true,
        "PolicyDocument": {"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObjectVersion", "Resource": "arn:aws:s3:::a-bucket-lives/*",
             "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "false"}}},
            {"Effect": "Allow", "Principal": {"Service": "logging.s3.amazonaws.com"}, "Action": "s3:PutObject",
             "Resource": "arn:aws:s3:::a-bucket-lives/*"}]},
        "Tags": [{"Key": "team", "Value": "backup"}, {"Key": "new", "Value": "1"}],
        "EmptyOnDelete": false
    });
    if emulator == Emulator::MiniStack {
        updates["LoggingConfiguration"] = json!({"LogFilePrefix": "x/", "TargetObjectKeyFormat": {"SimplePrefix": {}}});
        let mut replication = replication();
        replication["Rules"][0]["Destination"]["ReplicationTime"]["Status"] = "Disabled".into();
        replication["Rules"][0]["Destination"]["Metrics"]["Status"] = "Disabled".into();
        replication["Rules"].as_array_mut().expect("a list").pop();
        updates["ReplicationConfiguration"] = replication;
    }
    updates
}

/// What a bucket keeps for ever.
pub(crate) fn is_kept(property: &str) -> bool {
    property.starts_with("ObjectLock")
}
