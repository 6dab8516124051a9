//! What a bucket cannot be is refused before any call, with the property and the rule.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod buckets;
#[allow(dead_code, reason = "the other suites use the rest")]
mod support;

use buckets::{KEY, REGION, minimal};
use cfn_provider::{Action, HandlerErrorCode as Code, protocol::OperationStatus};
use cross_region::s3::bucket::Bucket;
use sandbox::aws::Fault;
use serde_json::{Value, json};
use support::{EMULATORS, Emulator, Type, changed};

fn encrypted(rule: Value) -> Value {
    json!({"BucketEncryption": {"ServerSideEncryptionConfiguration": [rule]}})
}

fn by(algorithm: &str, key: Value) -> Value {
    let key = key.as_str().map(|key| json!({"SSEAlgorithm": algorithm, "KMSMasterKeyID": key}));
    encrypted(json!({"ServerSideEncryptionByDefault": key.unwrap_or_else(|| json!({"SSEAlgorithm": algorithm}))}))
}

fn lifecycle(rule: Value) -> Value {
    let mut rule = rule;
    rule["Status"] = "Enabled".into();
    json!({"LifecycleConfiguration": {"Rules": [rule]}})
}

fn versioned(more: Value) -> Value {
    let mut model = json!({"VersioningConfiguration": {"Status": "Enabled"}});
    model.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    model
}

fn replicated(rule: Value) -> Value {
    let mut rule = rule;
    rule["Status"] = "Enabled".into();
    if rule["Destination"]["Bucket"].is_null() {
        rule["Destination"]["Bucket"] = "arn:aws:s3:::copies".into();
    }
    versioned(json!({"ReplicationConfiguration": {"Role": "arn:aws:iam::123456789012:role/r", "Rules": [rule]}}))
}

fn policy(statement: Value) -> Value {
    json!({"PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}})
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_any_call() {
    let kind = Type::new::<Bucket>(Emulator::MiniStack).await;
    let retention = |retention: Value| {
        versioned(
            json!({"ObjectLockEnabled": true, "ObjectLockConfiguration": {"Rule": {"DefaultRetention": retention}}}),
        )
    };
    let on = json!({"Status": "Enabled"});
    let cases: Vec<(Value, &str)> = vec![
        (json!({"Region": "ap-southeast-2"}), "/Region: ap-southeast-2 is the region of the stack"),
        (json!({"Region": "cn-north-1"}), "/Region: cn-north-1 is in the partition aws-cn"),
        (json!({"Region": "Frankfurt"}), "/Region: "),
        (json!({"Region": "eu-central"}), "/Region: "),
        (json!({"Region": null}), "\"Region\" is a required property"),
        (json!({"BucketName": "Upper"}), "/BucketName: "),
        (json!({"BucketName": "ab"}), "/BucketName: "),
        (json!({"BucketName": "-dash"}), "/BucketName: "),
        (json!({"BucketName": "two..dots"}), "/BucketName: two..dots has two dots"),
        (json!({"BucketName": "192.168.5.4"}), "/BucketName: 192.168.5.4 looks like an IP address"),
        (json!({"BucketName": "xn--name"}), "begins with xn--"),
        (json!({"BucketName": "name-s3alias"}), "ends in -s3alias"),
        (json!({"BucketName": "a".repeat(64)}), "/BucketName: "),
        (by("aws:kms", Value::Null), "/KMSMasterKeyID: SSE-KMS needs a key"),
        (by("aws:kms:dsse", Value::Null), "/KMSMasterKeyID: SSE-KMS needs a key"),
        (by("AES256", KEY.into()), "/KMSMasterKeyID: AES256 takes no key"),
        (by("aws:kms", "alias/mine".into()), "/KMSMasterKeyID: "),
        (by("aws:kms", KEY.replace(REGION, "eu-west-3").into()), "/KMSMasterKeyID: the key is in eu-west-3"),
        (by("rot13", Value::Null), "/SSEAlgorithm: "),
        (
            encrypted(json!({"BucketKeyEnabled": true, "ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}})),
            "/BucketKeyEnabled: only aws:kms",
        ),
        (json!({"ObjectLockEnabled": true}), "/ObjectLockEnabled: needs /VersioningConfiguration"),
        (
            json!({"ObjectLockEnabled": true, "VersioningConfiguration": {"Status": "Suspended"}}),
            "/ObjectLockEnabled: needs /VersioningConfiguration",
        ),
        (json!({"ObjectLockConfiguration": {}}), "/ObjectLockConfiguration: needs ObjectLockEnabled"),
        (retention(json!({"Mode": "COMPLIANCE"})), "/DefaultRetention: takes one of Days and Years"),
        (
            retention(json!({"Mode": "GOVERNANCE", "Days": 1, "Years": 1})),
            "/DefaultRetention: takes one of Days and Years",
        ),
        (retention(json!({"Mode": "GOVERNANCE", "Days": 0})), "/Days: "),
        (
            lifecycle(
                json!({"ExpirationInDays": 5, "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 7}]}),
            ),
            "/LifecycleConfiguration/Rules/0/ExpirationInDays: objects would expire after 5 days, and move to GLACIER after 7",
        ),
        (lifecycle(json!({})), "/LifecycleConfiguration/Rules/0: does nothing"),
        (
            json!({"ReplicationConfiguration": {"Role": "arn:aws:iam::123456789012:role/r", "Rules": [
                {"Status": "Enabled", "Destination": {"Bucket": "arn:aws:s3:::copies"}}]}}),
            "/ReplicationConfiguration: needs /VersioningConfiguration",
        ),
        (
            changed(
                &replicated(json!({"Destination": {"Bucket": "arn:aws:s3:::itself"}})),
                "BucketName",
                &"itself".into(),
            ),
            "cannot be copied into itself",
        ),
        (
            replicated(json!({"SourceSelectionCriteria": {"SseKmsEncryptedObjects": on}})),
            "/Destination: SseKmsEncryptedObjects needs",
        ),
        (
            replicated(json!({"Destination": {"EncryptionConfiguration": {"ReplicaKmsKeyID": KEY}}})),
            "/Destination/EncryptionConfiguration: needs",
        ),
        (replicated(json!({"Destination": {"ReplicationTime": on}})), "/Destination/ReplicationTime: needs Metrics"),
        (
            replicated(json!({"Destination": {"ReplicationTime": on, "Metrics": {"Status": "Disabled"}}})),
            "/Destination/Metrics/Status: ",
        ),
        (
            replicated(json!({"Destination": {"Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}}}})),
            "/Destination/Metrics/EventThreshold: ",
        ),
        (
            replicated(json!({"Destination": {"AccessControlTranslation": {"Owner": "Destination"}}})),
            "/Destination/AccessControlTranslation: needs Account",
        ),
        (
            replicated(json!({"Filter": {"Prefix": "a", "TagFilter": {"Key": "k", "Value": "v"}}})),
            "/Filter: takes one of",
        ),
        (replicated(json!({"Filter": {"And": {"Prefix": "a"}}})), "/Filter/And: is for two"),
        (
            replicated(json!({"DeleteMarkerReplication": on, "Filter": {"TagFilter": {"Key": "k", "Value": "v"}}})),
            "/DeleteMarkerReplication: ",
        ),
        (
            policy(json!({"Effect": "Deny", "Sid": "CrossRegionTls"})),
            "/PolicyDocument/Statement/0/Sid: this name is kept",
        ),
        (policy(json!({"Effect": "Perhaps"})), "/PolicyDocument/Statement/0/Effect: "),
        (json!({"PolicyDocument": {"Statement": []}}), "/PolicyDocument/Statement: is empty"),
        (json!({"PolicyDocument": {"Version": "2008-10-17", "Statement": [{}]}}), "/PolicyDocument/Version: "),
        (json!({"PolicyDocument": {"Statements": []}}), "/PolicyDocument/Statements: a policy has"),
        (json!({"Unknown": 1}), "Additional properties are not allowed"),
    ];
    for (wrong, says) in cases {
        let mut model = minimal();
        for (name, value) in wrong.as_object().unwrap() {
            model = changed(&model, name, value);
        }
        let failure = kind.create(&model).await.expect_err(says);
        assert_eq!(failure.code, Code::InvalidRequest, "{}", failure.message);
        assert!(failure.message.contains(says), "{says} is missing in: {}", failure.message);
        assert_eq!(kind.proxy.calls(), Vec::<String>::new(), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused_and_says_by_whom() {
    for emulator in EMULATORS {
        let kind = Type::new::<Bucket>(emulator).await;
        let own = kind.create(&minimal()).await.unwrap();
        let mut same = minimal();
        same["BucketName"] = own["BucketName"].clone();
        // In another region too: a bucket's name is one for all.
        for region in [REGION, "eu-north-1"] {
            let failure = kind.create_as("again", &changed(&same, "Region", &region.into())).await.unwrap_err();
            assert_eq!(failure.code, Code::AlreadyExists, "{emulator:?} {region}: {}", failure.message);
            assert!(failure.message.contains("import it into the stack"), "{}", failure.message);
        }
        kind.read(&own).await.unwrap();
        kind.delete(&own).await.unwrap();
    }
    // moto tells accounts apart by sessions alone.
    let kind = Type::new::<Bucket>(Emulator::MiniStack).await;
    let foreign = Emulator::MiniStack.s3("us-east-1", "111122223333").await;
    foreign.create_bucket().bucket("of-another-account").send().await.unwrap();
    let model = changed(&minimal(), "BucketName", &"of-another-account".into());
    let first = kind.invoke(kind.harness.event(Action::Create, &model)).await;
    assert_eq!((first.status, first.error_code), (OperationStatus::Failed, Some(Code::AlreadyExists)), "{first:?}");
    let message = first.message.unwrap();
    for part in ["of-another-account in eu-central-1", "another account has this one"] {
        assert!(message.contains(part), "{part} is missing in: {message}");
    }
    assert!(first.resource_model.is_none(), "CloudFormation would delete what carries a returned identifier");
    let failure =
        kind.delete(&json!({"Arn": "arn:aws:s3:::of-another-account", "EmptyOnDelete": true})).await.unwrap_err();
    assert_eq!(failure.code, Code::AccessDenied, "{}", failure.message);
    foreign.head_bucket().bucket("of-another-account").send().await.unwrap();
}

#[tokio::test]
async fn a_region_that_is_not_enabled_is_named_with_the_command() {
    for emulator in EMULATORS {
        let kind = Type::new::<Bucket>(emulator).await;
        let refused = |code, message| Fault::Refuse { status: 403, code, message };
        let unknown = "The AWS Access Key Id you provided does not exist in our records.";
        // A HEAD, which has no words, and then a list, which has.
        kind.proxy.fail("", 0, [refused("", ""), refused("InvalidAccessKeyId", unknown)]);
        let failure = kind.create(&changed(&minimal(), "Region", &"ap-east-1".into())).await.unwrap_err();
        assert_eq!(failure.code, Code::InvalidCredentials, "{}", failure.message);
        for part in ["ap-east-1", "InvalidAccessKeyId", "aws account enable-region --region-name ap-east-1"] {
            assert!(failure.message.contains(part), "{part} is missing in: {}", failure.message);
        }
    }
}

#[tokio::test]
async fn a_principal_that_iam_does_not_know_yet_is_waited_for_and_then_named() {
    let kind = Type::new::<Bucket>(Emulator::MiniStack).await;
    let mut model = minimal();
    let role = "arn:aws:iam::123456789012:role/made-a-moment-ago";
    model["PolicyDocument"] = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"AWS": role}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::principals/*"}]});
    model["BucketName"] = "principals".into();
    let unknown = || Fault::Refuse { status: 400, code: "MalformedPolicy", message: "Invalid principal in policy" };
    kind.proxy.fail("?policy", 1, std::iter::repeat_with(unknown).take(3));
    let created = kind.create(&model).await.unwrap();
    assert_eq!(created["PolicyDocument"], model["PolicyDocument"]);
    kind.delete(&created).await.unwrap();

    // An operation that began long ago waits no more.
    let first = kind.invoke(kind.harness.event(Action::Create, &model)).await;
    let mut event = kind.harness.event(Action::Create, &model);
    event["callbackContext"] = first.callback_context.unwrap();
    event["callbackContext"]["since"] = 1_000.into();
    event["callbackContext"]["attempt"] = 9.into();
    event["requestData"]["resourceProperties"] = first.resource_model.unwrap();
    kind.proxy.fail("PUT /principals/?policy", 0, std::iter::repeat_with(unknown).take(3));
    let failure = kind.drive(event).await.unwrap_err();
    assert_eq!(failure.code, Code::InvalidRequest, "{}", failure.message);
    for part in [role, "MalformedPolicy", REGION, "create the role"] {
        assert!(failure.message.contains(part), "{part} is missing in: {}", failure.message);
    }
    kind.delete(&json!({"Arn": "arn:aws:s3:::principals"})).await.unwrap();
}

#[tokio::test]
async fn what_is_locked_is_not_weakened_by_a_template() {
    for emulator in EMULATORS {
        let kind = Type::new::<Bucket>(emulator).await;
        let lock = |retention: Value| {
            let mut model = versioned(json!({"Region": REGION, "ObjectLockEnabled": true}));
            if !retention.is_null() {
                model["ObjectLockConfiguration"] = json!({"Rule": {"DefaultRetention": retention}});
            }
            model
        };
        let year = lock(json!({"Mode": "COMPLIANCE", "Years": 1}));
        let created = kind.create_as("locked", &year).await.unwrap();
        let of = |model: Value| changed(&model, "Arn", &created["Arn"]);
        let year = of(year);
        for (weaker, says) in [
            (of(lock(json!({"Mode": "COMPLIANCE", "Days": 364}))), "promises 365 days of COMPLIANCE"),
            (of(lock(json!({"Mode": "GOVERNANCE", "Years": 9}))), "promises 365 days of COMPLIANCE"),
            (of(lock(Value::Null)), "put-object-lock-configuration"),
            (of(versioned(minimal())), "S3 cannot take Object Lock off a bucket"),
        ] {
            let writes = kind.proxy.calls().iter().filter(|call| call.starts_with("PUT")).count();
            let failure = kind.update(&year, &weaker).await.unwrap_err();
            assert_eq!(failure.code, Code::InvalidRequest, "{}", failure.message);
            assert!(failure.message.contains(says), "{says} is missing in: {}", failure.message);
            assert_eq!(kind.proxy.calls().iter().filter(|call| call.starts_with("PUT")).count(), writes);
        }
        let longer = of(lock(json!({"Mode": "COMPLIANCE", "Days": 366})));
        kind.update(&year, &longer).await.unwrap();

        // A rollback takes nothing back that cannot be, and does not fail over it.
        let mut event = kind.harness.event(Action::Update, &of(minimal()));
        event["requestData"]["previousResourceProperties"] = longer.clone();
        event["rollback"] = true.into();
        let rolled_back = kind.drive(event).await.unwrap().resource_model.unwrap();
        assert_eq!(rolled_back["ObjectLockEnabled"], true, "{emulator:?}: {rolled_back}");
        kind.delete(&longer).await.unwrap();
    }
}

#[tokio::test]
async fn days_that_cost_more_than_they_save_are_a_warning() {
    let kind = Type::new::<Bucket>(Emulator::MiniStack).await;
    let rule = json!({"ExpirationInDays": 30, "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 7}]});
    let mut model = minimal();
    model["LifecycleConfiguration"] = lifecycle(rule)["LifecycleConfiguration"].clone();
    let created = kind.drive(kind.creating(&model, "warned")).await.unwrap();
    let message = created.message.unwrap();
    for part in ["warning: /LifecycleConfiguration/Rules/0/Transitions/0", "after 23 days", "bills 90"] {
        assert!(message.contains(part), "{part} is missing in: {message}");
    }
    kind.delete(&created.resource_model.unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_bucket_that_is_another_s_or_none_is_not_read() {
    let kind = Type::new::<Bucket>(Emulator::MiniStack).await;
    for (arn, code) in [
        ("arn:aws:s3:::there-is-no-such-bucket", Code::NotFound),
        ("arn:aws:s3:::", Code::InvalidRequest),
        ("arn:aws:kms:eu-west-1:123456789012:key/1", Code::InvalidRequest),
        ("bucket", Code::InvalidRequest),
    ] {
        let failure = kind.read(&json!({"Arn": arn})).await.unwrap_err();
        assert_eq!(failure.code, code, "{arn}: {}", failure.message);
    }
}
