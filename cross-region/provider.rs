//! AWS as the handlers see it: the caller's session in any region, its failures in CloudFormation's codes.

use aws_smithy_http_client::tls::{Provider as Tls, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::{
    client::{http::SharedHttpClient, orchestrator::HttpResponse, result::SdkError},
    http::StatusCode,
};
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use cfn_provider::{
    Error, HandlerErrorCode as Code, NoConfiguration, Provider, Request, Result, Retry, protocol::Credentials,
};
use std::{error::Error as StdError, sync::LazyLock, time::Duration};

/// How long a role that was made a moment ago may take to be known to S3 and KMS.
pub(crate) const PROPAGATION: Duration = Duration::from_secs(120);
/// The longest wait before a call's one repetition. What needs longer is the engine's to repeat.
const BACKOFF: Duration = Duration::from_millis(200);
/// One call with its repetition. The engine repeats what takes longer in its next invocation.
const TIMEOUT: Duration = Duration::from_secs(10);

tokio::task_local! {
    static ADDRESS: String;
}

/// Runs `work` with AWS at an address of its own, `http://127.0.0.1:PORT`. The environment's address is the whole process's,
/// and tests run beside each other.
pub async fn at<T>(address: &str, work: impl Future<Output = T>) -> T {
    ADDRESS.scope(address.to_owned(), work).await
}

/// AWS, opened for one invocation with the caller's session. A client is built when it is asked for.
#[derive(Clone, Debug)]
pub struct Aws {
    credentials: Credentials,
    home: String,
    address: Option<String>,
}

impl Provider for Aws {
    type Configuration = NoConfiguration;

    const PERMISSIONS: &'static [&'static str] = &[];

    fn open(_: NoConfiguration, request: &Request) -> Result<Self> {
        let home = request.region.clone().or_else(|| std::env::var("AWS_REGION").ok()).ok_or_else(|| {
            Error::invalid_request("the request names no AWS region, and neither does the variable AWS_REGION")
        })?;
        let address = ADDRESS.try_with(Clone::clone).ok();
        Ok(Self { credentials: request.caller_credentials()?.clone(), home, address })
    }
}

impl Aws {
    /// The region of the stack.
    pub fn home(&self) -> &str {
        &self.home
    }

    /// S3 in a region.
    pub fn s3(&self, region: &str) -> aws_sdk_s3::Client {
        use aws_sdk_s3::config::{BehaviorVersion, Config, Region, retry::RetryConfig, timeout::TimeoutConfig};
        let endpoint = self.endpoint("AWS_ENDPOINT_URL_S3");
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .credentials_provider(self.credentials())
            .retry_config(RetryConfig::standard().with_max_attempts(2).with_initial_backoff(BACKOFF))
            .timeout_config(TimeoutConfig::builder().operation_timeout(TIMEOUT).build())
            .http_client(http())
            // An address of one's own has no names of buckets in front of it.
            .force_path_style(endpoint.is_some());
        config.set_endpoint_url(endpoint);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// KMS in a region.
    pub fn kms(&self, region: &str) -> aws_sdk_kms::Client {
        use aws_sdk_kms::config::{BehaviorVersion, Config, Region, retry::RetryConfig, timeout::TimeoutConfig};
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .credentials_provider(self.credentials())
            .retry_config(RetryConfig::standard().with_max_attempts(2).with_initial_backoff(BACKOFF))
            .timeout_config(TimeoutConfig::builder().operation_timeout(TIMEOUT).build())
            .http_client(http());
        config.set_endpoint_url(self.endpoint("AWS_ENDPOINT_URL_KMS"));
        aws_sdk_kms::Client::from_conf(config.build())
    }

    /// Where a service is, if not at AWS's own address: the variables that every AWS SDK reads.
    fn endpoint(&self, of_service: &str) -> Option<String> {
        let variable = |name: &&str| std::env::var(name).ok().filter(|url| !url.is_empty());
        self.address.clone().or_else(|| [of_service, "AWS_ENDPOINT_URL"].iter().find_map(variable))
    }

    fn credentials(&self) -> aws_credential_types::Credentials {
        let Credentials { access_key_id, secret_access_key, session_token } = self.credentials.clone();
        aws_credential_types::Credentials::new(access_key_id, secret_access_key, session_token, None, "caller")
    }
}

/// One pool of connections for the life of the process.
fn http() -> SharedHttpClient {
    // aws-lc-rs, the default, seeds itself from CPU jitter at 40 ms of CPU when first used.
    static HTTP: LazyLock<SharedHttpClient> = LazyLock::new(|| {
        aws_smithy_http_client::Builder::new().tls_provider(Tls::Rustls(CryptoMode::Ring)).build_https()
    });
    HTTP.clone()
}

/// AWS's code for a failure, where AWS answered one.
pub fn code_of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    error.as_service_error().and_then(|refusal| refusal.meta().code())
}

/// A failure of AWS in CloudFormation's terms: what was asked where, AWS's code, sentence and request id, what to do next, and
/// whether waiting may help. `what` is the call and its target: `kms:CreateKey`.
pub fn explain<E>(what: &str, region: &str, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let status = error.raw_response().map(|answer| answer.status());
    let request_id = error.raw_response().and_then(|answer| {
        let header = ["x-amz-request-id", "x-amzn-requestid"].into_iter().find_map(|name| answer.headers().get(name));
        header.map(str::to_owned)
    });
    let Some(refusal) = error.as_service_error() else {
        let cause = root_cause(&error);
        let message = format!("{what} in {region} got no answer: {cause}; is {region} a region that can be reached?");
        return Error::new(Code::NetworkFailure, message).transient(Retry::default()).caused_by(error);
    };
    let meta: &ErrorMetadata = refusal.meta();
    let (code, said) = (meta.code().unwrap_or_default(), meta.message().unwrap_or_default());
    let (handler_code, advice, retry) = judge(code, said, status.map_or(0, StatusCode::as_u16));
    let mut message = format!("{what} in {region}: {}", if said.is_empty() { "AWS refused it" } else { said });
    let named: Vec<String> = [
        Some(code).filter(|code| !code.is_empty()).map(str::to_owned),
        status.map(|status| status.as_u16().to_string()),
        request_id.map(|id| format!("request id {id}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    message += &format!(" ({})", named.join(", "));
    if !advice.is_empty() {
        message += &format!("; {}", advice.replace("REGION", region));
    }
    let explained = Error::new(handler_code, message).caused_by(error);
    match retry {
        Some(within) => explained.transient(Retry { after: None, within }),
        None => explained,
    }
}

/// CloudFormation's code, what to do, and within which time repeating may help (`Some(None)`: the operation's whole time).
///
/// Sources: the error lists of S3 and of KMS, and of AWS's common errors.
fn judge(code: &str, said: &str, status: u16) -> (Code, &'static str, Option<Option<Duration>>) {
    const LATER: Option<Option<Duration>> = Some(None);
    const SOON: Option<Option<Duration>> = Some(Some(PROPAGATION));
    match code {
        "NoSuchBucket" | "NotFound" | "NotFoundException" => (Code::NotFound, "", None),
        "BucketAlreadyExists" => (
            Code::AlreadyExists,
            "bucket names are one for all accounts, and another has this one: choose another, or none to have one made",
            None,
        ),
        "BucketAlreadyOwnedByYou" | "AlreadyExistsException" => {
            (Code::AlreadyExists, "import it into the stack, or give it another name or none", None)
        }
        "BucketNotEmpty" => (Code::ResourceConflict, "", None),
        "OperationAborted" => (Code::ResourceConflict, "", LATER),
        "KMSInvalidStateException" => (Code::ResourceConflict, "", SOON),
        // A principal that IAM made a moment ago is not known everywhere.
        "MalformedPolicy" | "MalformedPolicyDocumentException" if said.contains("rincipal") => {
            (Code::InvalidRequest, "create the role that the policy names first; its ARN must exist", SOON)
        }
        "TooManyBuckets" | "LimitExceededException" => {
            (Code::ServiceLimitExceeded, "ask AWS for a higher quota in REGION, or delete what is not needed", None)
        }
        "Throttling" | "ThrottlingException" | "SlowDown" | "TooManyRequestsException" | "RequestLimitExceeded" => {
            (Code::Throttling, "", LATER)
        }
        "ExpiredToken" | "ExpiredTokenException" => {
            (Code::InvalidCredentials, "the caller's session has expired; the next invocation has a new one", SOON)
        }
        "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidToken"
        | "UnrecognizedClientException"
        | "AuthFailure"
        | "OptInRequired"
        | "RegionDisabledException"
        | "NotSignedUp" => (
            Code::InvalidCredentials,
            "REGION may not be enabled in this account: `aws account enable-region --region-name REGION`",
            None,
        ),
        "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => {
            (Code::InvalidCredentials, "AWS does not know the caller's credentials", None)
        }
        "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" | "AccountProblem" => (
            Code::AccessDenied,
            "allow it to the execution role in REGION, and look for a policy of the resource or of the organisation that \
             denies it",
            None,
        ),
        _ if status == 404 => (Code::NotFound, "", None),
        _ if status == 403 => (Code::AccessDenied, "allow it to the execution role in REGION", None),
        _ if status == 409 => (Code::ResourceConflict, "", None),
        _ if status == 429 => (Code::Throttling, "", LATER),
        _ if status >= 500 => (Code::ServiceInternalError, "", LATER),
        _ if status >= 400 => (Code::InvalidRequest, "", None),
        _ => (Code::GeneralServiceException, "", None),
    }
}

/// The innermost cause, which says more than what wraps it.
fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_judged_by_what_they_mean() {
        let code = |code, said, status| judge(code, said, status).0;
        assert_eq!(code("", "", 404), Code::NotFound);
        assert_eq!(code("NoSuchBucket", "", 404), Code::NotFound);
        assert_eq!(code("BucketAlreadyExists", "", 409), Code::AlreadyExists);
        assert_eq!(code("BucketNotEmpty", "", 409), Code::ResourceConflict);
        assert_eq!(code("AccessDenied", "", 403), Code::AccessDenied);
        assert_eq!(code("NeverHeardOf", "", 503), Code::ServiceInternalError);
        assert_eq!(code("MalformedXML", "", 400), Code::InvalidRequest);
    }

    #[test]
    fn only_what_waiting_may_mend_is_repeated() {
        let retry = |code, said| judge(code, said, 400).2;
        assert_eq!(retry("MalformedPolicy", "Invalid principal in policy"), Some(Some(PROPAGATION)));
        assert_eq!(retry("MalformedPolicy", "Missing required field Statement"), None);
        assert_eq!(retry("SlowDown", ""), Some(None));
        assert_eq!(retry("AccessDenied", ""), None);
    }
}
