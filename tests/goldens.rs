//! Protocol goldens: an event and its answer a file, for every action, status and error code.
//!
//! `UPDATE_GOLDENS=1 cargo test --test goldens` writes `tests/goldens/` again; the diff is the review.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "other tests use the rest")]
mod toy;

use cfn_provider::{
    Action, Entry, HandlerErrorCode as Code, Retry, lambda,
    testing::{self, stringly},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, env, fs, path::PathBuf, time::Duration};
use toy::{Fault, service};

const REGISTRY: &[Entry] = &[Entry::of::<toy::Shelf>()];

/// A request as CloudFormation sends it in a stack: every key there, what is not meant null, every primitive a string.
fn production(name: &str, action: Action, model: Value, previous: Value, callback: Value) -> Value {
    json!({
        "action": action, "awsAccountId": "123456789012", "bearerToken": "00000000-0000-0000-0000-000000000000",
        "region": "ap-southeast-2", "responseEndpoint": null, "nextToken": null, "maxResults": null,
        "resourceType": "Example::Toy::Shelf", "resourceTypeVersion": "00000008",
        "stackId": "arn:aws:cloudformation:ap-southeast-2:123456789012:stack/shop/11111111-1111-1111-1111-111111111111",
        "callbackContext": callback, "snapshotRequested": null, "rollback": null, "driftable": null,
        "features": {}, "updatePolicy": {}, "creationPolicy": {},
        "requestContext": {"invocation": 1, "callbackContext": {}},
        "requestData": {
            "callerCredentials": {"accessKeyId": "AKIAEXAMPLE", "secretAccessKey": "planted", "sessionToken": "planted"},
            "providerCredentials": null, "platformCredentials": null, "providerLogGroupName": null,
            "logicalResourceId": "Shelf", "resourceProperties": stringly(model),
            "previousResourceProperties": stringly(previous),
            "typeConfiguration": {"Service": name, "Secret": "planted"},
            "systemTags": {"aws:cloudformation:stack-name": "shop"}, "previousSystemTags": null,
            "stackTags": null, "previousStackTags": null
        }
    })
}

/// What the case's service has and does.
#[derive(Default)]
struct Service {
    /// Names of shelves that are there.
    shelves: &'static [&'static str],
    faults: Vec<Fault>,
}

fn there(shelves: &'static [&'static str]) -> Service {
    Service { shelves, faults: Vec::new() }
}

fn cases() -> Vec<(String, Service, Value)> {
    let mut cases: Vec<(String, Service, Value)> = Vec::new();
    let model =
        || json!({"Name": "a", "Boards": 3, "Mounted": true, "Code": "planted", "Tags": [{"Key": "k", "Value": "v"}]});
    let known = || json!({"Id": "shelf/a", "Name": "a", "Boards": 3, "Code": "planted"});
    let white = || json!({"Id": "shelf/a", "Name": "a", "Boards": 3, "Colour": "White", "Code": "planted"});
    // Without its times a context begins now, so a golden does not age.
    let at = |stage: Value| json!({"id": {"Id": "shelf/a"}, "stage": stage, "attempt": 2});
    let mut case = |name: &str, service: Service, action: Action, model: Value, previous: Value, callback: Value| {
        cases.push((name.into(), service, production(name, action, model, previous, callback)));
    };
    use Action::{Create, Delete, List, Read, Update};
    let none = || Value::Null;
    case("create-begins", there(&[]), Create, model(), none(), none());
    case("create-without-a-name-begins", there(&[]), Create, json!({"Boards": 1}), none(), none());
    case("create-ends", there(&[]), Create, known(), none(), at(json!("Act")));
    case("create-waits", there(&[]), Create, white(), none(), at(json!("Act")));
    case("create-waits-on", there(&["a"]), Create, white(), none(), at(json!({"Wait": {"Drying": {"coats": 1}}})));
    case("create-of-another-version-goes-on", there(&[]), Create, known(), none(), json!({"stabilization": 3}));
    case("read", there(&["a"]), Read, json!({"Id": "shelf/a"}), none(), none());
    case("update", there(&["a"]), Update, model_with(known(), "Boards", json!(4)), known(), none());
    case(
        "update-settles",
        there(&["a"]),
        Update,
        model_with(known(), "Boards", json!(4)),
        known(),
        at(json!("Settle")),
    );
    case("delete", there(&["a"]), Delete, json!({"Id": "shelf/a"}), none(), none());
    case("delete-repeated", there(&[]), Delete, json!({"Id": "shelf/a"}), none(), at(json!("Act")));
    case("list-first-page", there(&["a", "b", "c"]), List, json!({}), none(), none());
    let throttled = Fault::Fails(Code::Throttling, Some(Retry { after: Some(Duration::from_secs(17)), within: None }));
    let busy = Service { shelves: &["a"], faults: vec![throttled] };
    case("delete-throttled", busy, Delete, json!({"Id": "shelf/a"}), none(), none());
    case("refused-exists", there(&["a"]), Create, model(), none(), none());
    case("refused-model", there(&[]), Create, json!({"Boards": "three", "Code": "pl"}), none(), none());
    case("refused-replacement", there(&["a"]), Update, model_with(known(), "Name", json!("b")), known(), none());
    case("refused-update-of-nothing", there(&[]), Update, json!({"Boards": 3}), none(), none());
    let panics = Service { faults: vec![Fault::Panics], ..Service::default() };
    case("refused-by-a-bug", panics, Read, json!({"Id": "shelf/a"}), none(), none());
    for code in Code::ALL {
        let fails = Service { faults: vec![Fault::Fails(code, None)], ..Service::default() };
        case(&format!("error-{code:?}"), fails, Read, json!({"Id": "shelf/a"}), none(), none());
    }

    let mut last = production("list-last-page", List, json!({}), none(), none());
    last["nextToken"] = "2".into();
    cases.push(("list-last-page".into(), there(&["a", "b", "c"]), last));
    let mut event = production("refused-type", Read, json!({}), none(), none());
    event["resourceType"] = "Example::Toy::Chair".into();
    cases.push(("refused-type".into(), there(&[]), event));
    let mut event = production("refused-action", Read, json!({}), none(), none());
    event["action"] = "FROBNICATE".into();
    cases.push(("refused-action".into(), there(&[]), event));
    let mut event = production("refused-configuration", Read, json!({}), none(), none());
    event["requestData"]["typeConfiguration"] = Value::Null;
    cases.push(("refused-configuration".into(), there(&[]), event));
    let cfn_test = json!({
        "action": "READ", "awsAccountId": "123456789012", "bearerToken": "t", "region": "ap-southeast-2",
        "resourceType": "Example::Toy::Shelf", "callbackContext": null,
        "requestData": {
            "callerCredentials": {"accessKeyId": "AKIAEXAMPLE", "secretAccessKey": "planted", "sessionToken": "planted"},
            "resourceProperties": {"Id": "shelf/a"}, "previousResourceProperties": null, "logicalResourceId": "Shelf",
            "typeConfiguration": {"Service": "request-of-cfn-test", "Secret": "planted"}
        }
    });
    cases.push(("request-of-cfn-test".into(), there(&["a"]), cfn_test));
    let old = json!({
        "credentials": {"accessKeyId": "AKIAEXAMPLE", "secretAccessKey": "planted", "sessionToken": "planted"},
        "action": "READ", "callbackContext": null, "region": "ap-southeast-2",
        "request": {"clientRequestToken": "t", "desiredResourceState": {"Id": "shelf/a"}, "logicalResourceIdentifier": "Shelf",
                    "typeConfiguration": {"Service": "request-of-the-old-entrypoint", "Secret": "planted"}}
    });
    cases.push(("request-of-the-old-entrypoint".into(), there(&["a"]), old));
    cases
}

fn model_with(mut model: Value, name: &str, value: Value) -> Value {
    model[name] = value;
    model
}

/// Times are the only thing in an answer that another day changes.
fn timeless(answer: &mut Value) {
    for time in ["/callbackContext/since", "/callbackContext/settling_since"] {
        if let Some(time) = answer.pointer_mut(time) {
            *time = 0.into();
        }
    }
}

#[tokio::test]
async fn events_and_answers() {
    std::panic::set_hook(Box::new(|_| {})); // One case is a panic of the handler.
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens"));
    let update = env::var_os("UPDATE_GOLDENS").is_some();
    let (mut seen, mut names, mut differing) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for (name, setup, event) in cases() {
        let (service, _) = service(&name);
        for shelf in setup.shelves {
            let model = json!({"Id": format!("shelf/{shelf}"), "Name": shelf, "Boards": 3});
            service.lock().unwrap().shelves.insert(format!("shelf/{shelf}"), serde_json::from_value(model).unwrap());
        }
        service.lock().unwrap().faults.extend(setup.faults);
        let answer = lambda::answer(REGISTRY, event.clone(), Duration::from_secs(60), "reference").await;
        let action = serde_json::from_value(event["action"].clone()).ok();
        assert_eq!(testing::breach((REGISTRY[0].schema)(), action, &answer), None, "{name}: {answer:?}");
        let mut answer = serde_json::to_value(&answer).unwrap();
        timeless(&mut answer);
        let in_progress = answer["status"] == "IN_PROGRESS";
        assert!(in_progress || !answer.to_string().contains("planted"), "{name} tells a secret: {answer}");

        seen.insert(event["action"].to_string());
        seen.insert(answer["status"].to_string());
        seen.insert(answer["errorCode"].to_string());
        let golden = serde_json::to_string_pretty(&json!({"event": event, "answer": answer})).unwrap() + "\n";
        let file = folder.join(format!("{name}.json"));
        if update {
            fs::write(&file, golden).unwrap();
        } else if fs::read_to_string(&file).ok().as_deref() != Some(golden.as_str()) {
            differing.push(format!("{name}: {answer}"));
        }
        names.insert(format!("{name}.json"));
    }
    assert!(differing.is_empty(), "not as in tests/goldens; UPDATE_GOLDENS=1 writes them: {differing:#?}");

    let files: BTreeSet<String> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, names, "a file a case");
    for wanted in Action::ALL.map(|action| json!(action)).into_iter().chain(Code::ALL.map(|code| json!(code))) {
        assert!(seen.contains(&wanted.to_string()), "no golden has {wanted}");
    }
    for status in ["SUCCESS", "FAILED", "IN_PROGRESS"] {
        assert!(seen.contains(&format!("\"{status}\"")), "no golden has {status}");
    }
}
