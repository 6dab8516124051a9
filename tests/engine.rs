//! The CloudFormation contract, held against a resource type in memory.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod toy;

use cfn_provider::{
    Action, HandlerErrorCode as Code, Retry,
    protocol::OperationStatus,
    testing::{Failure, Harness},
};
use serde_json::{Value, json};
use std::time::Duration;
use toy::{Fault, service};

fn shelf() -> Value {
    json!({"Name": "a", "Boards": 3, "Mounted": true, "Books": ["x", "y"], "Code": "0000", "Tags": [{"Key": "k", "Value": "v"}]})
}

fn without_code(mut model: Value) -> Value {
    model.as_object_mut().unwrap().remove("Code");
    model
}

fn code<T: std::fmt::Debug>(result: Result<T, Failure>) -> Code {
    result.expect_err("fails").code
}

#[tokio::test]
async fn a_resource_lives() {
    let (service, harness) = service("lives");
    let created = harness.create(&shelf()).await.unwrap();
    let mut expected = without_code(shelf());
    expected["Id"] = "shelf/a".into();
    assert_eq!(created, expected);
    assert_eq!(harness.read(&created).await.unwrap(), expected);

    let mut wanted = shelf();
    wanted["Boards"] = 4.into();
    wanted["Id"] = "shelf/a".into();
    let updated = harness.update(&shelf(), &wanted).await.unwrap();
    assert_eq!(updated["Boards"], 4);
    assert_eq!(harness.list(&json!({})).await.unwrap(), std::slice::from_ref(&updated));

    harness.delete(&updated).await.unwrap();
    assert_eq!(service.lock().unwrap().shelves.len(), 0);
    for failure in [
        code(harness.read(&updated).await),
        code(harness.update(&updated, &updated).await),
        code(harness.delete(&updated).await),
    ] {
        assert_eq!(failure, Code::NotFound);
    }
    assert!(harness.list(&json!({})).await.unwrap().is_empty());
    harness.create(&shelf()).await.unwrap();
}

#[tokio::test]
async fn what_is_hardly_meant_is_done_and_said() {
    let (_, harness) = service("warned");
    let says = Some("warning: /Boards: 91 are more than a wall bears");
    let event = harness.event(Action::Create, &json!({"Name": "a", "Boards": 91}));
    assert_eq!(harness.invoke(event.clone()).await.message.as_deref(), says);
    let created = harness.drive(event).await.unwrap();
    assert_eq!(created.message.as_deref(), says);
    let model = created.resource_model.unwrap();
    let updated = harness.drive(harness.event(Action::Update, &model)).await.unwrap();
    assert_eq!(updated.message.as_deref(), says);
    assert_eq!(harness.drive(harness.event(Action::Delete, &model)).await.unwrap().message, None);
    assert_eq!(harness.drive(harness.event(Action::Create, &shelf())).await.unwrap().message, None);
}

#[tokio::test]
async fn lists_follow_pages() {
    let (_, harness) = service("pages");
    for name in ["a", "b", "c", "d", "e"] {
        harness.create(&json!({"Name": name, "Boards": 1})).await.unwrap();
    }
    assert_eq!(harness.list(&json!({})).await.unwrap().len(), 5);
}

#[tokio::test]
async fn the_identifier_is_known_before_the_service_hears_of_the_resource() {
    let (service, harness) = service("durable");
    let first = harness.invoke(harness.event(Action::Create, &json!({"Boards": 1}))).await;
    assert_eq!(first.status, OperationStatus::InProgress);
    let model = first.resource_model.unwrap();
    let name = model["Name"].as_str().unwrap();
    assert!(name.starts_with("harness-resource-"), "a name is derived: {name}");
    assert_eq!(model["Id"], format!("shelf/{name}"));
    assert_eq!(service.lock().unwrap().calls, [format!("GET shelf/{name}")], "nothing was created yet");
}

#[tokio::test]
async fn what_exists_is_not_created_again_nor_offered_for_deletion() {
    let (service, harness) = service("exists");
    harness.create(&shelf()).await.unwrap();
    let again = harness.invoke(harness.event(Action::Create, &shelf())).await;
    assert_eq!(again.error_code, Some(Code::AlreadyExists));
    assert_eq!(again.resource_model, None);

    // Unknown whether it exists: an identifier in an IN_PROGRESS would let a rollback delete somebody else's resource.
    let throttled = Fault::Fails(Code::Throttling, Some(Retry::default()));
    service.lock().unwrap().faults.push_back(throttled);
    let unknown = harness.invoke(harness.event(Action::Create, &shelf())).await;
    assert_eq!((unknown.status, unknown.error_code), (OperationStatus::Failed, Some(Code::Throttling)));
    assert_eq!(unknown.resource_model, None);
}

#[tokio::test]
async fn a_bad_model_is_refused_before_the_service_is_asked() {
    let (service, harness) = service("bad");
    for (model, expected) in [
        (json!({}), "\"Boards\" is a required property"),
        (json!({"Boards": "three"}), "/Boards: \"three\" is not of type \"integer\""),
        (json!({"Boards": 0}), "/Boards: 0 is less than the minimum of 1"),
        (json!({"Boards": 1, "Name": "A b"}), "/Name: \"A b\" does not match"),
        (json!({"Boards": 1, "Colour": "Blue"}), "/Colour: \"Blue\" is not one of"),
        (json!({"Boards": 1, "Shape": "round"}), "'Shape' was unexpected"),
        (json!({"Boards": 1, "Books": ["{{resolve:ssm:book}}"]}), "/Books/0: a dynamic reference"),
        (json!({"Boards": 1, "Tags": [{"Key": "k"}]}), "/Tags/0: \"Value\" is a required property"),
    ] {
        for action in [Action::Create, Action::Update] {
            let answer = harness.invoke(harness.event(action, &model)).await;
            let message = answer.message.unwrap();
            assert_eq!(answer.error_code, Some(Code::InvalidRequest), "{message}");
            assert!(message.contains(expected), "{message}");
        }
    }
    let secret = harness.invoke(harness.event(Action::Create, &json!({"Boards": 1, "Code": "s3"}))).await;
    let message = secret.message.unwrap();
    assert!(message.contains("/Code") && !message.contains("s3"), "{message}");
    assert!(service.lock().unwrap().calls.is_empty());
}

#[tokio::test]
async fn create_only_properties_do_not_change() {
    let (_, harness) = service("create-only");
    let created = harness.create(&shelf()).await.unwrap();
    let mut renamed = created.clone();
    renamed["Name"] = "b".into();
    let failure = harness.update(&created, &renamed).await.unwrap_err();
    assert_eq!(failure.code, Code::NotUpdatable);
    assert!(failure.message.contains("/Name"), "{}", failure.message);

    let mut shrunk = created.clone();
    shrunk["Boards"] = 1.into();
    assert_eq!(code(harness.update(&created, &shrunk).await), Code::NotUpdatable);

    // A template that leaves the name out does not change it.
    let mut unnamed = created.clone();
    unnamed.as_object_mut().unwrap().remove("Name");
    harness.update(&created, &unnamed).await.unwrap();
}

#[tokio::test]
async fn a_request_without_identifier_finds_nothing() {
    let (_, harness) = service("nameless");
    for action in [Action::Read, Action::Update, Action::Delete] {
        let answer = harness.invoke(harness.event(action, &json!({"Boards": 1}))).await;
        assert_eq!(answer.error_code, Some(Code::NotFound));
    }
}

#[tokio::test]
async fn waiting_is_done_by_callbacks() {
    let (service, harness) = service("waits");
    let mut event = harness.event(Action::Create, &json!({"Name": "w", "Boards": 1, "Colour": "White"}));
    let mut delays = Vec::new();
    loop {
        let answer = harness.invoke(event.clone()).await;
        if answer.status == OperationStatus::Success {
            break;
        }
        delays.push(answer.callback_delay_seconds.unwrap());
        event["callbackContext"] = answer.callback_context.unwrap();
        event["requestData"]["resourceProperties"] = answer.resource_model.unwrap();
    }
    assert_eq!(delays, [0, 7, 7, 7]);
    assert_eq!(service.lock().unwrap().calls.iter().filter(|call| call.starts_with("PUT")).count(), 1);
}

#[tokio::test]
async fn transient_errors_are_repeated_with_the_service_s_delay() {
    for (retry, delays) in
        [(Retry { after: Some(Duration::from_secs(17)), within: None }, [17, 17]), (Retry::default(), [1, 2])]
    {
        let (service, harness) = service(&format!("throttled {delays:?}"));
        let created = harness.create(&shelf()).await.unwrap();
        let fault = Fault::Fails(Code::Throttling, Some(retry));
        service.lock().unwrap().faults.extend([fault.clone(), fault]);
        let mut event = harness.event(Action::Delete, &created);
        let mut seen = Vec::new();
        let last = loop {
            let answer = harness.invoke(event.clone()).await;
            if answer.status != OperationStatus::InProgress {
                break answer;
            }
            seen.push(answer.callback_delay_seconds.unwrap());
            event["callbackContext"] = answer.callback_context.unwrap();
        };
        assert_eq!(last.status, OperationStatus::Success);
        assert_eq!(seen, delays);
    }
}

#[tokio::test]
async fn patience_ends() {
    let (service, harness) = service("patience");
    let created = harness.create(&shelf()).await.unwrap();
    let busy = |within| Fault::Fails(Code::ResourceConflict, Some(Retry { after: None, within }));

    // The error's own patience.
    service.lock().unwrap().faults.push_back(busy(Some(Duration::ZERO)));
    assert_eq!(code(harness.delete(&created).await), Code::ResourceConflict);

    // The operation's: its callback context says that it began long ago.
    service.lock().unwrap().faults.extend([busy(None), busy(None)]);
    let mut event = harness.event(Action::Delete, &created);
    let mut context = harness.invoke(event.clone()).await.callback_context.unwrap();
    context["since"] = 1.into();
    event["callbackContext"] = context;
    let answer = harness.invoke(event).await;
    assert_eq!(answer.error_code, Some(Code::ResourceConflict));
    assert!(answer.message.unwrap().contains("deleting Example::Toy::Shelf shelf/a: "));
}

#[tokio::test]
async fn read_back_waits_for_the_change_to_show() {
    let (service, harness) = service("settles");
    service.lock().unwrap().lag = 3;
    let created = harness.create(&shelf()).await.unwrap();
    assert_eq!(created["Boards"], 3);

    let mut wanted = created.clone();
    wanted["Books"] = json!(["y", "z"]);
    assert_eq!(harness.update(&created, &wanted).await.unwrap()["Books"], json!(["y", "z"]));

    harness.delete(&created).await.unwrap();
}

#[tokio::test]
async fn what_never_shows_is_not_stabilized() {
    let (service, harness) = service("unsettled");
    let created = harness.create(&shelf()).await.unwrap();
    let mut wanted = created.clone();
    wanted["Boards"] = 5.into();
    service.lock().unwrap().lag = 100;
    let mut event = harness.event(Action::Update, &wanted);
    let answer = harness.invoke(event.clone()).await;
    let mut context = answer.callback_context.unwrap();
    context["settling_since"] = 1.into();
    event["callbackContext"] = context;
    let answer = harness.invoke(event).await;
    assert_eq!(answer.error_code, Some(Code::NotStabilized));
    assert!(answer.message.unwrap().contains("/Boards"));
}

#[tokio::test]
async fn stack_tags_join_the_resource_s_own() {
    let (_, harness) = service("tags");
    let harness = harness.stack_tags(json!({"team": "x", "k": "stack"}));
    let created = harness.create(&shelf()).await.unwrap();
    assert_eq!(created["Tags"], json!([{"Key": "k", "Value": "v"}, {"Key": "team", "Value": "x"}]));
}

/// Runs an invocation and kills it where the service says so; `None` for a killed one.
async fn killed(harness: &Harness, event: Value) -> Option<cfn_provider::ProgressEvent> {
    tokio::select! {
        answer = harness.invoke(event) => Some(answer),
        () = tokio::time::sleep(Duration::from_millis(20)) => None,
    }
}

#[tokio::test]
async fn a_create_that_dies_anywhere_leaves_no_orphan_and_is_repeated() {
    let model = json!({"Name": "k", "Boards": 1, "Colour": "White"});
    let mut points = 0;
    for call in 0.. {
        let mut reached = false;
        for death in [Fault::DiesBefore, Fault::DiesAfter] {
            let (service, harness) = service(&format!("dies {call} {death:?}"));
            service.lock().unwrap().faults.extend(std::iter::repeat_n(Fault::Passes, call).chain([death.clone()]));
            let mut event = harness.event(Action::Create, &model);
            let mut known = false;
            let answer = loop {
                let before = service.lock().unwrap().shelves.len();
                let answer = match killed(&harness, event.clone()).await {
                    Some(answer) => answer,
                    None => {
                        reached = true;
                        points += 1;
                        let exists = !service.lock().unwrap().shelves.is_empty();
                        assert!(!exists || known, "the service has a shelf that CloudFormation does not know of");
                        assert!(before <= 1);
                        continue; // CloudFormation sends the same event again.
                    }
                };
                known |= answer.resource_model.is_some();
                if answer.status != OperationStatus::InProgress {
                    break answer;
                }
                event["callbackContext"] = answer.callback_context.unwrap();
                event["requestData"]["resourceProperties"] = answer.resource_model.unwrap();
            };
            assert_eq!(answer.status, OperationStatus::Success, "died {death:?} call {call}: {answer:?}");
            assert_eq!(service.lock().unwrap().shelves.len(), 1);
        }
        if !reached {
            break; // The create makes fewer calls than that.
        }
    }
    assert_eq!(points, 12, "existence check, PUT, three looks at the paint, read-back: each before and after");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_ends_the_invocation_and_not_the_operation() {
    let (service, harness) = service("hangs");
    let created = harness.create(&shelf()).await.unwrap();
    for (action, budget, status) in [
        (Action::Read, 30, OperationStatus::Failed),
        (Action::Update, 60, OperationStatus::InProgress),
        (Action::Delete, 60, OperationStatus::InProgress),
    ] {
        service.lock().unwrap().faults.push_back(Fault::Hangs);
        let start = tokio::time::Instant::now();
        let answer = harness.invoke(harness.event(action, &created)).await;
        assert!(start.elapsed() < Duration::from_secs(budget), "{action:?} took {:?}", start.elapsed());
        assert_eq!(answer.status, status, "{action:?}");
    }
}

#[tokio::test]
async fn a_bug_is_an_answer_with_a_reference_and_without_its_text() {
    let (service, harness) = service("bug");
    service.lock().unwrap().faults.push_back(Fault::Panics);
    let answer = harness.invoke(harness.event(Action::Create, &shelf())).await;
    assert_eq!(answer.error_code, Some(Code::InternalFailure));
    let message = answer.message.unwrap();
    assert!(message.contains("the reference harness") && !message.contains("t0p"), "{message}");
}

#[tokio::test]
async fn the_type_configuration_is_explained_without_its_secrets() {
    for (configuration, expected) in [
        (Value::Null, "\"Service\" is a required property"),
        (json!({"Service": "x"}), "\"Secret\" is a required property"),
        (json!({"Service": "x", "Secret": "t0p", "Extra": 1}), "'Extra' was unexpected"),
        (json!({"Service": "x", "Secret": ["t0p"]}), "/Secret: value is not of type \"string\""),
        (json!("t0p"), "not JSON"),
    ] {
        let harness = Harness::new::<toy::Shelf>(configuration);
        let answer = harness.invoke(harness.event(Action::Create, &shelf())).await;
        let message = answer.message.unwrap();
        assert_eq!(answer.error_code, Some(Code::InvalidTypeConfiguration), "{message}");
        assert!(message.contains(expected) && !message.contains("t0p"), "{message}");
    }
    let text = Harness::new::<toy::Shelf>(json!("{\"Service\": \"as-text\", \"Secret\": \"t0p\"}"));
    text.create(&shelf()).await.unwrap();
}

#[tokio::test]
async fn an_unknown_type_and_a_foreign_callback_are_answered() {
    let (_, harness) = service("foreign");
    let mut event = harness.event(Action::Read, &json!({"Id": "shelf/a"}));
    event["resourceType"] = "Example::Toy::Chair".into();
    assert_eq!(harness.invoke(event).await.error_code, Some(Code::InvalidRequest));
}

#[tokio::test]
async fn an_operation_outlives_a_new_version_of_the_handler() {
    // What the version before may have left; this one cannot read all of it.
    let contexts = [
        json!({"id": {"Id": "shelf/w"}, "stage": {"Wait": {"Sanding": {"grit": 80}}}, "attempt": 4, "since": 1_000_000}),
        json!({"id": {"Id": "shelf/w"}, "stage": {"Poll": 3}, "since": u64::MAX, "more": true}),
        json!({"id": "shelf/w"}),
        json!({"stabilization": 3}),
    ];
    for (number, context) in contexts.into_iter().enumerate() {
        let (service, harness) = service(&format!("deployed {number}"));
        let model = json!({"Name": "w", "Boards": 1, "Colour": "White", "Code": "s3cr3t"});
        let first = harness.invoke(harness.event(Action::Create, &model)).await;
        for action in [Action::Create, Action::Update, Action::Delete] {
            let mut event = harness.event(action, &first.resource_model.clone().unwrap());
            event["callbackContext"] = context.clone();
            event["callbackContext"]["since"] = Value::Null; // Its patience is not what is tested here.
            let answer = harness.invoke(event.clone()).await;
            assert_eq!(answer.error_code, None, "{action:?} {context}: {answer:?}");
            if let Some(left) = &answer.callback_context {
                assert_eq!(left["id"], json!({"Id": "shelf/w"}), "the context holds the identifier alone");
                event["callbackContext"] = left.clone();
                harness.drive(event).await.unwrap();
            }
        }
        assert!(service.lock().unwrap().shelves.is_empty());
    }
}

#[tokio::test]
async fn a_context_and_a_model_that_name_nothing_touch_nothing() {
    let (service, harness) = service("nameless callback");
    for action in [Action::Create, Action::Update, Action::Delete] {
        let mut event = harness.event(action, &json!({"Boards": 1, "Code": "s3cr3t"}));
        event["callbackContext"] = json!({"stabilization": "s3cr3t"});
        let answer = harness.invoke(event).await;
        assert_eq!(answer.error_code, Some(Code::InternalFailure));
        let message = answer.message.unwrap();
        assert!(message.contains("nothing was changed") && !message.contains("s3cr3t"), "{message}");
    }
    assert!(service.lock().unwrap().calls.is_empty());
}

#[tokio::test]
async fn a_repeated_request_finds_what_it_named_itself() {
    let (service, harness) = service("own name");
    let event = harness.event(Action::Create, &json!({"Boards": 1}));
    harness.drive(event.clone()).await.unwrap();
    harness.drive(event.clone()).await.unwrap();
    assert_eq!(service.lock().unwrap().shelves.len(), 1);

    let mut other = event;
    other["bearerToken"] = "another operation".into();
    harness.drive(other).await.unwrap();
    assert_eq!(service.lock().unwrap().shelves.len(), 2);
}

#[tokio::test]
async fn a_value_that_the_service_normalises_keeps_the_template_s_form() {
    let (_, harness) = service("normalised");
    let mut wanted = shelf();
    wanted["Label"] = "Books..".into();
    let created = harness.create(&wanted).await.unwrap();
    assert_eq!(created["Label"], "Books..");
    assert_eq!(harness.read(&created).await.unwrap()["Label"], "Books", "what the service has");
    assert_eq!(harness.schema().json["propertyTransform"]["/properties/Label"], "$replace(Label, /\\.+$/, '')");
    assert!(!harness.schema().json.to_string().contains("x-cfn-"));
}

#[tokio::test]
async fn annotations_reach_into_nested_properties() {
    let (_, harness) = service("nested");
    let schema = &harness.schema().json;
    assert_eq!(schema["createOnlyProperties"], json!(["/properties/Name", "/properties/Finish/Maker"]));
    assert_eq!(schema["conditionalCreateOnlyProperties"], json!(["/properties/Finish/Wood"]));
    assert_eq!(schema["writeOnlyProperties"], json!(["/properties/Code", "/properties/Finish/Recipe"]));

    let mut wanted = shelf();
    wanted["Finish"] = json!({"Maker": "m", "Wood": 3, "Recipe": "s3cr3t"});
    let begun = harness.invoke(harness.event(Action::Create, &wanted)).await;
    assert_eq!(begun.resource_model.unwrap()["Finish"]["Recipe"], "s3cr3t", "the next invocation needs it");
    let created = harness.create(&wanted).await.unwrap();
    assert_eq!(created["Finish"], json!({"Maker": "m", "Wood": 3}));

    for (member, value, expected) in [("Maker", json!("n"), "/Finish/Maker"), ("Wood", json!(2), "/Finish/Wood")] {
        let mut changed = created.clone();
        changed["Finish"][member] = value;
        let failure = harness.update(&created, &changed).await.unwrap_err();
        assert_eq!(failure.code, Code::NotUpdatable);
        assert!(failure.message.contains(expected), "{}", failure.message);
    }
    let mut darker = created.clone();
    darker["Finish"]["Wood"] = 4.into();
    harness.update(&created, &darker).await.unwrap();

    let mut bad = shelf();
    bad["Finish"] = json!({"Recipe": "s3", "Extra": "t0p"});
    let message = harness.create(&bad).await.unwrap_err().message;
    assert!(message.contains("/Finish/Recipe") && !message.contains("s3"), "{message}");
}

#[tokio::test]
async fn what_is_too_large_is_told_in_bytes() {
    let (_, harness) = service("large");
    let mut large = shelf();
    large["Label"] = "x".repeat(cfn_provider::limits::MODEL).into();
    let answer = harness.invoke(harness.event(Action::Create, &large)).await;
    assert_eq!(answer.error_code, Some(Code::InvalidRequest));
    assert!(answer.message.unwrap().contains("bytes of JSON; 2621440 are the most"));

    // What the service made of it: here a model that fits on its way in and not with the stack's tags on its way out.
    large["Label"] = "x".repeat(cfn_provider::limits::MODEL - 200).into();
    let tags: Value =
        (0..40).map(|n| (format!("stack-tag-{n}"), json!("value"))).collect::<serde_json::Map<_, _>>().into();
    let answer = harness.stack_tags(tags).create(&large).await.unwrap_err();
    assert_eq!(answer.code, Code::ServiceLimitExceeded, "{}", answer.message);
}

#[tokio::test]
async fn an_operation_may_take_a_day_and_a_half() {
    let (service, harness) = service("patient");
    let created = harness.create(&shelf()).await.unwrap();
    let busy = Fault::Fails(Code::ResourceConflict, Some(Retry::default()));
    service.lock().unwrap().faults.extend([busy.clone(), busy]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for (hours, status) in [(35, OperationStatus::InProgress), (37, OperationStatus::Failed)] {
        let mut event = harness.event(Action::Delete, &created);
        event["callbackContext"] =
            json!({"id": {"Id": "shelf/a"}, "stage": "Act", "attempt": 200, "since": now - hours * 3_600});
        let answer = harness.invoke(event).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.callback_delay_seconds.is_none_or(|delay| delay == 900), "the longest delay");
    }
}
