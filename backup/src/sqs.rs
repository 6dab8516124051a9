//! Sending a message to its queue again.

use async_trait::async_trait;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sqs::{
    Client, Config,
    config::{BehaviorVersion, Region},
    types::MessageAttributeValue,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tokio::sync::OnceCell;

use crate::{
    Error, Reason, Result,
    lambda::{ATTRIBUTE, Message, Progress, Queue},
    source::root_cause,
};

/// SQS, built when first needed: most invocations finish what they begin.
#[derive(Debug)]
pub struct Sqs {
    credentials: SharedCredentialsProvider,
    region: String,
    client: OnceCell<Client>,
}

impl Sqs {
    /// Sends nothing.
    pub fn new(credentials: SharedCredentialsProvider, region: impl Into<String>) -> Self {
        Self { credentials, region: region.into(), client: OnceCell::new() }
    }
}

#[async_trait]
impl Queue for Sqs {
    async fn send_on(&self, message: &Message, progress: Progress) -> Result<()> {
        let endpoint = endpoint();
        let url = message.queue_url(endpoint.as_deref())?;
        let client = self
            .client
            .get_or_init(|| async {
                let http = aws_smithy_http_client::Builder::new()
                    .tls_provider(Provider::Rustls(CryptoMode::Ring))
                    .build_https();
                let mut config = Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region(Region::new(self.region.clone()))
                    .credentials_provider(self.credentials.clone())
                    .http_client(http);
                config.set_endpoint_url(endpoint);
                Client::from_conf(config.build())
            })
            .await;
        let failed = |why: String| {
            let advice = "the function's role needs sqs:SendMessage on its queue";
            Error::new(
                Reason::Unavailable,
                format!("what is unfinished cannot be sent to the queue again: {advice}: {why}"),
            )
        };
        let value = serde_json::to_string(&progress).map_err(|error| failed(error.to_string()))?;
        let attribute = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(value)
            .build()
            .map_err(|error| failed(error.to_string()))?;
        client
            .send_message()
            .queue_url(url)
            .message_body(&message.body)
            .message_attributes(ATTRIBUTE, attribute)
            .send()
            .await
            .map_err(|error| failed(root_cause(&error)))?;
        Ok(())
    }
}

/// Where SQS is, if not at AWS's own address: the variables that every AWS SDK reads.
fn endpoint() -> Option<String> {
    let names = ["AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"];
    names.iter().find_map(|name| std::env::var(name).ok().filter(|url| !url.is_empty()))
}
