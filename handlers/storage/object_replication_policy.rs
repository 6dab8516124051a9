//! `Azure::Storage::ObjectReplicationPolicy`.
//!
//! A policy has two halves, one in each account, under an id that Azure makes for the destination's half. It makes the
//! destination's first and deletes it last, so that whatever an attempt left behind is found there. Accounts have one
//! policy at most for each source and destination, so those two are the identifier, known before Azure has made an id:
//! the ARM id that the destination's half would have if it were named after the source.

use super::{Cx, storage_account::StorageAccount};
use crate::{
    identifier::{ArmResource, Id},
    profile::ProfileName,
    provider::AzureProvider,
    residency::DataResidency,
    translate::{camel, decode, pascal},
};
use azure_client::{ApiVersion, ResourceId};
use cfn_provider::{
    Change, Error, HandlerErrorCode, Never, Page, Resource, Result, Step,
    schema::{create_only, not_secret, primary_identifier, read_only, unordered, write_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Resource Type definition for Azure::Storage::ObjectReplicationPolicy, by which Azure copies block blobs from the
/// containers of one storage account to those of another as they change. It is two policies in Azure, one in each account,
/// and this resource owns both. Both accounts must keep versions of blobs and the source a change feed
/// (Azure::Storage::BlobService, which this resource must DependOn), and neither may have a hierarchical namespace. Blobs
/// that an immutability policy protects in the destination are neither overwritten nor deleted there, and their replication
/// fails. To import it, give the ARM id of the destination, then /objectReplicationPolicies/ and the name of the source.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ObjectReplicationPolicy {
    /// The ARM id of the destination account, then `/objectReplicationPolicies/` and the name of the source account.
    #[schemars(transform = read_only, transform = primary_identifier)]
    pub id: Option<String>,
    /// The ARM id of the account from which blobs are copied: `!Ref` of an Azure::Storage::StorageAccount.
    #[schemars(required, transform = create_only)]
    pub source_account_id: Option<String>,
    /// The ARM id of the account to which blobs are copied.
    #[schemars(required, transform = create_only)]
    pub destination_account_id: Option<String>,
    /// What is copied. The rules of the template are all that there are.
    #[schemars(required, transform = unordered, length(min = 1, max = 1000))]
    pub rules: Option<Vec<ReplicationRule>>,
    /// Whether Azure counts what is still to be copied.
    pub metrics: Option<Switch>,
    /// Whether Azure copies with priority, which it promises for accounts on one continent.
    pub priority_replication: Option<Switch>,
    /// Whether the index tags of blobs are copied too.
    pub tags_replication: Option<Switch>,
    /// The id that Azure gave the policy in both accounts.
    #[schemars(transform = read_only)]
    pub policy_id: Option<String>,
    /// The geography that the data may never leave: both accounts must be in it.
    #[schemars(transform = write_only, transform = not_secret)]
    pub data_residency: Option<DataResidency>,
    profile: Option<ProfileName>,
}

/// From which container blobs are copied to which.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ReplicationRule {
    /// The name of a container in the source account.
    #[schemars(required, length(min = 3, max = 63), regex(pattern = "^(\\$root|\\$web|[a-z0-9](-?[a-z0-9])*)$"))]
    pub source_container: Option<String>,
    /// The name of a container in the destination account.
    #[schemars(required, length(min = 3, max = 63), regex(pattern = "^(\\$root|\\$web|[a-z0-9](-?[a-z0-9])*)$"))]
    pub destination_container: Option<String>,
    /// Which blobs are copied; all new ones if you give none.
    pub filters: Option<ReplicationFilters>,
}

/// Which blobs are copied: those that fit every filter given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ReplicationFilters {
    /// How their names begin. Blobs with any of these.
    #[schemars(transform = unordered, length(min = 1), inner(length(min = 1)))]
    pub prefix_match: Option<Vec<String>>,
    /// Since when they were made, such as `2026-02-19T16:05:00Z`; `1601-01-01T00:00:00Z` copies all that there are. Only
    /// blobs made after the policy if you give none.
    #[schemars(regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"))]
    pub min_creation_time: Option<String>,
}

/// What is on or off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Switch {
    /// Whether it is on.
    #[schemars(required)]
    pub enabled: Option<bool>,
}

impl ArmResource for ObjectReplicationPolicy {
    const ARM_TYPE: &'static str = "Microsoft.Storage/storageAccounts/objectReplicationPolicies";
    const API: ApiVersion = ApiVersion::STORAGE_2025_08;
}

/// What is on or off in a policy, and off where Azure does not say.
const SWITCHES: [&str; 3] = ["metrics", "priorityReplication", "tagsReplication"];

/// The two accounts of a policy.
struct Ends {
    source: ResourceId,
    destination: ResourceId,
}

impl Ends {
    fn halves(&self, policy_id: &str) -> (String, String) {
        let half = |account: &ResourceId| account.child("objectReplicationPolicies", policy_id).to_string();
        (half(&self.source), half(&self.destination))
    }
}

/// The account that a policy names: by its id, or by its name alone in a policy that reaches across tenants.
fn names(account: &Value, name: &str) -> bool {
    account.as_str().and_then(|account| account.rsplit('/').next()).is_some_and(|own| own.eq_ignore_ascii_case(name))
}

/// The destination's half of a policy, if it has been made.
async fn find(id: &Id<ObjectReplicationPolicy>, cx: &Cx) -> Result<Option<Value>> {
    let destination = destination_of(id);
    let is_it =
        |policy: &Value| is_received(policy, &destination) && names(&policy["properties"]["sourceAccount"], id.name());
    let path = format!("{destination}/objectReplicationPolicies");
    let (found, _) = cx.provider.find(&path, ObjectReplicationPolicy::API, is_it).await?;
    Ok(found.into_iter().next())
}

fn destination_of(id: &Id<ObjectReplicationPolicy>) -> ResourceId {
    super::account_of(id)
}

/// Whether the account is the policy's destination; it lists those of which it is the source, too.
fn is_received(policy: &Value, destination: &ResourceId) -> bool {
    names(&policy["properties"]["destinationAccount"], destination.name())
}

/// A policy that is there, or nothing where it or its account is not.
async fn half(id: &str, cx: &Cx) -> Result<Value> {
    match cx.provider.get(id, ObjectReplicationPolicy::API).await {
        Err(error) if error.is_not_found() => Ok(Value::Null),
        other => other,
    }
}

/// Where the source account of a policy is: its id, or one looked up where the policy has the name alone.
async fn source_of(policy: &Value, destination: &ResourceId, cx: &Cx) -> Result<ResourceId> {
    let source = policy["properties"]["sourceAccount"].as_str().unwrap_or_default();
    if let Ok(id) = source.parse() {
        return Ok(id);
    }
    let path = format!("/subscriptions/{}/providers/Microsoft.Storage/storageAccounts", destination.subscription());
    let is_it = |account: &Value| names(&account["name"], source);
    let (accounts, _) = cx.provider.find(&path, StorageAccount::API, is_it).await?;
    let id = accounts.first().and_then(|account| account["id"].as_str()?.parse().ok());
    id.ok_or_else(|| {
        Error::new(
            HandlerErrorCode::GeneralServiceException,
            format!("the policy names its source {source}, and no account of that name is in the subscription"),
        )
    })
}

/// Rules and switches of a policy, so that two that mean the same are the same: without ids, in order, nothing that is empty.
fn meaning(properties: &Value) -> Value {
    let mut rules: Vec<Value> = properties["rules"].as_array().into_iter().flatten().map(rule).collect();
    for prefixes in rules.iter_mut().filter_map(|rule| rule["filters"].get_mut("prefixMatch")?.as_array_mut()) {
        prefixes.sort_by_cached_key(Value::to_string);
    }
    rules.sort_by_cached_key(Value::to_string);
    let switches = SWITCHES.map(|name| properties[name]["enabled"] == true);
    json!({"rules": rules, "switches": switches})
}

/// A rule without its id and without filters that are empty.
fn rule(rule: &Value) -> Value {
    let mut filters = Map::new();
    if let Some(prefixes) = rule["filters"]["prefixMatch"].as_array().filter(|prefixes| !prefixes.is_empty()) {
        filters.insert("prefixMatch".into(), prefixes.clone().into());
    }
    if let Some(time) = rule["filters"]["minCreationTime"].as_str().filter(|time| !time.is_empty()) {
        filters.insert("minCreationTime".into(), time.into());
    }
    json!({
        "sourceContainer": rule["sourceContainer"], "destinationContainer": rule["destinationContainer"],
        "filters": filters
    })
}

/// What to send in place of `current`: the rules with the ids that they have in `policy`, where a new one has none, and what
/// is on and no longer wanted off.
fn replacing(current: &Value, mut wanted: Value, policy: &Value) -> Value {
    let known = policy["properties"]["rules"].as_array().map_or(&[][..], Vec::as_slice);
    for rule in wanted["properties"]["rules"].as_array_mut().into_iter().flatten() {
        let is_same = |other: &&Value| {
            ["sourceContainer", "destinationContainer"].iter().all(|member| other[member] == rule[member])
        };
        if let Some(id) = known.iter().find(is_same).map(|same| same["ruleId"].clone()) {
            rule["ruleId"] = id;
        }
    }
    for name in SWITCHES {
        if current["properties"][name]["enabled"] == true && wanted["properties"][name].is_null() {
            wanted["properties"][name] = json!({"enabled": false});
        }
    }
    wanted
}

impl ObjectReplicationPolicy {
    fn ends(&self) -> Result<Ends> {
        let account = |id: &Option<String>, pointer: &str| {
            Id::<StorageAccount>::parse(id.as_deref().unwrap_or_default())
                .map(|id| ResourceId::clone(&id))
                .map_err(|error| error.while_doing(pointer))
        };
        Ok(Ends {
            source: account(&self.source_account_id, "/SourceAccountId")?,
            destination: account(&self.destination_account_id, "/DestinationAccountId")?,
        })
    }

    fn to_azure(&self, ends: &Ends) -> Value {
        let mut properties = camel(json!({
            "Rules": self.rules, "Metrics": self.metrics, "PriorityReplication": self.priority_replication,
            "TagsReplication": self.tags_replication,
        }));
        properties["sourceAccount"] = ends.source.to_string().into();
        properties["destinationAccount"] = ends.destination.to_string().into();
        json!({"properties": properties})
    }

    /// The policy as the source follows it. Where the source has no half nothing is copied, so there are no rules.
    async fn from_azure(policy: &Value, destination: &ResourceId, cx: &Cx) -> Result<Self> {
        let name = policy["name"].as_str().unwrap_or_default();
        let ends = Ends { source: source_of(policy, destination, cx).await?, destination: destination.clone() };
        let followed = half(&ends.halves(name).0, cx).await?;
        let mut members = Map::new();
        let rules = followed["properties"]["rules"].as_array().into_iter().flatten().map(|own| {
            let mut own = rule(own);
            if own["filters"].as_object().is_some_and(Map::is_empty) {
                own["filters"] = Value::Null;
            }
            pascal(own)
        });
        members.insert("Rules".into(), rules.collect());
        for (member, own) in ["Metrics", "PriorityReplication", "TagsReplication"].into_iter().zip(SWITCHES) {
            let is_on = followed["properties"][own]["enabled"] == true;
            members.insert(member.into(), json!({"Enabled": is_on}));
        }
        let id = destination.child("objectReplicationPolicies", ends.source.name());
        members.insert("Id".into(), id.to_string().into());
        members.insert("PolicyId".into(), name.into());
        members.insert("SourceAccountId".into(), ends.source.to_string().into());
        members.insert("DestinationAccountId".into(), ends.destination.to_string().into());
        decode(&id, members)
    }

    async fn check_residency(&self, ends: &Ends, cx: &Cx) -> Result<()> {
        let Some(residency) = &self.data_residency else { return Ok(()) };
        for (account, pointer) in [(&ends.source, "/SourceAccountId"), (&ends.destination, "/DestinationAccountId")] {
            let account = cx.provider.get(&account.to_string(), StorageAccount::API).await?;
            residency.check_location(pointer, account["location"].as_str())?;
        }
        Ok(())
    }

    /// Brings both halves to what the template says, from wherever an earlier attempt left them: the destination's first,
    /// which gives the policy and its rules their ids, then the source's with the same ids.
    async fn bring(&self, id: &Id<Self>, cx: &Cx) -> Result<Step<Never>> {
        let ends = self.ends()?;
        self.check_residency(&ends, cx).await?;
        let wanted = self.to_azure(&ends);
        let made = match find(id, cx).await? {
            Some(found) => self.receive(&ends, &wanted, found["name"].as_str().unwrap_or_default(), cx).await?,
            None => self.make(id, &ends, &wanted, cx).await?,
        };
        let (source, _) = ends.halves(made["name"].as_str().unwrap_or_default());
        let followed = half(&source, cx).await?;
        if followed.is_null() || meaning(&followed["properties"]) != meaning(&wanted["properties"]) {
            let sent = replacing(&followed, wanted, &made);
            if let Err(error) = cx.provider.put(&source, Self::API, &sent).await {
                return Err(explained(error, "/SourceAccountId", &ends, cx).await);
            }
        }
        Ok(Step::Done)
    }

    /// Makes the destination's half.
    async fn make(&self, id: &Id<Self>, ends: &Ends, wanted: &Value, cx: &Cx) -> Result<Value> {
        let (_, unnamed) = ends.halves("default");
        match cx.provider.put(&unnamed, Self::API, wanted).await {
            Ok(answer) => Ok(answer.body),
            // Its answer may have been lost, and then it exists.
            Err(error) => match find(id, cx).await {
                Ok(Some(found)) => self.receive(ends, wanted, found["name"].as_str().unwrap_or_default(), cx).await,
                _ => Err(explained(error, "/DestinationAccountId", ends, cx).await),
            },
        }
    }

    /// Changes the destination's half where it says something else, and returns it as it then is.
    async fn receive(&self, ends: &Ends, wanted: &Value, policy_id: &str, cx: &Cx) -> Result<Value> {
        let (_, destination) = ends.halves(policy_id);
        // A list does not show the rules.
        let policy = cx.provider.get(&destination, Self::API).await?;
        if meaning(&policy["properties"]) == meaning(&wanted["properties"]) {
            return Ok(policy);
        }
        match cx.provider.put(&destination, Self::API, &replacing(&policy, wanted.clone(), &policy)).await {
            Ok(answer) => Ok(answer.body),
            Err(error) => Err(explained(error, "/DestinationAccountId", ends, cx).await),
        }
    }
}

/// Azure's refusal with what the accounts lack of what object replication needs, or with the pointer at least.
async fn explained(error: Error, pointer: &str, ends: &Ends, cx: &Cx) -> Error {
    if !matches!(error.code, HandlerErrorCode::InvalidRequest | HandlerErrorCode::ResourceConflict)
        || error.retry().is_some()
    {
        return error.while_doing(pointer);
    }
    for (account, pointer, needs) in [
        (&ends.source, "/SourceAccountId", &["isVersioningEnabled", "changeFeed"][..]),
        (&ends.destination, "/DestinationAccountId", &["isVersioningEnabled"]),
    ] {
        let service = account.child("blobServices", "default").to_string();
        // What cannot be looked up is not what Azure refused.
        let service = cx.provider.get(&service, ObjectReplicationPolicy::API).await.unwrap_or_default();
        let properties = &service["properties"];
        let lacks = needs.iter().find(|need| {
            let setting = &properties[**need];
            properties.is_object() && *setting != true && setting["enabled"] != true
        });
        if let Some(lacks) = lacks {
            let lacks = if *lacks == "changeFeed" { "ChangeFeed" } else { "IsVersioningEnabled" };
            return error.while_doing(format!(
                "{pointer}: object replication needs {lacks} on this account (Azure::Storage::BlobService; let this \
                 resource depend on it), which is off"
            ));
        }
    }
    error.while_doing(format!(
        "{pointer}: object replication needs accounts without a hierarchical namespace, containers that exist, and \
         AllowCrossTenantReplication between tenants"
    ))
}

impl Resource for ObjectReplicationPolicy {
    const TYPE_NAME: &'static str = "Azure::Storage::ObjectReplicationPolicy";
    const LIST_BY: &'static [&'static str] = &["DestinationAccountId"];
    type Provider = AzureProvider;
    type Id = Id<Self>;
    type Wait = Never;

    fn check(&self) -> Result<()> {
        let ends = self.ends()?;
        if ends.source.name().eq_ignore_ascii_case(ends.destination.name()) {
            return Err(Error::invalid_request("/DestinationAccountId: must be another account than SourceAccountId"));
        }
        let mut pairs = BTreeSet::new();
        for (at, rule) in self.rules.iter().flatten().enumerate() {
            if !pairs.insert((&rule.source_container, &rule.destination_container)) {
                return Err(Error::invalid_request(format!("/Rules/{at}: another rule has these containers")));
            }
            if rule.filters.as_ref().is_some_and(|filters| *filters == ReplicationFilters::default()) {
                let message = format!("/Rules/{at}/Filters: give a filter, or leave Filters out");
                return Err(Error::invalid_request(message));
            }
        }
        Ok(())
    }

    fn identify(&mut self, _: &Cx) -> Result<Self::Id> {
        let ends = self.ends()?;
        Ok(ends.destination.child("objectReplicationPolicies", ends.source.name()).into())
    }

    async fn create(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        self.bring(id, cx).await
    }

    async fn read(id: &Self::Id, cx: &Cx) -> Result<Self> {
        let destination = destination_of(id);
        let Some(policy) = find(id, cx).await? else {
            return Err(Error::not_found(format!(
                "{} has no replication policy with a source named {}",
                destination.name(),
                id.name()
            )));
        };
        Self::from_azure(&policy, &destination, cx).await
    }

    async fn update(&self, id: &Self::Id, _: Change<Self>, cx: &Cx) -> Result<Step<Never>> {
        self.bring(id, cx).await
    }

    async fn delete(&self, id: &Self::Id, cx: &Cx) -> Result<Step<Never>> {
        let destination = destination_of(id);
        let Some(policy) = find(id, cx).await? else { return Ok(Step::Done) };
        let ends = Ends { source: source_of(&policy, &destination, cx).await?, destination };
        let (source, destination) = ends.halves(policy["name"].as_str().unwrap_or_default());
        for half in [source, destination] {
            match cx.provider.delete(&half, Self::API).await {
                Err(error) if error.is_not_found() => {}
                other => _ = other?,
            }
        }
        Ok(Step::Done)
    }

    async fn list(&self, token: Option<&str>, cx: &Cx) -> Result<Page<Self>> {
        let destination = Id::<StorageAccount>::parse(self.destination_account_id.as_deref().unwrap_or_default())
            .map_err(|error| error.while_doing("/DestinationAccountId"))?;
        let page = cx.provider.list(&format!("{destination}/objectReplicationPolicies"), Self::API, token).await?;
        let mut models = Vec::new();
        for policy in page.items.iter().filter(|policy| is_received(policy, &destination)) {
            models.push(Self::from_azure(policy, &destination, cx).await?);
        }
        Ok(Page { models, next: page.next })
    }

    async fn resume(wait: Never, _: &Self::Id, _: &Cx) -> Result<Step<Never>> {
        match wait {}
    }
}
