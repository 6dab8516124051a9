//! `examples/hana-backup` as its user meets it, in both of its forms: backups that are put into S3 have a replica in another region
//! and a copy in Azurite; what CloudFormation changes there, it changes in both regions, and it leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

mod cdk;
mod drift;
mod policies;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use aws_sdk_cloudformation::types::StackDriftStatus;
use aws_sdk_s3::config::Credentials;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, VersioningConfiguration,
};
use reqwest::{Method, StatusCode};
use sandbox::deploy::{Change, Deployment, Error, FILES, REGION, Stacks, s3, s3_of};
use sandbox::package::{Form as Packed, package};
use sandbox::proof::Azure;
use sandbox::serve::{CROSS_REGION, FUNCTION, Sandbox};
use sandbox::sts::{EXECUTION_ROLE, ISSUER};
use sandbox::{lambda, process, tools};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const FAR: &str = "eu-central-1";
const PATIENCE: Duration = Duration::from_secs(60);

/// One sandbox with the packages of all functions in its S3. Every test has a stack of its own.
struct Cloud {
    runtime: Runtime,
    sandbox: Sandbox,
    stacks: Stacks,
    aws: PathBuf,
    /// With what talks to AWS.
    python: PathBuf,
}

fn cloud() -> &'static Cloud {
    static CLOUD: OnceLock<Cloud> = OnceLock::new();
    CLOUD.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("requirements/aws-cli.txt");
        let aws = tools::python_venv("aws-cli", &requirements).unwrap().join("bin/aws");
        let requirements = tools::root().join("sandbox/cloudformation/requirements.txt");
        let python = tools::python_venv("cloudformation", &requirements).unwrap().join("bin/python");
        let sandbox = runtime.block_on(Sandbox::start(0)).unwrap();
        let stacks = Stacks::new(sandbox.endpoints());
        let folder = tempfile::tempdir().unwrap();
        let names = ["backup-lambda", FUNCTION, CROSS_REGION];
        for (name, executable) in names.iter().zip(lambda::build(names).unwrap()) {
            let zip = folder.path().join(format!("{name}.zip"));
            package(&executable, &zip, Packed::Quick).unwrap();
            runtime.block_on(stacks.put(&zip)).unwrap();
        }
        Cloud { runtime, sandbox, stacks, aws, python }
    })
}

/// Runs the AWS command line in a region and returns what it answered.
#[track_caller]
fn aws(region: &str, arguments: &[&str]) -> Value {
    let mut command = process::guarded(&cloud().aws);
    command.args(["--endpoint-url", &cloud().sandbox.endpoints().aws, "--output", "json"]).args(arguments);
    command.env("AWS_DEFAULT_REGION", region).env("AWS_PAGER", "");
    command.env("AWS_ACCESS_KEY_ID", "sandbox").env("AWS_SECRET_ACCESS_KEY", "sandbox");
    let done = process::output(&mut command).unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    if done.stdout.is_empty() { Value::Null } else { serde_json::from_slice(&done.stdout).unwrap() }
}

/// How the other region's resources, and Azure's, are declared.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Registered,
    Custom,
}

impl Form {
    fn template(self) -> String {
        let file = match self {
            Form::Registered => "template.yaml",
            Form::Custom => "custom-resources.yaml",
        };
        std::fs::read_to_string(tools::root().join("examples/hana-backup").join(file)).unwrap()
    }
}

/// A stack of the example; its buckets and aliases are named after it.
struct Stack {
    name: &'static str,
    form: Form,
    body: String,
    parameters: Vec<(String, String)>,
}

impl Stack {
    fn new(name: &'static str, form: Form) -> Stack {
        let mut parameters = vec![
            ("OriginalBucketName", name.to_owned()),
            ("OriginalCMKAlias", format!("alias/{name}")),
            ("ReplicationRegion", FAR.to_owned()),
            ("ReplicationBucketName", format!("{name}-replica")),
            ("ReplicationCMKAlias", format!("alias/{name}")),
            ("EC2RoleToRunBackup", "arn:aws:iam::000000000000:role/hana".to_owned()),
            ("KMSAdminRole", "arn:aws:iam::000000000000:role/keys".to_owned()),
            ("KeyDeletionDays", "7".to_owned()),
        ];
        if form == Form::Custom {
            parameters.push(("TypesCodeBucket", FILES.to_owned()));
        }
        let parameters = parameters.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Stack { name, form, body: form.template(), parameters }
    }

    fn with(mut self, parameters: &[(&str, &str)]) -> Stack {
        self.set(parameters);
        self
    }

    fn set(&mut self, parameters: &[(&str, &str)]) {
        self.parameters.extend(parameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    }

    /// The same with the third copy.
    fn and_azure(self) -> Stack {
        let configuration = std::fs::read_to_string(&cloud().sandbox.endpoints().type_configuration).unwrap();
        let form = self.form;
        let stack = self.with(&[("AzureLocation", "eastus"), ("CodeBucket", FILES), ("Issuer", ISSUER)]);
        match form {
            Form::Registered => stack,
            Form::Custom => {
                stack.with(&[("AzureTypesRoleArn", EXECUTION_ROLE), ("AzureTypesConfiguration", &configuration)])
            }
        }
    }

    fn deploy(&self) -> Result<Change, Error> {
        let deployment = Deployment {
            stack: self.name.to_owned(),
            body: self.body.clone(),
            parameters: self.parameters.clone(),
            tags: Vec::new(),
        };
        cloud().runtime.block_on(cloud().stacks.deploy(&deployment, &mut ()))
    }

    fn delete(&self) -> Result<(), Error> {
        cloud().runtime.block_on(cloud().stacks.delete(self.name, &mut ()))
    }

    fn outputs(&self) -> HashMap<String, String> {
        let stack = cloud().runtime.block_on(cloud().stacks.find(self.name)).unwrap().unwrap();
        let outputs = stack.outputs().iter();
        outputs.map(|one| (one.output_key().unwrap().into(), one.output_value().unwrap().into())).collect()
    }

    /// Its ids by logical id.
    fn ids(&self) -> HashMap<String, String> {
        let resources = cloud().runtime.block_on(cloud().stacks.resources(self.name)).unwrap();
        let id = |one: &aws_sdk_cloudformation::types::StackResource| {
            (one.logical_resource_id().unwrap().to_owned(), one.physical_resource_id().unwrap().to_owned())
        };
        resources.iter().map(id).collect()
    }

    fn replica(&self) -> String {
        format!("{}-replica", self.name)
    }

    /// Its two buckets with objects, each with an S3 of its region.
    fn buckets(&self) -> [(aws_sdk_s3::Client, String); 2] {
        [(near(), self.name.to_owned()), (far(), self.replica())]
    }

    /// Days until what, as each bucket's lifecycle says: Glacier, expiry.
    fn lifecycles(&self) -> [(i32, i32); 2] {
        self.buckets().map(|(s3, bucket)| {
            let found = cloud().runtime.block_on(s3.get_bucket_lifecycle_configuration().bucket(bucket).send());
            let [rule] = &found.unwrap().rules.unwrap()[..] else { panic!("one rule") };
            (rule.transitions()[0].days().unwrap(), rule.expiration().unwrap().days().unwrap())
        })
    }

    /// Nothing of the stack is in either region, but keys that wait for their deletion.
    #[track_caller]
    fn assert_nothing_left(&self) {
        let mut command = process::guarded(&cloud().python);
        command
            .arg(tools::root().join("sandbox/tests/left.py"))
            .arg(&cloud().sandbox.endpoints().aws)
            .args([REGION, FAR]);
        let listed = process::output(&mut command).unwrap();
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        let listed = String::from_utf8(listed.stdout).unwrap();
        assert!(listed.contains(FILES), "{listed}");
        let ours = listed.lines().filter(|line| line.contains(self.name));
        assert_eq!(ours.collect::<Vec<_>>(), [""; 0]);
        let azure = cloud().sandbox.azure().resources();
        let azure: Vec<_> = azure.iter().filter(|id| id.to_lowercase().contains(self.name)).collect();
        assert!(azure.is_empty(), "{azure:?}");
    }
}

/// Everything out of a bucket, as its owner would before he deletes it.
fn empty((s3, bucket): &(aws_sdk_s3::Client, String)) {
    cloud().runtime.block_on(async {
        let versions = s3.list_object_versions().bucket(bucket).send().await.unwrap();
        let objects = versions.versions().iter().map(|one| (one.key(), one.version_id()));
        let markers = versions.delete_markers().iter().map(|one| (one.key(), one.version_id()));
        for (key, version) in objects.chain(markers) {
            let delete = s3.delete_object().bucket(bucket).key(key.unwrap());
            delete.set_version_id(version.map(str::to_owned)).send().await.unwrap();
        }
    });
}

fn near() -> aws_sdk_s3::Client {
    s3(cloud().sandbox.endpoints())
}

fn far() -> aws_sdk_s3::Client {
    s3_of(cloud().sandbox.endpoints(), FAR)
}

fn key_state(region: &str, key: &str) -> String {
    let found = aws(region, &["kms", "describe-key", "--key-id", key]);
    found["KeyMetadata"]["KeyState"].as_str().unwrap().to_owned()
}

/// A request to the blob service: the status and the bytes of its answer.
fn blob(method: Method, address: &str) -> (StatusCode, Vec<u8>) {
    cloud().runtime.block_on(async {
        let azure = Azure::new(cloud().sandbox.endpoints()).await.unwrap();
        let answer = azure.blob(method, address).await.unwrap().send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap().to_vec())
    })
}

/// What the policies of both buckets say to PUTs of the backup's role, by the encryption that they ask for.
fn assert_only_the_keys_are_taken(stack: &Stack, keys: &[String; 2]) {
    const ALGORITHM: &str = "s3:x-amz-server-side-encryption";
    const KEY_ID: &str = "s3:x-amz-server-side-encryption-aws-kms-key-id";
    for ((s3, bucket), key) in stack.buckets().into_iter().zip(keys) {
        let policy = cloud().runtime.block_on(s3.get_bucket_policy().bucket(&bucket).send()).unwrap().policy.unwrap();
        let cases = [
            (json!({}), false),
            (json!({ ALGORITHM: "aws:kms", KEY_ID: key }), false),
            (json!({ ALGORITHM: "AES256" }), true),
            (json!({ ALGORITHM: "aws:kms" }), true),
            (json!({ ALGORITHM: "aws:kms", KEY_ID: key.clone() + "0" }), true),
            (json!({ "s3:x-amz-server-side-encryption-customer-algorithm": "AES256" }), true),
            (json!({ "aws:SecureTransport": "false" }), true),
        ];
        let object = format!("arn:aws:s3:::{bucket}/{KEY}");
        let puts = cases.clone().map(|(keys, _)| ("s3:PutObject", object.as_str(), keys));
        let decisions = policies::decide(&cloud().python, &policy, "arn:aws:iam::000000000000:role/hana", &puts);
        assert_eq!(decisions.len(), cases.len());
        for ((keys, refused), decision) in cases.iter().zip(&decisions) {
            assert_eq!(decision == "Deny", *refused, "{bucket}: {keys}: {decision}");
        }
    }
}

#[track_caller]
fn failures(result: Result<impl std::fmt::Debug, Error>, expected: &str) -> Vec<String> {
    match result {
        Err(Error::Failed { status, failures, .. }) if status == expected => failures,
        other => panic!("{other:?}"),
    }
}

const KEY: &str = "HDB/backup_0_1";
const BACKUP: &[u8] = b"a backup";

/// A backup is put, replicated and copied; the lifecycle changes in both regions; the stack goes when its buckets are empty.
fn lives_through(stack: &mut Stack, drifts: impl FnOnce(&Stack)) {
    let began = Instant::now();
    assert_eq!(stack.deploy().unwrap_or_else(|e| panic!("{e}")), Change::Created);
    let deployed = began.elapsed();
    let (outputs, ids) = (stack.outputs(), stack.ids());

    let began = Instant::now();
    let put = near().put_object().bucket(stack.name).key(KEY).body(BACKUP.to_vec().into());
    cloud().runtime.block_on(put.send()).unwrap();
    let keys = stack.buckets().map(|(s3, bucket)| {
        let got = cloud().runtime.block_on(async {
            let got = s3.get_object().bucket(bucket).key(KEY).send().await.unwrap();
            let key = got.ssekms_key_id().unwrap().to_owned();
            (key, got.body.collect().await.unwrap().to_vec())
        });
        assert_eq!(got.1, BACKUP);
        got.0
    });
    assert_eq!(keys, [outputs["KeyArn"].clone(), outputs["ReplicationKeyArn"].clone()]);
    assert!(keys[1].contains(&format!(":kms:{FAR}:")), "{}", keys[1]);
    assert_only_the_keys_are_taken(stack, &keys);
    let address = format!("{}/{KEY}", outputs["ContainerUrl"]);
    while blob(Method::GET, &address) != (StatusCode::OK, BACKUP.to_vec()) {
        assert!(began.elapsed() < PATIENCE, "it did not reach Azure");
        std::thread::sleep(Duration::from_millis(100));
    }
    let copied = began.elapsed();

    assert_eq!(stack.lifecycles(), [(7, 365); 2]);
    drifts(stack);
    stack.set(&[("ArchiveAfterDays", "14"), ("ExpireAfterDays", "180")]);
    assert_eq!(stack.deploy().unwrap_or_else(|e| panic!("{e}")), Change::Updated);
    assert_eq!(stack.lifecycles(), [(14, 180); 2]);
    assert_eq!(stack.ids(), ids, "nothing was replaced");

    // One bucket after the other, the container with the first.
    let refused = failures(stack.delete(), "DELETE_FAILED").join("\n");
    assert!(refused.contains("not empty") && refused.contains("still holds the blob"), "{refused}");
    let [source, replica] = stack.buckets();
    empty(&source);
    assert_eq!(blob(Method::DELETE, &address).0, StatusCode::ACCEPTED);
    let refused = failures(stack.delete(), "DELETE_FAILED").join("\n");
    let told = format!("the bucket {} in {FAR} still holds 1 object", stack.replica());
    assert!(refused.contains(&told), "{refused}");
    let states = || [(REGION, &keys[0]), (FAR, &keys[1])].map(|(region, key)| key_state(region, key));
    assert_eq!(states(), ["PendingDeletion", "Enabled"], "a bucket keeps its key");
    empty(&replica);
    stack.delete().unwrap_or_else(|e| panic!("{e}"));
    stack.assert_nothing_left();
    assert_eq!(states(), ["PendingDeletion", "PendingDeletion"]);
    println!(
        "{}: {} resources deployed in {:.1} s; a backup was replicated and in Azure after {:.1} s",
        stack.name,
        ids.len(),
        deployed.as_secs_f64(),
        copied.as_secs_f64()
    );
}

#[test]
fn backups_live_in_two_regions_and_in_azure() {
    let mut stack = Stack::new("hana-types", Form::Registered).and_azure();
    lives_through(&mut stack, |stack| {
        let detect = || cloud().runtime.block_on(drift::detect(cloud().stacks.client(), stack.name));
        assert_eq!(detect(), (StackDriftStatus::InSync, vec![]));
        let suspended = VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
        cloud().runtime.block_on(async {
            let suspend = far().put_bucket_versioning().bucket(stack.replica()).versioning_configuration(suspended);
            suspend.send().await.unwrap();
            far().delete_bucket_lifecycle().bucket(stack.replica()).send().await.unwrap();
        });
        let key = stack.outputs()["ReplicationKeyArn"].clone();
        aws(FAR, &["kms", "disable-key-rotation", "--key-id", &key]);
        let (status, found) = detect();
        assert_eq!(status, StackDriftStatus::Drifted);
        for difference in [
            "ReplicationKey /EnableKeyRotation true -> false",
            "ReplicationBucket /VersioningConfiguration/Status Enabled -> Suspended",
            "ReplicationBucket /LifecycleConfiguration",
        ] {
            assert!(found.iter().any(|one| one.starts_with(difference)), "no {difference:?} in {found:?}");
        }
        assert_eq!(found.len(), 3, "{found:?}");
    });
}

/// CloudFormation has no drift of custom resources, so that is the one thing that this form lacks.
#[test]
fn backups_live_in_two_regions_and_in_azure_by_custom_resources() {
    lives_through(&mut Stack::new("hana-door", Form::Custom).and_azure(), |_| {});
}

/// Another account has a bucket of the replica's name, which shows when the replica's key has been made.
fn fails_without_a_trace(stack: &Stack) {
    let another = Credentials::new("111111111111", "sandbox", None, None, "another account");
    let another = aws_sdk_s3::Client::from_conf(far().config().to_builder().credentials_provider(another).build());
    let place = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(FAR)).build();
    let taken = stack.replica();
    let create = another.create_bucket().bucket(&taken).create_bucket_configuration(place);
    cloud().runtime.block_on(create.send()).unwrap();

    let reasons = failures(stack.deploy(), "ROLLBACK_COMPLETE");
    let told = |reason: &String| {
        let parts = ["ReplicationBucket", taken.as_str(), FAR, "another account", "AlreadyExists"];
        parts.iter().all(|part| reason.contains(part))
    };
    assert!(reasons.iter().any(told), "{reasons:#?}");
    let keys = aws(FAR, &["kms", "list-keys"]);
    let keys = keys["Keys"].as_array().unwrap().iter().filter_map(|key| key["KeyId"].as_str());
    let ours =
        keys.filter(|key| aws(FAR, &["kms", "list-resource-tags", "--key-id", key]).to_string().contains(stack.name));
    let states: Vec<_> = ours.map(|key| key_state(FAR, key)).collect();
    assert_eq!(states, ["PendingDeletion"], "the key was there and went");
    stack.delete().unwrap();
    stack.assert_nothing_left();
    cloud().runtime.block_on(another.delete_bucket().bucket(&taken).send()).unwrap();
}

#[test]
fn a_failure_in_the_other_region_names_it_and_leaves_nothing() {
    fails_without_a_trace(&Stack::new("taken-types", Form::Registered));
}

#[test]
fn so_it_does_by_custom_resources() {
    fails_without_a_trace(&Stack::new("taken-door", Form::Custom));
}

#[test]
fn parameters_that_cannot_be_are_refused_before_anything_is_made() {
    for (parameters, why) in [
        (&[("ReplicationRegion", REGION)][..], "another region than that of the stack"),
        (&[("AzureLocation", "eastus"), ("Issuer", ISSUER)], "CodeBucket"),
        (&[("OriginalBucketName", "Backups")], "OriginalBucketName"),
    ] {
        match Stack::new("refused", Form::Registered).with(parameters).deploy() {
            Err(Error::Refused { reason, .. }) if reason.contains(why) => {}
            other => panic!("{parameters:?}: {other:?}"),
        }
    }
}

#[test]
fn the_cdk_app_is_the_same_stack() {
    let plain = Stack::new("hana-cdk", Form::Registered);
    let given = |name: &str| plain.parameters.iter().find(|(key, _)| key == name).unwrap().1.clone();
    let names =
        ["OriginalBucketName", "OriginalCMKAlias", "ReplicationRegion", "ReplicationBucketName", "ReplicationCMKAlias"];
    let names = names.into_iter().chain(["EC2RoleToRunBackup", "KMSAdminRole"]);
    let context_name = |name: &str| match name {
        "EC2RoleToRunBackup" => "ec2RoleToRunBackup".to_owned(),
        "KMSAdminRole" => "kmsAdminRole".to_owned(),
        name => name[..1].to_lowercase() + &name[1..],
    };
    let context = names.map(|name| (context_name(name), given(name).into())).collect::<serde_json::Map<_, _>>();
    let (body, passed) = cdk::synthesise("hana-backup-cdk", "hana-backup", &context.into());
    println!("{passed}");
    let stack = Stack { body, parameters: Vec::new(), ..plain };
    stack.deploy().unwrap_or_else(|e| panic!("{e}"));
    let put = near().put_object().bucket(stack.name).key(KEY).body(BACKUP.to_vec().into());
    cloud().runtime.block_on(put.send()).unwrap();
    let replica = cloud().runtime.block_on(far().head_object().bucket(stack.replica()).key(KEY).send()).unwrap();
    assert_eq!(replica.ssekms_key_id(), Some(stack.outputs()["ReplicationKeyArn"].as_str()));
    stack.buckets().iter().for_each(empty);
    stack.delete().unwrap_or_else(|e| panic!("{e}"));
    stack.assert_nothing_left();
}
