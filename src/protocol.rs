//! The wire between CloudFormation and a handler: one [`Invocation`] in, one [`ProgressEvent`] out.
//!
//! Source: the requests of CloudFormation's protocol 2.0.0 and of `cfn test` 0.2.41. Unknown keys are ignored and every
//! optional key may be missing or null, because both senders do either.

use crate::error::{Error, HandlerErrorCode, Result};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt, time::Duration};

/// What CloudFormation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the names are CloudFormation's")]
pub enum Action {
    Create,
    Read,
    Update,
    Delete,
    List,
}

impl Action {
    /// Every action, in the order of CloudFormation's documentation.
    pub const ALL: [Action; 5] = [Action::Create, Action::Read, Action::Update, Action::Delete, Action::List];

    /// The key in a schema's `handlers`.
    pub fn handler(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Read => "read",
            Action::Update => "update",
            Action::Delete => "delete",
            Action::List => "list",
        }
    }

    /// How an error sentence begins: `creating …`.
    pub fn gerund(self) -> &'static str {
        match self {
            Action::Create => "creating",
            Action::Read => "reading",
            Action::Update => "updating",
            Action::Delete => "deleting",
            Action::List => "listing",
        }
    }

    /// How long one invocation may take by CloudFormation's contract: 30 s for READ and LIST, else 60 s.
    pub fn budget(self) -> Duration {
        match self {
            Action::Read | Action::List => Duration::from_secs(30),
            Action::Create | Action::Update | Action::Delete => Duration::from_secs(60),
        }
    }
}

/// One request to a handler. Prints without models, credentials and type configuration.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invocation {
    /// What to do.
    pub action: Action,
    /// Which type to do it to: `Azure::Storage::BlobContainer`. Empty in events of the old test entrypoint, which name none.
    pub resource_type: String,
    /// The account of the stack.
    pub aws_account_id: Option<String>,
    /// Stable for one operation: an idempotency token, despite the name.
    pub bearer_token: Option<String>,
    /// The region of the stack.
    pub region: Option<String>,
    /// Where a LIST goes on.
    pub next_token: Option<String>,
    /// The ARN of the stack; absent outside stacks.
    pub stack_id: Option<String>,
    /// What the previous invocation of this operation left; null on the first.
    pub callback_context: Option<Value>,
    /// Whether the stack is being rolled back.
    pub rollback: Option<bool>,
    /// DELETE: whether the stack asks for a snapshot first.
    pub snapshot_requested: Option<bool>,
    /// Whether the operation is part of drift detection.
    pub driftable: Option<bool>,
    /// The resource's `CreationPolicy` in the template.
    pub creation_policy: Option<Value>,
    /// The resource's `UpdatePolicy` in the template.
    pub update_policy: Option<Value>,
    /// The models and what surrounds them.
    pub request_data: RequestData,
}

impl Invocation {
    /// Reads an event.
    ///
    /// # Errors
    /// `InvalidRequest` that names what is missing or malformed, and never quotes a value.
    ///
    /// Other shapes of event are turned into this one before, by [`crate::envelope`].
    pub fn parse(event: Value) -> Result<Self> {
        serde_json::from_value(event).map_err(|error| {
            Error::invalid_request(format!(
                "the event is not a CloudFormation handler request: {}",
                without_values(&error)
            ))
        })
    }
}

impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation")
            .field("action", &self.action)
            .field("resource_type", &self.resource_type)
            .field("stack_id", &self.stack_id)
            .field("logical_resource_id", &self.request_data.logical_resource_id)
            .finish_non_exhaustive()
    }
}

/// serde quotes unexpected values, and a value of an event may be a secret: keep only what names keys and types.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.strip_prefix("unknown variant `") {
        Some(rest) => match rest.split_once("`, expected ") {
            Some((_, expected)) => format!("unknown variant, expected {expected}"),
            None => "unknown variant".into(),
        },
        None if text.starts_with("missing field") => text,
        None => "a key has a value of the wrong type".into(),
    }
}

/// The models, the credentials and the tags of a request.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestData {
    /// The session of the customer's execution role, for the handler's calls. Incomplete credentials count as none.
    #[serde(default, deserialize_with = "complete")]
    pub caller_credentials: Option<Credentials>,
    /// The session of the type owner's logging role, for logs and metrics and nothing else.
    #[serde(default, deserialize_with = "complete")]
    pub provider_credentials: Option<Credentials>,
    /// The type owner's log group; logs are delivered only where there is one.
    pub provider_log_group_name: Option<String>,
    /// The resource's name in the template.
    pub logical_resource_id: Option<String>,
    /// The desired model (CREATE, UPDATE) or what is known of the resource.
    pub resource_properties: Option<Map<String, Value>>,
    /// UPDATE: the model of the previous template.
    pub previous_resource_properties: Option<Map<String, Value>>,
    /// The account's configuration of the type.
    pub type_configuration: Option<Value>,
    /// Tags of the whole stack.
    pub stack_tags: Option<BTreeMap<String, String>>,
    /// UPDATE: tags of the whole stack before.
    pub previous_stack_tags: Option<BTreeMap<String, String>>,
    /// CloudFormation's own tags: `aws:cloudformation:stack-name` and its kind.
    pub system_tags: Option<BTreeMap<String, String>>,
    /// UPDATE: CloudFormation's own tags before.
    pub previous_system_tags: Option<BTreeMap<String, String>>,
}

/// A temporary AWS session. Prints without its secrets.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
    /// The session token.
    pub session_token: Option<String>,
}

/// Reads credentials of which senders leave out, null or empty any part.
fn complete<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Credentials>, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Parts {
        access_key_id: Option<String>,
        secret_access_key: Option<String>,
        session_token: Option<String>,
    }
    let given = |part: Option<String>| part.filter(|text| !text.is_empty());
    Ok(Option::<Parts>::deserialize(deserializer)?.and_then(|parts| {
        Some(Credentials {
            access_key_id: given(parts.access_key_id)?,
            secret_access_key: given(parts.secret_access_key)?,
            session_token: given(parts.session_token),
        })
    }))
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(REDACTED)")
    }
}

/// How far an operation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are CloudFormation's")]
pub enum OperationStatus {
    InProgress,
    Success,
    Failed,
}

/// One answer of a handler. Absent members are left out of the JSON: the CLI rejects explicit nulls.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgressEvent {
    /// How far the operation has come.
    pub status: OperationStatus,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<HandlerErrorCode>,
    /// What the user reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the next invocation of this operation gets back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_context: Option<Value>,
    /// When to invoke again, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_delay_seconds: Option<u64>,
    /// The model; with write-only values only while in progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_model: Option<Value>,
    /// LIST: one page of models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_models: Option<Vec<Value>>,
    /// LIST: where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Longer messages are cut: a stack event shows about this much.
const LONGEST_MESSAGE: usize = 1_000;

impl ProgressEvent {
    fn new(status: OperationStatus) -> Self {
        Self {
            status,
            error_code: None,
            message: None,
            callback_context: None,
            callback_delay_seconds: None,
            resource_model: None,
            resource_models: None,
            next_token: None,
        }
    }

    /// SUCCESS; DELETE gives no model.
    pub fn success(model: Option<Value>) -> Self {
        Self { resource_model: model, ..Self::new(OperationStatus::Success) }
    }

    /// SUCCESS of a LIST.
    pub fn page(models: Vec<Value>, next_token: Option<String>) -> Self {
        Self { resource_models: Some(models), next_token, ..Self::new(OperationStatus::Success) }
    }

    /// IN_PROGRESS: call again after `delay` with `callback`.
    pub fn in_progress(model: Value, callback: Value, delay: Duration, message: Option<String>) -> Self {
        Self {
            resource_model: Some(model),
            callback_context: Some(callback),
            callback_delay_seconds: Some(delay.as_secs()),
            message,
            ..Self::new(OperationStatus::InProgress)
        }
    }

    /// FAILED, with the error's code and sentence.
    pub fn failed(error: &Error) -> Self {
        let mut message: String = error.message.chars().take(LONGEST_MESSAGE).collect();
        if message.len() < error.message.len() {
            message.push('…');
        }
        Self { error_code: Some(error.code), message: Some(message), ..Self::new(OperationStatus::Failed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn explicit_nulls_and_unknown_keys_are_read() {
        let invocation = Invocation::parse(json!({
            "action": "CREATE", "resourceType": "A::B::C", "awsAccountId": null, "callbackContext": null,
            "features": {}, "requestData": {"resourceProperties": null, "systemTags": {"a": "b"}, "stackTags": null}
        }))
        .expect("parses");
        assert_eq!(invocation.action, Action::Create);
        assert!(invocation.request_data.resource_properties.is_none());
    }

    #[test]
    fn a_malformed_event_is_named_without_its_values() {
        for (event, expected) in [
            (json!({}), "missing field `action`"),
            (json!({"action": "s3cr3t"}), "unknown variant, expected one of `CREATE`"),
            (json!({"action": "READ", "resourceType": {"s3cr3t": 1}}), "wrong type"),
            (json!("s3cr3t"), "wrong type"),
        ] {
            let error = Invocation::parse(event).expect_err("is refused");
            assert_eq!(error.code, HandlerErrorCode::InvalidRequest);
            assert!(error.message.contains(expected), "{}", error.message);
            assert!(!error.message.contains("s3cr3t"), "{}", error.message);
        }
    }

    #[test]
    fn credentials_print_redacted() {
        let credentials: Credentials =
            serde_json::from_value(json!({"accessKeyId": "AKIA", "secretAccessKey": "s3cr3t", "sessionToken": null}))
                .expect("parses");
        assert_eq!(format!("{credentials:?}"), "Credentials(REDACTED)");
    }
}
