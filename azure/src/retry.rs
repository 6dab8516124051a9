//! Attempts: what may be repeated, how long to wait, and never past the time limit.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use azure_core::http::{
    AsyncRawResponse, Context, Method, Request,
    headers::Headers,
    policies::{Policy, PolicyResult},
};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use crate::{Error, ErrorKind, call::Call, token::Credential};

/// What must be left of the time limit when a repeated request starts: enough for an ordinary answer.
const RESERVE: Duration = Duration::from_secs(3);
/// The first wait when Azure names none; it doubles with every attempt.
const FIRST_WAIT: Duration = Duration::from_millis(400);
/// How often to try again with a caller that Entra does not trust, or not yet: some seconds in all, since READ and LIST
/// can do no more. The engine goes on with the others.
const TRUST_ATTEMPTS: u32 = 4;
/// The longest wait when Azure names none.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// Repeats requests inside the time limit of the [`Call`] in their context, in place of the pipeline's own retries, which know no deadline.
///
/// GET, PUT, PATCH and DELETE of Resource Manager are idempotent. POST is repeated only after 429, which means that it was not served.
#[derive(Debug)]
pub(crate) struct Retry {
    credential: Arc<Credential>,
}

impl Retry {
    pub(crate) fn new(credential: Arc<Credential>) -> Self {
        Self { credential }
    }
}

#[async_trait]
impl Policy for Retry {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let deadline = context.value::<Call>().map(|call| call.deadline);
        let mut renewed = false;
        let mut attempt = 0;
        loop {
            request.body_mut().reset().await?;
            let result = next[0].send(context, request, &next[1..]).await;
            let (error, result) = match result {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer) => {
                    let raw = answer.try_into_raw_response().await?;
                    let error = Error::from_answer(u16::from(raw.status()), raw.headers(), raw.body());
                    let (status, headers, body) = raw.deconstruct();
                    (error, Ok(AsyncRawResponse::from_bytes(status, headers, body)))
                }
                Err(failure) => {
                    let own = Error::from_core(&failure);
                    (own, Err(failure))
                }
            };
            if expired(&error) && !renewed {
                self.credential.renew().await;
                renewed = true;
                continue;
            }
            let wait = error.retry_after.unwrap_or_else(|| back_off(attempt));
            let fits = deadline.is_some_and(|deadline| Instant::now() + wait + RESERVE <= deadline);
            if !repeatable(request.method(), &error, attempt) || !fits {
                return result;
            }
            tracing::debug!(wait_ms = wait.as_millis() as u64, kind = ?error.kind, status = error.status, "azure retry");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }
}

fn repeatable(method: Method, error: &Error, attempt: u32) -> bool {
    match (error.kind, error.status) {
        // Nothing was asked of Azure yet, whatever the method.
        (ErrorKind::Network | ErrorKind::Server, _) if error.signing_in => true,
        // The same session gets no further with AWS.
        (ErrorKind::NotYetTrusted, _) => attempt < TRUST_ATTEMPTS && is_of_entra(error),
        (ErrorKind::Throttled, _) => true,
        (ErrorKind::Network, _) => method != Method::Post,
        (ErrorKind::Server, Some(408 | 500 | 502 | 503 | 504)) => method != Method::Post,
        _ => false,
    }
}

fn is_of_entra(error: &Error) -> bool {
    error.code.as_deref().is_some_and(|code| code.starts_with("AADSTS"))
}

/// Whether a new token may help. Other refusals, a wrong tenant for one, would only be repeated.
fn expired(error: &Error) -> bool {
    error.status == Some(401)
        && matches!(
            error.code.as_deref(),
            Some("ExpiredAuthenticationToken" | "InvalidAuthenticationToken" | "InvalidAuthenticationInfo")
        )
}

/// Doubling waits of which a random half is left out, so that many handlers do not return at once.
fn back_off(attempt: u32) -> Duration {
    let longest = FIRST_WAIT.saturating_mul(1 << attempt.min(10)).min(LONGEST_WAIT);
    let random = f64::from(azure_core::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
    longest.mul_f64(0.5 + random / 2.0)
}

/// The wait that an answer's headers ask for: `x-ms-retry-after-ms`, `retry-after-ms`, or `Retry-After` as seconds or as a date.
pub(crate) fn retry_after(headers: &Headers) -> Option<Duration> {
    let header = |name: &'static str| headers.get_optional_str(&name.into());
    if let Some(ms) = header("x-ms-retry-after-ms").or_else(|| header("retry-after-ms")) {
        return ms.trim().parse().ok().map(Duration::from_millis);
    }
    let value = header("retry-after")?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = OffsetDateTime::parse(value, &Rfc2822).ok()? - OffsetDateTime::now_utc();
    Some(Duration::try_from(until).unwrap_or_default())
}

/// The wait that a message asks for in words: "try again after '6' seconds", "Retry after 2 seconds".
pub(crate) fn seconds_in(message: &str) -> Option<Duration> {
    let mut words = message.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case("after") || word.eq_ignore_ascii_case("in") {
            let mut ahead = words.clone();
            if let (Some(Ok(seconds)), Some(unit)) = (ahead.next().map(str::parse), ahead.next())
                && unit.starts_with("second")
            {
                return Some(Duration::from_secs(seconds));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(name: &'static str, value: &'static str) -> Option<Duration> {
        let mut headers = Headers::new();
        headers.insert(name, value);
        retry_after(&headers)
    }

    #[test]
    fn waits_in_headers() {
        assert_eq!(waits("retry-after", "17"), Some(Duration::from_secs(17)));
        assert_eq!(waits("retry-after", "0"), Some(Duration::ZERO));
        assert_eq!(waits("x-ms-retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(waits("retry-after", "Fri, 01 Jan 2021 00:00:10 GMT"), Some(Duration::ZERO), "a date in the past");
        let future = waits("retry-after", "Fri, 01 Jan 2100 00:00:10 GMT").unwrap();
        assert!(future > Duration::from_secs(86_400));
        assert_eq!(waits("retry-after", "soon"), None);
    }

    #[test]
    fn waits_in_messages() {
        let seconds = |message| seconds_in(message).map(|wait| wait.as_secs());
        assert_eq!(
            seconds("exceeded the limit of '150' for '01:00:00'. Please try again after '324' seconds."),
            Some(324)
        );
        assert_eq!(seconds("too many requests. Retry after 2 seconds.\"}}"), Some(2));
        assert_eq!(seconds("The call can be retried in 14 seconds."), Some(14));
        assert_eq!(seconds("after 5 attempts"), None);
        assert_eq!(seconds("Try again after lunch"), None);
    }

    #[test]
    fn back_off_grows_within_bounds() {
        for attempt in 0..40 {
            let longest = FIRST_WAIT.saturating_mul(1 << attempt.min(10)).min(LONGEST_WAIT);
            let wait = back_off(attempt);
            assert!(wait >= longest / 2 && wait <= longest, "attempt {attempt}: {wait:?}");
        }
    }

    #[test]
    fn what_is_repeated() {
        let error = |kind, status| Error { status, ..Error::new(kind, "") };
        assert!(repeatable(Method::Post, &error(ErrorKind::Throttled, Some(429)), 0));
        assert!(!repeatable(Method::Post, &error(ErrorKind::Server, Some(503)), 0));
        assert!(!repeatable(Method::Post, &error(ErrorKind::Network, None), 0));
        assert!(repeatable(Method::Put, &error(ErrorKind::Server, Some(503)), 0));
        assert!(repeatable(Method::Delete, &error(ErrorKind::Network, None), 0));
        assert!(!repeatable(Method::Put, &error(ErrorKind::Busy, Some(409)), 0), "the caller comes back later");
        assert!(!repeatable(Method::Get, &error(ErrorKind::Server, Some(501)), 0));
        let signing_in = |kind| Error::signing_in(kind, "");
        assert!(repeatable(Method::Post, &signing_in(ErrorKind::Network), 0), "Azure has seen nothing of it");
        assert!(!repeatable(Method::Get, &signing_in(ErrorKind::Forbidden), 0));
        assert!(!repeatable(Method::Get, &signing_in(ErrorKind::NotYetTrusted), 0), "the session is at its end");
        let untrusted = Error { code: Some("AADSTS70021".into()), ..signing_in(ErrorKind::NotYetTrusted) };
        assert!(repeatable(Method::Get, &untrusted, 0) && !repeatable(Method::Get, &untrusted, TRUST_ATTEMPTS));
    }
}
