//! Long-running operations, one step at a time.

use std::time::Duration;

use azure_core::http::{Url, headers::Headers};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, ErrorKind, Result, retry};

/// Longer addresses are signed ones, whatever their parameters are called.
const LONGEST_STATUS_URL: usize = 512;

/// An operation that Azure accepted and has not finished.
///
/// It fits a callback context: it is small, and it never holds the signed `Location`, of up to 3.6 KB, that storage answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// How long Azure asks to wait before looking again.
    pub retry_after: Option<Duration>,
    /// Where [`Arm::poll`](crate::Arm::poll) reads its state. Without it, look at the resource itself.
    pub status_url: Option<String>,
}

/// Where an operation stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Look again later.
    Pending {
        /// How long Azure asks to wait.
        retry_after: Option<Duration>,
    },
    /// Finished: the operation's `properties`, null if it has none.
    Done(Value),
}

impl Operation {
    /// The operation that an answer announces: 202, or an address to watch beside another success.
    pub(crate) fn announced(status: u16, headers: &Headers) -> Option<Self> {
        let header = |name: &'static str| headers.get_optional_str(&name.into());
        let watch = header("azure-asyncoperation");
        if status != 202 && watch.is_none() && !(status == 201 && header("location").is_some()) {
            return None;
        }
        Some(Self {
            retry_after: retry::retry_after(headers),
            status_url: watch.filter(|url| is_unsigned(url)).map(str::to_owned),
        })
    }
}

impl Progress {
    /// Reads the envelope `{status, properties, error}`.
    pub(crate) fn read(headers: &Headers, envelope: &Value) -> Result<Self> {
        let status = envelope
            .get("status")
            .and_then(Value::as_str)
            .ok_or_else(|| Error::new(ErrorKind::Undecodable, "the state of the operation has no status"))?;
        match status.to_ascii_lowercase().as_str() {
            "succeeded" => Ok(Self::Done(envelope.get("properties").cloned().unwrap_or_default())),
            "failed" | "canceled" | "cancelled" => {
                let mut error = Error::from_body(None, envelope);
                error.message = format!("the operation ended as {status}: {}", error.message);
                Err(error)
            }
            _ => Ok(Self::Pending { retry_after: retry::retry_after(headers) }),
        }
    }
}

/// Storage signs addresses with the parameters t, c, s and h: a certificate and a signature.
fn is_unsigned(url: &str) -> bool {
    url.len() <= LONGEST_STATUS_URL
        && Url::parse(url)
            .is_ok_and(|url| !url.query_pairs().any(|(name, _)| matches!(&*name, "c" | "s" | "h" | "t" | "sig")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const STATE: &str = "https://management.azure.com/subscriptions/s/providers/Microsoft.Storage/locations/l/asyncoperations/o?monitor=true&api-version=2023-05-01";

    fn headers(pairs: &[(&'static str, &str)]) -> Headers {
        let mut headers = Headers::new();
        pairs.iter().for_each(|(name, value)| headers.insert(*name, (*value).to_owned()));
        headers
    }

    #[test]
    fn what_announces_an_operation() {
        assert_eq!(Operation::announced(200, &headers(&[])), None);
        assert_eq!(Operation::announced(201, &headers(&[])), None);
        let signed = format!("{STATE}&t=1&c=MII&s=x&h=y");
        let created = Operation::announced(202, &headers(&[("location", &signed), ("retry-after", "17")])).unwrap();
        assert_eq!(created, Operation { retry_after: Some(Duration::from_secs(17)), status_url: None });
        assert!(Operation::announced(201, &headers(&[("location", &signed)])).is_some());
        let watched = Operation::announced(200, &headers(&[("azure-asyncoperation", STATE)])).unwrap();
        assert_eq!(watched.status_url.as_deref(), Some(STATE));
        let signed = Operation::announced(202, &headers(&[("azure-asyncoperation", &signed)])).unwrap();
        assert_eq!(signed.status_url, None);
    }

    #[test]
    fn a_callback_context_keeps_it() {
        let operation = Operation { retry_after: Some(Duration::from_secs(3)), status_url: Some(STATE.to_owned()) };
        let json = serde_json::to_string(&operation).unwrap();
        assert_eq!(serde_json::from_str::<Operation>(&json).unwrap(), operation);
    }

    #[test]
    fn envelopes() {
        let read = |envelope| Progress::read(&headers(&[("retry-after", "5")]), &envelope);
        assert_eq!(
            read(json!({"status": "Succeeded", "properties": {"a": 1}})).unwrap(),
            Progress::Done(json!({"a": 1}))
        );
        let pending = Progress::Pending { retry_after: Some(Duration::from_secs(5)) };
        assert_eq!(read(json!({"status": "InProgress"})).unwrap(), pending);
        let failed = json!({"status": "Failed", "error": {"code": "StorageAccountAlreadyTaken", "message": "taken"}});
        let error = read(failed).unwrap_err();
        assert_eq!(error.kind, ErrorKind::AlreadyExists);
        assert_eq!(error.message, "the operation ended as Failed: taken");
        assert_eq!(read(json!({})).unwrap_err().kind, ErrorKind::Undecodable);
    }
}
