//! Logs and metrics for the owner of a type.
//!
//! CloudFormation sends `providerCredentials`, the session of the owner's logging role, where the type was registered with
//! a logging configuration. Without them nothing here is built or called.
//!
//! # Guarantees
//! - Delivery never fails an operation: its errors end here, as a line on standard output.
//! - Delivery never takes an invocation past its budget: what is not sent two seconds after the handler's answer, or a second
//!   before the budget ends, is dropped.
//! - The invocation is counted while the handler works; its duration, its failure and its log lines go out together after
//!   it: three requests an invocation, over connections that outlive it.
//! - No line holds a credential, a bearer token, a value of the type configuration or a write-only value.
//!
//! # Why the SDK crates
//! CloudWatch's two wire protocols, signing, clock skew and retries are theirs to keep. What they cost is in
//! `docs/runtime.md`.

mod client;
mod logs;
mod metrics;

use crate::{
    protocol::{Invocation, ProgressEvent},
    telemetry::Kept,
};
use client::Clients;
use futures::{
    FutureExt,
    future::{Either, FusedFuture, join, select},
};
use std::{panic::AssertUnwindSafe, pin::pin, time::Duration};
use tokio::time::{Instant, timeout_at};

/// How long an answer may wait for its logs and metrics.
const PATIENCE: Duration = Duration::from_secs(2);
/// What delivery may use of the time that the handler's deadline keeps back.
const OVERTIME: Duration = Duration::from_secs(1);

/// The delivery of one invocation.
pub(crate) struct Delivery<'a> {
    invocation: &'a Invocation,
    clients: Clients,
}

impl<'a> Delivery<'a> {
    /// `None` where CloudFormation sent no credentials for it.
    pub(crate) fn of(invocation: &'a Invocation) -> Option<Self> {
        let credentials = invocation.request_data.provider_credentials.as_ref()?;
        let region = invocation.region.clone().or_else(|| std::env::var("AWS_REGION").ok())?;
        Some(Self { invocation, clients: Clients::of(credentials, region) })
    }

    /// Runs the handler until it answers, and delivers; `kept` gives the log lines, and `deadline` is the handler's.
    pub(crate) async fn around(
        &self,
        deadline: Instant,
        handler: impl Future<Output = ProgressEvent>,
        kept: impl FnOnce() -> Kept,
    ) -> ProgressEvent {
        let start = Instant::now();
        // Boxed: the SDK's futures are deep types, which would make every future around them one.
        let mut begin = quiet(metrics::begin(&self.clients.metrics, self.invocation)).boxed().fuse();
        let answer = match select(pin!(handler), &mut begin).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), handler)) => handler.await,
        };
        let took = start.elapsed();
        let end = join(
            quiet(metrics::end(&self.clients.metrics, self.invocation, &answer, took)).boxed(),
            quiet(logs::deliver(&self.clients.logs, self.invocation, kept())).boxed(),
        );
        let begun = async {
            if !begin.is_terminated() {
                begin.await;
            }
        };
        let latest = (Instant::now() + PATIENCE).min(deadline + OVERTIME);
        if timeout_at(latest, join(begun, end)).await.is_err() {
            tracing::warn!("CloudWatch did not take the invocation's logs and metrics in time; they are dropped");
        }
        answer
    }
}

/// Runs a delivery to its end, whatever that is.
async fn quiet<E: std::fmt::Display>(delivery: impl Future<Output = Result<(), E>>) {
    match AssertUnwindSafe(delivery).catch_unwind().await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!("delivering logs or metrics: {error}"),
        Err(_) => tracing::warn!("delivering logs or metrics: a bug stopped it"),
    }
}
