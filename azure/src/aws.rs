//! The caller's AWS session, and the two calls that signing in may make with it.
//!
//! Nothing is built before it is needed, and a client lives for one call: a new token is wanted about once an hour.

use std::{fmt, sync::LazyLock, time::Duration};

use aws_sdk_secretsmanager as secretsmanager;
use aws_sdk_sts as sts;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::{
    client::{http::SharedHttpClient, orchestrator::HttpResponse, result::SdkError},
    http::StatusCode,
};
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use sts::config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};

use crate::{Error, ErrorKind, Result, Secret, SecretArn};

/// For one call with its repetition: what surrounds it has a deadline of its own, and repeats it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a web identity token is good for, seconds. It is used at once, and one that would outlive its session is refused.
const LIFETIME: i32 = 120;

/// Whose permissions a sign-in uses, and where: credentials of AWS and a region. Prints without them.
#[derive(Clone)]
pub struct Session {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    region: String,
    endpoint: Option<String>,
}

impl Session {
    /// Credentials as AWS gives them, and the region of the stack, whose STS is asked.
    pub fn new(
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<String>,
        session_token: Option<String>,
        region: impl Into<String>,
    ) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token,
            region: region.into(),
            endpoint: None,
        }
    }

    /// The same with every service at this address, in place of AWS's own and of the variables.
    #[must_use]
    pub fn at(self, endpoint: impl Into<String>) -> Self {
        Self { endpoint: Some(endpoint.into()), ..self }
    }

    /// All that tells this session from any other.
    pub(crate) fn parts(&self) -> [Option<&str>; 5] {
        let (token, endpoint) = (self.session_token.as_deref(), self.endpoint.as_deref());
        [Some(&self.access_key_id), Some(&self.secret_access_key), token, Some(&self.region), endpoint]
    }

    /// A token of STS (a JWT) that proves to `audience` who the caller is.
    ///
    /// # Errors
    /// What STS refused, and what to set.
    pub(crate) async fn web_identity_token(&self, audience: &str) -> Result<Secret> {
        let mut config = sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            // Only regional endpoints know the call.
            .region(Region::new(self.region.clone()))
            .credentials_provider(self.credentials())
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(TimeoutConfig::builder().operation_timeout(TIMEOUT).build())
            .http_client(http());
        config.set_endpoint_url(self.endpoint("AWS_ENDPOINT_URL_STS"));
        let call = sts::Client::from_conf(config.build())
            .get_web_identity_token()
            .audience(audience)
            // Entra takes no other.
            .signing_algorithm("RS256")
            .duration_seconds(LIFETIME);
        let answer =
            call.send().await.map_err(|error| failed("AWS STS issued no web identity token", error, of_sts))?;
        answer.web_identity_token().map(Secret::new).ok_or_else(|| {
            Error::signing_in(ErrorKind::Undecodable, "AWS STS issued no web identity token: its answer has none")
        })
    }

    /// The client secret that Secrets Manager keeps: the whole text, or the member `ClientSecret` where that is JSON.
    ///
    /// # Errors
    /// What Secrets Manager refused, and what to set.
    pub(crate) async fn secret(&self, arn: &SecretArn) -> Result<Secret> {
        let mut config = secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(arn.region().to_owned()))
            .credentials_provider(self.credentials())
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(TimeoutConfig::builder().operation_timeout(TIMEOUT).build())
            .http_client(http());
        config.set_endpoint_url(self.endpoint("AWS_ENDPOINT_URL_SECRETS_MANAGER"));
        let call = secretsmanager::Client::from_conf(config.build()).get_secret_value().secret_id(arn.as_str());
        let what = format!("the client secret could not be read from {}", arn.as_str());
        let answer = call.send().await.map_err(|error| failed(&what, error, of_secrets_manager))?;
        let unusable =
            |why: &str| Error::signing_in(ErrorKind::Configuration, format!("the secret {} {why}", arn.as_str()));
        let text = answer.secret_string().ok_or_else(|| {
            unusable("holds no text: store the client secret as SecretString, which SecretBinary is not")
        })?;
        // A file that a secret was made from ends with a new line.
        let text = text.trim();
        let secret = match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
            Ok(members) => {
                members.get("ClientSecret").and_then(|value| value.as_str()).map(str::to_owned).ok_or_else(|| {
                    unusable(
                        "is a JSON object without a text ClientSecret: name the member so, or store the text alone",
                    )
                })?
            }
            Err(_) => text.to_owned(),
        };
        if secret.is_empty() {
            return Err(unusable("is empty: store the value of a client secret of the app registration"));
        }
        Ok(Secret::new(secret))
    }

    /// Where a service is, if not at AWS's own address: the variables that every AWS SDK reads.
    fn endpoint(&self, of_service: &str) -> Option<String> {
        let variable = |name: &&str| std::env::var(name).ok().filter(|url| !url.is_empty());
        self.endpoint.clone().or_else(|| [of_service, "AWS_ENDPOINT_URL"].iter().find_map(variable))
    }

    fn credentials(&self) -> aws_credential_types::Credentials {
        let (id, key) = (self.access_key_id.clone(), self.secret_access_key.clone());
        aws_credential_types::Credentials::new(id, key, self.session_token.clone(), None, "caller")
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("region", &self.region).finish_non_exhaustive()
    }
}

/// One pool of connections for the life of the process.
fn http() -> SharedHttpClient {
    // aws-lc-rs, the default, seeds itself from CPU jitter at 40 ms of CPU when first used.
    static HTTP: LazyLock<SharedHttpClient> = LazyLock::new(|| {
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
    });
    HTTP.clone()
}

/// What AWS refused: its code and message, read by `advise`, which says what the caller can do.
fn failed<E>(what: &str, error: SdkError<E, HttpResponse>, advise: fn(&str, &str) -> Option<Advice>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = error.raw_response().map(|answer| answer.status());
    let request_id = error.raw_response().and_then(|answer| answer.headers().get("x-amzn-requestid")).map(Box::from);
    let Some(refusal) = error.as_service_error() else {
        // The cause names a host and a reason; nothing that was sent.
        let kind = if status.is_some() { ErrorKind::Undecodable } else { ErrorKind::Network };
        return Error::signing_in(kind, format!("{what}: {}", crate::error::root_cause(&error)));
    };
    let meta: &ErrorMetadata = refusal.meta();
    let (code, message) = (meta.code().unwrap_or_default(), meta.message().unwrap_or_default());
    let (kind, advice) = advise(code, message).or_else(|| of_any(code)).unwrap_or(match status {
        Some(status) if is_server_error(status) => (ErrorKind::Server, ""),
        _ => (ErrorKind::Unauthenticated, ""),
    });
    let text = [message, advice].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" — ");
    Error {
        status: status.map(StatusCode::as_u16),
        code: (!code.is_empty()).then(|| code.into()),
        request_id,
        ..Error::signing_in(kind, if text.is_empty() { what.to_owned() } else { format!("{what}: {text}") })
    }
}

fn is_server_error(status: StatusCode) -> bool {
    status.as_u16() >= 500
}

/// What a refusal means, and what to do about it.
type Advice = (ErrorKind, &'static str);

/// Source: the error lists of STS's GetWebIdentityToken and of all its actions.
fn of_sts(code: &str, message: &str) -> Option<Advice> {
    Some(match code {
        "OutboundWebIdentityFederationDisabledException" | "OutboundWebIdentityFederationDisabled" => (
            ErrorKind::Unauthenticated,
            "outbound identity federation is off in this AWS account: run `aws iam enable-outbound-web-identity-federation` \
             once, or set ClientSecretArn in the type configuration",
        ),
        "AccessDenied" | "AccessDeniedException" if message.contains("session credentials") => (
            ErrorKind::Forbidden,
            "these credentials come from GetSessionToken, which may call no more than AssumeRole and GetCallerIdentity: \
             use those of a role, as with `cfn test --role-arn`",
        ),
        "AccessDenied" | "AccessDeniedException" => (
            ErrorKind::Forbidden,
            "allow sts:GetWebIdentityToken to the type's execution role, and look for a service control policy that denies it",
        ),
        "SessionDurationEscalationException" | "SessionDurationEscalation" => (
            ErrorKind::NotYetTrusted,
            "the session of the execution role ends within two minutes, before the token would; the next invocation has \
             a new one",
        ),
        "JWTPayloadSizeExceededException" | "JWTPayloadSizeExceeded" => (
            ErrorKind::Unauthenticated,
            "the execution role carries more or longer tags than fit into a token: take some off the role or its sessions",
        ),
        _ => return None,
    })
}

/// Source: the error list of Secrets Manager's GetSecretValue.
fn of_secrets_manager(code: &str, message: &str) -> Option<Advice> {
    Some(match code {
        "ResourceNotFoundException" => (
            ErrorKind::Configuration,
            "set ClientSecretArn to the ARN that `aws secretsmanager describe-secret` prints, with its six last characters",
        ),
        "AccessDeniedException" if message.contains("KMS") || message.contains("kms:") => (ErrorKind::Forbidden, KMS),
        "DecryptionFailure" | "DecryptionFailureException" => (ErrorKind::Forbidden, KMS),
        "AccessDeniedException" => (
            ErrorKind::Forbidden,
            "allow secretsmanager:GetSecretValue on it to the type's execution role; in another account, in the secret's \
             own policy, too",
        ),
        "InvalidRequestException" => (
            ErrorKind::Configuration,
            "a secret that is being deleted comes back with `aws secretsmanager restore-secret`",
        ),
        "InvalidParameterException" | "ValidationException" => {
            (ErrorKind::Configuration, "set ClientSecretArn to the ARN of a secret")
        }
        _ => return None,
    })
}

const KMS: &str = "the secret is encrypted with a KMS key of yours: allow kms:Decrypt to the type's execution role in the \
                   key's policy";

/// What any service of AWS may say.
fn of_any(code: &str) -> Option<Advice> {
    Some(match code {
        "ExpiredToken" | "ExpiredTokenException" => {
            (ErrorKind::NotYetTrusted, "the caller's session has expired; the next invocation has a new one")
        }
        "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => (
            ErrorKind::Unauthenticated,
            "AWS does not know the caller's credentials: they must be those of a session in an enabled region",
        ),
        "RegionDisabledException" => (ErrorKind::Unauthenticated, "enable STS in the stack's region"),
        "Throttling" | "ThrottlingException" | "TooManyRequestsException" | "RequestLimitExceeded" => {
            (ErrorKind::Throttled, "")
        }
        _ => return None,
    })
}
