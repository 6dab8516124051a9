//! Immutability: locked only when asked twice, then extended and nothing else, whatever goes wrong on the way; held
//! against recorded traffic.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod scenarios;

use cfn_provider::{HandlerErrorCode as Code, testing::Failure};
use handlers::{REGISTRY, storage::immutability_policy::ImmutabilityPolicy};
use sandbox::azure::{Fault, Match, Shape};
use scenarios::Scenario;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PERIOD: &str = "ImmutabilityPeriodSinceCreationInDays";

async fn scenario() -> Scenario {
    let name = <ImmutabilityPolicy as cfn_provider::Resource>::TYPE_NAME;
    let entry = REGISTRY.iter().find(|entry| entry.type_name == name).unwrap();
    scenarios::of(entry).await.unwrap()
}

fn with(model: &Value, members: Value) -> Value {
    let mut model = model.clone();
    model.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    model
}

/// The writes that were answered well, as `POST lock`.
fn writes(scenario: &Scenario, first: usize) -> Vec<String> {
    let requests = scenario.emulator.requests().split_off(first).into_iter();
    let done = requests.filter(|request| request.method != "GET" && request.status.is_some_and(|status| status < 300));
    done.map(|request| format!("{} {}", request.method, request.path.rsplit('/').next().unwrap())).collect()
}

fn refused(failure: &Failure, code: Code, says: &str) {
    assert_eq!(failure.code, code, "{}", failure.message);
    assert!(failure.message.contains(says), "{says:?} is missing in: {}", failure.message);
}

#[tokio::test]
async fn nothing_is_locked_by_accident() {
    let scenario = scenario().await;
    let Scenario { harness, minimal, emulator, .. } = &scenario;
    let locked = with(minimal, json!({"State": "Locked"}));
    for flag in [json!({}), json!({"LockIrrevocably": false})] {
        let first = emulator.requests().len();
        let failure = harness.create(&with(&locked, flag)).await.unwrap_err();
        refused(&failure, Code::InvalidRequest, "/LockIrrevocably: must be true for /State to become Locked");
        assert_eq!(emulator.requests().len(), first, "refused before any call");
    }
    let created = harness.create(&with(minimal, json!({"LockIrrevocably": true}))).await.unwrap();
    assert_eq!(created["State"], "Unlocked", "the flag alone locks nothing");
    let first = emulator.requests().len();
    let longer = with(&locked, json!({"Id": created["Id"], PERIOD: 9}));
    let failure = harness.update(&created, &longer).await.unwrap_err();
    refused(&failure, Code::InvalidRequest, "/LockIrrevocably: ");
    assert!(writes(&scenario, first).is_empty(), "and changes nothing else either");
}

#[tokio::test]
async fn what_is_locked_is_extended_and_nothing_else() {
    let scenario = scenario().await;
    let Scenario { harness, minimal, emulator, .. } = &scenario;
    let lock = with(minimal, json!({"State": "Locked", "LockIrrevocably": true, "AllowProtectedAppendWrites": true}));
    let first = emulator.requests().len();
    let created = harness.create(&lock).await.unwrap();
    assert_eq!((&created["State"], &created[PERIOD]), (&json!("Locked"), &json!(7)));
    assert_eq!(writes(&scenario, first), ["PUT default", "POST lock"]);

    let locked = with(&lock, json!({"Id": created["Id"]}));
    let first = emulator.requests().len();
    for (members, says) in [
        (json!({PERIOD: 6}), "/ImmutabilityPeriodSinceCreationInDays: the policy is locked, so its 7 days"),
        (json!({"State": "Unlocked"}), "/State: the policy is locked, and nobody can unlock it"),
        (json!({"AllowProtectedAppendWrites": false}), "/AllowProtectedAppendWrites: the policy is locked"),
        (
            json!({"AllowProtectedAppendWrites": null, "AllowProtectedAppendWritesAll": true}),
            "/AllowProtectedAppendWritesAll: the policy is locked",
        ),
    ] {
        refused(&harness.update(&locked, &with(&locked, members)).await.unwrap_err(), Code::NotUpdatable, says);
    }
    let kept = harness.delete(&locked).await.unwrap_err();
    refused(&kept, Code::ResourceConflict, "the policy is locked, so nobody can delete it; retain it");
    assert!(writes(&scenario, first).is_empty());

    // An acknowledgement is needed once.
    let longer = with(minimal, json!({"Id": created["Id"], PERIOD: 30, "State": "Locked"}));
    let updated = harness.update(&locked, &longer).await.unwrap();
    assert_eq!((&updated["State"], &updated[PERIOD]), (&json!("Locked"), &json!(30)));
    assert_eq!(writes(&scenario, first), ["POST extend"]);
}

#[tokio::test]
async fn an_unlocked_policy_is_changed_and_locked_in_one_update() {
    let scenario = scenario().await;
    let Scenario { harness, minimal, emulator, .. } = &scenario;
    let created = harness.create(minimal).await.unwrap();
    let first = emulator.requests().len();
    let wanted = with(minimal, json!({"Id": created["Id"], PERIOD: 3, "State": "Locked", "LockIrrevocably": true}));
    let updated = harness.update(&created, &wanted).await.unwrap();
    assert_eq!((&updated["State"], &updated[PERIOD]), (&json!("Locked"), &json!(3)));
    assert_eq!(writes(&scenario, first), ["PUT default", "POST lock"]);
}

/// A lock and an extension are finished and done once, whichever call is lost, late or refused.
#[tokio::test]
async fn a_fault_at_any_call_of_a_lock_loses_nothing() {
    let faults = [
        Fault::Throttle { retry_after: 0 },
        Fault::Busy,
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::Status {
            status: 412,
            code: "ConditionNotMet".into(),
            message: "Changed.".into(),
            shape: Shape::Wrapped,
        },
    ];
    for fault in faults {
        let mut points = 0;
        for call in 0.. {
            let scenario = scenario().await;
            let Scenario { harness, minimal, emulator, .. } = &scenario;
            let lock = with(minimal, json!({"State": "Locked", "LockIrrevocably": true}));
            let event = harness.event(cfn_provider::Action::Create, &lock);
            // The first invocation asks whether there is one already; its failure is the operation's.
            emulator.faults().next(Match::new("*", "/subscriptions").after(call + 1), fault.clone());
            let answer = harness.drive(event).await.unwrap_or_else(|e| panic!("{fault:?} at {call}: {e:?}"));
            let created = answer.resource_model.unwrap();
            assert_eq!((&created["State"], &created[PERIOD]), (&json!("Locked"), &json!(7)), "{fault:?} at {call}");
            if emulator.faults().pending() > 0 {
                break;
            }
            points += 1;
            emulator.faults().next(Match::new("*", "/subscriptions").after(call), fault.clone());
            let longer = with(&lock, json!({"Id": created["Id"], PERIOD: 8}));
            let extended = harness.update(&created, &longer).await;
            let extended = extended.unwrap_or_else(|e| panic!("{fault:?} at {call}: {e:?}"));
            assert_eq!(extended[PERIOD], 8, "{fault:?} at {call}");
        }
        assert!(points >= 4, "look, put, lock and read back at least: {fault:?}");
    }
}

#[tokio::test]
async fn a_policy_that_never_stops_changing_is_a_conflict() {
    let scenario = scenario().await;
    let Scenario { harness, minimal, emulator, .. } = &scenario;
    let created = harness.create(minimal).await.unwrap();
    let message = "Changed.".to_owned();
    let fault = Fault::Status { status: 412, code: "ConditionNotMet".into(), message, shape: Shape::Wrapped };
    emulator.faults().times(1000, Match::new("DELETE", "/subscriptions"), fault);
    let aged = |mut event: Value| {
        if event["callbackContext"].is_object() {
            event["callbackContext"]["since"] = 1.into();
        }
        harness.invoke(event)
    };
    let event = harness.event(cfn_provider::Action::Delete, &created);
    let failure = harness.drive_with(event, aged).await.unwrap_err();
    refused(&failure, Code::ResourceConflict, "it changed in the meantime");
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_any_call() {
    let scenario = scenario().await;
    let first = scenario.emulator.requests().len();
    for (members, says) in [
        (
            json!({"AllowProtectedAppendWrites": true, "AllowProtectedAppendWritesAll": true}),
            "/AllowProtectedAppendWritesAll: excludes AllowProtectedAppendWrites",
        ),
        (json!({PERIOD: 0}), "/ImmutabilityPeriodSinceCreationInDays: "),
        (json!({PERIOD: 146_001}), "/ImmutabilityPeriodSinceCreationInDays: "),
        (json!({"State": "Frozen"}), "/State: "),
        (json!({"ContainerId": "container"}), "/ContainerId: \"container\" is not a resource id of the form"),
    ] {
        let failure = scenario.harness.create(&with(&scenario.minimal, members)).await.unwrap_err();
        refused(&failure, Code::InvalidRequest, says);
    }
    assert_eq!(scenario.emulator.requests().len(), first);
}

/// Every recorded write is asked of the handler on the policy as it was recorded: what it sends is what the client sent,
/// and what Azure answered is read.
#[tokio::test]
async fn every_recorded_write_is_sent_as_azure_accepted_it() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/azure/recordings");
    let Ok(entries) = std::fs::read_dir(folder) else {
        println!("skipped: there is no ../shared/azure/recordings");
        return;
    };
    let scenario = scenario().await;
    let Scenario { harness, minimal, emulator, .. } = &scenario;
    let id = format!("{}/immutabilityPolicies/default", minimal["ContainerId"].as_str().unwrap());
    let own = json!({"Id": id});
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for entry in entries {
        let recording: Value = serde_json::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        emulator.remove(&id);
        for interaction in recording["interactions"].as_array().unwrap() {
            let path = interaction["path"].as_str().unwrap();
            let Some((_, action)) = path.split_once("/immutabilityPolicies/default") else { continue };
            let what = format!("{}{}", interaction["method"].as_str().unwrap(), action.replace('/', " "));
            let place = format!("{} {}", recording["name"], interaction["seq"]);
            let current = harness.read(&own).await.ok();
            let mut desired = with(current.as_ref().unwrap_or(minimal), json!({"LockIrrevocably": true}));
            for (name, value) in interaction["request_body"]["properties"].as_object().into_iter().flatten() {
                desired[name[..1].to_uppercase() + &name[1..]] = value.clone();
            }
            let first = emulator.requests().len();
            match what.as_str() {
                "GET" => {}
                "DELETE" if interaction["status"] == 409 => {
                    assert_eq!(harness.delete(&own).await.unwrap_err().code, Code::ResourceConflict, "{place}");
                }
                "DELETE" => harness.delete(&own).await.unwrap(),
                _ => {
                    desired["State"] = if what == "PUT" { "Unlocked".into() } else { "Locked".into() };
                    let done = match current {
                        Some(current) => harness.update(&current, &with(&desired, own.clone())).await,
                        None => harness.create(&desired).await,
                    };
                    done.unwrap_or_else(|e| panic!("{place}: {e:?}"));
                }
            }
            let sent = emulator.requests().split_off(first).into_iter().find(|request| request.method != "GET");
            match sent {
                Some(sent) => {
                    let mut body = sent.body.unwrap_or_default();
                    for (name, value) in interaction["request_body"]["properties"].as_object().into_iter().flatten() {
                        assert_eq!(body["properties"][name], *value, "{place}");
                        body["properties"].as_object_mut().unwrap().remove(name);
                    }
                    // A client that names no days leaves them as they are, which we say.
                    let rest = body["properties"].as_object().into_iter().flatten();
                    assert!(
                        rest.clone().all(|(name, _)| name == "immutabilityPeriodSinceCreationInDays"),
                        "{place}: {body}"
                    );
                    assert!(sent.path.ends_with(&format!("default{action}")), "{place}: {}", sent.path);
                }
                None => assert!(what == "GET" || what == "PUT" || interaction["status"] == 409, "{place}"),
            }
            let answer = &interaction["response_body"];
            if interaction["status"] == 200 && answer["properties"]["state"] == "Deleted" {
                assert_eq!(harness.read(&own).await.unwrap_err().code, Code::NotFound, "{place}");
            } else if interaction["status"] == 200 {
                let mut document = answer.clone();
                document["id"] = id.clone().into();
                emulator.set(&id, document);
                let read = harness.read(&own).await.unwrap_or_else(|e| panic!("{place}: {e:?}"));
                assert_eq!(read["State"], answer["properties"]["state"], "{place}");
                assert_eq!(read[PERIOD], answer["properties"]["immutabilityPeriodSinceCreationInDays"], "{place}");
            }
            *counts.entry(what).or_default() += 1;
        }
    }
    println!("recorded interactions: {counts:#?}");
    assert!(counts.values().sum::<usize>() >= 20, "{counts:?}");
}
