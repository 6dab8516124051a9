//! The function: which messages it returns, what goes on, and what S3 Batch Operations is told.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use backup::{Backup, Policy, Reason, Result, lambda::Function, metrics::Metrics};
use serde_json::{Value, json};
use support::{
    World, noise,
    queue::{Sqs, bridged, notified},
    s3::Version,
    small_policy,
};
use tokio::time::Instant;

const BUCKET: &str = "source";
/// What the function keeps back for its answer.
const RESERVE: Duration = Duration::from_secs(5);

async fn invoke(backup: &Backup, queue: &Sqs, event: Value, time: Duration) -> (Result<Value>, Metrics) {
    let mut metrics = Metrics::default();
    let function = Function { backup, queue, concurrency: 8 };
    let answer = function
        .handle(&serde_json::value::to_raw_value(&event).unwrap(), Instant::now() + RESERVE + time, &mut metrics)
        .await;
    (answer, metrics)
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn only_what_failed_is_returned() {
    let world = World::start().await;
    let queue = Sqs::default();
    for key in ["a b+c%", "plain"] {
        world.s3.put(BUCKET, key, Version::new(key.to_owned()));
    }
    queue.send(&bridged(BUCKET, "a b+c%", json!({"size": 6, "sequencer": "1"}), "Object Created"));
    let gone = queue.send(&bridged(BUCKET, "gone", json!({"size": 6, "sequencer": "1"}), "Object Created"));
    queue.send(&notified(BUCKET, "plain", json!({"size": 5, "sequencer": "1"}), "ObjectCreated:Put"));
    let broken = queue.send("{\"no\": \"event\"}");
    queue.send(&json!({"Service": "Amazon S3", "Event": "s3:TestEvent"}).to_string());
    queue.send(&bridged(BUCKET, "plain", json!({"sequencer": "2"}), "Object ACL Updated"));
    let (mut event, _) = queue.receive(10).unwrap();
    event["Records"].as_array_mut().unwrap().push(json!({"messageId": "odd", "body": 7, "eventSource": "aws:sqs"}));
    let (answer, metrics) = invoke(&world.backup(small_policy()), &queue, event, LONG).await;
    let answer = answer.unwrap();
    let mut failed: Vec<_> = answer["batchItemFailures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["itemIdentifier"].as_str().unwrap())
        .collect();
    failed.sort_unstable();
    assert_eq!(failed, [gone.as_str(), broken.as_str(), "odd"]);
    assert_eq!((metrics.objects, metrics.bytes, metrics.skipped, metrics.failures), (2, 11, 1, 3));
    assert_eq!(metrics.lags.len(), 3);
    assert!(metrics.oldest.unwrap() < Duration::from_secs(60));
    assert_eq!(world.azure.blob("a b+c%").unwrap().content, "a b+c%");
}

#[tokio::test]
async fn what_is_unfinished_goes_on_and_is_no_failure() {
    let world = World::start().await;
    let queue = Sqs::default();
    let size = 2 << 20;
    world.s3.put(BUCKET, "large", Version::new(noise(1, 0, size)));
    queue.send(&bridged(BUCKET, "large", json!({"size": size, "sequencer": "1"}), "Object Created"));
    let policy = Policy { memory: 1, ..small_policy() };
    let mut invocations = 0;
    while let Some((event, ids)) = queue.receive(10) {
        // Each invocation is a process of its own.
        let (answer, _) = invoke(&world.backup(policy.clone()), &queue, event, Duration::from_millis(500)).await;
        let answer = answer.unwrap();
        assert_eq!(answer["batchItemFailures"], json!([]));
        queue.settle(&ids, Some(&answer), 1);
        invocations += 1;
    }
    assert_eq!(queue.dead().len(), 0, "with a maxReceiveCount of one");
    assert!(invocations > 1);
    assert_eq!(queue.sent_on(), invocations - 1);
    assert_eq!(world.azure.blob("large").unwrap().content, noise(1, 0, size));
}

#[tokio::test]
async fn what_makes_no_progress_fails_in_the_end() {
    let world = World::start().await;
    let queue = Sqs::default();
    world.s3.put(BUCKET, "k", Version::new("x"));
    queue.send(&bridged(BUCKET, "k", json!({"size": 1, "sequencer": "1"}), "Object Created"));
    let backup = world.backup(small_policy());
    let mut rounds = 0;
    while let Some((event, ids)) = queue.receive(1) {
        let (answer, _) = invoke(&backup, &queue, event, Duration::ZERO).await;
        queue.settle(&ids, Some(&answer.unwrap()), 1);
        rounds += 1;
    }
    assert_eq!((rounds, queue.dead().len()), (3, 1));
}

#[tokio::test]
async fn tasks_of_batch_operations() {
    let world = World::start().await;
    let queue = Sqs::default();
    world.s3.put(BUCKET, "a b", Version::new("x"));
    let refused = Version { refusal: Some((403, "InvalidObjectState", "no")), ..Version::new("x") };
    world.s3.put(BUCKET, "archived", refused);
    world.s3.put(BUCKET, "busy", Version::new("x"));
    world.azure.refuse("busy", 503, "ServerBusy");
    for (schema, bucket) in [("1.0", ("s3BucketArn", "arn:aws:s3:::source")), ("2.0", ("s3Bucket", "source"))] {
        let task = |id: &str, key: &str| json!({"taskId": id, "s3Key": key, "s3VersionId": null, bucket.0: bucket.1});
        let event = json!({
            "invocationSchemaVersion": schema, "invocationId": "i", "job": {"id": "j"},
            "tasks": [task("1", "a+b"), task("2", "archived"), task("3", "busy"), {"taskId": "4", "s3Key": "k"}],
        });
        let (answer, metrics) = invoke(&world.backup(small_policy()), &queue, event, LONG).await;
        let answer = answer.unwrap();
        assert_eq!((&answer["invocationSchemaVersion"], &answer["invocationId"]), (&json!(schema), &json!("i")));
        let results: Vec<_> =
            answer["results"].as_array().unwrap().iter().map(|result| result["resultCode"].as_str().unwrap()).collect();
        assert_eq!(results, ["Succeeded", "PermanentFailure", "TemporaryFailure", "PermanentFailure"]);
        assert!(answer["results"][1]["resultString"].as_str().unwrap().contains("restore it"), "{answer}");
        assert_eq!(metrics.failures, 3);
    }
}

#[tokio::test]
async fn events_without_a_queue_fail_the_invocation() {
    let world = World::start().await;
    let queue = Sqs::default();
    let backup = world.backup(small_policy());
    world.s3.put(BUCKET, "k", Version::new("x"));
    let event = |key| serde_json::from_str(&notified(BUCKET, key, json!({"size": 1}), "ObjectCreated:Put")).unwrap();
    let (answer, metrics) = invoke(&backup, &queue, event("k"), LONG).await;
    assert_eq!((answer.unwrap(), metrics.objects), (Value::Null, 1));
    let (answer, metrics) = invoke(&backup, &queue, event("gone"), LONG).await;
    assert_eq!((answer.unwrap_err().reason, metrics.failures), (Reason::Gone, 1));
    let (answer, _) = invoke(&backup, &queue, json!({"hello": "world"}), LONG).await;
    assert_eq!(answer.unwrap_err().reason, Reason::Malformed);
}
