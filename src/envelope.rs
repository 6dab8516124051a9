//! The shapes in which an event may arrive, told apart by their keys and brought to one: the production request.
//!
//! | shape | known by | sender |
//! |---|---|---|
//! | production request | `requestData` | CloudFormation; `cfn test` sends the same with fewer keys |
//! | compressed | `__COMPRESSED__` | CloudFormation, for requests that are too long for some carrier |
//! | old test entrypoint | `request` beside `credentials` | `cfn test` before protocol 2 |
//! | custom resource | `RequestType` and `ResponseURL` | see [`crate::custom_resource`] |
//!
//! Source: the deserialisation of the Java runtime 2.x and the requests of `cfn test` 0.2.41.

use crate::{
    error::{Error, Result},
    limits,
    protocol::Invocation,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::read::GzDecoder;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use std::io::Read;

const COMPRESSED: &str = "__COMPRESSED__";
const METHOD: &str = "__COMPRESSION_METHOD__";

/// An event as Lambda hands it over, which need not be JSON.
///
/// Deserialising never fails: a Lambda error is no answer that CloudFormation can read, and the runtime crate would
/// give one before a handler is asked.
#[derive(Debug)]
pub(crate) enum Event {
    Json(Value),
    Malformed,
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        // The cause is dropped: it can quote what it stumbled over.
        Ok(Value::deserialize(deserializer).map_or(Event::Malformed, Event::Json))
    }
}

impl From<Value> for Event {
    fn from(value: Value) -> Self {
        Event::Json(value)
    }
}

impl From<&[u8]> for Event {
    fn from(text: &[u8]) -> Self {
        serde_json::from_slice(text).unwrap_or(Event::Malformed)
    }
}

/// Reads a handler request in any of its shapes.
///
/// # Errors
/// `InvalidRequest` that says what is wrong with the shape and never quotes a value.
pub(crate) fn open(event: Event) -> Result<Invocation> {
    let Event::Json(mut event) = event else {
        return Err(Error::invalid_request("the event is not JSON, or was cut off"));
    };
    if let Some(packed) = event.get(COMPRESSED) {
        event = inflate(packed, event.get(METHOD))?;
    }
    if event.get("requestData").is_none() && event.get("request").is_some_and(Value::is_object) {
        event = from_test_entrypoint(event);
    }
    let invocation = Invocation::parse(event)?;
    let data = &invocation.request_data;
    limits::received("the model in the request", &data.resource_properties, limits::MODEL)?;
    limits::received("the previous model in the request", &data.previous_resource_properties, limits::MODEL)?;
    limits::received("the callback context", &invocation.callback_context, limits::CALLBACK_CONTEXT)?;
    Ok(invocation)
}

fn inflate(packed: &Value, method: Option<&Value>) -> Result<Value> {
    let wrong = |what: &str| Error::invalid_request(format!("the compressed event {what}"));
    if method.is_some_and(|method| method != "gzip_base64") {
        return Err(wrong("is compressed with another method than gzip_base64"));
    }
    let packed = packed.as_str().ok_or_else(|| wrong("is not a text"))?;
    let packed = BASE64_STANDARD.decode(packed.trim()).map_err(|_| wrong("is not base64"))?;
    let mut text = Vec::new();
    // One byte more than allowed is enough to know that there are too many, however many follow.
    let most = limits::PAYLOAD as u64 + 1;
    GzDecoder::new(packed.as_slice()).take(most).read_to_end(&mut text).map_err(|_| wrong("is not gzip"))?;
    if text.len() > limits::PAYLOAD {
        return Err(wrong(&format!("inflates to more than {} bytes", limits::PAYLOAD)));
    }
    serde_json::from_slice(&text).map_err(|_| wrong("is not JSON inside"))
}

/// The old test entrypoint's request in the production shape. It names no type unless the sender adds one.
fn from_test_entrypoint(mut event: Value) -> Value {
    let request = event["request"].take();
    let mut moved: Map<String, Value> = Map::new();
    for (from, to) in [
        ("awsAccountId", "awsAccountId"),
        ("clientRequestToken", "bearerToken"),
        ("nextToken", "nextToken"),
        ("stackId", "stackId"),
        ("rollback", "rollback"),
        ("snapshotRequested", "snapshotRequested"),
        ("driftable", "driftable"),
        ("region", "region"),
    ] {
        moved.insert(to.into(), request[from].clone());
    }
    for key in ["action", "callbackContext", "region"] {
        if !event[key].is_null() {
            moved.insert(key.into(), event[key].take());
        }
    }
    let named = event["resourceType"].take();
    moved.insert("resourceType".into(), if named.is_null() { "".into() } else { named });
    moved.insert(
        "requestData".into(),
        json!({
            "callerCredentials": event["credentials"],
            "logicalResourceId": request["logicalResourceIdentifier"],
            "resourceProperties": request["desiredResourceState"],
            "previousResourceProperties": request["previousResourceState"],
            "typeConfiguration": request["typeConfiguration"],
            "stackTags": request["desiredResourceTags"],
            "previousStackTags": request["previousResourceTags"],
            "systemTags": request["systemTags"],
            "previousSystemTags": request["previousSystemTags"]
        }),
    );
    Value::Object(moved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::HandlerErrorCode, protocol::Action};
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn packed(text: &[u8]) -> Value {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).expect("memory does not fail");
        let bytes = encoder.finish().expect("memory does not fail");
        json!({COMPRESSED: BASE64_STANDARD.encode(bytes), METHOD: "gzip_base64"})
    }

    fn plain() -> Value {
        json!({"action": "READ", "resourceType": "A::B::C", "requestData": {"resourceProperties": {"Id": "x"}}})
    }

    #[test]
    fn a_compressed_event_is_inflated() {
        let invocation = open(packed(plain().to_string().as_bytes()).into()).expect("opens");
        assert_eq!(invocation.request_data.resource_properties.expect("is there")["Id"], "x");
    }

    #[test]
    fn what_cannot_be_inflated_is_named() {
        let truncated = |mut event: Value| {
            let text = event[COMPRESSED].as_str().expect("a text")[..24].to_owned();
            event[COMPRESSED] = text.into();
            event
        };
        for (event, expected) in [
            (json!({COMPRESSED: 7}), "is not a text"),
            (json!({COMPRESSED: "s3cr3t!"}), "is not base64"),
            (json!({COMPRESSED: "czNjcjN0"}), "is not gzip"),
            (truncated(packed(plain().to_string().as_bytes())), "is not gzip"),
            (json!({COMPRESSED: "", METHOD: "zstd"}), "another method"),
            (packed(b"s3cr3t"), "is not JSON inside"),
            (packed(&vec![b' '; limits::PAYLOAD + 1]), "inflates to more than 6291456 bytes"),
            (packed(packed(plain().to_string().as_bytes()).to_string().as_bytes()), "missing field `action`"),
        ] {
            let error = open(event.into()).expect_err(expected);
            assert_eq!(error.code, HandlerErrorCode::InvalidRequest);
            assert!(error.message.contains(expected), "{}", error.message);
            assert!(!error.message.contains("s3cr3t"), "{}", error.message);
        }
    }

    #[test]
    fn the_old_test_entrypoint_says_the_same_in_other_words() {
        let event = json!({
            "credentials": {"accessKeyId": "AKIA", "secretAccessKey": "s", "sessionToken": "t"},
            "action": "UPDATE", "callbackContext": {"k": 1}, "region": "eu-west-1",
            "request": {
                "clientRequestToken": "token", "desiredResourceState": {"Id": "new"}, "previousResourceState": {"Id": "old"},
                "desiredResourceTags": {"a": "1"}, "previousResourceTags": {"a": "0"}, "systemTags": {"aws:s": "n"},
                "awsAccountId": "123456789012", "awsPartition": "aws", "logicalResourceIdentifier": "Logical",
                "nextToken": "page", "region": "elsewhere", "stackId": "arn", "typeConfiguration": {"k": "v"}
            }
        });
        let invocation = open(event.into()).expect("opens");
        let data = &invocation.request_data;
        assert_eq!(invocation.action, Action::Update);
        assert_eq!(invocation.resource_type, "");
        assert_eq!(invocation.region.as_deref(), Some("eu-west-1"));
        assert_eq!(invocation.bearer_token.as_deref(), Some("token"));
        assert_eq!(invocation.aws_account_id.as_deref(), Some("123456789012"));
        assert_eq!(invocation.next_token.as_deref(), Some("page"));
        assert_eq!(invocation.stack_id.as_deref(), Some("arn"));
        assert_eq!(invocation.callback_context, Some(json!({"k": 1})));
        assert_eq!(data.caller_credentials.as_ref().expect("there").access_key_id, "AKIA");
        assert!(data.provider_credentials.is_none());
        assert_eq!(data.logical_resource_id.as_deref(), Some("Logical"));
        assert_eq!(data.resource_properties.as_ref().expect("there")["Id"], "new");
        assert_eq!(data.previous_resource_properties.as_ref().expect("there")["Id"], "old");
        assert_eq!(data.type_configuration, Some(json!({"k": "v"})));
        assert_eq!(data.stack_tags.as_ref().expect("there")["a"], "1");
        assert_eq!(data.previous_stack_tags.as_ref().expect("there")["a"], "0");
        assert_eq!(data.system_tags.as_ref().expect("there")["aws:s"], "n");
    }

    #[test]
    fn what_is_too_large_is_refused_in_bytes() {
        let mut event = plain();
        event["requestData"]["resourceProperties"]["Blob"] = "x".repeat(limits::MODEL).into();
        let error = open(event.into()).expect_err("is too large");
        assert!(error.message.starts_with("the model in the request has 2621"), "{}", error.message);

        let mut event = plain();
        event["callbackContext"] = json!({"k": "x".repeat(limits::CALLBACK_CONTEXT)});
        let error = open(event.into()).expect_err("is too large");
        assert!(error.message.starts_with("the callback context has 65"), "{}", error.message);
    }

    #[test]
    fn a_text_that_is_no_json_is_an_event_all_the_same() {
        let deep = "[".repeat(100_000);
        for text in ["", "{", "s3cr3t", "{\"action\": \"RE", "\u{0}", deep.as_str()] {
            let mut json = serde_json::Deserializer::from_slice(text.as_bytes());
            assert!(matches!(Event::deserialize(&mut json), Ok(Event::Malformed)), "as lambda_runtime reads {text:.9}");
            let error = open(text.as_bytes().into()).expect_err("is refused");
            assert_eq!(error.message, "the event is not JSON, or was cut off");
        }
    }
}
