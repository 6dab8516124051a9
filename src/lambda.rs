//! The Lambda event loop: an event in, a ProgressEvent out, whatever happens between.

use crate::{
    envelope::{self, Event},
    error::{Error, HandlerErrorCode},
    protocol::ProgressEvent,
    registry::{self, Entry},
    telemetry,
};
use futures::FutureExt;
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use std::{
    panic::AssertUnwindSafe,
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// Kept back from every budget for the answer's way to CloudFormation.
const RESERVE: Duration = Duration::from_secs(2);

/// Serves a registry until Lambda ends the process. Called as `bootstrap schema`, as build tools do, it prints the
/// schemas of its types as a JSON array and returns.
///
/// # Errors
/// Those of the Lambda Runtime API: its endpoint is missing or unreachable.
pub async fn serve(registry: &'static [Entry]) -> Result<(), lambda_runtime::Error> {
    if std::env::args().nth(1).as_deref() == Some("schema") {
        let schemas: Vec<&Value> = registry.iter().map(|entry| &(entry.schema)().json).collect();
        println!("{}", serde_json::to_string_pretty(&schemas)?);
        return Ok(());
    }
    telemetry::init();
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Event>| async move {
        let remaining = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        Ok::<_, lambda_runtime::Error>(respond(registry, event.payload, remaining, &event.context.request_id).await)
    }))
    .await
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
    let invocation = match envelope::open(event) {
        Ok(invocation) => invocation,
        Err(error) => return ProgressEvent::failed(&error),
    };
    let deadline = Instant::now() + invocation.action.budget().min(remaining).saturating_sub(RESERVE);
    AssertUnwindSafe(registry::dispatch(registry, &invocation, deadline)).catch_unwind().await.unwrap_or_else(|_| {
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
