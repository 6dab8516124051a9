//! Findings become messages for the Lambda function, as if S3 had sent them.

use aws_sdk_sqs::Client;
use serde_json::json;

use super::verify::{Finding, Kind};
use crate::{Error, Reason, Result, source::root_cause};

/// The queue.
pub(crate) struct Requeue {
    client: Client,
    url: String,
    bucket: String,
    region: Option<String>,
}

impl Requeue {
    /// Sends nothing.
    pub(crate) fn new(aws: &aws_config::SdkConfig, url: &str, bucket: &str) -> Self {
        let region = aws.region().map(|region| region.to_string());
        Self { client: Client::new(aws), url: url.to_owned(), bucket: bucket.to_owned(), region }
    }

    /// Sends a finding that the function can put right: what is missing or different. Returns whether it was one.
    ///
    /// # Errors
    /// `Unavailable`: what stands in the way.
    pub(crate) async fn send(&self, finding: &Finding) -> Result<bool> {
        let Some(message) = self.message(finding) else { return Ok(false) };
        let sent = self.client.send_message().queue_url(&self.url).message_body(message).send().await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) => {
                let why = root_cause(&error);
                let message = format!("{} cannot be sent to: it takes the permission sqs:SendMessage: {why}", self.url);
                Err(Error::new(Reason::Unavailable, message))
            }
        }
    }

    /// The event that EventBridge sends for a new object. It has no sequencer: the time of the object orders it.
    fn message(&self, finding: &Finding) -> Option<String> {
        if finding.kind == Kind::Extra {
            return None;
        }
        let mut object = json!({"key": finding.key.as_ref()?, "size": finding.size});
        if let Some(version) = &finding.version {
            object["version-id"] = json!(version);
        }
        let event = json!({
            "version": "0", "source": "aws.s3", "detail-type": "Object Created", "region": self.region,
            "detail": {"bucket": {"name": self.bucket}, "object": object, "reason": "backup verify"},
        });
        Some(event.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{self, Kind as Event};

    #[tokio::test]
    async fn the_function_understands_what_is_sent() {
        let aws = aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new("eu-west-1"))
            .build();
        let requeue = Requeue::new(&aws, "https://queue", "b");
        let mut finding = Finding {
            kind: Kind::Missing,
            key: Some("a+b é".to_owned()),
            name: "n".to_owned(),
            size: 7,
            version: Some("v".to_owned()),
            detail: String::new(),
        };
        let change = event::parse(&requeue.message(&finding).unwrap()).unwrap().remove(0);
        assert_eq!((change.bucket.as_str(), change.key.as_str(), change.size), ("b", "a+b é", Some(7)));
        assert_eq!((change.version.as_deref(), change.kind), (Some("v"), Event::Created));
        assert_eq!(change.region.as_deref(), Some("eu-west-1"));
        finding.kind = Kind::Extra;
        assert_eq!(requeue.message(&finding), None, "nothing deletes a copy because of a report");
    }
}
