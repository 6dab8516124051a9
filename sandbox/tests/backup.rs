//! `examples/s3-to-azure` as its user meets it: objects are put into S3 with the AWS command line, and reach Azurite through the
//! events, the queue and the real function.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

mod cdk;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use sandbox::deploy::{Change, Deployment, FILES, REGION, Stacks, s3};
use sandbox::package::{Form, package};
use sandbox::proof::Azure;
use sandbox::serve::Sandbox;
use sandbox::sts::ISSUER;
use sandbox::{lambda, process, tools};
use serde_json::Value;
use tokio::runtime::Runtime;

const PATIENCE: Duration = Duration::from_secs(60);
/// What a blob's address takes as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// One sandbox with the function's package in its S3. Every test has a stack of its own.
struct Cloud {
    runtime: Runtime,
    sandbox: Sandbox,
    stacks: Stacks,
    aws: PathBuf,
    folder: tempfile::TempDir,
}

fn cloud() -> &'static Cloud {
    static CLOUD: OnceLock<Cloud> = OnceLock::new();
    CLOUD.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("requirements/aws-cli.txt");
        let aws = tools::python_venv("aws-cli", &requirements).unwrap().join("bin/aws");
        let folder = tempfile::tempdir().unwrap();
        let zip = folder.path().join("backup-lambda.zip");
        package(&lambda::build(["backup-lambda"]).unwrap()[0], &zip, Form::Quick).unwrap();
        let sandbox = runtime.block_on(Sandbox::start(0)).unwrap();
        let stacks = Stacks::new(sandbox.endpoints());
        runtime.block_on(stacks.put(&zip)).unwrap();
        Cloud { runtime, sandbox, stacks, aws, folder }
    })
}

/// Runs the AWS command line and returns what it printed.
#[track_caller]
fn aws(arguments: &[&str]) -> String {
    let mut command = process::guarded(&cloud().aws);
    // The variable for it is not read for SQS.
    command
        .args(["--endpoint-url", &cloud().sandbox.endpoints().aws])
        .args(arguments)
        .env("AWS_DEFAULT_REGION", REGION);
    command.env("AWS_ACCESS_KEY_ID", "sandbox").env("AWS_SECRET_ACCESS_KEY", "sandbox").env("AWS_PAGER", "");
    let done = process::output(&mut command).unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// A file with this content, for the command line to send.
fn file(name: &str, content: &[u8]) -> String {
    let path = cloud().folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A deployed example.
struct Stack {
    name: &'static str,
    outputs: HashMap<String, String>,
}

impl Stack {
    #[track_caller]
    fn deploy(name: &'static str, body: String, parameters: &[(&str, &str)]) -> Stack {
        let parameters = parameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let deployment = Deployment { stack: name.to_owned(), body, parameters, tags: Vec::new() };
        let cloud = cloud();
        let change =
            cloud.runtime.block_on(cloud.stacks.deploy(&deployment, &mut ())).unwrap_or_else(|e| panic!("{e}"));
        assert_ne!(change, Change::None);
        let stack = cloud.runtime.block_on(cloud.stacks.find(name)).unwrap().unwrap();
        let outputs = stack.outputs().iter();
        let outputs =
            outputs.map(|one| (one.output_key().unwrap().into(), one.output_value().unwrap().into())).collect();
        Stack { name, outputs }
    }

    fn output(&self, name: &str) -> &str {
        &self.outputs[name]
    }

    fn object(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.output("BucketName"))
    }

    /// The blob of a key, if there is one: its headers, tags and bytes.
    fn blob(&self, key: &str) -> Option<Blob> {
        let address = format!("{}/{}", self.output("ContainerUrl"), utf8_percent_encode(key, PATH));
        cloud().runtime.block_on(async {
            let azure = Azure::new(cloud().sandbox.endpoints()).await.unwrap();
            let get = async |url: &str| azure.blob(Method::GET, url).await.unwrap().send().await.unwrap();
            let answer = get(&address).await;
            if answer.status() == StatusCode::NOT_FOUND {
                return None;
            }
            assert_eq!(answer.status(), StatusCode::OK, "{address}");
            let headers = answer.headers().clone();
            let bytes = answer.bytes().await.unwrap().to_vec();
            let tags = get(&format!("{address}?comp=tags")).await.text().await.unwrap();
            Some(Blob { headers, tags, bytes })
        })
    }

    /// Waits until the blob of a key has these bytes, and returns it with the time since `began`.
    #[track_caller]
    fn arrived(&self, key: &str, bytes: &[u8], began: Instant) -> (Blob, Duration) {
        loop {
            let blob = self.blob(key);
            if let Some(blob) = blob.filter(|blob| blob.bytes == bytes) {
                return (blob, began.elapsed());
            }
            assert!(began.elapsed() < PATIENCE, "{key} did not arrive:\n{}", self.log().join("\n"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the function has written to its log.
    fn log(&self) -> Vec<String> {
        let groups: Value = serde_json::from_str(&aws(&["logs", "describe-log-groups", "--output", "json"])).unwrap();
        let groups = groups["logGroups"].as_array().unwrap().iter().filter_map(|group| group["logGroupName"].as_str());
        let ours = |group: &&str| group.contains(self.name);
        let events = groups.filter(ours).map(|group| {
            let found = aws(&["logs", "filter-log-events", "--log-group-name", group, "--output", "json"]);
            serde_json::from_str::<Value>(&found).unwrap()["events"].as_array().unwrap().clone()
        });
        events.flatten().filter_map(|event| event["message"].as_str().map(str::to_owned)).collect()
    }

    /// Deletes the stack after everything in its bucket and its container, as its owner has to.
    #[track_caller]
    fn delete(&self) {
        let cloud = cloud();
        cloud.runtime.block_on(async {
            let s3 = s3(cloud.sandbox.endpoints());
            for bucket in [self.output("BucketName"), self.output("AccessLogsName")] {
                let versions = s3.list_object_versions().bucket(bucket).send().await.unwrap();
                let objects = versions.versions().iter().map(|one| (one.key(), one.version_id()));
                let markers = versions.delete_markers().iter().map(|one| (one.key(), one.version_id()));
                for (key, version) in objects.chain(markers) {
                    let delete = s3.delete_object().bucket(bucket).key(key.unwrap());
                    delete.set_version_id(version.map(str::to_owned)).send().await.unwrap();
                }
            }
        });
        // The deletions are events, too.
        self.assert_idle();
        cloud.runtime.block_on(async {
            let azure = Azure::new(cloud.sandbox.endpoints()).await.unwrap();
            let container = self.output("ContainerUrl");
            let list = azure.blob(Method::GET, &format!("{container}?restype=container&comp=list")).await.unwrap();
            let list = list.send().await.unwrap().text().await.unwrap();
            for name in list.split("<Name>").skip(1).map(|rest| rest.split("</Name>").next().unwrap()) {
                let address = format!("{container}/{}", utf8_percent_encode(name, PATH));
                let done = azure.blob(Method::DELETE, &address).await.unwrap().send().await.unwrap();
                assert_eq!(done.status(), StatusCode::ACCEPTED, "{address}");
            }
            cloud.stacks.delete(self.name, &mut ()).await.unwrap_or_else(|e| panic!("{e}"));
        });
        self.assert_nothing_left();
    }

    /// Waits until no event waits or is under way.
    #[track_caller]
    fn assert_idle(&self) {
        let began = Instant::now();
        loop {
            let queue =
                ["sqs", "get-queue-attributes", "--queue-url", self.output("QueueUrl"), "--attribute-names", "All"];
            let found: Value = serde_json::from_str(&aws(&[&queue[..], &["--output", "json"]].concat())).unwrap();
            let count = |name: &str| found["Attributes"][name].as_str().unwrap().to_owned();
            let counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"].map(count);
            if counts.iter().all(|count| count == "0") {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{counts:?}:\n{}", self.log().join("\n"));
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    #[track_caller]
    fn assert_nothing_left(&self) {
        let account = self.output("ContainerUrl").rsplit('/').nth(1).unwrap();
        let azure = cloud().sandbox.azure().resources();
        let azure: Vec<_> = azure.iter().filter(|id| id.contains(account) || id.contains(self.name)).collect();
        assert!(azure.is_empty(), "{azure:?}");
        for listing in [
            &["s3api", "list-buckets"][..],
            &["sqs", "list-queues"],
            &["lambda", "list-functions"],
            &["lambda", "list-event-source-mappings"],
            &["events", "list-rules"],
            &["iam", "list-roles"],
            &["logs", "describe-log-groups"],
            &["cloudwatch", "describe-alarms"],
            &["cloudwatch", "list-dashboards"],
        ] {
            let found = aws(listing);
            assert!(!found.contains(&format!("{}-", self.name)), "{listing:?}: {found}");
        }
    }
}

struct Blob {
    headers: reqwest::header::HeaderMap,
    tags: String,
    bytes: Vec<u8>,
}

impl Blob {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn template() -> String {
    std::fs::read_to_string(tools::root().join("examples/s3-to-azure/template.yaml")).unwrap()
}

/// So many bytes that repeat only after a long while.
fn content(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..size).map(|_| next()).collect()
}

fn parameters() -> Vec<(&'static str, &'static str)> {
    vec![
        ("CodeBucket", FILES),
        ("Issuer", ISSUER),
        ("FunctionTimeout", "20"),
        ("VisibilityTimeout", "20"),
        ("MaximumReceives", "2"),
    ]
}

#[test]
fn objects_reach_azure_through_the_events() {
    let stack = Stack::deploy("backup", template(), &parameters());

    // What the function can do nothing with is tried as often as it was said, and meanwhile the rest goes on.
    let poison = Instant::now();
    aws(&["sqs", "send-message", "--queue-url", stack.output("QueueUrl"), "--message-body", "no event"]);

    let first = file("first.txt", b"a small object");
    let began = Instant::now();
    aws(&["s3", "cp", &first, &stack.object("first.txt"), "--metadata", "content-owner=Ops,team=red"]);
    let (blob, cold) = stack.arrived("first.txt", b"a small object", began);
    assert_eq!(blob.header("content-type"), "text/plain");
    assert_eq!((blob.header("x-ms-meta-content_2downer"), blob.header("x-ms-meta-team")), ("Ops", "red"));

    let odd = "a b+c/%41 ü 漢.json";
    let warm = Instant::now();
    let put = ["s3api", "put-object", "--bucket", stack.output("BucketName"), "--key", odd, "--body", &first];
    aws(&[&put[..], &["--tagging", "team=red&cost=a%20b", "--content-type", "application/json"]].concat());
    let (blob, warm) = stack.arrived(odd, b"a small object", warm);
    assert_eq!(blob.header("content-type"), "application/json");
    assert!(blob.tags.contains("<Key>team</Key><Value>red</Value>"), "{}", blob.tags);
    assert!(blob.tags.contains("<Key>cost</Key><Value>a b</Value>"), "{}", blob.tags);

    let large = content(20 << 20);
    let path = file("large.bin", &large);
    let began = Instant::now();
    aws(&["s3", "cp", &path, &stack.object("large.bin"), "--only-show-errors"]);
    let (_, parts) = stack.arrived("large.bin", &large, began);

    let second = file("second.txt", b"a newer one");
    aws(&["s3", "cp", &second, &stack.object("first.txt")]);
    let (blob, _) = stack.arrived("first.txt", b"a newer one", Instant::now());
    assert_eq!(blob.header("x-ms-meta-team"), "", "nothing of the older version stays");

    // Copies are kept when their objects go.
    aws(&["s3", "rm", &stack.object("large.bin")]);
    let dead = loop {
        let receive =
            ["sqs", "receive-message", "--queue-url", stack.output("DeadLettersUrl"), "--wait-time-seconds", "1"];
        let received = aws(&receive);
        if received.contains("no event") {
            break poison.elapsed();
        }
        assert!(poison.elapsed() < PATIENCE * 2, "{}", stack.log().join("\n"));
    };
    stack.assert_idle();
    assert_eq!(stack.blob("large.bin").unwrap().bytes, large);

    let log = stack.log();
    assert!(log.iter().any(|line| line.contains("CloudWatchMetrics") && line.contains("\"Objects\":1")), "{log:#?}");
    assert!(log.iter().any(|line| line.contains("it is not JSON")), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("a small object")), "contents are in the log");
    println!(
        "from the command to the blob: {:.1} s for the first object, {:.1} s for the next, {:.1} s for one of 20 MiB; \
         a poisoned message was in the dead-letter queue after {:.0} s",
        cold.as_secs_f64(),
        warm.as_secs_f64(),
        parts.as_secs_f64(),
        dead.as_secs_f64(),
    );
    stack.delete();
}

#[test]
fn objects_reach_azure_through_the_notifications_of_s3() {
    let stack = Stack::deploy("notified", template(), &[&parameters()[..], &[("Events", "S3")]].concat());
    let path = file("notified.txt", b"told by S3 itself");
    let key = "a b+c/ü%41.txt";
    let began = Instant::now();
    aws(&["s3", "cp", &path, &stack.object(key)]);
    let (_, took) = stack.arrived(key, b"told by S3 itself", began);
    println!("from the command to the blob, without EventBridge: {:.1} s", took.as_secs_f64());
    stack.delete();
}

#[test]
fn the_cdk_app_is_the_same_stack() {
    let context = serde_json::json!({ "codeBucket": FILES, "issuer": ISSUER });
    let (synthesised, passed) = cdk::synthesise("s3-to-azure-cdk", "s3-to-azure", &context);
    println!("{passed}");
    let stack = Stack::deploy("from-cdk", synthesised, &[]);
    let path = file("cdk.txt", b"by way of the CDK");
    aws(&["s3", "cp", &path, &stack.object("cdk.txt")]);
    stack.arrived("cdk.txt", b"by way of the CDK", Instant::now());
    stack.delete();
}
