//! What went wrong in a call to Azure, read from every form in which Azure says so.

use std::{fmt, time::Duration};

use azure_core::{error::ErrorKind as CoreKind, http::headers::Headers};
use serde_json::Value;

use crate::{ErrorKind, retry};

/// The result of a call to Azure.
pub type Result<T> = std::result::Result<T, Error>;

/// How many of an answer's details a message repeats.
const DETAILS: usize = 3;

/// A failed call to Azure.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Error {
    /// What the caller can do about it.
    pub kind: ErrorKind,
    /// The HTTP status, if Azure answered.
    pub status: Option<u16>,
    /// Azure's error code.
    pub code: Option<Box<str>>,
    /// Azure's message without embedded request id and time, or our own explanation.
    pub message: String,
    /// Azure's id of the request, for a support case.
    pub request_id: Option<Box<str>>,
    /// The id that all requests of one invocation share in Azure's activity log.
    pub correlation_id: Option<Box<str>>,
    /// How long Azure asked to wait before the next attempt.
    pub retry_after: Option<Duration>,
    /// What the call was about: method and path.
    pub target: Option<Box<str>>,
    /// Whether it failed before Azure was asked, while signing in. The message then says what to set.
    pub signing_in: bool,
}

impl Error {
    /// An error that is not an answer of Azure.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: None,
            code: None,
            message: message.into(),
            request_id: None,
            correlation_id: None,
            retry_after: None,
            target: None,
            signing_in: false,
        }
    }

    /// An error on the way to a token.
    pub(crate) fn signing_in(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { signing_in: true, ..Self::new(kind, message) }
    }

    pub(crate) fn about(mut self, target: &str) -> Self {
        self.target.get_or_insert_with(|| target.into());
        self
    }

    /// Reads an error answer of Resource Manager or Blob Storage.
    pub(crate) fn from_answer(status: u16, headers: &Headers, body: &[u8]) -> Self {
        let header = |name: &'static str| headers.get_optional_str(&name.into()).map(Box::from);
        let json = serde_json::from_slice::<Value>(body).unwrap_or_default();
        let mut error = Self::from_body(Some(status), &json);
        if json.is_null()
            && let Some(storage) = StorageError::parse(body)
        {
            let message = format!("{}\n{}", storage.message, storage.reason);
            error = Self::classified(Some(status), Some(storage.code.into()), &message);
        }
        if error.code.is_none()
            && let Some(code) = header("x-ms-error-code")
        {
            error = Self::classified(Some(status), Some(code), &error.message);
        }
        if let Some(id) = header("x-ms-request-id") {
            error.request_id = Some(id);
        }
        error.correlation_id = header("x-ms-correlation-request-id");
        error.retry_after = retry::retry_after(headers).or_else(|| {
            matches!(status, 429 | 503).then(|| retry::seconds_in(&String::from_utf8_lossy(body))).flatten()
        });
        error
    }

    /// Reads a JSON error object, wrapped in `error` (of tables `odata.error`) or not. `status` is None for the error of a failed operation.
    pub(crate) fn from_body(status: Option<u16>, body: &Value) -> Self {
        let body = body.get("error").or_else(|| body.get("odata.error")).unwrap_or(body);
        // Table Storage says in which language its message is.
        let text = |names: [&str; 2]| {
            let found = names.iter().find_map(|name| body.get(name))?;
            found.get("value").unwrap_or(found).as_str()
        };
        let code = text(["code", "Code"]).filter(|code| !code.is_empty());
        let mut message = text(["message", "Message"]).unwrap_or_default().to_owned();
        // The cause is often in the details only: "A retryable error occurred."
        for detail in body.get("details").and_then(Value::as_array).into_iter().flatten().take(DETAILS) {
            match detail.get("message").and_then(Value::as_str) {
                Some(detail) if !message.contains(detail) => message = format!("{message}\n{detail}"),
                _ => {}
            }
        }
        Self::classified(status, code.map(Box::from), &message)
    }

    /// Reads a refusal of the Entra token endpoint.
    pub(crate) fn from_entra(status: u16, headers: &Headers, body: &[u8]) -> Self {
        let json = serde_json::from_slice::<Value>(body).unwrap_or_default();
        let text = |name: &str| json.get(name).and_then(Value::as_str);
        let description = text("error_description").unwrap_or_default();
        // "AADSTS7000215: Invalid client secret provided. … Trace ID: … Correlation ID: … Timestamp: …"
        let description = description.split("Trace ID:").next().unwrap_or_default().trim();
        let (code, description) = match description.split_once(": ") {
            Some((code, rest)) if code.starts_with("AADSTS") => (Some(code), rest),
            _ => (text("error"), description),
        };
        let kind = match (status, code) {
            (429, _) => ErrorKind::Throttled,
            (408 | 500.., _) => ErrorKind::Server,
            // A federated credential reaches every replica of Entra within minutes.
            (_, Some("AADSTS70021" | "AADSTS700211" | "AADSTS700212" | "AADSTS700213")) => ErrorKind::NotYetTrusted,
            _ => ErrorKind::Unauthenticated,
        };
        let advice = match (kind, code) {
            (ErrorKind::Unauthenticated, Some(code)) => entra_advice(code),
            _ => "",
        };
        Self {
            status: Some(status),
            code: code.map(Box::from),
            request_id: text("trace_id").map(Box::from),
            correlation_id: text("correlation_id").map(Box::from),
            retry_after: retry::retry_after(headers),
            ..Self::signing_in(kind, format!("Entra issued no token: {description} {advice}").trim_end())
        }
    }

    /// Adds what Entra must trust, where it trusts nothing that claims this.
    pub(crate) fn expecting(mut self, client_id: &str, claims: &Value) -> Self {
        let claim = |name: &str| claims[name].as_str().unwrap_or("(unknown)").to_owned();
        if self.kind == ErrorKind::NotYetTrusted {
            self.message.push_str(&format!(
                " The application {client_id} must have a federated credential with issuer {}, subject {} and audience {}: \
                 `az ad app federated-credential create`, or for a managed identity `az identity federated-credential create`. \
                 A new one takes some minutes.",
                claim("iss"),
                claim("sub"),
                claim("aud")
            ));
        }
        self
    }

    fn classified(status: Option<u16>, code: Option<Box<str>>, message: &str) -> Self {
        let (message, request_id) = clean(message);
        let message = match (message.is_empty(), status) {
            (false, _) => message,
            (true, Some(status)) => format!("Azure answered {status} without an explanation"),
            (true, None) => "Azure gave no explanation".to_owned(),
        };
        Self {
            status,
            request_id,
            ..Self::new(ErrorKind::of(status, code.as_deref().unwrap_or_default(), &message), message)
        }
        .with_code(code)
    }

    fn with_code(mut self, code: Option<Box<str>>) -> Self {
        self.code = code;
        self
    }
}

impl Error {
    /// Reads a failure of the official pipeline: the most telling of its causes.
    pub(crate) fn from_core(error: &azure_core::Error) -> Self {
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(current) = source {
            if let Some(own) = current.downcast_ref::<Self>() {
                return own.clone();
            }
            if let Some(core) = current.downcast_ref::<azure_core::Error>() {
                match core.kind() {
                    CoreKind::HttpResponse { status, raw_response, .. } => {
                        return match raw_response {
                            Some(raw) => Self::from_answer(u16::from(*status), raw.headers(), raw.body()),
                            None => Self::classified(Some(u16::from(*status)), None, &core.to_string()),
                        };
                    }
                    CoreKind::Io | CoreKind::Connection => {
                        return Self::new(ErrorKind::Network, format!("the connection failed: {}", root_cause(core)));
                    }
                    CoreKind::DataConversion => {
                        return Self::new(
                            ErrorKind::Undecodable,
                            format!("the answer cannot be decoded: {}", root_cause(core)),
                        );
                    }
                    _ => {}
                }
            }
            source = current.source();
        }
        Self::new(ErrorKind::Other, root_cause(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(target) = &self.target {
            write!(f, "{target}: ")?;
        }
        f.write_str(&self.message)?;
        let details = [
            self.code.as_ref().map(|code| format!("code {code}")),
            self.status.map(|status| format!("HTTP {status}")),
            self.request_id.as_ref().map(|id| format!("request id {id}")),
            self.correlation_id.as_ref().map(|id| format!("correlation id {id}")),
        ];
        let details: Vec<_> = details.into_iter().flatten().collect();
        if details.is_empty() { Ok(()) } else { write!(f, " ({})", details.join(", ")) }
    }
}

impl std::error::Error for Error {}

/// Storage appends its request id and the time to the message.
fn clean(message: &str) -> (String, Option<Box<str>>) {
    let mut request_id = None;
    let kept: Vec<&str> = message
        .lines()
        .map(str::trim)
        .filter(|line| {
            let id = line.strip_prefix("RequestId:").or_else(|| line.strip_prefix("RequestID="));
            if let Some(id) = id {
                request_id = Some(id.trim().into());
            }
            id.is_none() && !line.starts_with("Time:") && !line.is_empty()
        })
        .collect();
    (kept.join(" "), request_id)
}

/// The deepest cause's own words: the layers above it repeat themselves.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn entra_advice(code: &str) -> &'static str {
    match code {
        "AADSTS7000215" => {
            "Check that ClientSecret is the secret's value and not its id, here or where ClientSecretArn points."
        }
        "AADSTS7000222" => {
            "The secret has expired: create a new one for the app registration and set ClientSecret, or store it where \
             ClientSecretArn points."
        }
        "AADSTS7000112" => "Have the application enabled again, under Enterprise applications.",
        "AADSTS700016" => "Check ClientId, and that the app registration belongs to the tenant in TenantId.",
        "AADSTS700024" => {
            "The web identity token is good for two minutes: a clock is wrong, or the request was held up."
        }
        "AADSTS700027" | "AADSTS50027" | "AADSTS5002730" => {
            "Entra could not check the signature of the AWS web identity token: check the issuer of the federated credential \
             with `aws iam get-outbound-web-identity-federation-info`."
        }
        "AADSTS53003" => {
            "A conditional access policy of the tenant forbids it: exclude the application from the policy."
        }
        "AADSTS90002" | "AADSTS900023" => "Check TenantId, and that Cloud is the cloud of that tenant.",
        _ => "Check TenantId, ClientId and the secret in the type configuration.",
    }
}

/// The XML error of a data plane.
#[derive(serde::Deserialize)]
struct StorageError {
    #[serde(rename = "Code")]
    code: String,
    #[serde(rename = "Message", default)]
    message: String,
    #[serde(rename = "Reason", default)]
    reason: String,
}

impl StorageError {
    fn parse(body: &[u8]) -> Option<Self> {
        azure_core::xml::from_xml(body).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Error {
        Error::from_answer(status, &Headers::new(), body.as_bytes())
    }

    #[test]
    fn five_shapes_of_body() {
        let wrapped = answer(404, r#"{"error":{"code":"ResourceNotFound","message":"gone"}}"#);
        let flat = answer(404, r#"{"code":"ResourceNotFound","message":"gone"}"#);
        let capitalised = answer(404, r#"{"Code":"ResourceNotFound","Message":"gone"}"#);
        for error in [wrapped, flat, capitalised] {
            assert_eq!(error.code.as_deref(), Some("ResourceNotFound"));
            assert_eq!(error.message, "gone");
            assert_eq!(error.kind, ErrorKind::NotFound);
        }
        let detailed = answer(
            429,
            r#"{"error":{"code":"RetryableError","message":"Try again.","details":[{"message":"The disk is busy."},{"message":"Try again."}]}}"#,
        );
        assert_eq!(detailed.message, "Try again. The disk is busy.");
        let empty = answer(404, "");
        assert_eq!((empty.kind, empty.code), (ErrorKind::NotFound, None));
        assert_eq!(empty.message, "Azure answered 404 without an explanation");
        let html = answer(503, "<!DOCTYPE HTML><html><body>Service Unavailable</body></html>");
        assert_eq!(html.kind, ErrorKind::Server);
        assert_eq!(html.message, "Azure answered 503 without an explanation");
    }

    #[test]
    fn storage_xml_and_header_code() {
        let error = answer(
            409,
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>ContainerBeingDeleted</Code><Message>Try later.\nRequestId:7f\nTime:2024-06-19T11:07:42Z</Message><Reason>It is going.</Reason></Error>",
        );
        assert_eq!(error.kind, ErrorKind::Busy);
        assert_eq!(error.message, "Try later. It is going.");
        assert_eq!(error.request_id.as_deref(), Some("7f"));

        let mut headers = Headers::new();
        headers.insert("x-ms-error-code", "ContainerNotFound");
        let error = Error::from_answer(404, &headers, b"");
        assert_eq!(error.code.as_deref(), Some("ContainerNotFound"));
    }

    #[test]
    fn every_recorded_error_is_classified() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/azure/errors.json");
        let Ok(text) = std::fs::read_to_string(path) else {
            println!("skipped: the recorded errors are not here ({path})");
            return;
        };
        let recorded: Vec<Value> = serde_json::from_str(&text).unwrap();
        let mut with_code = 0;
        for case in &recorded {
            let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
            let mut headers = Headers::new();
            for (name, value) in case["headers"].as_object().into_iter().flatten() {
                if let Some(value) = value.as_str() {
                    headers.insert(name.clone(), value.to_owned());
                }
            }
            let body = match &case["response_body"] {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                json => json.to_string(),
            };
            let error = Error::from_answer(status, &headers, body.as_bytes());
            assert_ne!(error.kind, ErrorKind::Other, "{case}");
            assert!(!error.message.is_empty() && !error.message.contains("RequestId:"), "{}", error.message);
            if let Some(code) = case["code"].as_str() {
                assert_eq!(error.code.as_deref(), Some(code), "{case}");
                assert!(!error.message.contains("without an explanation"), "{case}");
                with_code += 1;
            }
        }
        println!("{} recorded errors, {with_code} with a code", recorded.len());
        assert!(with_code > 0);
    }

    #[test]
    fn entra_refusal_says_what_to_check() {
        let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Trace ID: t-1 Correlation ID: c-1 Timestamp: 2025-01-01 00:00:00Z","trace_id":"t-1","correlation_id":"c-1"}"#;
        let error = Error::from_entra(401, &Headers::new(), body.as_bytes());
        assert_eq!(error.kind, ErrorKind::Unauthenticated);
        assert_eq!(error.code.as_deref(), Some("AADSTS7000215"));
        assert_eq!(
            error.to_string(),
            "Entra issued no token: Invalid client secret provided. Check that ClientSecret is the secret's value and not its id, here or where ClientSecretArn points. \
             (code AADSTS7000215, HTTP 401, request id t-1, correlation id c-1)"
        );
        assert_eq!(Error::from_entra(503, &Headers::new(), b"<html>").kind, ErrorKind::Server);
    }
}
