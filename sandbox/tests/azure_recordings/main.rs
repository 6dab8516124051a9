//! Recorded requests of real clients, sent to the emulator: it must answer what Azure answered.
//!
//! Compared are the status, the error code, whether there is a `Location`, and the shape of the body: which members
//! there are and of what type. Each recording is replayed in its order on an emulator of its own, with whatever the
//! recording takes for granted put in place first.
#![allow(clippy::unwrap_used, reason = "a test may fail by unwrapping")]

mod arrange;
mod compare;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use compare::compare;
use futures::StreamExt;
use sandbox::azure::{Emulator, Options};
use serde_json::{Map, Value};

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
    (SHARE, "/properties/accessTier", "not shown by old accounts"),
    (SHARE, "/properties/accessTierChangeTime", "not shown by old accounts"),
];

const ACCOUNT: &str = "Microsoft.Storage/storageAccounts";
const KEYS: &str = "Microsoft.Storage/storageAccounts/listKeys";
const BLOB_SERVICE: &str = "Microsoft.Storage/storageAccounts/blobServices";
const IMMUTABILITY: &str = "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies";
const REPLICATION: &str = "Microsoft.Storage/storageAccounts/objectReplicationPolicies";
const GROUP: &str = "Microsoft.Resources/resourceGroups";
const SHARE: &str = "Microsoft.Storage/storageAccounts/fileServices/shares";
const SCOPE: &str = "Microsoft.Storage/storageAccounts/encryptionScopes";
const LOCAL_USER: &str = "Microsoft.Storage/storageAccounts/localUsers";
const IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";
const CREDENTIAL: &str = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials";
const ROLE_ASSIGNMENT: &str = "Microsoft.Authorization/roleAssignments";
const LOCK: &str = "Microsoft.Authorization/locks";
/// Types that the emulator has, of which nothing recorded is compared, and why.
const UNCOMPARED: &[(&str, &str)] = &[
    (
        "Microsoft.Authorization/roleDefinitions",
        "clients made the recorded ones; the emulator has those that are built in",
    ),
    ("Microsoft.Storage/storageAccounts/fileServices", "there to have shares below it; its settings do nothing"),
    ("Microsoft.Storage/storageAccounts/queueServices", "there to have queues below it; its settings do nothing"),
    ("Microsoft.Storage/storageAccounts/tableServices", "there to have tables below it; its settings do nothing"),
];
const DIAGNOSTIC_SETTING: &str = "Microsoft.Insights/diagnosticSettings";
const VAULT: &str = "Microsoft.KeyVault/vaults";
const VAULT_KEY: &str = "Microsoft.KeyVault/vaults/keys";
const DELETED_VAULT: &str = "Microsoft.KeyVault/locations/deletedVaults";
const CONCURRENT: &str = "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity";
/// What is no storage, and lives in a group or is said of any resource.
const NEIGHBOURS: &[&str] = &[IDENTITY, CREDENTIAL, ROLE_ASSIGNMENT, LOCK, DIAGNOSTIC_SETTING];

#[derive(Default)]
struct Tally {
    compared: BTreeMap<String, usize>,
    left_out: BTreeMap<String, usize>,
    /// By type: how many interactions were recorded, and how many of them were compared.
    types: BTreeMap<String, (usize, usize)>,
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
        for (kind, (recorded, compared)) in other.types {
            let sum = self.types.entry(kind).or_default();
            *sum = (sum.0 + recorded, sum.1 + compared);
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
    let emulated = Emulator::types();
    let types: Vec<_> = tally.types.iter().filter(|(kind, _)| emulated.contains(&kind.as_str())).collect();
    for (kind, (recorded, compared)) in &types {
        println!("{kind}: {compared} of {recorded} recorded interactions compared");
    }
    let is_reasoned = |kind: &str| UNCOMPARED.iter().any(|(known, _)| *known == kind);
    let unchecked: Vec<_> =
        types.iter().filter(|(kind, (_, compared))| (*compared == 0) != is_reasoned(kind)).collect();
    assert!(unchecked.is_empty(), "compared with nothing recorded, or compared against the list: {unchecked:?}");
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
    /// The recorded ids of replication policies and their rules, and what the emulator calls them.
    replications: BTreeMap<String, String>,
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
        replications: BTreeMap::new(),
    };
    for interaction in replay.interactions {
        let place = format!("{} {}", recording["name"].as_str().unwrap(), interaction["seq"]);
        let what = format!("{} {}", text(interaction, "method"), kind(text(interaction, "path")));
        let counts = tally.types.entry(kind(text(interaction, "path"))).or_default();
        counts.0 += 1;
        match replay.step(interaction).await {
            Err(reason) => *tally.left_out.entry(reason).or_default() += 1,
            Ok(answer) => {
                counts.1 += 1;
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
        let query = &interaction["query"];
        // Kerberos keys look like the others.
        let expands = query["$expand"].as_str().is_some_and(|what| !matches!(what, "kerb" | "stats"));
        if expands || query["$filter"].is_string() {
            return Err("$expand and $filter".into());
        }
        let method = text(interaction, "method");
        if kind == SCOPE && method == "GET" && !query.as_object().is_none_or(Map::is_empty) {
            return Err("lists of some encryption scopes, in pages whose tokens are Azure's".into());
        }
        if path.contains("/shares") && self.has_share_history() {
            return Err("snapshots and soft deletion of shares".into());
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
                    // Its vault was arranged before it.
                    VAULT_KEY => {}
                    kind if NEIGHBOURS.contains(&kind) => self.arrange_neighbour(interaction).await?,
                    _ => self.arrange(interaction).await,
                }
                let version = text(interaction, "api_version");
                let encoded = path.replace('+', "%2B").replace('$', "%24");
                let asked = ["$expand", "$include"].iter().filter_map(|name| Some((name, query[*name].as_str()?)));
                let asked: String = asked.map(|(name, what)| format!("&{name}={what}")).collect();
                format!("{}{encoded}?api-version={version}{asked}", self.emulator.url())
            }
        };
        let mut body = interaction["request_body"].clone();
        // A principal that Azure knew has another name here; one that it did not know is a stranger here too.
        let principal = text(&body["properties"], "principalId").to_owned();
        if let Some(known) = self.principals.get(&principal).filter(|_| expected < 300) {
            body["properties"]["principalId"] = known.clone();
        }
        let (url, body) = (self.translated(&url), &self.translated(&body.to_string()).parse::<Value>().unwrap());
        // Recorded time is compressed: what Azure did in minutes takes milliseconds here, but not none.
        for _ in 0..12 {
            let (answer, location) = self.send_matching(method, &url, body, self.tag(interaction)).await;
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
                ("PUT", REPLICATION) => self.learn(&interaction["response_body"], &answer.body),
                (_, IDENTITY) => {
                    let recorded = text(&interaction["response_body"]["properties"], "principalId").to_owned();
                    self.principals.insert(recorded, answer.body["properties"]["principalId"].clone());
                }
                _ => {}
            }
            return Ok(answer);
        }
        let (answer, _) = self.send_matching(method, &url, body, self.tag(interaction)).await;
        Ok(answer)
    }

    /// Notes what the emulator calls a policy and its rules.
    fn learn(&mut self, recorded: &Value, own: &Value) {
        let ids = |document: &Value| {
            let rules = document["properties"]["rules"].as_array().cloned().unwrap_or_default();
            let ids = std::iter::once(document["name"].clone()).chain(rules.iter().map(|rule| rule["ruleId"].clone()));
            ids.filter_map(|id| id.as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        self.replications.extend(ids(recorded).into_iter().zip(ids(own)));
    }

    /// What was recorded, in the emulator's names.
    fn translated(&self, text: &str) -> String {
        self.replications.iter().fold(text.to_owned(), |text, (recorded, own)| text.replace(recorded, own))
    }

    /// The entity tag that a request was bound to: not the recorded one, but what the emulator calls it.
    fn tag(&self, interaction: &Value) -> Option<String> {
        interaction["request_headers"]["if-match"].as_str()?;
        let path = text(interaction, "path");
        let id = path.trim_end_matches("/lock").trim_end_matches("/extend");
        let document = self.emulator.get(id)?;
        document["etag"].as_str().map(str::to_owned)
    }

    async fn send(&self, method: &str, url: &str, body: &Value) -> (Answer, Option<String>) {
        self.send_matching(method, url, body, None).await
    }

    async fn send_matching(
        &self,
        method: &str,
        url: &str,
        body: &Value,
        tag: Option<String>,
    ) -> (Answer, Option<String>) {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if let Some(tag) = tag {
            request = request.header("if-match", tag);
        }
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
    IMMUTABILITY,
    REPLICATION,
    "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/lock",
    "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies/extend",
    SHARE,
    "Microsoft.Storage/storageAccounts/queueServices/queues",
    "Microsoft.Storage/storageAccounts/tableServices/tables",
    SCOPE,
    "Microsoft.Storage/storageAccounts/managementPolicies",
    LOCAL_USER,
    "Microsoft.Storage/storageAccounts/localUsers/listKeys",
    "Microsoft.Storage/storageAccounts/localUsers/regeneratePassword",
    VAULT,
    VAULT_KEY,
    DELETED_VAULT,
    DIAGNOSTIC_SETTING,
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
