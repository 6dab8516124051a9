#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use super::*;
use crate::error::Retry;
use serde_json::json;
use toy::{Fault, Service, service, ticket::Ticket};

#[allow(dead_code, unreachable_pub, reason = "other tests use the rest")]
#[path = "../../tests/toy/mod.rs"]
mod toy;

const REGISTRY: &[Entry] = &[Entry::of::<toy::Shelf>(), Entry::of::<Ticket>()];
const TIME: Duration = Duration::from_secs(900);

/// One custom resource of one stack.
struct Stack {
    test: String,
    service: std::sync::Arc<Mutex<Service>>,
}

impl Stack {
    fn new(test: &str) -> Self {
        let test = format!("custom {test}");
        Self { service: service(&test).0, test }
    }

    fn event(kind: &str, physical: &str, properties: &Value, old: &Value) -> Value {
        let mut properties = properties.clone();
        properties["ServiceToken"] = "arn:aws:lambda:eu-west-1:123456789012:function:f".into();
        json!({
            "RequestType": kind, "ResponseURL": "https://example/?sig=s3cr3t", "RequestId": format!("{kind} {physical}"),
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/6f2c", "LogicalResourceId": "Shelf",
            "PhysicalResourceId": physical, "ResourceType": "Custom::Example-Toy-Shelf",
            "ResourceProperties": properties, "OldResourceProperties": old
        })
    }

    async fn send(&self, event: Value, time: Duration) -> Value {
        let settings = Settings {
            type_configuration: Some(json!({"Service": self.test, "Secret": "t0psecret"}).to_string().into()),
            credentials: None,
        };
        let request = Request::read(event);
        answer(REGISTRY, &request, &settings, Instant::now() + time, "reference").await.into_body(&request)
    }

    async fn create(&self, properties: &Value) -> Value {
        let mut event = Self::event("Create", "", properties, &Value::Null);
        event["PhysicalResourceId"] = Value::Null;
        self.send(event, TIME).await
    }

    async fn update(&self, physical: &Value, old: &Value, new: &Value) -> Value {
        self.send(Self::event("Update", physical.as_str().unwrap(), new, old), TIME).await
    }

    async fn delete(&self, physical: &Value, properties: &Value) -> Value {
        self.send(Self::event("Delete", physical.as_str().unwrap(), properties, &Value::Null), TIME).await
    }

    fn shelves(&self) -> Vec<String> {
        self.service.lock().unwrap().shelves.keys().cloned().collect()
    }

    fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.service.lock().unwrap().faults.extend(faults);
    }
}

fn failed(answer: &Value) -> &str {
    assert_eq!(answer["Status"], "FAILED", "{answer}");
    answer["Reason"].as_str().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_resource_lives() {
    let stack = Stack::new("lives");
    let shelf = json!({"Name": "a", "Boards": "3", "Colour": "White", "Code": "0000", "Finish": {"Wood": "2"}, "NoEcho": "true"});
    let created = stack.create(&shelf).await;
    assert_eq!(
        created,
        json!({
            "Status": "SUCCESS", "PhysicalResourceId": "shelf/a", "NoEcho": true, "RequestId": "Create ",
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/shop/6f2c", "LogicalResourceId": "Shelf",
            "Data": {"Id": "shelf/a", "Name": "a", "Boards": 3, "Colour": "White", "Finish.Wood": 2, "Tags": []}
        })
    );
    let mut wider = shelf.clone();
    wider["Boards"] = "4".into();
    let updated = stack.update(&created["PhysicalResourceId"], &shelf, &wider).await;
    assert_eq!(
        (&updated["Status"], &updated["PhysicalResourceId"]),
        (&json!("SUCCESS"), &json!("shelf/a")),
        "{updated}"
    );
    assert_eq!(updated["Data"]["Boards"], 4);

    for _ in 0..2 {
        assert_eq!(stack.delete(&json!("shelf/a"), &wider).await["Status"], "SUCCESS", "a repeated delete too");
    }
    assert!(stack.shelves().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_create_only_change_replaces() {
    let stack = Stack::new("replaces");
    let (a, b) = (json!({"Name": "a", "Boards": 3}), json!({"Name": "b", "Boards": 3}));
    stack.create(&a).await;
    let replaced = stack.update(&json!("shelf/a"), &a, &b).await;
    assert_eq!(replaced["PhysicalResourceId"], "shelf/b", "{replaced}");
    assert_eq!(stack.shelves(), ["shelf/a", "shelf/b"], "CloudFormation deletes the old one");

    // What can only sometimes change in place: the service decides.
    let stack = Stack::new("replaces conditionally");
    let (dark, light) = (json!({"Boards": 1, "Finish": {"Wood": 3}}), json!({"Boards": 1, "Finish": {"Wood": 2}}));
    let created = stack.create(&dark).await;
    let replaced = stack.update(&created["PhysicalResourceId"], &dark, &light).await;
    assert_eq!(replaced["Status"], "SUCCESS", "{replaced}");
    assert_ne!(replaced["PhysicalResourceId"], created["PhysicalResourceId"]);
    assert_eq!(stack.shelves().len(), 2);

    // What can never change, and names no other resource, is not replaced by itself.
    let smaller = json!({"Boards": 0, "Finish": {"Wood": 2}});
    assert!(failed(&stack.update(&replaced["PhysicalResourceId"], &light, &smaller).await).contains("/Boards"));
}

#[tokio::test(start_paused = true)]
async fn a_rolled_back_replacement_finds_what_was_there_before() {
    let stack = Stack::new("rolls back");
    let (before, after) =
        (json!({"Boards": 1, "Finish": {"Maker": "m"}}), json!({"Boards": 1, "Finish": {"Maker": "n"}}));
    let first = stack.create(&before).await;
    let second = stack.update(&first["PhysicalResourceId"], &before, &after).await;
    assert_ne!(second["PhysicalResourceId"], first["PhysicalResourceId"], "{second}");
    let back = stack.update(&second["PhysicalResourceId"], &after, &before).await;
    assert_eq!(back["Status"], "SUCCESS", "{back}");
    assert_eq!(back["PhysicalResourceId"], first["PhysicalResourceId"]);
    assert_eq!(stack.shelves().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_create_finds_its_own_work_and_leaves_others_alone() {
    let stack = Stack::new("repeats");
    let first = stack.create(&json!({"Boards": 1})).await;
    let again = stack.create(&json!({"Boards": 1})).await;
    assert_eq!((&again["Status"], &again["PhysicalResourceId"]), (&json!("SUCCESS"), &first["PhysicalResourceId"]));

    let named = json!({"Name": "theirs", "Boards": 1});
    stack.create(&named).await;
    let refused = stack.create(&named).await;
    assert!(failed(&refused).contains("AlreadyExists"), "{refused}");
    // CloudFormation rolls the failed create back by deleting what was answered.
    assert_eq!(stack.delete(&refused["PhysicalResourceId"], &named).await["Status"], "SUCCESS");
    assert_eq!(stack.shelves().len(), 2, "nothing was deleted");
}

#[tokio::test(start_paused = true)]
async fn a_failed_create_leaves_nothing_behind() {
    let shelf = json!({"Name": "a", "Boards": 1, "Colour": "White"});
    let fails = || Fault::Fails(HandlerErrorCode::GeneralServiceException, None);
    // Check, PUT, two looks, then the fault; after it the delete's own calls.
    let stack = Stack::new("undoes");
    stack.faults([Fault::Passes, Fault::Passes, Fault::Passes, fails()]);
    let answer = stack.create(&shelf).await;
    assert!(failed(&answer).contains("out of order (GeneralServiceException)"), "{answer}");
    assert!(answer["PhysicalResourceId"].as_str().unwrap().starts_with(NOTHING));
    assert!(stack.shelves().is_empty());

    // Where it cannot be undone, CloudFormation learns what to delete.
    let stack = Stack::new("cannot undo");
    stack.faults([Fault::Passes, Fault::Passes, fails(), fails()]);
    let answer = stack.create(&shelf).await;
    assert!(failed(&answer).contains("; and then deleting"), "{answer}");
    assert_eq!(answer["PhysicalResourceId"], "shelf/a");

    // A replacement that fails keeps the resource that works.
    let stack = Stack::new("undoes replacement");
    stack.create(&shelf).await;
    stack.faults([Fault::Passes, Fault::Passes, fails()]);
    let answer = stack.update(&json!("shelf/a"), &shelf, &json!({"Name": "b", "Boards": 1, "Colour": "White"})).await;
    failed(&answer);
    assert_eq!(answer["PhysicalResourceId"], "shelf/a");
    assert_eq!(stack.shelves(), ["shelf/a"]);
}

/// The event of a resource that only the service can name.
fn of_ticket(kind: &str, physical: &str, properties: &Value, old: &Value) -> Value {
    let mut event = Stack::event(kind, physical, properties, old);
    event["ResourceType"] = "Custom::Example-Toy-Ticket".into();
    if physical.is_empty() {
        event["PhysicalResourceId"] = Value::Null;
    }
    event
}

#[tokio::test(start_paused = true)]
async fn what_only_the_service_can_name_is_found_again_and_undone() {
    let (a, b) = (json!({"Holder": "a"}), json!({"Holder": "b"}));
    let stack = Stack::new("claims");
    let numbers = || stack.service.lock().unwrap().tickets.keys().cloned().collect::<Vec<_>>();
    for _ in 0..2 {
        let created = stack.send(of_ticket("Create", "", &a, &Value::Null), TIME).await;
        assert_eq!(
            (&created["Status"], &created["PhysicalResourceId"]),
            (&json!("SUCCESS"), &json!("no-1")),
            "{created}"
        );
    }
    // A replacement that is rolled back finds what was there before.
    let replaced = stack.send(of_ticket("Update", "no-1", &b, &a), TIME).await;
    assert_eq!(replaced["PhysicalResourceId"], "no-2", "{replaced}");
    let back = stack.send(of_ticket("Update", "no-2", &a, &b), TIME).await;
    assert_eq!(back["PhysicalResourceId"], "no-1", "{back}");
    assert_eq!(numbers(), ["no-1", "no-2"]);
    assert_eq!(stack.send(of_ticket("Delete", "no-2", &b, &Value::Null), TIME).await["Status"], "SUCCESS");

    // What an earlier delivery has finished is not undone by a repetition that fails.
    let fails = || Fault::Fails(HandlerErrorCode::GeneralServiceException, None);
    stack.faults([Fault::Passes, fails()]);
    let again = stack.send(of_ticket("Create", "", &a, &Value::Null), TIME).await;
    assert!(failed(&again).contains("out of order"), "{again}");
    assert_eq!(
        stack.send(of_ticket("Delete", again["PhysicalResourceId"].as_str().unwrap(), &a, &Value::Null), TIME).await["Status"],
        "SUCCESS"
    );
    assert_eq!(numbers(), ["no-1"]);

    // A create that fails after its claim leaves nothing, and one whose claim fails has nothing to leave.
    let stack = Stack::new("claims and fails");
    for faults in [vec![Fault::Passes, Fault::Passes, fails()], vec![fails()]] {
        stack.faults(faults);
        let answer = stack.send(of_ticket("Create", "", &a, &Value::Null), TIME).await;
        assert!(failed(&answer).contains("out of order"), "{answer}");
        assert!(answer["PhysicalResourceId"].as_str().unwrap().starts_with(NOTHING));
        assert!(stack.service.lock().unwrap().tickets.is_empty());
    }
    stack.faults([Fault::Passes, Fault::Passes, fails(), fails()]);
    let answer = stack.send(of_ticket("Create", "", &a, &Value::Null), TIME).await;
    assert_eq!(answer["PhysicalResourceId"], "no-1", "CloudFormation learns what to delete: {answer}");
    assert_eq!(stack.send(of_ticket("Delete", "no-1", &a, &Value::Null), TIME).await["Status"], "SUCCESS");
    assert!(stack.service.lock().unwrap().tickets.is_empty());
}

#[tokio::test(start_paused = true)]
async fn time_that_ends_is_an_answer() {
    let stack = Stack::new("slow");
    let busy = Fault::Fails(HandlerErrorCode::ResourceConflict, Some(Retry::default()));
    stack.faults([Fault::Passes].into_iter().chain(std::iter::repeat_n(busy, 7)));
    let start = Instant::now();
    let mut event = Stack::event("Create", "", &json!({"Name": "a", "Boards": 1}), &Value::Null);
    event["PhysicalResourceId"] = Value::Null;
    let answer = stack.send(event, Duration::from_secs(60)).await;
    assert!(failed(&answer).contains("not finished within this Lambda's time"), "{answer}");
    assert!(start.elapsed() < Duration::from_secs(60), "took {:?}", start.elapsed());
    assert!(stack.shelves().is_empty());

    let hanging = Stack::new("hangs");
    hanging.create(&json!({"Name": "a", "Boards": 1})).await;
    hanging.faults(std::iter::repeat_n(Fault::Hangs, 50));
    let start = Instant::now();
    failed(&hanging.send(Stack::event("Delete", "shelf/a", &json!({}), &Value::Null), Duration::from_secs(200)).await);
    assert!(start.elapsed() <= Duration::from_secs(200), "took {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_malformed_event_is_answered_all_the_same() {
    let stack = Stack::new("malformed");
    for (key, value, expected) in [
        ("RequestType", json!("Destroy"), "none of Create, Update, Delete"),
        ("RequestType", Value::Null, "none of Create, Update, Delete"),
        ("ResourceType", json!("Custom::Example-Toy-Chair"), "it serves Custom::Example-Toy-Shelf"),
        ("ResourceProperties", Value::Null, "\"Boards\" is a required property"),
        ("ResourceProperties", json!({"Boards": 1, "Code": "s3c"}), "/Code"),
        ("ResourceProperties", json!({"Boards": 1, "Nonsense": 1}), "'Nonsense' was unexpected"),
    ] {
        let mut event = Stack::event("Create", "", &json!({"Boards": 1}), &Value::Null);
        event["PhysicalResourceId"] = Value::Null;
        event[key] = value;
        let answer = stack.send(event, TIME).await;
        assert!(failed(&answer).contains(expected), "{answer}");
        assert!(!answer.to_string().contains("s3c"), "{answer}");
        assert_eq!(stack.delete(&answer["PhysicalResourceId"], &json!({})).await["Status"], "SUCCESS", "its roll-back");
    }
    assert!(failed(&stack.send(json!({"ResponseURL": "https://example"}), TIME).await).contains("RequestType"));
    assert!(!is_one(&json!({"RequestType": "Create"})), "nowhere to answer to");
    assert!(!is_one(&json!({"action": "READ", "ResponseURL": "x"})), "a handler request");
}

#[test]
fn an_answer_has_four_kilobytes() {
    let schema = crate::schema::of::<toy::Shelf>();
    let request = Request::read(Stack::event("Create", "", &json!({}), &Value::Null));
    let model = json!({"Label": "x".repeat(5_000), "Id": "shelf/a", "Finish": {"Wood": 2}, "Boards": 1});
    let body = Response::success("shelf/a".into()).with(schema, &model).into_body(&request);
    assert_eq!(body["Data"], json!({"Id": "shelf/a", "Finish.Wood": 2, "Boards": 1}));

    let model = json!({"Label": "x".repeat(3_600), "Name": "y".repeat(3_000), "Id": "z".repeat(500)});
    let body = Response::success("shelf/a".into()).with(schema, &model).into_body(&request);
    assert!(body.to_string().len() <= 4_096 && body["Data"]["Id"].is_string(), "{body}");
    let body = Response::failed("x".into(), "ä".repeat(4_000)).into_body(&request);
    assert!(body.to_string().len() <= 4_096);
}
