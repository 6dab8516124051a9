//! Recorded requests of real clients, sent to the emulator: it must answer what Azure answered.
//!
//! Compared are the status, the error code, whether there is a `Location`, and the shape of the body: which members
//! there are and of what type. Each recording is replayed in its order on an emulator of its own, with whatever the
//! recording takes for granted put in place first.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use sandbox::azure::{Emulator, Options};
use serde_json::{Value, json};

const PACE: Duration = Duration::from_millis(300);
/// Recordings replayed at the same time; they mostly wait.
const AT_ONCE: usize = 24;
/// All recordings have this one.
const SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000000";

/// The list of all locks.
const SUBSCRIPTION_LOCKS: &str =
    "/subscriptions/00000000-0000-0000-0000-000000000000/providers/Microsoft.Authorization/locks";

/// Members in which an answer may differ from Azure's: of what type, where (a star stands for anything), and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (ACCOUNT, "*/properties/allowBlobPublicAccess", "shown or not by subscription and date"),
    (ACCOUNT, "*/properties/allowCrossTenantReplication", "shown or not by subscription and date"),
    (ACCOUNT, "*/properties/minimumTlsVersion", "shown or not by subscription and date"),
    (ACCOUNT, "*/properties/networkAcls/ipv6Rules", "shown since 2023"),
    (ACCOUNT, "/properties/azureFilesIdentityBasedAuthentication/active*", "the directory's own values"),
    (ACCOUNT, "/properties/privateEndpointConnections/-*", "private endpoints are not emulated"),
    (KEYS, "/keys/-/creationTime", "not shown for keys of old accounts"),
    (BLOB_SERVICE, "/properties/deleteRetentionPolicy/allowPermanentDelete", "shown since 2022"),
    (BLOB_SERVICE, "/properties/restorePolicy/minRestoreTime", "shown once the restore window has begun"),
    (GROUP, "/tags/Creator", "a policy of the recorded subscription adds it"),
    (GROUP, "/tags/DateCreated", "a policy of the recorded subscription adds it"),
    (VAULT, "/properties/networkAcls*", "empty rules are shown since 2021"),
    (VAULT, "/properties/publicNetworkAccess", "shown since 2021"),
    (VAULT, "/properties/softDeleteRetentionInDays", "shown or not of a vault that was made before the recording"),
    (VAULT, "/systemData*", "shown since 2021"),
    (SHARE, "/properties", "the echo of nothing was none in 2023 and empty in 2025"),
];

const ACCOUNT: &str = "Microsoft.Storage/storageAccounts";
const KEYS: &str = "Microsoft.Storage/storageAccounts/listKeys";
const BLOB_SERVICE: &str = "Microsoft.Storage/storageAccounts/blobServices";
const GROUP: &str = "Microsoft.Resources/resourceGroups";
const SHARE: &str = "Microsoft.Storage/storageAccounts/fileServices/shares";
const IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";
const CREDENTIAL: &str = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials";
const ROLE_ASSIGNMENT: &str = "Microsoft.Authorization/roleAssignments";
const LOCK: &str = "Microsoft.Authorization/locks";
const VAULT: &str = "Microsoft.KeyVault/vaults";
const DELETED_VAULT: &str = "Microsoft.KeyVault/locations/deletedVaults";
const CONCURRENT: &str = "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity";
/// What is no storage, and lives in a group or is said of any resource.
const NEIGHBOURS: &[&str] = &[IDENTITY, CREDENTIAL, ROLE_ASSIGNMENT, LOCK];

#[derive(Default)]
struct Tally {
    compared: BTreeMap<String, usize>,
    left_out: BTreeMap<String, usize>,
    differences: BTreeMap<String, Vec<String>>,
    /// The exceptions that were needed, by their pattern.
    excused: BTreeSet<&'static str>,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        for (sum, more) in [(&mut self.compared, other.compared), (&mut self.left_out, other.left_out)] {
            more.into_iter().for_each(|(key, count)| *sum.entry(key).or_default() += count);
        }
        for (difference, places) in other.differences {
            self.differences.entry(difference).or_default().extend(places);
        }
        self.excused.extend(other.excused);
    }
}

#[tokio::test]
async fn answers_what_azure_answered() {
    let Some(recordings) = recordings() else {
        println!("skipped: there is no ../shared/azure/recordings");
        return;
    };
    let mut tally = Tally::default();
    let mut replays = futures::stream::iter(recordings).map(replay).buffered(AT_ONCE);
    while let Some(one) = replays.next().await {
        tally.add(one);
    }
    let compared: usize = tally.compared.values().sum();
    let left_out: usize = tally.left_out.values().sum();
    println!("{compared} interactions compared: {:#?}", tally.compared);
    println!("{left_out} interactions left out: {:#?}", tally.left_out);
    let differences = tally.differences.len();
    for (difference, places) in &tally.differences {
        println!("{} times {difference}, first in {}", places.len(), places[0]);
    }
    assert_eq!(differences, 0, "the emulator differs from Azure, see above");
    for (of, pattern, why) in EXCEPTIONS {
        println!("excused: {of} {pattern}: {why}");
        assert!(tally.excused.contains(pattern), "the exception {pattern} is needed no more");
    }
    assert!(compared > 1000, "only {compared} interactions were compared");
}

fn recordings() -> Option<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/azure/recordings");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).ok()?.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    Some(files)
}

struct Answer {
    status: u16,
    has_location: bool,
    body: Value,
}

/// One recording on one emulator.
struct Replay<'a> {
    emulator: Emulator,
    client: reqwest::Client,
    token: String,
    interactions: &'a [Value],
    /// Where the last account that was created, and the last group that was deleted, are polled.
    account_poll: Option<String>,
    group_poll: Option<String>,
    /// The principals of the recorded identities, and what the emulator calls them.
    principals: BTreeMap<String, Value>,
}

async fn replay(file: PathBuf) -> Tally {
    let recording: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut tally = Tally::default();
    let options = Options { subscription_id: SUBSCRIPTION.into(), pace: PACE, ..Options::default() };
    let emulator = Emulator::start(options).await.unwrap();
    let mut replay = Replay {
        client: emulator.client(),
        token: emulator.token("https://management.azure.com/.default").unwrap(),
        emulator,
        interactions: recording["interactions"].as_array().unwrap(),
        account_poll: None,
        group_poll: None,
        principals: BTreeMap::new(),
    };
    for interaction in replay.interactions {
        let place = format!("{} {}", recording["name"].as_str().unwrap(), interaction["seq"]);
        let what = format!("{} {}", text(interaction, "method"), kind(text(interaction, "path")));
        match replay.step(interaction).await {
            Err(reason) => *tally.left_out.entry(reason).or_default() += 1,
            Ok(answer) => {
                *tally.compared.entry(what.clone()).or_default() += 1;
                for difference in compare(interaction, &answer, &mut tally.excused) {
                    let difference = format!("{what}: {difference}");
                    tally.differences.entry(difference).or_default().push(place.clone());
                }
            }
        }
    }
    tally
}

impl Replay<'_> {
    /// Sends what was recorded; the reason if that cannot be done.
    async fn step(&mut self, interaction: &Value) -> Result<Answer, String> {
        let path = text(interaction, "path");
        let kind = kind(path);
        if !KINDS.contains(&kind.as_str()) {
            return Err(format!("not emulated: {kind}"));
        }
        if kind == ACCOUNT && !path.contains("/resourceGroups/") || path == SUBSCRIPTION_LOCKS {
            return Err("a list of the whole subscription, with what strangers have".into());
        }
        // Kerberos keys look like the others.
        let expands = interaction["query"]["$expand"].as_str().is_some_and(|what| what != "kerb");
        if expands || interaction["query"]["$filter"].is_string() {
            return Err("$expand and $filter".into());
        }
        let method = text(interaction, "method");
        if path.contains("/shares") && (method == "PATCH" || self.has_share_history()) {
            return Err("updates, snapshots and soft deletion of shares".into());
        }
        if kind.starts_with("Microsoft.Storage/") && text(interaction, "api_version") < "2021" {
            return Err("api-versions before 2021".into());
        }
        if interaction["response_body"]["properties"]["provisioningState"] == "Creating" && self.account_poll.is_none()
        {
            return Err("a GET that overtook its PUT".into());
        }
        let expected = interaction["status"].as_u64().unwrap() as u16;
        let url = match kind.as_str() {
            "asyncoperations" => self.account_poll.clone().ok_or("an operation that no recorded request began")?,
            "operationresults" => self.group_poll.clone().ok_or("an operation that no recorded request began")?,
            _ => {
                match kind.as_str() {
                    VAULT | DELETED_VAULT => self.arrange_vault(interaction).await?,
                    kind if NEIGHBOURS.contains(&kind) => self.arrange_neighbour(interaction).await?,
                    _ => self.arrange(interaction).await,
                }
                let version = text(interaction, "api_version");
                let encoded = path.replace('+', "%2B").replace('$', "%24");
                format!("{}{encoded}?api-version={version}", self.emulator.url())
            }
        };
        let mut body = interaction["request_body"].clone();
        // A principal that Azure knew has another name here; one that it did not know is a stranger here too.
        let principal = text(&body["properties"], "principalId").to_owned();
        if let Some(known) = self.principals.get(&principal).filter(|_| expected < 300) {
            body["properties"]["principalId"] = known.clone();
        }
        let body = &body;
        // Recorded time is compressed: what Azure did in minutes takes milliseconds here, but not none.
        for _ in 0..12 {
            let (answer, location) = self.send(method, &url, body).await;
            let code = answer.body["error"]["code"].as_str().unwrap_or_default();
            let passes = ["ContainerOperationFailure", "PrincipalNotFound", CONCURRENT].contains(&code);
            let waits = matches!(method, "GET" | "HEAD") || passes;
            if answer.status != expected && waits {
                tokio::time::sleep(PACE).await;
                continue;
            }
            match (method, kind.as_str()) {
                ("PUT", ACCOUNT) if answer.status == 202 => self.account_poll = location,
                ("DELETE", GROUP) => self.group_poll = location,
                (_, IDENTITY) => {
                    let recorded = text(&interaction["response_body"]["properties"], "principalId").to_owned();
                    self.principals.insert(recorded, answer.body["properties"]["principalId"].clone());
                }
                _ => {}
            }
            return Ok(answer);
        }
        let (answer, _) = self.send(method, &url, body).await;
        Ok(answer)
    }

    async fn send(&self, method: &str, url: &str, body: &Value) -> (Answer, Option<String>) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if !body.is_null() {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let bytes = response.bytes().await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (Answer { status, has_location: location.is_some(), body }, location)
    }

    /// Puts in place what the recording takes for granted, and away what it must not find.
    async fn arrange(&self, interaction: &Value) {
        let path = text(interaction, "path");
        let code = interaction["response_body"]["error"]["code"].as_str().unwrap_or_default();
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let Some(group) = segments.get(3).filter(|_| segments[2].eq_ignore_ascii_case("resourceGroups")) else {
            return;
        };
        let status = interaction["status"].as_u64().unwrap();
        let method = text(interaction, "method");
        let is_gone = status == 404;
        let is_new = method == "PUT" && matches!(status, 201 | 202);
        let group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}");
        if segments.len() == 4 {
            return self.want(&group, !is_gone && !is_new, is_gone || is_new).await;
        }
        if code == "ResourceGroupNotFound" {
            return self.want(&group, false, true).await;
        }
        self.want(&group, true, false).await;
        let Some(account) = segments.get(7) else { return };
        let account = format!("{group}/providers/Microsoft.Storage/storageAccounts/{account}");
        let is_account = segments.len() == 8;
        if matches!(code, "ResourceNotFound" | "ParentResourceNotFound") || (is_account && is_new) {
            // What is being created is left alone, so that a repeated PUT is one.
            return self.want(&account, false, !is_account || !is_new).await;
        }
        if is_account && status == 400 && method == "PUT" {
            return;
        }
        // An account that is on its way was created by the recording itself.
        let is_unready = code == "StorageAccountIsNotProvisioned" || (is_account && method == "GET");
        if !is_unready {
            self.settle(&account).await;
        }
        if !self.is_on_its_way(&account).await {
            self.want(&account, true, false).await;
        }
        if segments.len() >= 12 {
            let held = segments[8..12].join("/");
            let held = format!("{account}/{held}");
            self.want(&held, !is_gone && !is_new, is_gone || is_new).await;
        }
    }

    /// The same for what is no storage; an error where the recording shows what nothing recorded has made.
    async fn arrange_neighbour(&self, interaction: &Value) -> Result<(), String> {
        let path = text(interaction, "path").trim_end_matches('/');
        let code = interaction["response_body"]["error"]["code"].as_str().unwrap_or_default();
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let is_list = !segments.len().is_multiple_of(2);
        let provider = segments.iter().rposition(|word| *word == "providers").unwrap_or_default();
        // The first type below a provider hangs on what is before it, any further one on the type before it.
        let above = if segments.len() <= provider + 4 { provider } else { segments.len() - 2 };
        let parent = format!("/{}", segments[..above].join("/"));
        if let Some(group) = segments.get(3).filter(|_| segments[2].eq_ignore_ascii_case("resourceGroups")) {
            let group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}");
            let is_gone = code == "ResourceGroupNotFound";
            self.want(&group, !is_gone, is_gone).await;
            if is_gone {
                return Ok(());
            }
        }
        if code == "ParentResourceNotFound" {
            self.emulator.remove(&parent);
            return Ok(());
        }
        self.settle(&parent).await;
        // What is locked may be of any type.
        for end in (8..=above).step_by(2) {
            let ancestor = format!("/{}", segments[..end].join("/"));
            if self.emulator.get(&ancestor).is_none() {
                self.emulator.set(&ancestor, json!({"id": ancestor, "type": kind(&ancestor)}));
            }
        }
        let exists = is_list || self.emulator.get(path).is_some();
        match (text(interaction, "method"), interaction["status"].as_u64().unwrap()) {
            ("PUT", 201) | (_, 404) => _ = self.emulator.remove(path),
            ("PUT", 200) if !exists => {
                let url = format!("{}{path}?api-version={}", self.emulator.url(), text(interaction, "api_version"));
                self.send("PUT", &url, &interaction["request_body"]).await;
            }
            ("GET" | "DELETE", 200) if !exists => return Err("shown or deleted, but made before the recording".into()),
            _ => {}
        }
        Ok(())
    }

    /// The same for a vault, which may be in place, or deleted and kept.
    async fn arrange_vault(&self, interaction: &Value) -> Result<(), String> {
        let found = &interaction["response_body"];
        let path = found["properties"]["vaultId"].as_str().unwrap_or_else(|| text(interaction, "path"));
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let is_gone = found["error"]["code"] == "ResourceGroupNotFound";
        if segments[2] == "resourceGroups" {
            let group = format!("/{}", segments[..4].join("/"));
            self.want(&group, !is_gone, is_gone).await;
        }
        let recovers = interaction["request_body"]["properties"]["createMode"] == "recover";
        let is_kept = found["type"] == "Microsoft.KeyVault/deletedVaults";
        let is_here = self.emulator.get(path).is_some();
        if (is_kept || recovers) && !is_here {
            let url = format!("{}{path}?api-version=2023-07-01", self.emulator.url());
            let location = found["location"].as_str().or(found["properties"]["location"].as_str());
            let body = json!({"location": location, "properties": {
                "tenantId": SUBSCRIPTION, "accessPolicies": [], "sku": {"family": "A", "name": "standard"}
            }});
            self.send("PUT", &url, &body).await;
            self.send("DELETE", &url, &Value::Null).await;
        }
        match (text(interaction, "method"), interaction["status"].as_u64().unwrap()) {
            ("DELETE", 200) if self.group_poll.is_some() => Err("deleted while its group was".into()),
            ("GET" | "DELETE", 200) if !is_here && !is_kept => {
                Err("shown or deleted, but made before the recording".into())
            }
            _ => Ok(()),
        }
    }

    fn has_share_history(&self) -> bool {
        self.interactions.iter().any(|i| {
            let settings = &i["request_body"]["properties"]["shareDeleteRetentionPolicy"];
            settings.is_object() || text(i, "path").contains("/shares/") && !i["query"].as_object().unwrap().is_empty()
        })
    }

    async fn is_on_its_way(&self, account: &str) -> bool {
        self.account_poll.is_some() && {
            let name = account.rsplit('/').next().unwrap();
            let (answer, _) = self.check_name(name).await;
            answer.body["nameAvailable"] == false
        }
    }

    async fn check_name(&self, name: &str) -> (Answer, Option<String>) {
        let url = format!(
            "{}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Storage/checkNameAvailability?api-version=2023-05-01",
            self.emulator.url()
        );
        self.send("POST", &url, &json!({"name": name})).await
    }

    /// Waits until an account that exists is ready.
    async fn settle(&self, account: &str) {
        for _ in 0..12 {
            let is_ready =
                self.emulator.get(account).is_some_and(|found| found["properties"]["provisioningState"] == "Succeeded");
            if is_ready || !self.is_on_its_way(account).await {
                return;
            }
            tokio::time::sleep(PACE).await;
        }
    }

    async fn want(&self, id: &str, present: bool, absent: bool) {
        let exists = self.emulator.get(id).is_some();
        if absent && exists {
            self.emulator.remove(id);
        }
        if present && !exists {
            let body = self.creation_of(id);
            let url = format!("{}{id}?api-version=2023-05-01", self.emulator.url());
            let (answer, _) = self.send("PUT", &url, &body).await;
            assert!(answer.status < 300, "creating {id}: {} {}", answer.status, answer.body);
            if kind(id) == ACCOUNT {
                for _ in 0..12 {
                    tokio::time::sleep(PACE).await;
                    let found = self.emulator.get(id).unwrap_or_default();
                    if found["properties"]["provisioningState"] == "Succeeded" {
                        return;
                    }
                }
            }
        }
    }

    /// The request that must have made a resource which the recording shows and did not create.
    fn creation_of(&self, id: &str) -> Value {
        let is_it = |i: &&Value| {
            let found = &i["response_body"];
            found["id"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(id)) && found["properties"].is_object()
        };
        let seen = self.interactions.iter().find(is_it).map_or(Value::Null, |i| i["response_body"].clone());
        let mut body = json!({"location": seen["location"].as_str().unwrap_or("westus")});
        for member in ["tags", "managedBy", "kind"] {
            if !seen[member].is_null() {
                body[member] = seen[member].clone();
            }
        }
        match kind(id).as_str() {
            GROUP => {}
            ACCOUNT => {
                body["sku"] = json!({"name": seen["sku"]["name"].as_str().unwrap_or("Standard_LRS")});
                body["kind"] = seen["kind"].as_str().unwrap_or("StorageV2").into();
                body["properties"] = json!({"allowBlobPublicAccess": true});
                for member in ["accessTier", "isHnsEnabled", "isNfsV3Enabled", "largeFileSharesState"] {
                    if !seen["properties"][member].is_null() {
                        body["properties"][member] = seen["properties"][member].clone();
                    }
                }
            }
            _ => body = json!({"properties": {}}),
        }
        if !seen["properties"]["metadata"].is_null() {
            body["properties"]["metadata"] = seen["properties"]["metadata"].clone();
        }
        body
    }
}

/// What is replayed.
const KINDS: &[&str] = &[
    GROUP,
    "Microsoft.Storage/checkNameAvailability",
    ACCOUNT,
    KEYS,
    BLOB_SERVICE,
    "Microsoft.Storage/storageAccounts/blobServices/containers",
    "Microsoft.Storage/storageAccounts/blobServices/containers/clearLegalHold",
    "Microsoft.Storage/storageAccounts/blobServices/containers/setLegalHold",
    SHARE,
    "Microsoft.Storage/storageAccounts/queueServices/queues",
    "Microsoft.Storage/storageAccounts/tableServices/tables",
    VAULT,
    DELETED_VAULT,
    IDENTITY,
    CREDENTIAL,
    ROLE_ASSIGNMENT,
    LOCK,
    "asyncoperations",
    "operationresults",
];

/// The type, action or operation that a path names.
fn kind(path: &str) -> String {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    if let Some(operation) = segments.iter().find(|word| matches!(**word, "asyncoperations" | "operationresults")) {
        return (*operation).into();
    }
    let Some(provider) = segments.iter().rposition(|word| *word == "providers") else {
        return match segments.len() {
            3 | 4 => "Microsoft.Resources/resourceGroups".into(),
            _ => "Microsoft.Resources/subscriptions".into(),
        };
    };
    let mut kind = segments.get(provider + 1).copied().unwrap_or_default().to_owned();
    for word in segments.iter().skip(provider + 2).step_by(2) {
        kind.push('/');
        kind.push_str(word);
    }
    kind
}

fn text<'a>(interaction: &'a Value, member: &str) -> &'a str {
    interaction[member].as_str().unwrap_or_default()
}

fn compare(interaction: &Value, answer: &Answer, excused: &mut BTreeSet<&'static str>) -> Vec<String> {
    let expected = interaction["status"].as_u64().unwrap() as u16;
    let code = |body: &Value| body["error"]["code"].as_str().unwrap_or_default().to_owned();
    let recorded = &interaction["response_body"];
    if answer.status != expected || code(&answer.body) != code(recorded) {
        return vec![format!(
            "status {} {}, Azure said {expected} {}",
            answer.status,
            code(&answer.body),
            code(recorded)
        )];
    }
    let mut differences = Vec::new();
    if answer.has_location != interaction["headers"]["location"].is_string() {
        differences.push(format!("Location header {}", answer.has_location));
    }
    let (ours, theirs) = (shape(&answer.body), shape(recorded));
    for (pointer, word) in ours
        .difference(&theirs)
        .map(|at| (at, "is not at Azure"))
        .chain(theirs.difference(&ours).map(|at| (at, "is missing")))
    {
        // The result of an operation is an account.
        let kind = kind(text(interaction, "path")).replace("asyncoperations", ACCOUNT);
        match EXCEPTIONS.iter().find(|(of, pattern, _)| *of == kind && fits(pattern, &pointer.0)) {
            Some((_, pattern, _)) => _ = excused.insert(pattern),
            None => differences.push(format!("{} ({}) {word}", pointer.0, pointer.1)),
        }
    }
    differences
}

fn fits(pattern: &str, pointer: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == pointer,
        Some((start, end)) => pointer.starts_with(start) && pointer[start.len()..].contains(end),
    }
}

/// Every pointer with the type found there; the items of an array count as one.
fn shape(value: &Value) -> BTreeSet<(String, &'static str)> {
    fn walk(value: &Value, pointer: &str, shape: &mut BTreeSet<(String, &'static str)>) {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(items) => {
                items.iter().for_each(|item| walk(item, &format!("{pointer}/-"), shape));
                "array"
            }
            Value::Object(members) => {
                members.iter().for_each(|(name, value)| walk(value, &format!("{pointer}/{name}"), shape));
                "object"
            }
        };
        shape.insert((pointer.into(), kind));
    }
    let mut found = BTreeSet::new();
    walk(value, "", &mut found);
    found
}
