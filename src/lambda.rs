//! The Lambda event loop: an event in, a ProgressEvent out, whatever happens between.

use crate::{
    custom_resource,
    delivery::Delivery,
    envelope::{self, Event},
    error::{Error, HandlerErrorCode},
    protocol::{Invocation, ProgressEvent},
    redaction::Secrets,
    registry::{self, Entry},
    telemetry::{self, Scope},
};
use futures::FutureExt;
use lambda_runtime::{LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::Value;
use std::{
    panic::AssertUnwindSafe,
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// Kept back from every budget for the answer's way to CloudFormation.
const RESERVE: Duration = Duration::from_secs(2);

/// Serves a registry until Lambda ends the process.
///
/// Called as `bootstrap schema TYPE`, as build tools do, it prints the schema of that type and returns; without a type, a
/// JSON array of all schemas.
///
/// # Errors
/// Those of the Lambda Runtime API: its endpoint is missing or unreachable. `schema`: the type is not served.
pub async fn serve(registry: &'static [Entry]) -> Result<(), lambda_runtime::Error> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("schema") {
        let schemas = schemas(registry, arguments.next().as_deref()).map_err(|error| error.message)?;
        println!("{schemas}");
        return Ok(());
    }
    telemetry::init();
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Event>| async move {
        let remaining = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let reference = &event.context.request_id;
        match event.payload {
            Event::Json(event) if custom_resource::is_one(&event) => {
                Ok(Answer::CustomResource(custom_resource::attend(registry, event, remaining, reference).await?))
            }
            event => {
                Ok::<_, lambda_runtime::Error>(Answer::Handler(respond(registry, event, remaining, reference).await))
            }
        }
    }))
    .await
}

/// What Lambda gives back to who invoked it.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Handler(ProgressEvent),
    /// For the log alone: CloudFormation has its answer by then.
    CustomResource(Value),
}

/// The schema of one type as JSON, or of all as a JSON array.
///
/// # Errors
/// `InvalidRequest`: the type is not served.
pub fn schemas(registry: &[Entry], type_name: Option<&str>) -> crate::Result<String> {
    let json = |entry: &Entry| &(entry.schema)().json;
    let text = match type_name {
        Some(name) => serde_json::to_string_pretty(json(registry::find(registry, name)?)),
        None => serde_json::to_string_pretty(&registry.iter().map(json).collect::<Vec<&Value>>()),
    };
    text.map_err(Error::internal)
}

/// Answers one event. Never fails and never unwinds: CloudFormation cannot read a Lambda error.
///
/// `remaining` is what Lambda leaves of the invocation's time; `reference` names the invocation in message and log.
pub async fn answer(registry: &[Entry], event: Value, remaining: Duration, reference: &str) -> ProgressEvent {
    respond(registry, event.into(), remaining, reference).await
}

/// The same for the text of an event, which may be anything.
pub async fn answer_text(registry: &[Entry], event: &[u8], remaining: Duration, reference: &str) -> ProgressEvent {
    respond(registry, event.into(), remaining, reference).await
}

async fn respond(registry: &[Entry], event: Event, remaining: Duration, reference: &str) -> ProgressEvent {
    match envelope::open(event) {
        Ok(invocation) => attend(registry, &invocation, remaining, reference).await,
        Err(error) => ProgressEvent::failed(&error),
    }
}

/// Answers one invocation, with its logs and metrics where CloudFormation wants them.
async fn attend(registry: &[Entry], invocation: &Invocation, remaining: Duration, reference: &str) -> ProgressEvent {
    let deadline = Instant::now() + invocation.action.budget().min(remaining).saturating_sub(RESERVE);
    let schema = registry::find(registry, &invocation.resource_type).ok().map(|entry| (entry.schema)());
    let delivery = Delivery::of(invocation);
    let scope = Scope::enter(Secrets::of(invocation, schema), delivery.is_some());
    let handler = guarded(registry, invocation, deadline, reference);
    let mut answer = match &delivery {
        Some(delivery) => delivery.around(deadline, handler, || scope.take()).await,
        None => handler.await,
    };
    answer.message = answer.message.map(|message| scope.secrets().message(&message).into_owned());
    answer
}

/// Answers one invocation before `deadline`, whatever the handler does.
pub(crate) async fn guarded(
    registry: &[Entry],
    invocation: &Invocation,
    deadline: Instant,
    reference: &str,
) -> ProgressEvent {
    AssertUnwindSafe(registry::dispatch(registry, invocation, deadline)).catch_unwind().await.unwrap_or_else(|_| {
        ProgressEvent::failed(&Error::new(
            HandlerErrorCode::InternalFailure,
            format!(
                "{} {}: a bug stopped the handler; nothing is known to have changed. Repeat the operation, and report \
                 it with the reference {reference}, which its log names too",
                invocation.action.gerund(),
                invocation.resource_type
            ),
        ))
    })
}
