//! Whatever arrives, the answer is a ProgressEvent that keeps the protocol's rules and tells no secret.
//!
//! `PROPTEST_CASES` sets how many cases a property tries. What once failed belongs into `tests/corpus/`.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "other tests use the rest")]
mod toy;

use cfn_provider::{Action, Entry, ProgressEvent, lambda, protocol::OperationStatus, testing};
use proptest::{collection, prelude::*, sample::Index};
use serde_json::{Value, json};
use std::{fs, time::Duration};

const REGISTRY: &[Entry] = &[Entry::of::<toy::Shelf>()];
/// Planted in every place that may hold one.
const SECRETS: [&str; 6] =
    ["s3cret-caller", "s3cret-session", "s3cret-provider", "s3cret-bearer", "s3cret-type", "s3cret-model"];

fn answer(event: &[u8]) -> ProgressEvent {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(lambda::answer_text(REGISTRY, event, Duration::from_secs(60), "reference"))
}

/// Holds an answer against the rules.
fn check(event: &[u8]) -> Result<(), String> {
    let answer = answer(event);
    let parsed: Value = serde_json::from_slice(event).unwrap_or_default();
    let action = serde_json::from_value::<Action>(parsed["action"].clone()).ok();
    let compressed = parsed.get("__COMPRESSED__").is_some();
    if let Some(rule) = testing::breach((REGISTRY[0].schema)(), action, &answer).filter(|_| !compressed) {
        return Err(format!("{rule}: {answer:?}"));
    }
    let mut shown = serde_json::to_value(&answer).unwrap();
    if shown.as_object().unwrap().values().any(Value::is_null) {
        return Err(format!("an explicit null: {shown}"));
    }
    if answer.status == OperationStatus::InProgress {
        shown["resourceModel"] = Value::Null; // CloudFormation needs its write-only values for the next call.
    }
    let shown = shown.to_string();
    match SECRETS.iter().find(|secret| shown.contains(**secret)) {
        Some(secret) => Err(format!("{secret} is told: {shown}")),
        None => Ok(()),
    }
}

/// A valid request.
fn valid(action: Action, callback: usize) -> Value {
    let model = json!({"Id": "shelf/fuzz", "Name": "fuzz", "Boards": 1, "Books": ["a"], "Code": "s3cret-model",
                       "Finish": {"Wood": 1, "Recipe": "s3cret-model"}, "Tags": [{"Key": "k", "Value": "v"}]});
    let context = [
        Value::Null,
        json!({"id": {"Id": "shelf/fuzz"}, "stage": "Act", "attempt": 1, "since": 1_700_000_000}),
        json!({"id": {"Id": "shelf/fuzz"}, "stage": {"Wait": {"Drying": {"coats": 1}}}, "since": 1_700_000_000}),
        json!({"id": {"Id": "shelf/fuzz"}, "stage": "Settle", "since": 1_700_000_000, "settling_since": 1_700_000_000}),
    ][callback]
        .clone();
    json!({
        "action": action, "awsAccountId": "123456789012", "bearerToken": "s3cret-bearer", "region": "eu-west-1",
        "resourceType": "Example::Toy::Shelf", "stackId": "arn:aws:cloudformation:eu-west-1:1:stack/s/u",
        "nextToken": null,
        "callbackContext": context,
        "requestData": {
            "callerCredentials": {"accessKeyId": "AKIA", "secretAccessKey": "s3cret-caller", "sessionToken": "s3cret-session"},
            "providerLogGroupName": "group", "logicalResourceId": "Resource",
            "resourceProperties": model, "previousResourceProperties": model,
            "typeConfiguration": {"Service": "fuzz", "Secret": "s3cret-type"},
            "stackTags": {"a": "b"}, "previousStackTags": null, "systemTags": {"aws:x": "y"}
        }
    })
}

/// Any JSON value of modest size.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop_oneof![
            Just("CREATE"),
            Just("LIST"),
            Just("Id"),
            Just("shelf/fuzz"),
            Just("true"),
            Just("{{resolve:x}}"),
            Just("")
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            collection::vec(("[A-Za-z_]{0,8}", inner), 0..4)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(members) => members.iter().for_each(|(name, v)| pointers(v, &format!("{at}/{name}"), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| pointers(v, &format!("{at}/{i}"), found)),
        _ => {}
    }
}

/// Puts a value in the place of another, or takes that one away.
fn mutate(event: &mut Value, at: Index, with: Option<Value>) {
    let mut all = Vec::new();
    pointers(event, "", &mut all);
    let pointer = at.get(&all);
    match (with, pointer.rsplit_once('/')) {
        (None, Some((parent, name))) => {
            if let Some(Value::Object(members)) = event.pointer_mut(parent) {
                members.remove(name);
            }
        }
        (with, _) => *event.pointer_mut(pointer).unwrap() = with.unwrap_or_default(),
    }
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(96)
}

fn an_event() -> impl Strategy<Value = Value> {
    (0..5_usize, 0..4_usize).prop_map(|(action, callback)| valid(Action::ALL[action], callback))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_json_is_answered(event in any_json()) {
        prop_assert_eq!(check(event.to_string().as_bytes()), Ok(()));
    }

    #[test]
    fn any_bytes_are_answered(event in collection::vec(any::<u8>(), 0..64)) {
        prop_assert_eq!(check(&event), Ok(()));
    }

    #[test]
    fn a_mutated_event_is_answered(
        event in an_event(),
        mutations in collection::vec((any::<Index>(), proptest::option::of(any_json())), 1..4),
    ) {
        let mut event = event;
        for (at, with) in mutations {
            mutate(&mut event, at, with);
        }
        prop_assert_eq!(check(event.to_string().as_bytes()), Ok(()));
    }

    #[test]
    fn a_truncated_event_is_answered(event in an_event(), at in any::<Index>()) {
        let text = event.to_string();
        prop_assert_eq!(check(&text.as_bytes()[..at.index(text.len())]), Ok(()));
    }
}

#[test]
fn the_corpus_is_answered() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let mut files: Vec<_> = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "the corpus is there");
    for file in files {
        check(&fs::read(&file).unwrap()).unwrap_or_else(|rule| panic!("{}: {rule}", file.display()));
    }
}

#[test]
fn valid_events_do_what_they_say() {
    // The mutations start from here: were these refused, the properties above would try nothing.
    for action in Action::ALL {
        for callback in 0..4 {
            check(valid(action, callback).to_string().as_bytes()).unwrap();
        }
    }
    let first = answer(
        valid(Action::Create, 0)
            .to_string()
            .replace("shelf/fuzz", "shelf/new")
            .replace("\"fuzz\"", "\"new\"")
            .as_bytes(),
    );
    assert_eq!(first.status, OperationStatus::InProgress, "{first:?}");
}
