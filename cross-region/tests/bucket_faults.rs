//! Whatever happens to any call of an operation on a bucket: nothing is lost, nothing is left, nothing is taken for another's.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod buckets;
#[allow(dead_code, reason = "the other suites use the rest")]
mod support;

use buckets::{REGION, full, minimal};
use cfn_provider::{Action, HandlerErrorCode as Code, protocol::OperationStatus};
use cross_region::s3::bucket::Bucket;
use serde_json::{Value, json};
use support::{EMULATORS, Emulator, Type, assert_contains, changed, faults};

/// What a bucket's settings say that take the most calls, and that both emulators keep.
fn several() -> Value {
    let full = full(Emulator::Moto);
    let mut model = minimal();
    for name in
        ["VersioningConfiguration", "LifecycleConfiguration", "ObjectLockEnabled", "ObjectLockConfiguration", "Tags"]
    {
        model[name] = full[name].clone();
    }
    model
}

async fn exists(emulator: Emulator, name: &str) -> bool {
    emulator.s3(REGION, "AKIAHARNESS").await.head_bucket().bucket(name).send().await.is_ok()
}

/// At which calls a fault happens: a death at every one; the rest, and all of it on moto, at each fourth, so that together
/// they are everywhere and the suite is not for ever.
fn calls(emulator: Emulator, fault: &str) -> impl Iterator<Item = usize> {
    let kills = emulator == Emulator::MiniStack && fault.starts_with("killed");
    (if kills { 0 } else { fault.len() % 4 }..).step_by(if kills { 1 } else { 4 })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_call_of_a_create_loses_nothing() {
    let each = EMULATORS.into_iter().flat_map(|emulator| faults().into_iter().map(move |fault| (emulator, fault)));
    let runs = each.map(|(emulator, (fault, plan))| async move {
        let kind = Type::new::<Bucket>(emulator).await;
        let mut points = 0;
        for call in calls(emulator, fault) {
            let token = format!("create {fault} {call}");
            kind.proxy.heal();
            kind.proxy.fail("", call, plan.clone());
            // moto drops the tags that a bucket is made with, and with them the mark: it can show what a derived name shows.
            let mut model = several();
            if emulator == Emulator::MiniStack {
                model["BucketName"] = format!("create-{}-{call}", fault.replace([' ', ','], "-")).into();
            }
            let event = kind.creating(&model, &token);
            let (answer, deaths) = kind.survive(event.clone()).await;
            if kind.proxy.pending() > 0 {
                break;
            }
            points += 1;
            let about = format!("{emulator:?} {fault} at call {call}, {deaths} deaths: {answer:?}");
            match answer.status {
                OperationStatus::Success => {
                    let made = answer.resource_model.unwrap();
                    let calls =
                        kind.proxy.calls().into_iter().filter(|call| call.starts_with("PUT") && !call.contains('?'));
                    let names: std::collections::BTreeSet<String> = calls.collect();
                    assert_eq!(names.len(), points, "one bucket to each create: {about}: {names:?}");
                    assert_contains(&model, &kind.read(&made).await.unwrap(), &about);
                    kind.delete(&made).await.unwrap();
                }
                // Before CloudFormation knows the identifier; and then nothing is there.
                _ => {
                    let made =
                        kind.proxy.calls().into_iter().filter(|call| call.starts_with("PUT") && !call.contains('?'));
                    assert!(call <= 2 && made.count() < points, "{about}");
                    assert_ne!(answer.error_code, Some(Code::AlreadyExists), "{about}");
                    points -= 1;
                }
            }
        }
        println!("{emulator:?} {fault}: {points} points");
        assert!(points >= 6, "{emulator:?} {fault}: only {points} points");
    });
    futures::future::join_all(runs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_call_of_an_update_or_delete_loses_nothing() {
    let actions = [Action::Update, Action::Delete];
    let each = EMULATORS.into_iter().flat_map(|emulator| faults().into_iter().map(move |fault| (emulator, fault)));
    let each = each.flat_map(|(emulator, fault)| actions.map(|action| (emulator, fault.clone(), action)));
    let runs = each.map(|(emulator, (fault, plan), action)| async move {
        let kind = Type::new::<Bucket>(emulator).await;
        let mut points = 0;
        for call in calls(emulator, fault) {
            let created = kind.create_as(&format!("{action:?} {fault} {call}"), &minimal()).await.unwrap();
            let wanted =
                several().as_object().unwrap().iter().fold(created.clone(), |model, (k, v)| changed(&model, k, v));
            let mut event = kind.harness.event(action, &wanted);
            event["requestData"]["previousResourceProperties"] = created.clone();
            kind.proxy.fail("", call, plan.clone());
            let (answer, deaths) = kind.survive(event).await;
            let is_over = kind.proxy.pending() > 0;
            kind.proxy.heal();
            let about = format!("{emulator:?} {action:?} {fault} at call {call}, {deaths} deaths: {answer:?}");
            let found = kind.read(&created).await;
            match action {
                Action::Update => {
                    assert_eq!(answer.status, OperationStatus::Success, "{about}");
                    assert_contains(&several(), &found.unwrap(), &about);
                    kind.delete(&created).await.unwrap();
                }
                // A repeated first invocation finds nothing, which CloudFormation counts as deleted.
                _ => {
                    let gone = answer.error_code == Some(Code::NotFound);
                    assert!(answer.status == OperationStatus::Success || gone && deaths > 0, "{about}");
                    assert_eq!(found.unwrap_err().code, Code::NotFound, "{about}");
                }
            }
            if is_over {
                break;
            }
            points += 1;
        }
        println!("{emulator:?} {action:?} {fault}: {points} points");
        assert!(points >= 1, "{emulator:?} {action:?} {fault}: only {points} points");
    });
    futures::future::join_all(runs).await;
}

#[tokio::test]
async fn what_somebody_else_made_meanwhile_is_not_taken() {
    for emulator in EMULATORS {
        for region in [REGION, "us-east-1"] {
            let kind = Type::new::<Bucket>(emulator).await;
            let name = format!("meanwhile-in-{region}");
            let model = json!({"Region": region, "BucketName": name});
            let first = kind.invoke(kind.harness.event(Action::Create, &model)).await;
            assert_eq!(first.status, OperationStatus::InProgress, "{first:?}");
            assert!(!exists(emulator, &name).await, "nothing is made before CloudFormation knows the identifier");

            // In the same account, between two invocations. In us-east-1 a repeated create is no error of S3.
            let s3 = emulator.s3(region, "AKIAHARNESS").await;
            let place = aws_sdk_s3::types::CreateBucketConfiguration::builder();
            let place = if region == "us-east-1" { place } else { place.location_constraint(region.into()) };
            let place = Some(place.build()).filter(|_| region != "us-east-1");
            s3.create_bucket().bucket(&name).set_create_bucket_configuration(place).send().await.unwrap();
            let mut event = kind.harness.event(Action::Create, &model);
            event["callbackContext"] = first.callback_context.unwrap();
            event["requestData"]["resourceProperties"] = first.resource_model.unwrap();
            let failure = kind.drive(event).await.unwrap_err();
            assert_eq!(failure.code, Code::AlreadyExists, "{emulator:?}: {}", failure.message);
            for part in [&name, region, "this account has a bucket of that name"] {
                assert!(failure.message.contains(part), "{part} is missing in: {}", failure.message);
            }
            let settings = s3.get_public_access_block().bucket(&name).send().await;
            assert!(settings.is_err(), "{emulator:?} {region}: it was touched: {settings:?}");
        }
    }
}
