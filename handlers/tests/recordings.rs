//! Recorded traffic of real Azure, held against the handlers: what we would send for the recorded intent is what Azure
//! accepted, and what Azure answered decodes.
//!
//! Each recorded request is turned into the model that asks for it, and each recorded answer is put on the emulator and
//! read, so that the whole way is taken: model, engine, translation, HTTP and back.

#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use std::collections::BTreeMap;

use cfn_provider::testing::Harness;
use handlers::{
    key_vault::vault::Vault,
    resources::resource_group::ResourceGroup,
    storage::{blob_container::BlobContainer, storage_account::StorageAccount},
};
use sandbox::azure::{Emulator, Options};
use serde_json::{Map, Value, json};

/// All recordings have this one.
const SUBSCRIPTION: &str = "/subscriptions/00000000-0000-0000-0000-000000000000";
const SERVICE: &str = "/blobServices/default";

const OUTSIDE: &str = "not in the model";

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
    ("/properties/enableSoftDelete", "Azure leaves no choice"),
    ("/properties/vaultUri", "read only"),
    ("/properties/createMode", "the vault is there already"),
];

/// Members that our body has and a recorded one has not, and why.
const SENT_TOO: &[(&str, &str)] = &[
    ("/properties/createMode", "said outright: what is deleted and kept must not come back unasked"),
    (
        "/properties/encryption/keyvaultproperties/keyversion",
        "empty, as recorded elsewhere: a PATCH follows the newest",
    ),
    ("/properties/encryption/services", "both services that can be encrypted, where a client named one"),
    ("/properties/immutableStorageWithVersioning/immutabilityPolicy", "whole, as recorded elsewhere"),
];

#[derive(Default)]
struct Tally {
    covered: BTreeMap<String, usize>,
    left_out: BTreeMap<String, usize>,
    but_for: BTreeMap<String, usize>,
    failures: Vec<String>,
}

impl Tally {
    fn report(&self, what: &str) -> usize {
        let (covered, left_out): (usize, usize) = (self.covered.values().sum(), self.left_out.values().sum());
        println!("{covered} recorded {what} covered: {:#?}", self.covered);
        println!("{left_out} recorded {what} left out: {:#?}", self.left_out);
        if !self.but_for.is_empty() {
            println!("members of the covered {what} that differ as documented: {:#?}", self.but_for);
        }
        assert!(self.failures.is_empty(), "{} failures:\n{}", self.failures.len(), self.failures.join("\n"));
        covered
    }
}

fn count(of: &mut BTreeMap<String, usize>, what: impl Into<String>) {
    *of.entry(what.into()).or_default() += 1;
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Group,
    Account,
    Container,
    Vault,
}

impl Kind {
    /// The type that a path ends in, and whether it is the type's list.
    fn of(path: &str) -> Option<(Self, bool)> {
        let path = path.trim_end_matches('/').to_lowercase();
        let words: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        Some(match words[..] {
            ["subscriptions", _, "resourcegroups"] => (Self::Group, true),
            ["subscriptions", _, "resourcegroups", _] => (Self::Group, false),
            [.., "providers", "microsoft.storage", "storageaccounts"] => (Self::Account, true),
            [.., "providers", "microsoft.storage", "storageaccounts", _] => (Self::Account, false),
            [.., "blobservices", _, "containers"] => (Self::Container, true),
            [.., "blobservices", _, "containers", _] => (Self::Container, false),
            [.., "providers", "microsoft.keyvault", "vaults"] => (Self::Vault, true),
            [.., "providers", "microsoft.keyvault", "vaults", _] => (Self::Vault, false),
            _ => return None,
        })
    }

    fn harness(self, emulator: &Emulator) -> Harness {
        let configuration = emulator.type_configuration();
        match self {
            Self::Group => Harness::new::<ResourceGroup>(configuration),
            Self::Account => Harness::new::<StorageAccount>(configuration),
            Self::Container => Harness::new::<BlobContainer>(configuration),
            Self::Vault => Harness::new::<Vault>(configuration),
        }
    }

    /// What a body of ARM says in the model's terms, of those members that the model has. Written apart from the
    /// handlers' own translation, which it checks.
    fn model(self, id: &str, body: &Value, schema: &Value) -> Value {
        let properties = &body["properties"];
        let mut model = Map::new();
        let (parent, name) = id.rsplit_once('/').unwrap();
        for (key, value) in properties.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            let value = match key.as_str() {
                "networkAcls" if matches!(self, Self::Vault) => {
                    let mut acls = network_acls(value);
                    acls["Bypass"] = value["bypass"].clone();
                    acls
                }
                "networkAcls" => network_acls(value),
                "encryption" => encryption(value),
                "metadata" => value.clone(),
                "legalHold" if value["tags"].as_array().is_none_or(Vec::is_empty) => continue,
                "legalHold" => {
                    json!({"Tags": value["tags"].as_array().unwrap().iter().map(|tag| &tag["tag"]).collect::<Vec<_>>()})
                }
                _ => pascal(value),
            };
            model.insert(capital(key), value);
        }
        for key in ["location", "kind", "sku"] {
            if !body[key].is_null() {
                model.insert(capital(key), pascal(&body[key]));
            }
        }
        if let Some(tags) = body["tags"].as_object() {
            model.insert("Tags".into(), tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect());
        }
        if body["identity"].is_object() {
            let mut identity = json!({"Type": body["identity"]["type"]});
            if let Some(ids) = body["identity"]["userAssignedIdentities"].as_object() {
                identity["UserAssignedIdentityIds"] = ids.keys().map(String::as_str).collect();
            }
            model.insert("Identity".into(), identity);
        }
        let own = match self {
            Self::Group => vec![("ResourceGroupName", name)],
            Self::Account => {
                vec![("AccountName", name), ("ResourceGroupId", parent.rsplitn(4, '/').last().unwrap())]
            }
            Self::Vault => vec![("VaultName", name), ("ResourceGroupId", parent.rsplitn(4, '/').last().unwrap())],
            Self::Container => {
                vec![("ContainerName", name), ("StorageAccountId", parent.rsplitn(4, '/').last().unwrap())]
            }
        };
        model.extend(own.into_iter().map(|(key, value)| (key.into(), value.into())));
        known(schema, schema, Value::Object(model))
    }
}

/// Leaves those members that the schema knows, its words spelled as it does.
fn known(schema: &Value, at: &Value, value: Value) -> Value {
    let at = match at["$ref"].as_str() {
        Some(name) => &schema["definitions"][name.rsplit('/').next().unwrap()],
        None => at,
    };
    match value {
        Value::String(text) if at["enum"].is_array() => {
            let words = at["enum"].as_array().unwrap().iter();
            words.filter_map(Value::as_str).find(|word| word.eq_ignore_ascii_case(&text)).unwrap_or(&text).into()
        }
        Value::Object(members) if at["properties"].is_object() => {
            let members = members.into_iter().filter(|(key, _)| at["properties"].get(key).is_some());
            Value::Object(
                members.map(|(key, value)| (key.clone(), known(schema, &at["properties"][&key], value))).collect(),
            )
        }
        Value::Array(items) => items.into_iter().map(|item| known(schema, &at["items"], item)).collect(),
        other => other,
    }
}

fn capital(key: &str) -> String {
    key[..1].to_uppercase() + &key[1..]
}

fn pascal(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (capital(key), pascal(value)))
            .collect(),
        Value::Array(items) => items.iter().map(pascal).collect(),
        other => other.clone(),
    }
}

fn network_acls(acls: &Value) -> Value {
    let mut model = json!({});
    for (from, to, member) in
        [("ipRules", "IpRules", "value"), ("virtualNetworkRules", "VirtualNetworkSubnetIds", "id")]
    {
        if let Some(rules) = acls[from].as_array() {
            model[to] = rules.iter().map(|rule| rule[member].clone()).collect();
        }
    }
    if let Some(bypass) = acls["bypass"].as_str() {
        model["Bypass"] = bypass.split(',').map(str::trim).filter(|who| *who != "None").collect();
    }
    for key in ["defaultAction", "resourceAccessRules"] {
        if !acls[key].is_null() {
            model[capital(key)] = pascal(&acls[key]);
        }
    }
    model
}

fn encryption(encryption: &Value) -> Value {
    let mut model = json!({});
    if !encryption["requireInfrastructureEncryption"].is_null() {
        model["RequireInfrastructureEncryption"] = encryption["requireInfrastructureEncryption"].clone();
    }
    for (from, to) in
        [("userAssignedIdentity", "UserAssignedIdentityId"), ("federatedIdentityClientId", "FederatedIdentityClientId")]
    {
        if !encryption["identity"][from].is_null() {
            model[to] = encryption["identity"][from].clone();
        }
    }
    let key = &encryption["keyvaultproperties"];
    if key.is_object() {
        model["KeyVaultProperties"] = json!({"KeyVaultUri": key["keyvaulturi"], "KeyName": key["keyname"]});
        if key["keyversion"].as_str().is_some_and(|version| !version.is_empty()) {
            model["KeyVaultProperties"]["KeyVersion"] = key["keyversion"].clone();
        }
    }
    model
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
    if words.len() > 9 {
        let account = words[..9].join("/");
        let document = json!({
            "id": account, "name": words[8], "type": "Microsoft.Storage/storageAccounts", "location": "westus",
            "properties": {"provisioningState": "Succeeded", "allowBlobPublicAccess": true}
        });
        emulator.set(&account, document);
        // Version-level WORM needs versions.
        let service = account + SERVICE;
        let kind = "Microsoft.Storage/storageAccounts/blobServices";
        emulator.set(&service, json!({"id": service, "type": kind, "properties": {"isVersioningEnabled": true}}));
    }
}

/// Takes away everything that is in the group of a resource, and the group.
fn clear(emulator: &Emulator, id: &str) {
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

fn kind_of(document: &Value) -> Option<Kind> {
    let (kind, is_list) = Kind::of(document["id"].as_str()?)?;
    (!is_list).then_some(kind)
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
            if let (Some((kind, _)), false) = (own, documents.iter().any(|document| kind_of(document).is_some())) {
                let why = if succeeded(interaction) { "an empty answer" } else { "a refusal" };
                count(&mut tally.left_out, format!("{kind:?} {}: {why}", interaction["method"].as_str().unwrap()));
            }
            for document in documents {
                let Some(kind) = kind_of(&document) else { continue };
                let what = match &interaction["response_body"]["value"] {
                    Value::Array(_) => "list item",
                    _ if own.is_none() => "result of an operation",
                    _ => interaction["method"].as_str().unwrap(),
                };
                match decodes(&emulator, kind, &document).await {
                    Ok(()) => count(&mut tally.covered, format!("{kind:?} {what}")),
                    Err(error) => tally.failures.push(format!("{}: {error}", place(recording, interaction))),
                }
            }
        }
    }
    let covered = tally.report("answers");
    assert!(covered > 500, "only {covered} answers were covered");
}

async fn decodes(emulator: &Emulator, kind: Kind, document: &Value) -> Result<(), String> {
    let harness = kind.harness(emulator);
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
                    count(&mut tally.left_out, format!("{kind:?} {method}: Azure refused it"));
                    continue;
                }
                if interaction["request_body"]["properties"]["createMode"] == "recover" {
                    count(
                        &mut tally.left_out,
                        format!("{kind:?} {method}: brings back what nothing recorded has deleted"),
                    );
                    continue;
                }
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
                // A container's PUT and PATCH answer a part of it.
                match kind_of(&document) {
                    Some(Kind::Container) if method != "GET" => {}
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
    kind: Kind,
    place: &str,
    interaction: &Value,
    before: Option<&Value>,
    tally: &mut Tally,
) {
    let id = interaction["path"].as_str().unwrap();
    let recorded = without_state(&interaction["request_body"]);
    let harness = kind.harness(emulator);
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
            return count(&mut tally.left_out, format!("{kind:?} PATCH of what was never shown"));
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
        true if is_partial => count(&mut tally.covered, format!("{kind:?} {what}, but for members outside the model")),
        true => count(&mut tally.covered, format!("{kind:?} {what}")),
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

/// A member of one value that another lacks or contradicts.
struct Leaf {
    pointer: String,
    value: Value,
    /// It says what was so before.
    is_unchanged: bool,
}

impl Leaf {
    fn is_within(&self, known: &str) -> bool {
        self.pointer == known || self.pointer.strip_prefix(known).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// The leaves of `expected` that `actual` lacks or contradicts; lists are compared as sets.
fn differences(expected: &Value, actual: &Value, before: &Value) -> Vec<Leaf> {
    fn walk(expected: &Value, actual: &Value, before: &Value, pointer: &str, found: &mut Vec<Leaf>) {
        match expected {
            Value::Object(members) if !members.is_empty() => {
                for (key, value) in members {
                    walk(value, &actual[key], &before[key], &format!("{pointer}/{key}"), found);
                }
            }
            _ if same(expected, actual) || is_spelling(pointer, expected, actual) => {}
            _ => {
                let is_unchanged = same(expected, before);
                found.push(Leaf { pointer: pointer.into(), value: expected.clone(), is_unchanged });
            }
        }
    }
    let mut found = Vec::new();
    walk(expected, actual, before, "", &mut found);
    // Nothing is nothing, be it null, empty or left out; where something was before, an empty value takes it away.
    found.retain(|leaf| !(leaf.is_unchanged && is_empty(&leaf.value)));
    found
}

/// Azure takes its own words in any case, and clients make use of that.
fn is_spelling(pointer: &str, a: &Value, b: &Value) -> bool {
    let is_word = !pointer.contains("/tags/") && !pointer.contains("/metadata/");
    is_word && a.as_str().zip(b.as_str()).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        other => other.is_null(),
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().all(|item| b.iter().any(|other| same(item, other)))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        _ => a == b || (is_empty(a) && is_empty(b)),
    }
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
