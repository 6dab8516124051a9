//! CloudWatch's clients, built when an invocation first brings credentials and kept while it brings the same.

use crate::protocol::Credentials;
use aws_sdk_cloudwatch as cloudwatch;
use aws_sdk_cloudwatchlogs as cloudwatchlogs;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use cloudwatchlogs::config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use std::{
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

/// For one request with its repetition; an invocation's patience is about as long.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// The clients of one session.
#[derive(Clone)]
pub(super) struct Clients {
    pub(super) logs: cloudwatchlogs::Client,
    pub(super) metrics: cloudwatch::Client,
}

/// The session and region that the clients were built for last. Sessions change about hourly.
static LAST: Mutex<Option<(Session, Clients)>> = Mutex::new(None);

#[derive(PartialEq)]
struct Session {
    /// Every session has its own.
    access_key_id: String,
    region: String,
}

impl Clients {
    pub(super) fn of(credentials: &Credentials, region: String) -> Self {
        let session = Session { access_key_id: credentials.access_key_id.clone(), region };
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((known, clients)) if *known == session => clients.clone(),
            _ => {
                let clients = Self::build(credentials, &session.region);
                *last = Some((session, clients.clone()));
                clients
            }
        }
    }

    fn build(credentials: &Credentials, region: &str) -> Self {
        let credentials = aws_credential_types::Credentials::new(
            &credentials.access_key_id,
            &credentials.secret_access_key,
            credentials.session_token.clone(),
            None,
            "providerCredentials",
        );
        let region = Region::new(region.to_owned());
        let retries = RetryConfig::standard().with_max_attempts(2);
        let timeouts = TimeoutConfig::builder().operation_timeout(REQUEST_TIMEOUT).build();
        // Both crates' builders are alike, and of different types.
        macro_rules! config {
            ($service:ident, $endpoint:literal) => {{
                let mut config = $service::Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region(region.clone())
                    .credentials_provider(credentials.clone())
                    .retry_config(retries.clone())
                    .timeout_config(timeouts.clone())
                    .http_client(http());
                config.set_endpoint_url(endpoint($endpoint));
                config.build()
            }};
        }
        Self {
            logs: cloudwatchlogs::Client::from_conf(config!(cloudwatchlogs, "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS")),
            metrics: cloudwatch::Client::from_conf(config!(cloudwatch, "AWS_ENDPOINT_URL_CLOUDWATCH")),
        }
    }
}

/// Where a service is, if not at AWS's own address: the variables that every AWS SDK reads.
fn endpoint(of_service: &str) -> Option<String> {
    [of_service, "AWS_ENDPOINT_URL"].iter().find_map(|name| std::env::var(name).ok().filter(|url| !url.is_empty()))
}

/// One pool of connections for the life of the process.
fn http() -> SharedHttpClient {
    static HTTP: LazyLock<SharedHttpClient> =
        LazyLock::new(|| aws_smithy_http_client::Builder::new().tls_provider(crate::http::TLS).build_https());
    HTTP.clone()
}
