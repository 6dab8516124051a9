//! One log line per request, and the correlation id on each. Neither headers nor bodies nor query strings are logged: tokens,
//! secrets and signed addresses live there.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use azure_core::http::{
    Context, Request,
    policies::{Policy, PolicyResult},
};

use crate::call::Call;

/// Marks and logs every attempt.
#[derive(Debug)]
pub(crate) struct Telemetry;

#[async_trait]
impl Policy for Telemetry {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        if let Some(call) = context.value::<Call>() {
            request.insert_header("x-ms-correlation-request-id", call.correlation_id.clone());
        }
        let start = Instant::now();
        let result = next[0].send(context, request, &next[1..]).await;
        let (status, request_id) = match &result {
            Ok(answer) => (
                u16::from(answer.status()),
                answer.headers().get_optional_str(&"x-ms-request-id".into()).unwrap_or_default(),
            ),
            Err(_) => (0, ""),
        };
        tracing::debug!(
            method = request.method().as_ref(),
            host = request.url().host_str(),
            path = request.url().path(),
            status,
            ms = start.elapsed().as_millis() as u64,
            request_id,
            "azure request"
        );
        result
    }
}
