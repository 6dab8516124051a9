//! What the calls of one invocation share: a time limit and a correlation id.

use std::time::Instant;

use azure_core::{Uuid, http::Context};

use crate::{Error, ErrorKind, Result};

/// One invocation's calls; the policies of the pipeline find it in the request's context.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) deadline: Instant,
    pub(crate) correlation_id: String,
}

impl Call {
    pub(crate) fn new(deadline: Instant) -> Self {
        Self { deadline, correlation_id: Uuid::new_v4().to_string() }
    }

    pub(crate) fn context(&self) -> Context<'static> {
        Context::new().with_value(self.clone())
    }

    /// Runs a request, its retries and the token it needs, up to the time limit.
    pub(crate) async fn within<T>(
        &self,
        target: &str,
        request: impl Future<Output = azure_core::Result<T>>,
    ) -> Result<T> {
        // A request polled even once may be on its way: none starts after the limit.
        let answered = match Instant::now() < self.deadline {
            true => tokio::time::timeout_at(self.deadline.into(), request).await.ok(),
            false => None,
        };
        let failed = match answered {
            Some(Ok(answer)) => return Ok(answer),
            Some(Err(error)) => Error::from_core(&error),
            None => Error::new(ErrorKind::Timeout, "no answer within the time limit of this invocation"),
        };
        Err(self.explain(target, failed))
    }

    /// Says what the call was about and how to find it in Azure's activity log.
    pub(crate) fn explain(&self, target: &str, mut error: Error) -> Error {
        error.correlation_id.get_or_insert_with(|| self.correlation_id.as_str().into());
        error.about(target)
    }
}
