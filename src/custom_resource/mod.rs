//! Lambda-backed custom resources: the same types for accounts that cannot activate third-party ones.
//!
//! The resource's type in the template is `Custom::` and the type's name with `-` for `::`, so `Azure::Storage::BlobContainer` is
//! `Custom::Azure-Storage-BlobContainer`; a binary with a single type also serves `AWS::CloudFormation::CustomResource`.
//! Properties are the type's own, beside `ServiceToken`, `ServiceTimeout` and `NoEcho` (mask what the resource
//! answers). `Ref` gives the primary identifier, `Fn::GetAtt` any readable property, `Sku.Name` for a nested one. The type
//! configuration is the Lambda's environment variable `TYPE_CONFIGURATION`, as JSON, and AWS is called as the Lambda itself.
//!
//! # Expected flow
//! CloudFormation invokes once and waits for an answer at a URL of its own. There are no callbacks: an operation is driven to
//! its end inside one invocation, through the same engine, and its delays are slept. A lost process is started again by
//! Lambda, twice at most, with the same event.
//!
//! # Guarantees
//! - Every event that has a `ResponseURL` is answered while the Lambda has time, SUCCESS or FAILED with a sentence. An answer
//!   that cannot be delivered makes the invocation fail, so that Lambda repeats the event.
//! - A failed create leaves nothing behind: what was begun is deleted within the time that is kept back for it. Where
//!   even that fails, the answer carries the identifier, and CloudFormation deletes it in its own roll-back.
//! - A create that began nothing answers an identifier of which a delete is known to be none: it never leads to the deletion of
//!   a resource that somebody else made.
//! - A repeated event finds its own work. A name that the template leaves out is made from the stack, the logical id and
//!   the create-only properties; so a repeated create finds the resource under it, and the roll-back of a
//!   replacement finds the resource from before. UPDATE and DELETE can be repeated by their nature. A process that already
//!   answered a request answers it the same way.
//! - A changed create-only property creates the new resource and answers its identifier; CloudFormation deletes the old one.
//!
//! # Caveats
//! - Nothing tells a resource that an earlier delivery created under a name *given in the template* from somebody else's.
//!   After a lost process it is left alone, and the create fails with AlreadyExists. So does the roll-back of a replacement
//!   that changed a given name. Leave names out.
//! - Time is the Lambda's timeout, 15 minutes at most. What takes longer fails with that sentence.

mod event;
mod response;

use crate::{
    error::{Error, HandlerErrorCode},
    lambda, model,
    protocol::{Action, Credentials, Invocation, OperationStatus, ProgressEvent, RequestData},
    redaction::Secrets,
    registry::Entry,
    schema::TypeSchema,
    telemetry::Scope,
};
use event::{Kind, Request};
use response::Response;
use serde_json::{Map, Value};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep};

pub(crate) use event::is_one;

/// Kept back for the way of the answer.
const ANSWERING: Duration = Duration::from_secs(10);
/// Kept back, at most, for deleting what a failed create began.
const UNDOING: Duration = Duration::from_secs(120);
/// How the identifier of a resource that never was begins.
const NOTHING: &str = "nothing-was-created-";

/// What the Lambda itself gives to every operation.
#[derive(Default)]
pub(crate) struct Settings {
    type_configuration: Option<Value>,
    credentials: Option<Credentials>,
}

impl Settings {
    /// From the environment of the process.
    pub(crate) fn of_process() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let credentials = || {
            Some(Credentials {
                access_key_id: variable("AWS_ACCESS_KEY_ID")?,
                secret_access_key: variable("AWS_SECRET_ACCESS_KEY")?,
                session_token: variable("AWS_SESSION_TOKEN"),
            })
        };
        Self { type_configuration: variable("TYPE_CONFIGURATION").map(Value::String), credentials: credentials() }
    }
}

/// Does what an event asks for and answers it.
///
/// # Errors
/// The answer could not be delivered.
pub(crate) async fn attend(
    registry: &[Entry],
    event: Value,
    remaining: Duration,
    reference: &str,
) -> Result<Value, String> {
    /// What this process answered last, for a repetition.
    static LAST: Mutex<Option<(String, Value)>> = Mutex::new(None);
    let end = Instant::now() + remaining.saturating_sub(ANSWERING.min(remaining / 4));
    let request = Request::read(event);
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let body = match last {
        Some((id, body)) if id == request.id && !id.is_empty() => body,
        _ => {
            let body = answer(registry, &request, &Settings::of_process(), end, reference).await.into_body(&request);
            *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some((request.id.clone(), body.clone()));
            body
        }
    };
    response::deliver(&request.url, &body, end + ANSWERING).await?;
    Ok(body)
}

/// Does what an event asks for before `end`.
async fn answer(registry: &[Entry], request: &Request, settings: &Settings, end: Instant, reference: &str) -> Response {
    let physical = request.physical_id.clone();
    let nothing = || format!("{NOTHING}{}", request.id);
    if request.kind == Some(Kind::Delete) && physical.as_deref().is_none_or(|id| id.starts_with(NOTHING)) {
        return Response::success(physical.unwrap_or_else(nothing));
    }
    let malformed = |error: Error| Response::failed(physical.clone().unwrap_or_else(nothing), error.message);
    let Some(kind) = request.kind else {
        return malformed(Error::invalid_request("the event's RequestType is none of Create, Update, Delete"));
    };
    let entry = match find(registry, &request.resource_type) {
        Ok(entry) => entry,
        Err(error) => return malformed(error),
    };
    let schema = (entry.schema)();
    let operation = Operation { registry, entry, schema, request, settings, reference };
    let scope = Scope::enter(Secrets::of(&operation.invocation(Action::Read, Map::new()), Some(schema)), false);
    let mut response = match kind {
        Kind::Create => operation.create(end, nothing()).await,
        Kind::Update => operation.update(end, physical.unwrap_or_default()).await,
        Kind::Delete => operation.delete(end, physical.unwrap_or_default()).await,
    };
    response.reason = response.reason.map(|reason| scope.secrets().message(&reason).into_owned());
    response
}

/// The type of a custom resource.
fn find<'a>(registry: &'a [Entry], resource_type: &str) -> Result<&'a Entry, Error> {
    if let ("AWS::CloudFormation::CustomResource", [only]) = (resource_type, registry) {
        return Ok(only);
    }
    let name = |entry: &Entry| format!("Custom::{}", entry.type_name.replace("::", "-"));
    registry.iter().find(|entry| name(entry) == resource_type).ok_or_else(|| {
        let served = registry.iter().map(name).collect::<Vec<_>>().join(", ");
        Error::invalid_request(format!("this handler serves no custom resource of that type; it serves {served}"))
    })
}

struct Operation<'a> {
    registry: &'a [Entry],
    entry: &'a Entry,
    schema: &'static TypeSchema,
    request: &'a Request,
    settings: &'a Settings,
    reference: &'a str,
}

/// How driving an action ended.
struct Driven {
    answer: ProgressEvent,
    /// The model as last seen in progress: from then on there may be a resource.
    begun: Option<Map<String, Value>>,
    /// The resource was there before this delivery of the request.
    found: bool,
}

impl Driven {
    fn succeeded(&self) -> bool {
        self.answer.status == OperationStatus::Success
    }

    fn message(&self) -> String {
        let code = self.answer.error_code.map(|code| format!(" ({code:?})")).unwrap_or_default();
        self.answer.message.clone().unwrap_or_default() + &code
    }
}

impl Operation<'_> {
    async fn create(&self, end: Instant, nothing: String) -> Response {
        match self.create_or_undo(end).await {
            Ok(model) => Response::success(self.physical_id(&model)).with(self.schema, &model),
            Err((reason, left)) => Response::failed(left.unwrap_or(nothing), reason),
        }
    }

    async fn update(&self, end: Instant, physical: String) -> Response {
        let Some(id) = self.identifier(&physical) else {
            let reason = format!("the PhysicalResourceId names no {}", self.entry.type_name);
            return Response::failed(physical, reason);
        };
        let (before, after) = (self.coerced(&self.request.old_properties), self.coerced(&self.request.properties));
        if !self.schema.replaced(&before, &after).is_empty() {
            return self.replace(end, physical).await;
        }
        let mut invocation = self.invocation(Action::Update, self.request.properties.clone());
        let mut previous = self.request.old_properties.clone();
        previous.extend(id.clone());
        invocation.request_data.resource_properties.get_or_insert_default().extend(id);
        invocation.request_data.previous_resource_properties = Some(previous);
        let driven = self.drive(invocation, end).await;
        match &driven.answer {
            ProgressEvent { status: OperationStatus::Success, resource_model: Some(model), .. } => {
                Response::success(physical).with(self.schema, model)
            }
            ProgressEvent { error_code: Some(HandlerErrorCode::NotUpdatable), .. }
                if self.schema.conditionally_replaced(&before, &after) =>
            {
                self.replace(end, physical).await
            }
            _ => Response::failed(physical, driven.message()),
        }
    }

    async fn replace(&self, end: Instant, old: String) -> Response {
        match self.create_or_undo(end).await {
            Ok(model) => Response::success(self.physical_id(&model)).with(self.schema, &model),
            Err((reason, None)) => Response::failed(old, reason),
            Err((reason, Some(left))) => Response::failed(old, format!("{reason}; delete {left} by hand")),
        }
    }

    async fn delete(&self, end: Instant, physical: String) -> Response {
        // An identifier that none of this type can have is CloudFormation's own, for a create that never answered.
        let Some(id) = self.identifier(&physical) else { return Response::success(physical) };
        let mut model = self.request.properties.clone();
        model.extend(id);
        match self.delete_model(model, end).await {
            Ok(()) => Response::success(physical),
            Err(reason) => Response::failed(physical, reason),
        }
    }

    async fn delete_model(&self, model: Map<String, Value>, end: Instant) -> Result<(), String> {
        let driven = self.drive(self.invocation(Action::Delete, model), end).await;
        if driven.succeeded() || driven.answer.error_code == Some(HandlerErrorCode::NotFound) {
            return Ok(());
        }
        Err(driven.message())
    }

    /// Creates; the error is a sentence and the identifier of what could not be deleted again.
    async fn create_or_undo(&self, end: Instant) -> Result<Value, (String, Option<String>)> {
        let time = end.saturating_duration_since(Instant::now());
        let driven = self
            .drive(self.invocation(Action::Create, self.request.properties.clone()), end - UNDOING.min(time / 4))
            .await;
        let reason = driven.message();
        match (driven.answer, driven.begun) {
            (ProgressEvent { status: OperationStatus::Success, resource_model: Some(model), .. }, _) => Ok(model),
            (_, None) => Err((reason, None)),
            (_, Some(_)) if driven.found => Err((reason, None)),
            (_, Some(begun)) => {
                let left = self.physical_id(&Value::Object(begun.clone()));
                match self.delete_model(begun, end).await {
                    Ok(()) => Err((reason, None)),
                    Err(undoing) => Err((format!("{reason}; and then {undoing}"), Some(left))),
                }
            }
        }
    }

    /// Invokes the type as CloudFormation does, until the operation ends or the time does.
    async fn drive(&self, mut invocation: Invocation, end: Instant) -> Driven {
        let (mut begun, mut found) = (None, false);
        loop {
            let deadline = (Instant::now() + invocation.action.budget()).min(end);
            let answer = lambda::guarded(self.registry, &invocation, deadline, self.reference).await;
            if answer.status != OperationStatus::InProgress {
                return Driven { answer, begun, found };
            }
            let model = answer.resource_model.map(model::into_object).unwrap_or_default();
            begun = Some(model.clone());
            found |= answer.callback_context.as_ref().is_some_and(|context| context["found"] == true);
            let delay = Duration::from_secs(answer.callback_delay_seconds.unwrap_or_default());
            if Instant::now() + delay >= end {
                let message = format!(
                    "{} {}: not finished within this Lambda's time; raise its timeout (15 minutes at most), or use the registered type, which has no such limit{}",
                    invocation.action.gerund(),
                    self.entry.type_name,
                    answer.message.map(|message| format!(". It last said: {message}")).unwrap_or_default()
                );
                let answer = ProgressEvent::failed(&Error::new(HandlerErrorCode::NotStabilized, message));
                return Driven { answer, begun, found };
            }
            sleep(delay).await;
            invocation.callback_context = answer.callback_context;
            invocation.request_data.resource_properties = Some(model);
        }
    }

    fn invocation(&self, action: Action, model: Map<String, Value>) -> Invocation {
        let request = self.request;
        let part = |number: usize| request.stack_id.split(':').nth(number).filter(|part| !part.is_empty());
        Invocation {
            action,
            resource_type: self.entry.type_name.into(),
            aws_account_id: part(4).map(Into::into),
            region: part(3).map(Into::into),
            bearer_token: Some(self.token()),
            next_token: None,
            stack_id: Some(request.stack_id.clone()),
            callback_context: None,
            rollback: None,
            snapshot_requested: None,
            driftable: None,
            creation_policy: None,
            update_policy: None,
            request_data: RequestData {
                caller_credentials: self.settings.credentials.clone(),
                logical_resource_id: Some(request.logical_id.clone()),
                resource_properties: Some(model),
                type_configuration: self.settings.type_configuration.clone(),
                ..RequestData::default()
            },
        }
    }

    /// The idempotency token: equal for every delivery and roll-back that means the same resource, another for the
    /// resource that replaces it.
    fn token(&self) -> String {
        let properties = self.coerced(&self.request.properties);
        self.schema
            .replacing()
            .map(|pointer| format!("{pointer}={:?};", model::lookup(&properties, pointer)))
            .collect::<String>()
            + "custom"
    }

    fn coerced(&self, properties: &Map<String, Value>) -> Value {
        let mut model = Value::Object(properties.clone());
        model::coerce(self.schema, &mut model);
        model
    }

    /// The primary identifier in one text, several parts joined as the Cloud Control API joins them.
    fn physical_id(&self, model: &Value) -> String {
        let part = |name: &String| match &model[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.schema.primary_identifier.iter().map(part).collect::<Vec<_>>().join("|")
    }

    fn identifier(&self, physical: &str) -> Option<Map<String, Value>> {
        let names = &self.schema.primary_identifier;
        let parts: Vec<&str> = if names.len() == 1 { vec![physical] } else { physical.split('|').collect() };
        let id: Map<_, _> = names.iter().cloned().zip(parts.iter().map(|part| Value::from(*part))).collect();
        let id = self.coerced(&id);
        (parts.len() == names.len() && (self.entry.identifies)(&id)).then(|| model::into_object(id))
    }
}

#[cfg(test)]
mod tests;
