//! The CloudFormation contract for a resource that only the service can name, held against one in memory.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod toy;

use cfn_provider::{
    Action, HandlerErrorCode as Code, ProgressEvent, Retry, protocol::OperationStatus, testing::Harness,
};
use serde_json::{Value, json};
use std::time::Duration;
use toy::{Fault, tickets};

fn ticket() -> Value {
    json!({"Holder": "a", "Seat": "7F"})
}

fn next(mut event: Value, answer: ProgressEvent) -> Value {
    event["callbackContext"] = answer.callback_context.unwrap();
    event["requestData"]["resourceProperties"] = answer.resource_model.unwrap();
    event
}

#[tokio::test]
async fn the_first_answer_carries_the_identifier_that_the_service_made() {
    let (service, harness) = tickets("claimed");
    let event = harness.event(Action::Create, &ticket());
    let first = harness.invoke(event.clone()).await;
    assert_eq!(first.status, OperationStatus::InProgress);
    assert_eq!(first.resource_model.as_ref().unwrap()["Number"], "no-1");
    assert_eq!(service.lock().unwrap().calls, ["FIND *", "MAKE *"]);
    let created = harness.drive(next(event, first)).await.unwrap().resource_model.unwrap();
    assert_eq!(created, json!({"Number": "no-1", "Holder": "a", "Seat": "7F", "Tags": []}));

    let moved = json!({"Number": "no-1", "Holder": "a", "Seat": "8A"});
    assert_eq!(harness.update(&created, &moved).await.unwrap()["Seat"], "8A");
    harness.delete(&moved).await.unwrap();
    assert!(service.lock().unwrap().tickets.is_empty());
}

#[tokio::test]
async fn a_repeated_first_delivery_finds_its_own_work_and_another_request_is_refused() {
    let (service, harness) = tickets("claimed twice");
    let event = harness.event(Action::Create, &ticket());
    for _ in 0..2 {
        let first = harness.invoke(event.clone()).await;
        assert_eq!(first.resource_model.as_ref().unwrap()["Number"], "no-1", "made and not finished");
        assert_eq!(first.callback_context.as_ref().unwrap().get("found"), None, "it may be undone");
    }
    harness.drive(event.clone()).await.unwrap();
    let again = harness.invoke(event.clone()).await;
    assert_eq!(again.callback_context.as_ref().unwrap()["found"], true, "what was finished is not undone");
    assert_eq!(harness.drive(event.clone()).await.unwrap().resource_model.unwrap()["Number"], "no-1");
    assert_eq!(service.lock().unwrap().tickets.len(), 1);

    let mut other = event;
    other["bearerToken"] = "another operation".into();
    let refused = harness.invoke(other).await;
    assert_eq!((refused.error_code, refused.resource_model), (Some(Code::AlreadyExists), None));
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_a_while_is_repeated_within_the_invocation() {
    let throttled = Fault::Fails(Code::Throttling, Some(Retry { after: Some(Duration::from_secs(5)), within: None }));
    for (name, faults) in [
        ("throttled", vec![throttled.clone(), throttled.clone()]),
        ("lost", vec![Fault::Passes, Fault::Lost]),
        ("lost and throttled", vec![Fault::Passes, Fault::Lost, throttled.clone()]),
    ] {
        let (service, harness) = tickets(&format!("claim {name}"));
        service.lock().unwrap().faults.extend(faults);
        let first = harness.invoke(harness.event(Action::Create, &ticket())).await;
        assert_eq!(first.status, OperationStatus::InProgress, "{name}: {first:?}");
        assert_eq!(service.lock().unwrap().tickets.len(), 1, "{name}");
    }

    // To the end of the invocation's time, and no longer.
    let (service, harness) = tickets("claim throttled for ever");
    service.lock().unwrap().faults.extend(std::iter::repeat_n(throttled, 100));
    let start = tokio::time::Instant::now();
    let failed = harness.invoke(harness.event(Action::Create, &ticket())).await;
    assert_eq!((failed.error_code, failed.resource_model), (Some(Code::Throttling), None));
    assert!((30..60).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());

    let (service, harness) = tickets("claim refused");
    service.lock().unwrap().faults.push_back(Fault::Fails(Code::AccessDenied, None));
    let failed = harness.invoke(harness.event(Action::Create, &ticket())).await;
    assert_eq!(failed.error_code, Some(Code::AccessDenied));
    assert_eq!(service.lock().unwrap().calls.len(), 1, "waiting does not mend it");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_ends_the_claim_and_leaves_what_a_repetition_finds() {
    for faults in [vec![Fault::Hangs], vec![Fault::Passes, Fault::Hangs], vec![Fault::Passes, Fault::DiesAfter]] {
        let (service, harness) = tickets(&format!("claim hangs {faults:?}"));
        service.lock().unwrap().faults.extend(faults);
        let event = harness.event(Action::Create, &ticket());
        let start = tokio::time::Instant::now();
        let failed = harness.invoke(event.clone()).await;
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
        assert_eq!((failed.error_code, failed.resource_model), (Some(Code::NetworkFailure), None));
        harness.drive(event).await.unwrap();
        assert_eq!(service.lock().unwrap().tickets.len(), 1);
    }
}

#[tokio::test]
async fn a_create_that_dies_anywhere_makes_one() {
    let mut points = 0;
    for call in 0.. {
        let before = points;
        for death in [Fault::DiesBefore, Fault::DiesAfter] {
            let (service, harness) = tickets(&format!("claim dies {call} {death:?}"));
            service.lock().unwrap().faults.extend(std::iter::repeat_n(Fault::Passes, call).chain([death.clone()]));
            let mut event = harness.event(Action::Create, &ticket());
            let answer = loop {
                let Some(answer) = killed(&harness, event.clone()).await else {
                    points += 1;
                    continue; // CloudFormation sends the same event again.
                };
                if answer.status != OperationStatus::InProgress {
                    break answer;
                }
                event = next(event, answer);
            };
            assert_eq!(answer.status, OperationStatus::Success, "died {death:?} call {call}: {answer:?}");
            assert_eq!(service.lock().unwrap().tickets.len(), 1, "died {death:?} call {call}");
        }
        if points == before {
            break; // The create makes fewer calls than that.
        }
    }
    assert_eq!(points, 8, "search, making, PUT, read-back: each before and after");
}

/// Runs an invocation and kills it where the service says so; `None` for a killed one.
async fn killed(harness: &Harness, event: Value) -> Option<ProgressEvent> {
    tokio::select! {
        answer = harness.invoke(event) => Some(answer),
        () = tokio::time::sleep(Duration::from_millis(20)) => None,
    }
}

#[tokio::test]
async fn the_schema_has_the_permissions_of_each_action_and_of_tagging() {
    let (_, harness) = tickets("permissions");
    let schema = &harness.schema().json;
    for (action, expected) in [
        ("create", json!(["toys:Use", "toys:MakeTicket", "toys:TagTicket"])),
        ("read", json!(["toys:Use"])),
        ("update", json!(["toys:Use", "toys:TagTicket", "toys:UntagTicket"])),
        ("delete", json!(["toys:Use"])),
        ("list", json!(["toys:Use"])),
    ] {
        assert_eq!(schema["handlers"][action]["permissions"], expected, "{action}");
    }
    assert_eq!(schema["tagging"]["permissions"], json!(["toys:TagTicket", "toys:UntagTicket"]));
}
