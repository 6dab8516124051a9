//! A replication policy: two halves in two accounts, made, changed and deleted as one, whatever goes wrong on the way; held
//! against recorded traffic.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

#[allow(dead_code, reason = "the other suites use the rest")]
mod scenarios;

use cfn_provider::{Action, HandlerErrorCode as Code, testing::Failure};
use handlers::{REGISTRY, storage::object_replication_policy::ObjectReplicationPolicy};
use sandbox::azure::{Fault, Match};
use scenarios::Scenario;
use serde_json::{Value, json};
use std::collections::BTreeMap;

async fn scenario() -> Scenario {
    let name = <ObjectReplicationPolicy as cfn_provider::Resource>::TYPE_NAME;
    let entry = REGISTRY.iter().find(|entry| entry.type_name == name).unwrap();
    scenarios::of(entry).await.unwrap()
}

fn with(model: &Value, members: Value) -> Value {
    let mut model = model.clone();
    model.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    model
}

/// The halves that are there, as documents.
fn halves(scenario: &Scenario) -> Vec<Value> {
    let ids = scenario.emulator.resources().into_iter().filter(|id| id.contains("/objectReplicationPolicies/"));
    ids.map(|id| scenario.emulator.get(&id).unwrap()).collect()
}

/// Both halves are there, under one id and with the same rules under the same ids.
fn assert_whole(scenario: &Scenario, about: &str) {
    let halves = halves(scenario);
    let [one, other] = &halves[..] else { panic!("{about}: {halves:?}") };
    assert_eq!(one["name"], other["name"], "{about}");
    assert_eq!(one["properties"], other["properties"], "{about}");
}

fn writes(scenario: &Scenario, first: usize) -> Vec<String> {
    let requests = scenario.emulator.requests().split_off(first).into_iter();
    let done = requests.filter(|request| request.method != "GET" && request.status.is_some_and(|status| status < 300));
    done.map(|request| format!("{} {}", request.method, request.path.split('/').nth(8).unwrap())).collect()
}

fn refused(failure: &Failure, code: Code, says: &str) {
    assert_eq!(failure.code, code, "{}", failure.message);
    assert!(failure.message.contains(says), "{says:?} is missing in: {}", failure.message);
}

#[tokio::test]
async fn both_halves_are_one_resource() {
    let scenario = scenario().await;
    let Scenario { harness, minimal, full, emulator, .. } = &scenario;
    let first = emulator.requests().len();
    let created = harness.create(full).await.unwrap();
    assert_eq!(writes(&scenario, first), ["PUT replicaaccount", "PUT parentaccount"], "the destination names it");
    assert_whole(&scenario, "created");
    let id = created["Id"].as_str().unwrap();
    assert!(id.ends_with("/storageAccounts/replicaaccount/objectReplicationPolicies/parentaccount"), "{id}");
    assert_eq!(created["PolicyId"], halves(&scenario)[0]["name"]);
    let before = halves(&scenario)[0]["properties"]["rules"].clone();

    let first = emulator.requests().len();
    let mut changed = with(full, json!({"Id": id}));
    changed["Rules"] = json!([full["Rules"][1], {"SourceContainer": "new", "DestinationContainer": "new"}]);
    harness.update(&created, &changed).await.unwrap();
    assert_eq!(writes(&scenario, first), ["PUT replicaaccount", "PUT parentaccount"]);
    assert_whole(&scenario, "updated");
    let after = halves(&scenario)[0]["properties"]["rules"].clone();
    assert_eq!(after[0]["ruleId"], before[1]["ruleId"], "a rule that stays keeps its id");

    let small = with(minimal, json!({"Id": id}));
    let updated = harness.update(&changed, &small).await.unwrap();
    assert_eq!(updated["Metrics"], json!({"Enabled": false}), "what is taken out is off");
    assert_whole(&scenario, "without switches");

    let first = emulator.requests().len();
    harness.delete(&small).await.unwrap();
    assert_eq!(writes(&scenario, first), ["DELETE parentaccount", "DELETE replicaaccount"], "the source first");
    assert!(halves(&scenario).is_empty());
}

#[tokio::test]
async fn a_half_that_is_left_is_found_and_finished_or_deleted() {
    let scenario = scenario().await;
    let Scenario { harness, minimal, emulator, .. } = &scenario;
    let created = harness.create(minimal).await.unwrap();
    let source = |halves: Vec<Value>| {
        let ids = halves.iter().map(|half| half["id"].as_str().unwrap().to_owned());
        ids.into_iter().find(|id| id.contains("/parentaccount/")).unwrap()
    };
    emulator.remove(&source(halves(&scenario)));
    let read = harness.read(&created).await.unwrap();
    assert_eq!(read["Rules"], json!([]), "nothing is copied, and drift detection sees it");
    let again = with(minimal, json!({"Id": created["Id"]}));
    harness.update(&again, &again).await.unwrap();
    assert_whole(&scenario, "mended by an update");

    emulator.remove(&source(halves(&scenario)));
    harness.delete(&again).await.unwrap();
    assert!(halves(&scenario).is_empty());
}

/// Whichever call of a create, an update or a delete is lost, before or after Azure served it: in the end there are two
/// halves that agree, or none.
#[tokio::test]
async fn a_fault_at_any_call_leaves_no_half() {
    let faults = [Fault::DropBefore, Fault::DropAfter];
    for (action, fault) in [Action::Create, Action::Update, Action::Delete]
        .into_iter()
        .flat_map(|action| faults.iter().map(move |fault| (action, fault)))
    {
        let mut points = 0;
        for call in 0.. {
            let scenario = scenario().await;
            let Scenario { harness, minimal, full, emulator, .. } = &scenario;
            let about = format!("{action:?} {fault:?} at call {call}");
            let mut model = full.clone();
            let mut previous = Value::Null;
            if action != Action::Create {
                previous = harness.create(minimal).await.unwrap();
                model["Id"] = previous["Id"].clone();
            }
            let mut event = harness.event(action, &model);
            event["requestData"]["previousResourceProperties"] = previous;
            // The first invocation of a create only looks; its failure is the operation's.
            let skipped = usize::from(action == Action::Create);
            emulator.faults().next(Match::new("*", "/subscriptions").after(call + skipped), fault.clone());
            harness.drive(event).await.unwrap_or_else(|e| panic!("{about}: {e:?}"));
            match action {
                Action::Delete => assert!(halves(&scenario).is_empty(), "{about}"),
                _ => assert_whole(&scenario, &about),
            }
            if emulator.faults().pending() > 0 {
                break;
            }
            points += 1;
        }
        assert!(points >= 4, "{action:?} {fault:?}: {points}");
    }
}

#[tokio::test]
async fn what_the_accounts_lack_is_said_with_the_pointer() {
    let scenario = scenario().await;
    let Scenario { harness, minimal, emulator, .. } = &scenario;
    for (end, off, says) in [
        ("SourceAccountId", "changeFeed", "/SourceAccountId: object replication needs ChangeFeed on this account"),
        ("SourceAccountId", "isVersioningEnabled", "/SourceAccountId: object replication needs IsVersioningEnabled"),
        ("DestinationAccountId", "isVersioningEnabled", "/DestinationAccountId: object replication needs IsVersioning"),
    ] {
        let service = format!("{}/blobServices/default", minimal[end].as_str().unwrap());
        let before = emulator.get(&service).unwrap();
        emulator.edit(&service, |service| _ = service["properties"].as_object_mut().unwrap().remove(off));
        let failure = harness.create(minimal).await.unwrap_err();
        refused(&failure, Code::InvalidRequest, says);
        assert!(failure.message.contains("FeatureNotSupportedForAccount"), "{}", failure.message);
        emulator.set(&service, before);
        assert!(halves(&scenario).is_empty());
    }
    harness.create(minimal).await.unwrap();
}

#[tokio::test]
async fn data_stays_in_its_geography_at_both_ends() {
    let scenario = scenario().await;
    let Scenario { harness, minimal, emulator, .. } = &scenario;
    let kept = with(minimal, json!({"DataResidency": "ap-southeast-2"}));
    for (end, says) in [
        ("SourceAccountId", "/SourceAccountId: westus is in United States, outside the DataResidency"),
        ("DestinationAccountId", "/DestinationAccountId: westus is in United States, outside the DataResidency"),
    ] {
        let account = minimal[end].as_str().unwrap();
        let before = emulator.get(account).unwrap()["location"].clone();
        emulator.edit(account, |account| account["location"] = "westus".into());
        let first = emulator.requests().len();
        refused(&harness.create(&kept).await.unwrap_err(), Code::InvalidRequest, says);
        assert!(writes(&scenario, first).is_empty());
        emulator.edit(account, |account| account["location"] = before);
    }
    let created = harness.create(&kept).await.unwrap();
    emulator.edit(minimal["SourceAccountId"].as_str().unwrap(), |account| account["location"] = "westus".into());
    let moved = with(&kept, json!({"Id": created["Id"]}));
    refused(&harness.update(&moved, &moved).await.unwrap_err(), Code::InvalidRequest, "/SourceAccountId: westus");
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_any_call() {
    let scenario = scenario().await;
    let Scenario { harness, minimal, emulator, .. } = &scenario;
    let rule = |from: &str, to: &str| json!({"SourceContainer": from, "DestinationContainer": to});
    let filtered = |filters: Value| with(&rule("a-1", "b-1"), json!({"Filters": filters}));
    let many: Vec<Value> = (0..1001).map(|at| rule(&format!("from{at}"), "to-all")).collect();
    let first = emulator.requests().len();
    for (members, says) in [
        (json!({"DestinationAccountId": minimal["SourceAccountId"]}), "/DestinationAccountId: must be another account"),
        (json!({"SourceAccountId": "parentaccount"}), "/SourceAccountId: \"parentaccount\" is not a resource id"),
        (json!({"Rules": []}), "/Rules: "),
        (json!({"Rules": many}), "/Rules: "),
        (json!({"Rules": [rule("a-1", "b-1"), filtered(json!({"PrefixMatch": ["x"]}))]}), "/Rules/1: another rule"),
        (json!({"Rules": [filtered(json!({}))]}), "/Rules/0/Filters: give a filter"),
        (json!({"Rules": [filtered(json!({"MinCreationTime": "yesterday"}))]}), "/Rules/0/Filters/MinCreationTime: "),
        (json!({"Rules": [rule("A", "b-1")]}), "/Rules/0/SourceContainer: "),
    ] {
        refused(&harness.create(&with(minimal, members)).await.unwrap_err(), Code::InvalidRequest, says);
    }
    assert_eq!(emulator.requests().len(), first);
}

/// What is of others, in either direction, is neither found nor listed.
#[tokio::test]
async fn other_policies_of_the_same_accounts_are_left_alone() {
    let scenario = scenario().await;
    let Scenario { harness, minimal, emulator, .. } = &scenario;
    let (source, destination) = (&minimal["SourceAccountId"], minimal["DestinationAccountId"].as_str().unwrap());
    let other = format!("{destination}/objectReplicationPolicies/0b5a9a2e-0000-4000-8000-000000000000");
    let kind = "Microsoft.Storage/storageAccounts/objectReplicationPolicies";
    let properties = json!({"sourceAccount": destination, "destinationAccount": source, "rules": []});
    let document = json!({"id": other, "name": other.rsplit('/').next(), "type": kind, "properties": properties});
    emulator.set(&other, document);
    assert!(harness.list(minimal).await.unwrap().is_empty());
    let created = harness.create(minimal).await.unwrap();
    assert_eq!(harness.list(minimal).await.unwrap(), std::slice::from_ref(&created));
    harness.delete(&created).await.unwrap();
    assert_eq!(halves(&scenario).len(), 1);
}

/// Every recorded PUT of an api-version with account ids is asked of the handler, and what it sends is what the client sent.
#[tokio::test]
async fn every_recorded_policy_is_sent_as_azure_accepted_it() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/azure/recordings");
    let Ok(entries) = std::fs::read_dir(folder) else {
        println!("skipped: there is no ../shared/azure/recordings");
        return;
    };
    let scenario = scenario().await;
    let Scenario { harness, minimal, emulator, .. } = &scenario;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut current = Value::Null;
    for entry in entries {
        let recording: Value = serde_json::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        for interaction in recording["interactions"].as_array().unwrap() {
            let properties = &interaction["request_body"]["properties"];
            let is_put = interaction["path"].as_str().unwrap().contains("/objectReplicationPolicies/");
            if !is_put || !properties["sourceAccount"].is_string() {
                continue;
            }
            let place = format!("{} {}", recording["name"], interaction["seq"]);
            let of = |end: &str| properties[end].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            let is_destination =
                interaction["path"].as_str().unwrap().contains(&format!("/{}/", of("destinationAccount")));
            let what = match (is_destination, interaction["status"] == 200) {
                (_, false) => "refused",
                (true, _) => "destination",
                (false, _) => "source",
            };
            *counts.entry(what).or_default() += 1;
            if what == "refused" {
                continue;
            }
            let rules = properties["rules"].as_array().unwrap().iter().map(|rule| {
                let mut own = json!({
                    "SourceContainer": rule["sourceContainer"], "DestinationContainer": rule["destinationContainer"]
                });
                for (from, to) in [("prefixMatch", "PrefixMatch"), ("minCreationTime", "MinCreationTime")] {
                    if !rule["filters"][from].is_null() {
                        own["Filters"][to] = rule["filters"][from].clone();
                    }
                }
                own
            });
            let wanted = with(minimal, json!({"Rules": rules.collect::<Vec<_>>()}));
            let first = emulator.requests().len();
            current = match &current {
                Value::Null => harness.create(&wanted).await,
                before => harness.update(before, &with(&wanted, json!({"Id": before["Id"]}))).await,
            }
            .unwrap_or_else(|e| panic!("{place}: {e:?}"));
            for sent in emulator.requests().split_off(first).into_iter().filter(|request| request.method == "PUT") {
                let body = sent.body.unwrap();
                assert_eq!(without_ids(&body["properties"]), without_ids(properties), "{place}");
                let members: Vec<&String> = body["properties"].as_object().unwrap().keys().collect();
                assert_eq!(members.len(), 3, "{place}: {members:?}");
            }
        }
    }
    println!("recorded requests: {counts:#?}");
    assert!(counts.get("destination").is_some_and(|count| *count >= 8), "{counts:?}");
}

/// Rules without what Azure names them.
fn without_ids(properties: &Value) -> Value {
    let mut rules = properties["rules"].clone();
    rules.as_array_mut().unwrap().iter_mut().for_each(|rule| _ = rule.as_object_mut().unwrap().remove("ruleId"));
    rules
}
