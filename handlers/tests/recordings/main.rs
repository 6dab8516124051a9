//! Recorded traffic of real Azure, held against the handlers: what we would send for the recorded intent is what Azure
//! accepted, and what Azure answered decodes.
//!
//! Each recorded request is turned into the model that asks for it, and each recorded answer is put on the emulator and
//! read, so that the whole way is taken: model, engine, translation, HTTP and back. A type that has recordings and is not
//! checked against any fails.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

mod compare;
mod kinds;
mod models;

use std::collections::BTreeMap;

use compare::differences;
use handlers::REGISTRY;
use kinds::{ELSEWHERE, KINDS, Kind, arm_type};
use sandbox::azure::{Emulator, Options};
use serde_json::{Value, json};

/// All recordings have this one.
const SUBSCRIPTION: &str = "/subscriptions/00000000-0000-0000-0000-000000000000";

const OUTSIDE: &str = "not in the model";

const KEY: &str = "keys that a client sends with hasSshKey false are lost, as the recorded listKeys shows";

/// Members that a recorded body has and ours has not, and why.
const NOT_SENT: &[(&str, &str)] = &[
    ("/name", "the path has the name"),
    ("/managedBy", OUTSIDE),
    ("/extendedLocation", OUTSIDE),
    ("/sku/tier", "read only"),
    ("/properties/azureFilesIdentityBasedAuthentication", OUTSIDE),
    ("/properties/encryption/services/queue", OUTSIDE),
    ("/properties/encryption/services/table", OUTSIDE),
    ("/properties/largeFileSharesState", OUTSIDE),
    ("/properties/routingPreference", OUTSIDE),
    ("/properties/hasSshKey", KEY),
    ("/properties/enableSoftDelete", "Azure leaves no choice"),
    ("/properties/vaultUri", "read only"),
    ("/properties/createMode", "the vault is there already"),
];

/// Members that our body has and a recorded one has not, and why.
const SENT_TOO: &[(&str, &str)] = &[
    ("/properties/metrics", "none: a PUT takes all"),
    ("/properties/createMode", "said outright: what is deleted and kept must not come back unasked"),
    (
        "/properties/encryption/keyvaultproperties/keyversion",
        "empty, as recorded elsewhere: a PATCH follows the newest",
    ),
    ("/properties/encryption/services", "both services that can be encrypted, where a client named one"),
    ("/properties/immutableStorageWithVersioning/immutabilityPolicy", "whole, as recorded elsewhere"),
    ("/properties/state", "a scope of this name that was disabled comes back so"),
    ("/properties/hasSshKey", KEY),
    ("/properties/hasSshPassword", "a user gets no password but by somebody's asking"),
];

#[derive(Default)]
struct Tally {
    covered: BTreeMap<String, usize>,
    left_out: BTreeMap<String, usize>,
    but_for: BTreeMap<String, usize>,
    failures: Vec<String>,
    /// By type: how many were recorded that can be checked, and how many were.
    checked: BTreeMap<&'static str, (usize, usize)>,
}

impl Tally {
    fn recorded(&mut self, kind: &Kind) {
        self.checked.entry(kind.type_name).or_default().0 += 1;
    }

    fn cover(&mut self, kind: &Kind, what: impl std::fmt::Display) {
        self.checked.entry(kind.type_name).or_default().1 += 1;
        count(&mut self.covered, format!("{} {what}", kind.short()));
    }

    fn leave_out(&mut self, kind: &Kind, what: impl std::fmt::Display) {
        count(&mut self.left_out, format!("{} {what}", kind.short()));
    }

    /// Prints what was found and fails for what was wrong, or for a type whose recordings nothing was checked against.
    fn report(&self, what: &str) -> usize {
        for (name, (recorded, checked)) in &self.checked {
            println!("{name}: checked against {checked} of {recorded} recorded {what}");
        }
        let (covered, left_out): (usize, usize) = (self.covered.values().sum(), self.left_out.values().sum());
        println!("{covered} recorded {what} covered: {:#?}", self.covered);
        println!("{left_out} recorded {what} left out: {:#?}", self.left_out);
        if !self.but_for.is_empty() {
            println!("members of the covered {what} that differ as documented: {:#?}", self.but_for);
        }
        assert!(self.failures.is_empty(), "{} failures:\n{}", self.failures.len(), self.failures.join("\n"));
        let unchecked: Vec<_> = self.checked.iter().filter(|(_, (_, checked))| *checked == 0).collect();
        assert!(unchecked.is_empty(), "types whose recorded {what} nothing is checked against: {unchecked:?}");
        covered
    }
}

fn count(of: &mut BTreeMap<String, usize>, what: impl Into<String>) {
    *of.entry(what.into()).or_default() += 1;
}

fn recordings() -> Option<Vec<Value>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/azure/recordings");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: there is no ../shared/azure/recordings");
        return None;
    };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    Some(files.iter().map(|file| serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()).collect())
}

async fn emulator() -> Emulator {
    let subscription_id = SUBSCRIPTION.rsplit('/').next().unwrap().to_owned();
    let pace = std::time::Duration::from_millis(1);
    Emulator::start(Options { subscription_id, pace, ..Options::default() }).await.unwrap()
}

/// Puts what a resource lives in on the emulator, as far as it is not there.
fn parents(emulator: &Emulator, id: &str) {
    let words: Vec<&str> = id.split('/').collect();
    let group = words[..words.len().min(5)].join("/");
    if words.len() > 5 && emulator.get(&group).is_none() {
        let document =
            json!({"id": group, "name": words[4], "type": "Microsoft.Resources/resourceGroups", "location": "westus"});
        emulator.set(&group, document);
    }
    // What is in another resource, or said of it.
    for end in (9..words.len()).step_by(2) {
        let ancestor = words[..end].join("/");
        let mut document =
            json!({"id": ancestor, "name": words[end - 1], "type": arm_type(&ancestor), "location": "westus"});
        match Kind::of(&ancestor) {
            Some((kind, _)) if kind.short() == "StorageAccount" => {
                document["properties"] =
                    json!({"provisioningState": "Succeeded", "allowBlobPublicAccess": true, "isHnsEnabled": true});
            }
            // Version-level WORM needs versions.
            _ if ancestor.ends_with("/blobServices/default") => {
                document["properties"] = json!({"isVersioningEnabled": true});
            }
            _ => {}
        }
        emulator.set(&ancestor, document);
    }
}

/// Takes away a resource, and everything that is in its group, and the group.
fn clear(emulator: &Emulator, id: &str) {
    emulator.remove(id);
    emulator.remove(&id.split('/').take(5).collect::<Vec<_>>().join("/"));
}

fn place(recording: &Value, interaction: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    format!("{} {} {}", text(&recording["name"]), interaction["seq"], text(&interaction["method"]))
}

fn succeeded(interaction: &Value) -> bool {
    interaction["status"].as_u64().is_some_and(|status| status < 300)
}

/// The documents that an answer holds: one, or a list's.
fn documents(interaction: &Value) -> Vec<Value> {
    let body = &interaction["response_body"];
    body["value"].as_array().cloned().unwrap_or_else(|| vec![body.clone()])
}

/// Kept by Azure after it was deleted, or as good as deleted.
fn is_gone(document: &Value) -> bool {
    let properties = &document["properties"];
    properties["deleted"] == true || properties["state"] == "Disabled"
}

#[test]
fn every_type_is_known_here() {
    for entry in REGISTRY {
        let known = KINDS.iter().map(|kind| kind.type_name).chain(ELSEWHERE.iter().map(|(name, _)| *name));
        assert_eq!(known.filter(|name| *name == entry.type_name).count(), 1, "rows for {}", entry.type_name);
    }
}

#[tokio::test]
async fn every_recorded_answer_decodes() {
    let Some(recordings) = recordings() else { return };
    let emulator = emulator().await;
    let mut tally = Tally::default();
    for recording in &recordings {
        for interaction in recording["interactions"].as_array().unwrap() {
            let own = Kind::of(interaction["path"].as_str().unwrap());
            let documents = documents(interaction);
            if let (Some((kind, _)), false) =
                (own, documents.iter().any(|document| Kind::of_document(document).is_some()))
            {
                let why = if succeeded(interaction) { "an empty answer" } else { "a refusal" };
                tally.leave_out(kind, format_args!("{}: {why}", interaction["method"].as_str().unwrap()));
            }
            for document in documents {
                let Some(kind) = Kind::of_document(&document) else { continue };
                if is_gone(&document) {
                    tally.leave_out(kind, "that is deleted or disabled");
                    continue;
                }
                tally.recorded(kind);
                let what = match &interaction["response_body"]["value"] {
                    Value::Array(_) => "list item",
                    _ if own.is_none() => "result of an operation",
                    _ => interaction["method"].as_str().unwrap(),
                };
                match decodes(&emulator, kind, &document).await {
                    Ok(()) => tally.cover(kind, what),
                    Err(error) => tally.failures.push(format!("{}: {error}", place(recording, interaction))),
                }
            }
        }
    }
    let covered = tally.report("answers");
    assert!(covered > 500, "only {covered} answers were covered");
}

async fn decodes(emulator: &Emulator, kind: &Kind, document: &Value) -> Result<(), String> {
    let harness = (kind.harness)(emulator.type_configuration());
    let id = document["id"].as_str().unwrap();
    parents(emulator, id);
    emulator.set(id, document.clone());
    let read = harness.read(&json!({"Id": id})).await;
    clear(emulator, id);
    let model = read.map_err(|failure| format!("{failure:?}"))?;

    let schema = &harness.schema().json;
    let mut object = schema.clone();
    object["type"] = "object".into();
    let validator = jsonschema::draft7::new(&object).unwrap();
    let violations: Vec<String> =
        validator.iter_errors(&model).map(|error| format!("{}: {error}", error.instance_path())).collect();
    if !violations.is_empty() {
        return Err(format!("not valid: {violations:?}"));
    }
    let mut expected = kind.model(id, document, schema);
    expected["Id"] = id.into();
    for hidden in schema["writeOnlyProperties"].as_array().into_iter().flatten() {
        let name = hidden.as_str().unwrap().trim_start_matches("/properties/");
        expected.as_object_mut().unwrap().remove(name);
    }
    match differences(&expected, &model, &Value::Null).first() {
        None => Ok(()),
        Some(leaf) => Err(format!("{} is not {} in {model}", leaf.pointer, leaf.value)),
    }
}

#[tokio::test]
async fn every_recorded_intent_is_sent_as_azure_accepted_it() {
    let Some(recordings) = recordings() else { return };
    let emulator = emulator().await;
    let mut tally = Tally::default();
    for recording in &recordings {
        let mut seen: BTreeMap<String, Value> = BTreeMap::new();
        for interaction in recording["interactions"].as_array().unwrap() {
            let path = interaction["path"].as_str().unwrap();
            let method = interaction["method"].as_str().unwrap();
            if let (Some((kind, false)), "PUT" | "PATCH") = (Kind::of(path), method) {
                if !succeeded(interaction) {
                    tally.leave_out(kind, format_args!("{method}: Azure refused it"));
                    continue;
                }
                let why = match () {
                    () if !kind.no_intents.is_empty() => kind.no_intents,
                    // For us these are DELETE and CREATE.
                    () if interaction["request_body"]["properties"]["state"].is_string() => "disables or enables",
                    () if interaction["query"]["$expand"] == "snapshots" => "makes a snapshot",
                    () if interaction["request_body"]["properties"]["createMode"] == "recover" => {
                        "brings back what nothing recorded has deleted"
                    }
                    () => "",
                };
                if !why.is_empty() {
                    tally.leave_out(kind, format_args!("{method}: {why}"));
                    continue;
                }
                tally.recorded(kind);
                intend(
                    &emulator,
                    kind,
                    &place(recording, interaction),
                    interaction,
                    seen.get(&path.to_lowercase()),
                    &mut tally,
                )
                .await;
            }
            for document in documents(interaction) {
                match Kind::of_document(&document) {
                    Some(kind) if kind.is_echo && method != "GET" => {}
                    Some(_) => _ = seen.insert(document["id"].as_str().unwrap().to_lowercase(), document),
                    None => {}
                }
            }
            if method == "DELETE" && succeeded(interaction) {
                seen.retain(|id, _| !id.starts_with(&path.to_lowercase()));
            }
        }
    }
    let covered = tally.report("requests");
    assert!(covered > 150, "only {covered} requests were covered");
}

/// Asks for what a recorded request asked for, on what it found, and compares what was sent.
async fn intend(
    emulator: &Emulator,
    kind: &Kind,
    place: &str,
    interaction: &Value,
    before: Option<&Value>,
    tally: &mut Tally,
) {
    let id = interaction["path"].as_str().unwrap();
    let recorded = without_state(&interaction["request_body"]);
    let harness = (kind.harness)(emulator.type_configuration());
    let intent = kind.model(id, &recorded, &harness.schema().json);
    parents(emulator, id);
    let ours = match before {
        Some(before) => {
            emulator.set(id, before.clone());
            let current = harness.read(&json!({"Id": id})).await.unwrap();
            let desired = merged(&current, &intent);
            let first = emulator.requests().len();
            let updated = harness.update(&current, &desired).await;
            updated.map(|_| emulator.requests().split_off(first).into_iter().find_map(|request| request.body))
        }
        None if interaction["method"] == "PATCH" => {
            return tally.leave_out(kind, "PATCH of what was never shown");
        }
        None => {
            let first = emulator.requests().len();
            let created = harness.create(&intent).await;
            created.map(|_| emulator.requests().split_off(first).into_iter().find_map(|request| request.body))
        }
    };
    clear(emulator, id);
    let ours = match ours {
        Ok(Some(ours)) => ours,
        Ok(None) => json!({}),
        Err(failure) => return tally.failures.push(format!("{place}: {failure:?}")),
    };
    let mut wrong = Vec::new();
    let nothing = Value::Null;
    let before = without_state(before.unwrap_or(&nothing));
    let mut is_partial = false;
    for leaf in differences(&recorded, &ours, &before) {
        match NOT_SENT.iter().find(|(known, _)| leaf.is_within(known)) {
            Some((known, why)) => {
                is_partial |= *why == OUTSIDE;
                count(&mut tally.but_for, format!("{known} not sent: {why}"));
            }
            None if leaf.is_unchanged => {}
            None => wrong.push(format!("{} should be sent as {}", leaf.pointer, leaf.value)),
        }
    }
    for leaf in differences(&ours, &recorded, &before).into_iter().filter(|leaf| !leaf.pointer.is_empty()) {
        match SENT_TOO.iter().find(|(known, _)| leaf.is_within(known)) {
            Some((known, why)) => count(&mut tally.but_for, format!("{known} sent too: {why}")),
            None => wrong.push(format!("{} is sent as {}", leaf.pointer, leaf.value)),
        }
    }
    let what = match (before.is_null(), ours == json!({})) {
        (true, _) => "created",
        (false, true) => "updated, nothing to change",
        (false, false) => "updated",
    };
    match wrong.is_empty() {
        true if is_partial => tally.cover(kind, format_args!("{what}, but for members outside the model")),
        true => tally.cover(kind, what),
        false => tally.failures.push(format!("{place} ({what}): {wrong:?}")),
    }
}

/// A body without the state of its network rules, which is read only.
fn without_state(body: &Value) -> Value {
    let mut body = body.clone();
    let rules = body.pointer_mut("/properties/networkAcls/virtualNetworkRules").and_then(Value::as_array_mut);
    for rule in rules.into_iter().flatten() {
        rule.as_object_mut().unwrap().remove("state");
    }
    body
}

/// A model with the members of another in place of its own; lists and what Azure replaces whole are replaced.
fn merged(model: &Value, change: &Value) -> Value {
    let mut merged = model.clone();
    for (key, value) in change.as_object().into_iter().flatten() {
        let whole = matches!(key.as_str(), "Encryption" | "Metadata");
        merged[key] = match value.is_object() && model[key].is_object() && !whole {
            true => self::merged(&model[key], value),
            false => value.clone(),
        };
    }
    merged
}
