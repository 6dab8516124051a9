//! One suite over the registry: what every type must do on an Azure that behaves, and on one that does not.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod scenarios;

use cfn_provider::{Action, HandlerErrorCode as Code, ProgressEvent, protocol::OperationStatus};
use handlers::REGISTRY;
use sandbox::azure::{Fault, Match};
use scenarios::{Scenario, assert_contains, changed, each, visible};
use serde_json::{Map, Value};
use std::time::Duration;

#[tokio::test]
async fn every_type_lives() {
    for scenario in each().await {
        let Scenario { harness, full, minimal, updates, emulator, .. } = &scenario;
        let name = &harness.schema().json["typeName"];
        let created = harness.create(full).await.unwrap();
        assert_contains(&visible(&scenario, full), &created, "created");
        assert_eq!(harness.read(&created).await.unwrap(), created, "{name}: what CREATE answers is what READ answers");
        assert!(harness.list(full).await.unwrap().iter().any(|model| model["Id"] == created["Id"]));
        let again = harness.create(full).await.unwrap_err();
        assert_eq!(again.code, Code::AlreadyExists, "{name}: {}", again.message);

        let before = emulator.requests().len();
        let full = &changed(full, "Id", &created["Id"]);
        assert_eq!(harness.update(full, full).await.unwrap(), created);
        let writes =
            emulator.requests().split_off(before).into_iter().filter(|request| request.method != "GET").count();
        assert_eq!(writes, 0, "{name}: an update that changes nothing writes nothing");

        let mut current = full.clone();
        for (property, value) in updates.as_object().unwrap() {
            let wanted = changed(&current, property, value);
            let updated =
                harness.update(&current, &wanted).await.unwrap_or_else(|e| panic!("{name} {property}: {e:?}"));
            assert_contains(&visible(&scenario, &wanted), &updated, property);
            assert_eq!(updated["Id"], created["Id"]);
            current = wanted;
        }
        // A hold would rightly keep the container.
        let mut released = current.clone();
        released.as_object_mut().unwrap().remove("LegalHold");
        harness.update(&current, &released).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));

        // CloudFormation sends the template's properties, the write-only ones too.
        harness.delete(&released).await.unwrap();
        for failure in [
            harness.read(&created).await.unwrap_err(),
            harness.update(full, full).await.unwrap_err(),
            harness.delete(&created).await.unwrap_err(),
        ] {
            assert_eq!(failure.code, Code::NotFound, "{name}: {}", failure.message);
        }
        assert!(harness.list(full).await.unwrap().iter().all(|model| model["Id"] != created["Id"]));

        let small = harness.create(minimal).await.unwrap();
        assert_contains(&visible(&scenario, minimal), &small, "minimal");
        harness.delete(&changed(minimal, "Id", &small["Id"])).await.unwrap();
    }
}

#[tokio::test]
async fn removed_properties_go_back_to_their_default() {
    for scenario in each().await {
        let Scenario { harness, full, minimal, .. } = &scenario;
        let schema = &harness.schema().json;
        let listed = |list: &str, name: &str| {
            let pointer = format!("/properties/{name}");
            schema[list].as_array().into_iter().flatten().any(|entry| entry.as_str().unwrap().starts_with(&pointer))
        };
        let plain = harness.create(minimal).await.unwrap();
        for (name, value) in full.as_object().unwrap() {
            // Some cannot be taken back: Azure has no default for them, or they replace the resource.
            let fixed = ["AccessTier", "MinimumTlsVersion", "IsSftpEnabled", "IsLocalUserEnabled", "Encryption"];
            // Azure documents no value that takes these back; the null that is sent may or may not.
            let fixed =
                [&fixed[..], &["AllowedCopyScope", "SasPolicy", "KeyPolicy", "ShareQuota", "HasSharedKey"]].concat();
            // These are for ever.
            let fixed = [&fixed[..], &["EnablePurgeProtection", "Attributes"]].concat();
            if listed("createOnlyProperties", name)
                || listed("writeOnlyProperties", name)
                || minimal.get(name).is_some()
            {
                continue;
            }
            if fixed.contains(&name.as_str()) || listed("conditionalCreateOnlyProperties", name) {
                continue;
            }
            let with = changed(&scenario.completed(&changed(minimal, name, value)), "Id", &plain["Id"]);
            harness.update(&plain, &with).await.unwrap_or_else(|e| panic!("setting {name}: {e:?}"));
            let without = changed(minimal, "Id", &plain["Id"]);
            let after = harness.update(&with, &without).await.unwrap_or_else(|e| panic!("removing {name}: {e:?}"));
            let default = |model: &Value| match model.get(name) {
                None => Value::Null,
                Some(Value::Array(items)) if items.is_empty() => Value::Null,
                // The system-assigned identity leaves a type None behind.
                Some(Value::Object(members)) if members.get("Type").is_some_and(|kind| kind == "None") => Value::Null,
                Some(value) => value.clone(),
            };
            assert_eq!(default(&after), default(&plain), "{name} after it was removed");
        }
    }
}

#[tokio::test]
async fn any_choice_of_properties_shows_no_drift() {
    let mut seed = 20_261_121_u64;
    for scenario in each().await {
        let Scenario { harness, full, minimal, .. } = &scenario;
        let name = &harness.schema().json["typeName"];
        let optional: Map<String, Value> = full
            .as_object()
            .unwrap()
            .iter()
            .filter(|(key, _)| minimal.get(key.as_str()).is_none() && *key != "LegalHold")
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        for round in 0..25 {
            let mut model = minimal.clone();
            for (key, value) in &optional {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if (seed >> 33).is_multiple_of(2) {
                    model[key] = value.clone();
                }
            }
            let model = scenario.completed(&model);
            let created =
                harness.create(&model).await.unwrap_or_else(|e| panic!("{name} round {round}: {model}: {e:?}"));
            let read = harness.read(&created).await.unwrap();
            assert_contains(&visible(&scenario, &model), &read, &format!("{name} round {round}"));
            harness.delete(&changed(&model, "Id", &created["Id"])).await.unwrap();
            // Azure keeps a disabled encryption scope, which the next round must not meet.
            scenario.emulator.remove(created["Id"].as_str().unwrap());
        }
    }
}

/// Runs an invocation and kills it while Azure works on the call that the faults hold up; `None` for a killed one.
async fn killed(scenario: &Scenario, event: Value) -> Option<ProgressEvent> {
    tokio::select! {
        answer = scenario.harness.invoke(event) => Some(answer),
        () = async {
            while scenario.emulator.faults().pending() > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }, if scenario.emulator.faults().pending() > 0 => None,
    }
}

/// Drives an operation to its end; an invocation that is killed is sent again, as CloudFormation does.
async fn drive(scenario: &Scenario, mut event: Value) -> (ProgressEvent, usize) {
    let mut deaths = 0;
    loop {
        let Some(answer) = killed(scenario, event.clone()).await else {
            deaths += 1;
            continue;
        };
        if answer.status != OperationStatus::InProgress {
            return (answer, deaths);
        }
        event["callbackContext"] = answer.callback_context.unwrap();
        event["requestData"]["resourceProperties"] = answer.resource_model.unwrap();
    }
}

fn faults() -> Vec<(&'static str, Vec<Fault>)> {
    vec![
        ("throttled", vec![Fault::Throttle { retry_after: 0 }]),
        ("throttled in the message", vec![Fault::ThrottleInMessage { retry_after: 1 }]),
        ("busy", vec![Fault::Busy]),
        ("dropped before", vec![Fault::DropBefore]),
        ("dropped after", vec![Fault::DropAfter]),
        ("killed before", vec![Fault::Delay { milliseconds: 60_000 }]),
        ("killed after", vec![Fault::DropAfter, Fault::Delay { milliseconds: 60_000 }]),
    ]
}

#[tokio::test]
async fn a_fault_at_any_call_of_a_create_loses_nothing() {
    for entry in REGISTRY {
        for (fault, plan) in faults() {
            let mut points = 0;
            for call in 0.. {
                let scenario = scenarios::of(entry).await.unwrap();
                let before = scenario.emulator.resources();
                for fault in &plan {
                    scenario.emulator.faults().next(Match::new("*", "/subscriptions").after(call), fault.clone());
                }
                let (answer, _) = drive(&scenario, scenario.harness.event(Action::Create, &scenario.minimal)).await;
                let about = format!("{} {fault} at call {call}: {answer:?}", entry.type_name);
                if scenario.emulator.faults().pending() > 0 {
                    break;
                }
                points += 1;
                let made: Vec<String> =
                    scenario.emulator.resources().into_iter().filter(|id| !before.contains(id)).collect();
                match answer.status {
                    OperationStatus::Success => {
                        let id = answer.resource_model.unwrap()["Id"].as_str().unwrap().to_owned();
                        assert!(!made.is_empty(), "{about}");
                        assert!(made.iter().all(|made| (scenario.is_of)(made, &id)), "an orphan: {made:?}: {about}");
                    }
                    // Only before anything was asked for, and then nothing is there.
                    _ => assert!(call == 0 && made.is_empty(), "{about}, left {made:?}"),
                }
            }
            println!("{} {fault}: {points} points", entry.type_name);
            assert!(points >= 3, "existence check, create and read-back at least");
        }
    }
}

#[tokio::test]
async fn a_fault_at_any_call_of_an_update_or_delete_loses_nothing() {
    for entry in REGISTRY {
        for (fault, plan) in faults() {
            for action in [Action::Update, Action::Delete] {
                for call in 0.. {
                    let scenario = scenarios::of(entry).await.unwrap();
                    let created = scenario.harness.create(&scenario.minimal).await.unwrap();
                    let mut wanted = changed(&scenario.minimal, "Id", &created["Id"]);
                    for (name, value) in scenario.updates.as_object().unwrap() {
                        if ["Tags", "Metadata", "PublicAccess", "AccessTier"].contains(&name.as_str()) {
                            wanted[name] = value.clone();
                        }
                    }
                    for fault in &plan {
                        scenario.emulator.faults().next(Match::new("*", "/subscriptions").after(call), fault.clone());
                    }
                    let mut event = scenario.harness.event(action, &wanted);
                    event["requestData"]["previousResourceProperties"] = created.clone();
                    let (answer, deaths) = drive(&scenario, event).await;
                    let about = format!("{} {action:?} {fault} at call {call}: {answer:?}", entry.type_name);
                    if scenario.emulator.faults().pending() > 0 {
                        break;
                    }
                    let exists = scenario.harness.read(&created).await;
                    match action {
                        Action::Update => {
                            assert_eq!(answer.status, OperationStatus::Success, "{about}");
                            assert_contains(
                                &scenario.updates["Tags"],
                                &exists.unwrap().get("Tags").cloned().unwrap_or_default(),
                                &about,
                            );
                        }
                        // A repeated first invocation finds nothing, which CloudFormation counts as deleted.
                        _ => {
                            let gone = deaths > 0 && answer.error_code == Some(Code::NotFound);
                            assert!(answer.status == OperationStatus::Success || gone, "{about}");
                            assert_eq!(exists.unwrap_err().code, Code::NotFound, "{about}");
                        }
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn lists_go_on_over_pages() {
    for scenario in each().await.into_iter().filter(|scenario| !scenario.one_per_parent) {
        let Scenario { harness, minimal, .. } = &scenario;
        let mut ids = Vec::new();
        for index in 0..5 {
            let mut event = harness.event(Action::Create, minimal);
            event["bearerToken"] = format!("token {index}").into();
            if let Some((property, values)) = &scenario.distinct {
                event["requestData"]["resourceProperties"][property] = values[index].clone();
            }
            ids.push(harness.drive(event).await.unwrap().resource_model.unwrap()["Id"].clone());
        }
        let listed: Vec<Value> =
            harness.list(minimal).await.unwrap().into_iter().map(|model| model["Id"].clone()).collect();
        assert!(ids.iter().all(|id| listed.contains(id)), "{ids:?} in {listed:?}");
    }
}

#[tokio::test]
async fn a_warm_read_is_as_few_calls_as_can_be() {
    for scenario in each().await {
        let created = scenario.harness.create(&scenario.minimal).await.unwrap();
        let before = scenario.emulator.requests().len();
        scenario.harness.read(&created).await.unwrap();
        assert_eq!(scenario.emulator.requests().len() - before, scenario.read_calls, "{:?}", scenario.calls());
    }
}
