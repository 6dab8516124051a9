//! Repeats what may pass, with jitter, and never past the deadline.

use std::time::Duration;

use tokio::time::Instant;

use crate::{Error, Reason, Result};

/// How often and how patiently a call is repeated.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// The most attempts at one call.
    pub attempts: u32,
    /// The longest first wait; it doubles with every attempt.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// How long an answer, or the next bytes of one, may take.
    pub patience: Duration,
}

impl Default for Retries {
    /// About half a minute of waiting in all; then the queue repeats the message.
    fn default() -> Self {
        Self {
            attempts: 8,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(10),
            patience: Duration::from_secs(60),
        }
    }
}

impl Retries {
    /// Runs a call until it succeeds, fails for good, or its attempts or the time are used up.
    ///
    /// # Errors
    /// The last failure; `Deadline` if the time was over in the middle of a call.
    pub async fn run<T, F: Future<Output = Result<T>>>(
        &self,
        deadline: Instant,
        mut call: impl FnMut() -> F,
    ) -> Result<T> {
        let mut attempt = 0;
        loop {
            let over = || Error::new(Reason::Deadline, "the time of this invocation is over");
            if Instant::now() >= deadline {
                return Err(over());
            }
            let error = match tokio::time::timeout_at(deadline, call()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error,
                Err(_) => return Err(over()),
            };
            attempt += 1;
            let wait = error.retry_after.unwrap_or_default().max(self.wait(attempt));
            if !error.reason.passes() || attempt >= self.attempts || Instant::now() + wait >= deadline {
                return Err(error);
            }
            tracing::debug!(reason = %error.reason, %error, attempt, wait_ms = wait.as_millis() as u64, "again");
            tokio::time::sleep(wait).await;
        }
    }

    /// A random time up to a limit that doubles: whoever failed together does not come back together.
    fn wait(&self, attempt: u32) -> Duration {
        let limit = self.first.saturating_mul(1 << (attempt - 1).min(16)).min(self.longest);
        let random = f64::from(azure_core::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
        limit.mul_f64(random)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    async fn attempts(reason: Reason, limit: Duration) -> (u32, Reason) {
        let retries = Retries { attempts: 5, first: Duration::from_millis(2), ..Retries::default() };
        let made = Cell::new(0);
        let failed = retries
            .run(Instant::now() + limit, || {
                made.set(made.get() + 1);
                async move { Err::<(), _>(Error::new(reason, "refused")) }
            })
            .await
            .unwrap_err();
        (made.get(), failed.reason)
    }

    #[tokio::test]
    async fn what_passes_is_repeated_and_nothing_else() {
        let long = Duration::from_secs(60);
        assert_eq!(attempts(Reason::Throttled, long).await, (5, Reason::Throttled));
        assert_eq!(attempts(Reason::Archived, long).await, (1, Reason::Archived));
        assert_eq!(attempts(Reason::Throttled, Duration::ZERO).await, (0, Reason::Deadline));
    }

    #[tokio::test]
    async fn a_call_ends_with_the_time() {
        let never = || std::future::pending::<Result<()>>();
        let failed = Retries::default().run(Instant::now() + Duration::from_millis(5), never).await.unwrap_err();
        assert_eq!(failed.reason, Reason::Deadline);
    }

    #[tokio::test]
    async fn a_longer_wait_than_the_time_left_is_not_begun() {
        let error = || async {
            Err::<(), _>(Error { retry_after: Some(Duration::from_secs(60)), ..Error::new(Reason::Throttled, "") })
        };
        let start = Instant::now();
        let failed = Retries::default().run(start + Duration::from_secs(30), error).await.unwrap_err();
        assert_eq!((failed.reason, start.elapsed().as_secs()), (Reason::Throttled, 0));
    }
}
