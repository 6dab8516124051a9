//! Azure Resource Manager: what is the same for every type.
//!
//! A request is authorised, its path is read as an id, its parents are looked for, and the [`ResourceType`] does the
//! rest. Lists and operations are served here for all types.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use super::entra::{Audience, Entra};
use super::http::{Answer, Outcome, Request};
use super::ids::Id;
use super::state::{Operation, State};
use super::{
    Options, accounts, containers, diagnostic_settings, encryption_scopes, groups, held, identities,
    immutability_policies, keys, local_users, locks, object_replication_policies, policies, role_assignments,
    role_definitions, services, vaults,
};

/// One resource type. What it does not define, it does not support, as Azure does.
pub(super) trait ResourceType: Sync {
    /// The type's name in canonical casing.
    fn name(&self) -> &'static str;

    fn put(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        Err(unsupported(call, id))
    }

    fn patch(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        Err(unsupported(call, id))
    }

    fn delete(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        Err(unsupported(call, id))
    }

    /// POST of `action` on a resource that exists, though a GET may not find it yet.
    fn act(&self, _: &mut Call<'_>, id: &Id, action: &str) -> Outcome {
        Err(no_such_action(id, action))
    }

    /// What a GET answers; by default the stored document.
    fn get(&self, call: &mut Call<'_>, id: &Id) -> Outcome {
        match call.state.get(id) {
            Some(document) => Ok(shown(document)),
            None => Err(self.absent(id)),
        }
    }

    /// What a list shows of a resource; by default what a GET does.
    fn item(&self, document: &Value) -> Value {
        document.clone()
    }

    /// The 404 of this type.
    fn absent(&self, id: &Id) -> Answer {
        not_found(id)
    }
}

/// Every type that the emulator has.
const TYPES: &[&dyn ResourceType] = &[
    &groups::ResourceGroup,
    &accounts::StorageAccount,
    &services::BlobService,
    &services::FILES,
    &services::QUEUES,
    &services::TABLES,
    &containers::Container,
    &immutability_policies::ImmutabilityPolicy,
    &object_replication_policies::ObjectReplicationPolicy,
    &held::Share,
    &held::Queue,
    &held::Table,
    &encryption_scopes::EncryptionScope,
    &local_users::LocalUser,
    &policies::MANAGEMENT,
    &policies::INVENTORY,
    &identities::UserAssignedIdentity,
    &identities::FederatedIdentityCredential,
    &role_assignments::RoleAssignment,
    &role_definitions::RoleDefinition,
    &locks::Lock,
    &vaults::Vault,
    &keys::Key,
    &diagnostic_settings::DiagnosticSetting,
];

/// One request to ARM, with all it may look at and change.
pub(super) struct Call<'a> {
    pub(super) state: &'a mut State,
    pub(super) options: &'a Options,
    /// The emulator's own base URL.
    pub(super) url: &'a str,
    pub(super) request: &'a Request,
    pub(super) now: Instant,
}

impl Call<'_> {
    /// The request's body as an object; an empty one if nothing was sent.
    pub(super) fn body(&self) -> Result<Value, Answer> {
        if self.request.body.is_empty() {
            return Ok(json!({}));
        }
        match self.request.json() {
            Some(body @ Value::Object(_)) => Ok(body),
            _ => Err(Answer::gateway(
                400,
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized.",
            )),
        }
    }

    /// `units` of the emulator's time from now.
    pub(super) fn after(&self, units: u32) -> Instant {
        self.now + self.options.pace * units
    }

    /// What `Retry-After` says for `units` of the emulator's time: whole seconds, and sometimes 0, as at Azure.
    pub(super) fn retry_after(&self, units: u32) -> String {
        let wait: Duration = self.options.pace * units;
        format!("{:.0}", wait.as_secs_f64())
    }

    /// Starts an operation and returns the address to poll. Azure signs these, so they are long.
    pub(super) fn location(&mut self, path: &str, operation: Operation) -> String {
        let name = self.state.start(operation);
        let version = self.api_version();
        let seal: String = (0..60).map(|_| Uuid::new_v4().simple().to_string()).collect();
        format!("{}{path}/{name}?monitor=true&api-version={version}&t=1&c={seal}", self.url)
    }

    pub(super) fn api_version(&self) -> String {
        self.request.parameters().remove("api-version").unwrap_or_default()
    }
}

/// The names of every type.
pub(super) fn types() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|known| known.name())
}

/// Reads an ARM id as the emulator spells it.
pub(super) fn parse(path: &str) -> Option<Id> {
    let names: Vec<&str> = types().collect();
    Id::parse(path, &names)
}

/// Serves a request to ARM.
pub(super) fn serve(call: &mut Call<'_>, entra: &Entra) -> Answer {
    answer(call, entra).unwrap_or_else(|failure| failure)
}

fn answer(call: &mut Call<'_>, entra: &Entra) -> Outcome {
    entra.check(call.request, Audience::Management)?;
    check_version(&call.api_version())?;
    let path = call.request.path.trim_matches('/').to_owned();
    let segments: Vec<&str> = path.split('/').collect();
    let lower = path.to_lowercase();
    let words: Vec<&str> = lower.split('/').collect();
    if let ["subscriptions", subscription, ..] = words[..] {
        check_subscription(call, subscription)?;
    }
    match (call.request.method.as_str(), &words[..]) {
        ("GET", ["subscriptions", _]) => Ok(subscription(call)),
        ("GET", ["subscriptions", _, "operationresults", name])
        | ("GET", ["subscriptions", _, "providers", _, "locations", _, "asyncoperations", name]) => poll(call, name),
        ("GET", ["subscriptions", _, "resourcegroups", _, "resources"]) => {
            let group = parse(&segments[..4].join("/")).ok_or_else(bad_path)?;
            find_parents(call, &group.child("x", "x"))?;
            groups::contents(call, &group)
        }
        ("POST", ["subscriptions", _, "providers", "microsoft.storage", "checknameavailability"]) => {
            accounts::check_name(call)
        }
        (_, ["subscriptions", _, "providers", "microsoft.keyvault", "locations", location, "deletedvaults", name]) => {
            vaults::on_deleted(call, location, name, None)
        }
        (
            _,
            [
                "subscriptions",
                _,
                "providers",
                "microsoft.keyvault",
                "locations",
                location,
                "deletedvaults",
                name,
                action,
            ],
        ) => vaults::on_deleted(call, location, name, Some(action)),
        ("GET", [.., "providers", "microsoft.authorization", "roledefinitions"]) => Ok(role_definitions::list(call)),
        (method, _) => match parse(&path) {
            Some(id) => on_resource(call, method, id),
            None => on_tail(call, method, &segments),
        },
    }
}

fn on_resource(call: &mut Call<'_>, method: &str, id: Id) -> Outcome {
    let kind = find_type(&id.type_name())?;
    let id = find_parents(call, &id)?;
    locks::refuse_locked(call.state, method, &id)?;
    match method {
        "GET" => kind.get(call, &id),
        "HEAD" => Ok(Answer::empty(if call.state.get(&id).is_some() { 204 } else { 404 })),
        "PUT" => kind.put(call, &id),
        "PATCH" => kind.patch(call, &id),
        "DELETE" => kind.delete(call, &id),
        _ => Err(unsupported(call, &id)),
    }
}

/// A path with one segment after a resource: a collection for GET, an action for POST.
fn on_tail(call: &mut Call<'_>, method: &str, segments: &[&str]) -> Outcome {
    let (tail, base) = segments.split_last().ok_or_else(bad_path)?;
    match method {
        "POST" => {
            let id = parse(&base.join("/")).ok_or_else(bad_path)?;
            let kind = find_type(&id.type_name())?;
            let id = find_parents(call, &id)?;
            if call.state.any(&id).is_none() {
                return Err(kind.absent(&id));
            }
            locks::refuse_locked(call.state, method, &id)?;
            kind.act(call, &id, &tail.to_lowercase())
        }
        "GET" => {
            // A collection is where its items would be, so a made-up item finds type and parents.
            let item = parse(&format!("{}/_", segments.join("/"))).ok_or_else(bad_path)?;
            let id = find_parents(call, &item)?;
            let scope = id.parent().ok_or_else(bad_path)?;
            let kind = find_type(&id.type_name())?;
            list(call, kind, &scope)
        }
        _ => Err(bad_path()),
    }
}

/// Lists the resources of a type below `scope`, or those at it and above where the filter says so, in pages; the address
/// of the next has a literal `$`.
fn list(call: &mut Call<'_>, kind: &dyn ResourceType, scope: &Id) -> Outcome {
    let below = format!("{}/", scope.key());
    let at_scope = call.request.parameters().get("$filter").is_some_and(|filter| filter == "atScope()");
    let belongs = |key: &String| match key.rsplit_once("/providers/") {
        Some((own, _)) if at_scope => below.starts_with(&format!("{own}/")),
        _ => key.starts_with(&below),
    };
    let items: Vec<(String, Value)> = call
        .state
        .visible()
        .filter(|(key, document)| belongs(key) && document["type"].as_str() == Some(kind.name()))
        .map(|(key, document)| (key.clone(), kind.item(document)))
        .collect();
    Ok(page(call, items))
}

/// Answers one page of `items`, which are in order of their keys.
pub(super) fn page(call: &Call<'_>, items: Vec<(String, Value)>) -> Answer {
    let parameters = call.request.parameters();
    let asked =
        ["$maxpagesize", "$top"].iter().find_map(|name| Some((*name, parameters.get(*name)?.parse::<usize>().ok()?)));
    let size = asked.map_or(call.options.page_size, |(_, size)| size.min(call.options.page_size));
    let from = parameters.get("$skiptoken").cloned().unwrap_or_default();
    let mut rest = items.into_iter().filter(|(key, _)| *key >= from);
    let value: Vec<Value> = rest.by_ref().take(size.max(1)).map(|(_, item)| item).collect();
    let mut body = json!({"value": value});
    if let Some((next, _)) = rest.next() {
        let path = &call.request.path;
        let version = call.api_version();
        let asked = asked.map_or(String::new(), |(name, size)| format!("&{name}={size}"));
        let filter = parameters.get("$filter").map_or(String::new(), |filter| format!("&$filter={filter}"));
        body["nextLink"] = format!("{}{path}?api-version={version}{filter}{asked}&$skipToken={next}", call.url).into();
    }
    Answer::json(200, &body)
}

fn poll(call: &mut Call<'_>, name: &str) -> Outcome {
    let Some(operation) = call.state.operation(name) else {
        return Err(Answer::gateway(404, "OperationNotFound", "The operation was not found."));
    };
    if operation.due > call.now {
        let again = format!("{}{}?{}", call.url, call.request.path, call.request.query);
        return Ok(Answer::empty(202).with("location", again).with("retry-after", call.retry_after(1)));
    }
    match operation.result.clone() {
        None => Ok(Answer::empty(200)),
        Some(id) => find_type(&id.type_name())?.get(call, &id),
    }
}

/// Checks that everything above `id` exists, and returns the id spelled as its parent spells itself.
fn find_parents(call: &mut Call<'_>, id: &Id) -> Result<Id, Answer> {
    let writes = !matches!(call.request.method.as_str(), "GET" | "HEAD");
    let Some(parent) = id.parent() else {
        return Ok(id.clone());
    };
    if let Some(group) = id.group_id().filter(|group| group.key() != id.key()) {
        let Some(document) = call.state.get(&group) else {
            return Err(groups::not_found(group.name()));
        };
        if writes && document["properties"]["provisioningState"] == "Deleting" {
            let message = format!(
                "The resource group '{}' is in deprovisioning state and cannot perform this operation.",
                group.name()
            );
            return Err(Answer::gateway(409, "ResourceGroupBeingDeleted", message));
        }
    }
    let mut ancestors = vec![parent.clone()];
    while let Some(next) = ancestors.last().and_then(Id::parent) {
        ancestors.push(next);
    }
    // From the top, so that the first thing missing is what is named.
    for ancestor in ancestors.iter().rev().filter(|a| a.group().is_some()) {
        let is_singleton = services::is_singleton(ancestor);
        if !is_singleton && call.state.get(ancestor).is_none() {
            return Err(missing_parent(call, id, ancestor));
        }
    }
    let canonical = ancestors.iter().find_map(|ancestor| call.state.get(ancestor)?["id"].as_str().map(str::to_owned));
    Ok(canonical.map_or_else(|| id.clone(), |parent| id.below(&parent)))
}

/// Azure words a missing parent differently for each verb.
fn missing_parent(call: &Call<'_>, id: &Id, missing: &Id) -> Answer {
    let verb = match call.request.method.as_str() {
        "DELETE" => "delete",
        "PUT" | "PATCH" => "write",
        _ => return not_found(missing),
    };
    let kind = id.type_name();
    let kind = kind.split_once('/').map_or("", |(_, kind)| kind);
    // The parent of a management policy is missed as if it had been asked for itself.
    if kind == "storageAccounts/managementPolicies" {
        return not_found(missing);
    }
    let kind = match kind.rsplit_once('/') {
        Some((above, _)) if kind.matches('/').count() > 1 => above,
        _ => kind,
    };
    let message = format!(
        "Failed to perform '{verb}' on resource(s) of type '{kind}', because the parent resource '{missing}' could not be found."
    );
    Answer::gateway(404, "ParentResourceNotFound", message)
}

fn check_version(version: &str) -> Result<(), Answer> {
    if version.is_empty() {
        return Err(Answer::gateway(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        ));
    }
    let date = version.trim_end_matches("-preview");
    let is_date = date.len() == 10
        && date.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    match is_date {
        true => Ok(()),
        false => {
            Err(Answer::gateway(400, "InvalidApiVersionParameter", format!("The api-version '{version}' is invalid.")))
        }
    }
}

fn check_subscription(call: &Call<'_>, subscription: &str) -> Result<(), Answer> {
    if subscription.eq_ignore_ascii_case(&call.options.subscription_id) {
        return Ok(());
    }
    if Uuid::try_parse(subscription).is_err() {
        let message = format!("The provided subscription identifier '{subscription}' is malformed or invalid.");
        return Err(Answer::gateway(400, "InvalidSubscriptionId", message));
    }
    let client = &call.options.client_id;
    let verb = match call.request.method.as_str() {
        "GET" | "HEAD" => "read",
        "DELETE" => "delete",
        "POST" => "action",
        _ => "write",
    };
    let message = format!(
        "The client '{client}' with object id '{client}' does not have authorization to perform action '{verb}' over \
         scope '{}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
        call.request.path
    );
    Err(Answer::gateway(403, "AuthorizationFailed", message))
}

fn subscription(call: &Call<'_>) -> Answer {
    let id = &call.options.subscription_id;
    Answer::json(
        200,
        &json!({
            "id": format!("/subscriptions/{id}"),
            "subscriptionId": id,
            "tenantId": call.options.tenant_id,
            "displayName": "sandbox",
            "state": "Enabled",
        }),
    )
}

fn find_type(name: &str) -> Result<&'static dyn ResourceType, Answer> {
    TYPES.iter().copied().find(|known| known.name().eq_ignore_ascii_case(name)).ok_or_else(|| no_such_type(name))
}

/// 200 with a document, and its entity tag as a header where it has one.
pub(super) fn shown(document: &Value) -> Answer {
    let answer = Answer::json(200, document);
    match document["etag"].as_str() {
        Some(etag) => answer.with("etag", etag),
        None => answer,
    }
}

/// The 404 of ARM itself.
pub(super) fn not_found(id: &Id) -> Answer {
    let kind = id.type_name();
    let name = match kind.matches('/').count() {
        0 | 1 => id.name().to_owned(),
        _ => format!("{}/{}", id.ancestor(0), id.name()),
    };
    let message = format!(
        "The Resource '{kind}/{name}' under resource group '{}' was not found. For more details please go to \
         https://aka.ms/ARMResourceNotFoundFix",
        id.group().unwrap_or_default()
    );
    Answer::gateway(404, "ResourceNotFound", message)
}

/// The 404 of an action that the type does not have.
pub(super) fn no_such_action(id: &Id, action: &str) -> Answer {
    no_such_type(&format!("{}/{action}", id.type_name()))
}

fn no_such_type(name: &str) -> Answer {
    let (namespace, kind) = name.split_once('/').unwrap_or((name, ""));
    let message = format!("The resource type '{kind}' could not be found in the namespace '{namespace}'.");
    Answer::gateway(404, "InvalidResourceType", message)
}

fn bad_path() -> Answer {
    Answer::gateway(
        404,
        "MissingSubscription",
        "The request did not have a subscription or a valid tenant level resource provider.",
    )
}

fn unsupported(call: &Call<'_>, id: &Id) -> Answer {
    let message = format!("The requested resource '{id}' does not support http method '{}'.", call.request.method);
    Answer::gateway(405, "HttpMethodNotAllowed", message)
}
