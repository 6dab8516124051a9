//! A queue with a dead-letter queue, as far as a function sees it.

use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use backup::lambda::{ATTRIBUTE, Message, Progress, Queue};
use serde_json::{Value, json};

use super::lock;

/// A message that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) progress: Option<String>,
    pub(crate) received: u32,
}

#[derive(Default)]
pub(crate) struct Sqs {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    in_flight: HashMap<String, Waiting>,
    dead: Vec<Waiting>,
    sent: u64,
    sent_on: u64,
}

impl Sqs {
    pub(crate) fn send(&self, body: &str) -> String {
        self.add(body, None)
    }

    fn add(&self, body: &str, progress: Option<String>) -> String {
        let mut state = lock(&self.state);
        state.sent += 1;
        let id = format!("m{}", state.sent);
        state.waiting.push_back(Waiting { id: id.clone(), body: body.to_owned(), progress, received: 0 });
        id
    }

    /// Receives up to so many messages, as an invocation's event. None if there are none.
    pub(crate) fn receive(&self, most: usize) -> Option<(Value, Vec<String>)> {
        let mut state = lock(&self.state);
        let count = most.min(state.waiting.len());
        let mut batch: Vec<Waiting> = state.waiting.drain(..count).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let records = batch.iter_mut().map(|message| {
            message.received += 1;
            let attributes = message.progress.as_ref().map_or(json!({}), |progress| {
                json!({ATTRIBUTE: {"stringValue": progress, "dataType": "String"}})
            });
            json!({
                "messageId": message.id, "receiptHandle": "r", "body": message.body,
                "attributes": {"ApproximateReceiveCount": message.received.to_string(), "SentTimestamp": now.to_string()},
                "messageAttributes": attributes, "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:backup", "awsRegion": "eu-west-1",
            })
        });
        let event = json!({"Records": records.collect::<Vec<_>>()});
        let ids: Vec<_> = batch.iter().map(|message| message.id.clone()).collect();
        state.in_flight.extend(batch.into_iter().map(|message| (message.id.clone(), message)));
        (!ids.is_empty()).then_some((event, ids))
    }

    /// Takes the answer of an invocation; None if it was killed. What failed waits again, or is dead after so many times.
    pub(crate) fn settle(&self, ids: &[String], answer: Option<&Value>, most: u32) {
        let mut state = lock(&self.state);
        let failed: Vec<&str> = answer
            .and_then(|answer| answer["batchItemFailures"].as_array())
            .into_iter()
            .flatten()
            .filter_map(|failure| failure["itemIdentifier"].as_str())
            .collect();
        for id in ids {
            let message = state.in_flight.remove(id).unwrap();
            if answer.is_some() && !failed.contains(&id.as_str()) {
                continue;
            }
            match message.received >= most {
                true => state.dead.push(message),
                false => state.waiting.push_back(message),
            }
        }
    }

    pub(crate) fn dead(&self) -> Vec<Waiting> {
        lock(&self.state).dead.clone()
    }

    pub(crate) fn waiting(&self) -> usize {
        lock(&self.state).waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        let state = lock(&self.state);
        state.waiting.is_empty() && state.in_flight.is_empty()
    }

    /// How often a message went on.
    pub(crate) fn sent_on(&self) -> u64 {
        lock(&self.state).sent_on
    }
}

#[async_trait]
impl Queue for Sqs {
    async fn send_on(&self, message: &Message, progress: Progress) -> backup::Result<()> {
        assert_eq!(message.queue_arn, "arn:aws:sqs:eu-west-1:123456789012:backup");
        lock(&self.state).sent_on += 1;
        self.add(&message.body, Some(serde_json::to_string(&progress).unwrap()));
        Ok(())
    }
}

/// The event that an object was written, as EventBridge sends it.
pub(crate) fn bridged(bucket: &str, key: &str, object: Value, detail_type: &str) -> String {
    let mut object = object;
    object["key"] = json!(key);
    json!({
        "version": "0", "id": "e", "source": "aws.s3", "detail-type": detail_type, "account": "123456789012",
        "region": "eu-west-1", "time": "2026-01-01T00:00:00Z",
        "detail": {"version": "0", "bucket": {"name": bucket}, "object": object},
    })
    .to_string()
}

/// The same as S3 sends it.
pub(crate) fn notified(bucket: &str, key: &str, object: Value, name: &str) -> String {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let mut object = object;
    object["key"] = json!(utf8_percent_encode(key, NON_ALPHANUMERIC).to_string().replace("%20", "+"));
    if let Some(version) = object.get("version-id").cloned() {
        object["versionId"] = version;
        object.as_object_mut().unwrap().remove("version-id");
    }
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1", "eventName": name,
        "eventTime": "2026-01-01T00:00:00.000Z", "s3": {"bucket": {"name": bucket}, "object": object},
    }]})
    .to_string()
}
