//! The answer to a custom resource's event, and its way to CloudFormation.

use super::event::Request;
use crate::{http, schema::TypeSchema};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// CloudFormation takes no longer body.
const LONGEST_BODY: usize = 4_096;
/// What a sentence may take of it.
const LONGEST_REASON: usize = 1_500;
/// What one attempt to deliver may take.
const ATTEMPT: Duration = Duration::from_secs(10);

/// What is answered.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) physical_id: String,
    /// Why it failed; `None` on success.
    pub(super) reason: Option<String>,
    /// For `Fn::GetAtt`, what matters most first.
    pub(super) data: Vec<(String, Value)>,
}

impl Response {
    pub(super) fn success(physical_id: String) -> Self {
        Self { physical_id, reason: None, data: Vec::new() }
    }

    pub(super) fn failed(physical_id: String, reason: String) -> Self {
        Self { reason: Some(reason), ..Self::success(physical_id) }
    }

    /// The same with a model's properties as attributes: first what only the service knows.
    pub(super) fn with(mut self, schema: &TypeSchema, model: &Value) -> Self {
        flatten(model, "", &mut self.data);
        let read_only = |name: &str| schema.is_read_only(name);
        self.data.sort_by_key(|(name, _)| !read_only(name));
        self
    }

    pub(super) fn into_body(self, request: &Request) -> Value {
        let mut body = json!({
            "Status": if self.reason.is_some() { "FAILED" } else { "SUCCESS" },
            "PhysicalResourceId": self.physical_id,
            "StackId": request.stack_id,
            "RequestId": request.id,
            "LogicalResourceId": request.logical_id,
            "NoEcho": request.no_echo,
        });
        if let Some(reason) = self.reason {
            body["Reason"] = reason[..reason.floor_char_boundary(LONGEST_REASON)].into();
        }
        let mut room = LONGEST_BODY.saturating_sub(body.to_string().len() + ",\"Data\":{}".len());
        let mut data = Map::new();
        let mut left_out = Vec::new();
        for (name, value) in self.data {
            let size = json!({&name: &value}).to_string().len();
            if size <= room {
                room -= size;
                data.insert(name, value);
            } else {
                left_out.push(name);
            }
        }
        if !left_out.is_empty() {
            tracing::warn!(
                attributes = left_out.join(", "),
                "a custom resource's answer has 4 KB: attributes were left out"
            );
        }
        if !data.is_empty() {
            body["Data"] = Value::Object(data);
        }
        body
    }
}

/// A model's members as `A`, `A.B`; lists stay whole.
fn flatten(model: &Value, prefix: &str, data: &mut Vec<(String, Value)>) {
    for (name, member) in model.as_object().into_iter().flatten() {
        let name = format!("{prefix}{name}");
        match member {
            Value::Object(_) => flatten(member, &format!("{name}."), data),
            _ => data.push((name, member.clone())),
        }
    }
}

/// Delivers, repeating until `end`.
///
/// # Errors
/// What the last attempt ended with, without the URL.
pub(super) async fn deliver(url: &str, body: &Value, end: Instant) -> Result<(), String> {
    let body = body.to_string();
    for attempt in 0_u32.. {
        let until = end.min(Instant::now() + ATTEMPT);
        let failure = match timeout_at(until, http::put(url, body.clone())).await {
            Ok(Ok(200..300)) => return Ok(()),
            Ok(Ok(status)) => format!("status {status}"),
            Ok(Err(error)) => error,
            Err(_) => "no answer in time".to_owned(),
        };
        let delay = Duration::from_secs(1 << attempt.min(5));
        if Instant::now() + delay >= end {
            return Err(format!("CloudFormation could not be told how the custom resource ended: {failure}"));
        }
        tracing::warn!(attempt, "telling CloudFormation how the custom resource ended: {failure}; trying again");
        sleep(delay).await;
    }
    unreachable!("there is an end")
}
