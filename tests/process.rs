//! The runtime as Lambda runs it: a process that polls, and CloudWatch beside it.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

mod support;
#[allow(dead_code, reason = "its faults cannot be reached from another process")]
mod toy;

use cfn_provider::{Action, Entry, lambda, testing::Harness};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use support::{
    Lambda,
    http::{Answer, Request, Server},
};

const REGISTRY: &[Entry] = &[Entry::of::<toy::Shelf>()];
const SERVING: &str = "serves";

#[tokio::test]
#[ignore = "the process that the other tests start"]
async fn serves() {
    cfn_provider::serve(REGISTRY).await.unwrap();
}

fn harness() -> Harness {
    Harness::new::<toy::Shelf>(json!({"Service": "process", "Secret": "typec0nfiguration"}))
}

/// An event with everything in it that must not be told.
fn event(action: Action, model: &Value) -> Value {
    let mut event = harness().event(action, model);
    event["requestData"]["callerCredentials"] =
        json!({"accessKeyId": "AKIACALLER", "secretAccessKey": "callers3cret", "sessionToken": "callert0ken"});
    event["requestData"]["providerCredentials"] =
        json!({"accessKeyId": "AKIAPROVIDER", "secretAccessKey": "providers3cret", "sessionToken": "providert0ken"});
    event["requestData"]["providerLogGroupName"] = "shelf-logs".into();
    event["bearerToken"] = "b3arer".into();
    event
}

const SECRETS: [&str; 7] =
    ["callers3cret", "callert0ken", "providers3cret", "providert0ken", "b3arer", "typec0nfiguration", "wr1teonly"];

/// Operations and bodies.
type Calls = Arc<Mutex<Vec<(String, String)>>>;

/// CloudWatch: what it was asked, and what it answers.
fn cloudwatch(answer: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> (Server, Calls) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = calls.clone();
    let server = Server::start(move |request: Request| {
        let operation = request.header("x-amz-target").map_or_else(
            || request.path.rsplit('/').next().unwrap_or_default().to_owned(),
            |target| target.rsplit('.').next().unwrap_or_default().to_owned(),
        );
        assert!(request.header("authorization").unwrap().contains("Credential=AKIAPROVIDER/"), "the owner's session");
        let before = seen.lock().unwrap().iter().filter(|(known, _)| *known == operation).count();
        seen.lock().unwrap().push((operation.clone(), String::from_utf8_lossy(&request.body).into_owned()));
        let answer = answer(&operation, before);
        match request.header("smithy-protocol") {
            Some(protocol) => answer.header("smithy-protocol", protocol).header("content-type", "application/cbor"),
            None => answer,
        }
    });
    (server, calls)
}

fn names(calls: &Calls) -> Vec<String> {
    let mut names: Vec<String> = calls.lock().unwrap().iter().map(|(name, _)| name.clone()).collect();
    names.sort();
    names
}

#[test]
fn logs_and_metrics_reach_their_owner() {
    let (server, calls) = cloudwatch(|operation, before| match operation {
        "PutLogEvents" if before == 0 => Answer::refusal(r#"{"__type": "ResourceNotFoundException"}"#),
        _ => Answer::ok("{}"),
    });
    let lambda = Lambda::start(SERVING, &[("AWS_ENDPOINT_URL", &server.url())]);

    // A failure is one line of log.
    let read = lambda.invoke(&event(Action::Read, &json!({"Id": "shelf/none"})));
    assert_eq!(read["errorCode"], "NotFound");
    assert_eq!(
        names(&calls),
        ["CreateLogGroup", "CreateLogStream", "PutLogEvents", "PutLogEvents", "PutMetricData", "PutMetricData"]
    );
    {
        let calls = calls.lock().unwrap();
        let bodies =
            |name: &str| calls.iter().filter(|(n, _)| n == name).map(|(_, body)| body.clone()).collect::<Vec<_>>();
        // They are sent side by side, so that either may come first.
        let (counts, others): (Vec<_>, Vec<_>) =
            bodies("PutMetricData").into_iter().partition(|body| body.contains("HandlerInvocationCount"));
        let [count] = counts.as_slice() else { panic!("{counts:?}") };
        for part in ["HandlerInvocationCount", "AWS/CloudFormation/Example/Toy/Shelf", "READ"] {
            assert!(count.contains(part), "{part}: {count}");
        }
        let [after] = others.as_slice() else { panic!("{others:?}") };
        for part in ["HandlerInvocationDuration", "HandlerException", "HandlerExceptionByErrorCode", "NotFound"] {
            assert!(after.contains(part), "{part}: {after}");
        }
        let lines: Value = serde_json::from_str(&bodies("PutLogEvents")[1]).unwrap();
        assert_eq!(lines["logGroupName"], "shelf-logs");
        let stream = "arn__aws__cloudformation__ap-southeast-2__123456789012__stack/harness/6f2c/Resource";
        assert_eq!(lines["logStreamName"], stream);
        assert!(lines["logEvents"][0]["message"].as_str().unwrap().contains("there is no such shelf"), "{lines}");
    }

    // Warm: no stream to create, and nothing to log where nothing went wrong.
    calls.lock().unwrap().clear();
    let created = lambda.invoke(&event(Action::Create, &json!({"Name": "a", "Boards": 1, "Code": "wr1teonly"})));
    assert_eq!(created["status"], "IN_PROGRESS");
    assert_eq!(names(&calls), ["PutMetricData", "PutMetricData"]);

    // The service quotes a write-only value; a template may be wrong in the same breath.
    let mut wrong = event(Action::Read, &json!({"Id": "shelf/wr1teonly", "Code": "wr1teonly"}));
    wrong["requestData"]["logicalResourceId"] = Value::Null;
    assert_eq!(lambda.invoke(&wrong)["errorCode"], "NotFound");
    let logs = calls.lock().unwrap().iter().rfind(|(name, _)| name == "PutLogEvents").unwrap().1.clone();
    assert!(logs.contains("shelf/REDACTED") && logs.contains("\"123456789012-ap-southeast-2\""), "{logs}");

    let printed = lambda.stop();
    assert!(printed.contains("there is no such shelf"), "standard output has the lines too: {printed}");
    let sent: String = calls.lock().unwrap().iter().map(|(_, body)| body.as_str()).collect();
    for secret in SECRETS {
        assert!(!printed.contains(secret) && !sent.contains(secret), "{secret} is in {printed} or {sent}");
    }
}

#[test]
fn the_most_talkative_log_tells_no_secret() {
    let (server, calls) = cloudwatch(|_, _| Answer::ok("{}"));
    let lambda = Lambda::start(SERVING, &[("AWS_ENDPOINT_URL", &server.url()), ("LOG_LEVEL", "trace")]);
    lambda.invoke(&event(Action::Create, &json!({"Name": "a", "Boards": 1, "Code": "wr1teonly"})));
    lambda.invoke(&event(Action::Read, &json!({"Id": "shelf/none"})));
    let printed = lambda.stop();
    let sent: String = calls.lock().unwrap().iter().map(|(_, body)| body.as_str()).collect();
    for secret in SECRETS {
        assert!(!printed.contains(secret) && !sent.contains(secret), "{secret} is told");
    }
}

#[test]
fn a_cloudwatch_that_fails_or_hangs_costs_two_seconds_at_most() {
    let (refuses, _) = cloudwatch(|_, _| Answer::status(403));
    let (hangs, _) = cloudwatch(|_, _| {
        std::thread::sleep(Duration::from_secs(20));
        Answer::status(500)
    });
    for url in [refuses.url(), hangs.url(), "http://127.0.0.1:1".into()] {
        let lambda = Lambda::start(SERVING, &[("AWS_ENDPOINT_URL", &url)]);
        let start = Instant::now();
        assert_eq!(lambda.invoke(&event(Action::Read, &json!({"Id": "shelf/none"})))["errorCode"], "NotFound");
        assert!(start.elapsed() < Duration::from_secs(4), "took {:?}", start.elapsed());
        lambda.stop();
    }
}

#[test]
fn without_the_owner_s_credentials_nothing_is_delivered() {
    let (server, calls) = cloudwatch(|_, _| Answer::ok("{}"));
    let lambda = Lambda::start(SERVING, &[("AWS_ENDPOINT_URL", &server.url())]);
    let mut event = event(Action::Read, &json!({"Id": "shelf/none"}));
    event["requestData"]["providerCredentials"] = Value::Null;
    assert_eq!(lambda.invoke(&event)["errorCode"], "NotFound");
    assert!(calls.lock().unwrap().is_empty());
    lambda.stop();
}

#[test]
fn schemas_are_printed_for_build_tools() {
    let schema = lambda::schemas(REGISTRY, Some("Example::Toy::Shelf")).unwrap();
    let one: Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(one["typeName"], "Example::Toy::Shelf");
    let all: Value = serde_json::from_str(&lambda::schemas(REGISTRY, None).unwrap()).unwrap();
    assert_eq!(all, json!([one]));
    let unknown = lambda::schemas(REGISTRY, Some("Example::Toy::Chair")).unwrap_err();
    assert!(unknown.message.contains("it serves Example::Toy::Shelf"), "{unknown}");
}

#[test]
fn a_text_that_is_no_json_is_answered_and_the_process_lives_on() {
    let lambda = Lambda::start(SERVING, &[]);
    for text in ["", "s3cr3t", "{\"action\": \"CREATE\", \"requestData\": {\"k\": \"s3cr3t"] {
        let (kind, body) = lambda.send(text.as_bytes(), Duration::from_secs(10));
        assert_eq!(kind, "response");
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&answer["status"], &answer["errorCode"]), (&json!("FAILED"), &json!("InvalidRequest")));
        assert!(!body.contains("s3cr3t"), "{body}");
    }
    assert_eq!(lambda.invoke(&event(Action::Read, &json!({"Id": "shelf/none"})))["errorCode"], "NotFound");
    lambda.stop();
}

/// A custom resource's event that is answered at `url`.
fn custom(url: &str, id: &str, kind: &str) -> Value {
    json!({
        "RequestType": kind, "ResponseURL": format!("{url}/answer?X-Amz-Signature=s1gnature"), "RequestId": id,
        "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/6f2c", "LogicalResourceId": "Shelf",
        "PhysicalResourceId": "shelf/a", "ResourceType": "Custom::Example-Toy-Shelf",
        "ResourceProperties": {"ServiceToken": "arn", "Name": "a", "Boards": "3", "Code": "wr1teonly"}
    })
}

#[test]
fn a_custom_resource_is_answered_at_its_url() {
    let answers = Arc::new(Mutex::new(Vec::new()));
    let seen = answers.clone();
    let bucket = Server::start(move |request| {
        assert_eq!((request.method.as_str(), request.header("content-type")), ("PUT", Some("")));
        let mut seen = seen.lock().unwrap();
        seen.push(serde_json::from_slice::<Value>(&request.body).unwrap());
        // The first answer is lost.
        Answer::status(if seen.len() == 1 { 503 } else { 200 })
    });
    let configuration = json!({"Service": "custom", "Secret": "typec0nfiguration"}).to_string();
    let lambda = Lambda::start(SERVING, &[("TYPE_CONFIGURATION", &configuration), ("LOG_LEVEL", "trace")]);
    let url = bucket.url();
    let created = lambda.invoke(&custom(&url, "r1", "Create"));
    assert_eq!(
        (&created["Status"], &created["PhysicalResourceId"]),
        (&json!("SUCCESS"), &json!("shelf/a")),
        "{created}"
    );
    assert_eq!(lambda.invoke(&custom(&url, "r1", "Create")), created, "the same request has the same answer");
    assert_eq!(lambda.invoke(&custom(&url, "r2", "Create"))["Status"], "FAILED", "another finds it taken");
    assert_eq!(lambda.invoke(&custom(&url, "r3", "Delete"))["Status"], "SUCCESS");
    let statuses: Vec<Value> = answers.lock().unwrap().iter().map(|answer| answer["Status"].clone()).collect();
    assert_eq!(statuses, ["SUCCESS", "SUCCESS", "SUCCESS", "FAILED", "SUCCESS"]);

    // Nobody takes the answer: Lambda must send the event again.
    let mut nowhere = custom("http://127.0.0.1:1", "r4", "Delete");
    nowhere["ResourceProperties"]["Name"] = "b".into();
    let (kind, body) = lambda.send(nowhere.to_string().as_bytes(), Duration::from_secs(4));
    assert_eq!(kind, "error");
    let printed = lambda.stop();
    for secret in ["s1gnature", "wr1teonly", "typec0nfiguration"] {
        assert!(!printed.contains(secret) && !body.contains(secret), "{secret} is told: {body} {printed}");
    }
}
