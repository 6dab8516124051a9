//! `CrossRegion::KMS::Key` where calls fail, answers are lost and processes die: at every call of every operation on MiniStack, and on
//! moto at each fourth.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod support;

use aws_sdk_kms::types::KeyState;
use cfn_provider::{Action, HandlerErrorCode as Code, ProgressEvent, protocol::OperationStatus};
use cross_region::kms::key::Key;
use futures::future::join_all;
use sandbox::aws::Fault;
use serde_json::{Value, json};
use support::{EMULATORS, Emulator, Type, faults};

/// A region for each fault, so that a create does not look at the keys of all.
const REGIONS: [&str; 8] =
    ["eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1", "us-east-1", "us-east-2", "us-west-2"];

/// Runs `at_call` with every fault at the first call, at the second, and so on until it says that there are no more. On moto,
/// which is slow, at each fourth, beginning with another for each fault.
async fn everywhere(what: &str, at_call: impl AsyncFn(Emulator, &'static str, String, &[Fault], usize) -> bool) {
    for emulator in EMULATORS {
        let runs = faults().into_iter().zip(REGIONS).map(|((name, plan), region)| {
            let at_call = &at_call;
            async move {
                let (mut points, step) = match emulator {
                    Emulator::Moto => (name.len() % 4, 4),
                    Emulator::MiniStack => (0, 1),
                };
                let alias = |call| format!("alias/{what}-{}-{call}", name.replace([' ', ','], "-"));
                while at_call(emulator, region, alias(points), &plan, points).await {
                    points += step;
                }
                println!("{emulator:?} {what} {name}: {points} points");
                assert!(points >= 6, "{emulator:?} {what} {name}: it makes more calls than {points}");
            }
        });
        join_all(runs).await;
    }
}

/// Drives an operation to its end: one that is to be killed with its deaths, any other in peace.
async fn drive(keys: &Type, event: Value, plan: &[Fault]) -> (ProgressEvent, usize) {
    if plan.iter().any(|fault| matches!(fault, Fault::Delay(_))) {
        return keys.survive(event).await;
    }
    let mut event = event;
    loop {
        let answer = keys.invoke(event.clone()).await;
        if answer.status != OperationStatus::InProgress {
            return (answer, 0);
        }
        event["callbackContext"] = answer.callback_context.unwrap();
        event["requestData"]["resourceProperties"] = answer.resource_model.unwrap();
    }
}

/// The place of the `call`th call of a create that is not the search's, which describes every key of the region.
async fn beyond_search(kms: &aws_sdk_kms::Client, call: usize) -> usize {
    const BEFORE: usize = 3;
    let keys = kms.list_keys().limit(1000).send().await.unwrap().keys.unwrap().len();
    if call < BEFORE { call } else { call + keys }
}

/// The keys of a region that are marked with an alias and do not wait for their deletion.
async fn live(kms: &aws_sdk_kms::Client, alias: &str) -> Vec<String> {
    let mut found = Vec::new();
    for key in kms.list_keys().limit(1000).send().await.unwrap().keys.unwrap() {
        let id = key.key_id.unwrap();
        let tags = kms.list_resource_tags().key_id(&id).send().await.unwrap().tags.unwrap_or_default();
        let metadata = kms.describe_key().key_id(&id).send().await.unwrap().key_metadata.unwrap();
        let is_of_alias = tags.iter().any(|tag| tag.tag_key == "CrossRegion:Alias" && tag.tag_value == alias);
        if is_of_alias && metadata.key_state != Some(KeyState::PendingDeletion) {
            found.push(metadata.arn.unwrap());
        }
    }
    found
}

#[tokio::test]
async fn a_fault_at_any_call_of_a_create_makes_one_key() {
    everywhere("create", async |emulator, region, alias, plan, call| {
        let keys = Type::new::<Key>(emulator).await;
        let at = beyond_search(&emulator.kms(region).await, call).await;
        keys.proxy.fail("TrentService", at, plan.iter().cloned());
        let model = json!({"Region": region, "AliasName": alias, "EnableKeyRotation": true});
        let (answer, _) = drive(&keys, keys.creating(&model, &alias), plan).await;
        if keys.proxy.pending() > 0 {
            return false;
        }
        assert_eq!(answer.status, OperationStatus::Success, "{emulator:?} {alias}: {answer:?}");
        let arn = answer.resource_model.unwrap()["Arn"].clone();
        assert_eq!(json!(live(&emulator.kms(region).await, &alias).await), json!([arn]), "{emulator:?} {alias}");
        true
    })
    .await;
}

#[tokio::test]
async fn a_fault_at_any_call_of_a_recovery_brings_the_same_key_back() {
    everywhere("recovery", async |emulator, region, alias, plan, call| {
        let keys = Type::new::<Key>(emulator).await;
        let model = json!({"Region": region, "AliasName": alias});
        let first = keys.drive(keys.creating(&model, &alias)).await.unwrap().resource_model.unwrap();
        keys.delete(&first).await.unwrap();
        let at = beyond_search(&emulator.kms(region).await, call).await;
        keys.proxy.fail("TrentService", at, plan.iter().cloned());
        let (answer, _) = drive(&keys, keys.creating(&model, &format!("{alias} again")), plan).await;
        if keys.proxy.pending() > 0 {
            return false;
        }
        assert_eq!(answer.status, OperationStatus::Success, "{emulator:?} {alias}: {answer:?}");
        assert_eq!(answer.resource_model.unwrap()["Arn"], first["Arn"], "{emulator:?} {alias}");
        assert_eq!(
            json!(live(&emulator.kms(region).await, &alias).await),
            json!([first["Arn"]]),
            "{emulator:?} {alias}"
        );
        true
    })
    .await;
}

#[tokio::test]
async fn a_fault_at_any_call_of_an_update_or_a_delete_loses_nothing() {
    everywhere("change", async |emulator, region, alias, plan, call| {
        let keys = Type::new::<Key>(emulator).await;
        let kms = emulator.kms(region).await;
        let mut model = json!({"Region": region, "AliasName": alias});
        let created = keys.drive(keys.creating(&model, &alias)).await.unwrap().resource_model.unwrap();
        model["Arn"] = created["Arn"].clone();
        let mut wanted = model.clone();
        let changes = json!({
            "AliasName": format!("{alias}-new"), "Description": "new", "EnableKeyRotation": true,
            "Tags": [{"Key": "a", "Value": "b"}]
        });
        wanted.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let mut reached = false;
        for action in [Action::Update, Action::Delete] {
            keys.proxy.fail("TrentService", call, plan.iter().cloned());
            let mut event = keys.harness.event(action, &wanted);
            event["requestData"]["previousResourceProperties"] = model.clone();
            let (answer, deaths) = drive(&keys, event, plan).await;
            reached |= keys.proxy.pending() == 0;
            keys.proxy.heal();
            let about = format!("{emulator:?} {alias} {action:?}: {answer:?}");
            let gone = action == Action::Delete && deaths > 0 && answer.error_code == Some(Code::NotFound);
            assert!(answer.status == OperationStatus::Success || gone, "{about}");
            let aliases = kms.list_aliases().key_id(created["KeyId"].as_str().unwrap()).send().await.unwrap().aliases;
            let names: Vec<String> = aliases.unwrap().into_iter().filter_map(|alias| alias.alias_name).collect();
            let read = keys.read(&created).await;
            match action {
                Action::Update => {
                    assert_eq!(json!(names), json!([wanted["AliasName"]]), "{about}");
                    let read = read.unwrap();
                    for (name, value) in changes.as_object().unwrap() {
                        assert_eq!(read[name], *value, "{about}");
                    }
                }
                _ => {
                    assert_eq!(read.unwrap_err().code, Code::NotFound, "{about}");
                    assert_eq!(names, Vec::<String>::new(), "{about}");
                    assert_eq!(live(&kms, &format!("{alias}-new")).await, Vec::<String>::new(), "{about}");
                }
            }
        }
        reached
    })
    .await;
}

#[tokio::test]
async fn a_role_that_does_not_exist_is_waited_for_and_named() {
    // Neither emulator looks whether a principal exists.
    let refusal = Fault::Refuse {
        status: 400,
        code: "MalformedPolicyDocumentException",
        message: "Policy contains a statement with one or more invalid principals.",
    };
    for emulator in EMULATORS {
        let keys = Type::new::<Key>(emulator).await;
        let role = "arn:aws:iam::123456789012:role/made-a-moment-ago";
        let model = json!({"Region": "eu-central-1", "AliasName": "alias/principals", "KeyUsers": [role]});
        keys.proxy.fail("PutKeyPolicy", 0, std::iter::repeat_n(refusal.clone(), 3));
        let created = keys.drive(keys.creating(&model, "t")).await.unwrap().resource_model.unwrap();
        assert_eq!(created["KeyUsers"], json!([role]), "{emulator:?}");

        let first = keys.drive(keys.creating(&json!({"Region": "eu-central-1"}), "u")).await.unwrap();
        let mut model = first.resource_model.unwrap();
        model["KeyUsers"] = json!([role]);
        let mut event = keys.harness.event(Action::Update, &model);
        event["callbackContext"] = json!({"id": {"Arn": model["Arn"]}, "stage": "Act", "since": 1, "attempt": 9});
        keys.proxy.fail("PutKeyPolicy", 0, [refusal.clone()]);
        let answer = keys.invoke(event).await;
        let message = answer.message.unwrap();
        assert_eq!(answer.error_code, Some(Code::InvalidRequest), "{message}");
        for said in [role, "one of them does not exist", "eu-central-1"] {
            assert!(message.contains(said), "{message}");
        }
    }
}

#[tokio::test]
async fn a_region_that_is_not_enabled_and_what_is_not_allowed_are_explained() {
    for (code, expected, said) in [
        ("UnrecognizedClientException", Code::InvalidCredentials, "aws account enable-region --region-name eu-south-1"),
        ("AccessDeniedException", Code::AccessDenied, "allow it to the execution role in eu-south-1"),
        ("LimitExceededException", Code::ServiceLimitExceeded, "ask AWS for a higher quota in eu-south-1"),
    ] {
        let keys = Type::new::<Key>(Emulator::MiniStack).await;
        // The client repeats some of them once by itself.
        keys.proxy.fail("ListAliases", 0, std::iter::repeat_n(Fault::Refuse { status: 400, code, message: "no" }, 2));
        let model: Value = json!({"Region": "eu-south-1", "AliasName": "alias/refused"});
        let failure = keys.create(&model).await.unwrap_err();
        assert_eq!(failure.code, expected, "{}", failure.message);
        assert!(failure.message.contains(said) && failure.message.contains(code), "{}", failure.message);
        assert!(keys.proxy.calls().len() <= 2, "{code}: waiting does not mend it");
    }
}
