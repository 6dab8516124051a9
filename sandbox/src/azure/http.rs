//! Requests and answers, and Azure's ways of saying no.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use hyper::header::HeaderMap;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;
use uuid::Uuid;

use super::faults::Shape;

/// One request, read to its end.
pub(super) struct Request {
    pub(super) method: String,
    /// Percent-decoded.
    pub(super) path: String,
    /// As sent, without the question mark.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Request {
    /// The query, decoded; names in lower case, since ARM does not mind their case.
    pub(super) fn parameters(&self) -> BTreeMap<String, String> {
        pairs(&self.query).map(|(name, value)| (name.to_lowercase(), value)).collect()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The JSON body; none if there is none or it cannot be read.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The bearer token, if that is what the request carries.
    pub(super) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    }
}

/// Decodes `a=b&c=d`, of a query or of a form.
pub(crate) fn pairs(encoded: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    encoded.split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// One answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

/// Both sides are answers; `Err` is the one that ends the work early.
pub(super) type Outcome = Result<Answer, Answer>;

impl Answer {
    /// No body; ARM says `text/plain` then.
    pub(super) fn empty(status: u16) -> Answer {
        Answer { status, headers: Vec::new(), body: Bytes::new() }
    }

    pub(super) fn json(status: u16, body: &Value) -> Answer {
        Answer::of(status, "application/json", body.to_string())
    }

    pub(super) fn of(status: u16, media: &str, body: impl Into<Bytes>) -> Answer {
        Answer { status, headers: vec![("content-type", media.to_owned())], body: body.into() }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }

    /// An error of a resource provider.
    pub(super) fn error(status: u16, code: &str, message: impl AsRef<str>) -> Answer {
        Answer::shaped(status, code, message.as_ref(), Shape::Wrapped)
    }

    /// An error of ARM itself, before any resource provider was asked.
    pub(super) fn gateway(status: u16, code: &str, message: impl AsRef<str>) -> Answer {
        Answer::error(status, code, message).with("x-ms-failure-cause", "gateway")
    }

    /// An error that the resource provider passes on from the data plane, which adds two lines to the message.
    pub(super) fn passed_on(status: u16, code: &str, message: &str) -> Answer {
        let id = Uuid::new_v4();
        let message = format!("{message}\nRequestId:{id}\nTime:{}", timestamp());
        Answer::error(status, code, message)
    }

    pub(super) fn shaped(status: u16, code: &str, message: &str, shape: Shape) -> Answer {
        match shape {
            Shape::Wrapped => {
                let body = json!({"error": {"code": code, "message": message}});
                Answer::json(status, &body)
            }
            Shape::Flat => Answer::json(status, &json!({"code": code, "message": message})),
            Shape::Capitalised => Answer::json(status, &json!({"Code": code, "Message": message})),
            Shape::Empty => Answer::empty(status),
            Shape::Html => {
                let body = format!("<html><head><title>{code}</title></head><body>{message}</body></html>");
                Answer::of(status, "text/html", body)
            }
        }
    }
}

/// Now, with the seven digits that storage writes.
pub(super) fn timestamp() -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:7]Z");
    OffsetDateTime::now_utc().format(&format).expect("the format has only parts that every time has")
}

/// Now, as HTTP writes it.
pub(super) fn http_date() -> String {
    let format =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    OffsetDateTime::now_utc().format(&format).expect("the format has only parts that every time has")
}
