//! Azure as the handlers see it: opened from the type configuration, its failures in CloudFormation's codes.

use azure_client::{Answer, ApiVersion, Arm, Azure, Blobs, Configuration, ErrorKind, Page};
use cfn_provider::{Error, HandlerErrorCode, Provider, Request, Result, Retry};
use serde_json::Value;
use std::time::Duration;

/// How long an identity or a parent that was made a moment ago may take to be known everywhere.
const PROPAGATION: Duration = Duration::from_secs(120);

/// Azure, opened for one invocation. The clients and the token behind it outlive the invocation.
pub struct AzureProvider {
    azure: Azure,
    arm: Arm,
    blobs: Blobs,
}

impl Provider for AzureProvider {
    type Configuration = Configuration;

    /// None: with a client secret in the type configuration the handlers call nothing of AWS.
    const PERMISSIONS: &'static [&'static str] = &[];

    fn open(configuration: Configuration, request: &Request) -> Result<Self> {
        let azure = Azure::open(&configuration).map_err(explain)?;
        let deadline = request.deadline.into_std();
        Ok(Self { arm: azure.arm(deadline), blobs: azure.blobs(deadline), azure })
    }
}

impl AzureProvider {
    /// The subscription of the type configuration.
    pub fn subscription_id(&self) -> &str {
        self.azure.subscription_id()
    }

    /// Reads a resource.
    pub async fn get(&self, id: &str, api: ApiVersion) -> Result<Value> {
        self.arm.get(id, api).await.map_err(explain)
    }

    /// Creates a resource. A missing parent may be one that was created a moment ago.
    pub async fn put(&self, id: &str, api: ApiVersion, body: &Value) -> Result<Answer> {
        self.arm.put(id, api, body).await.map_err(|error| {
            let parent_missing = error.kind == ErrorKind::NotFound;
            let mut error = explain(error);
            if parent_missing {
                error.code = HandlerErrorCode::InvalidRequest;
                error = error.transient(Retry { after: None, within: Some(PROPAGATION) });
            }
            error
        })
    }

    /// Changes members of a resource.
    pub async fn patch(&self, id: &str, api: ApiVersion, body: &Value) -> Result<Answer> {
        self.arm.patch(id, api, body).await.map_err(|error| {
            // What is a taken name on create is, on an existing resource, a property that cannot change.
            let taken = error.kind == ErrorKind::AlreadyExists;
            let mut error = explain(error);
            if taken {
                error.code = HandlerErrorCode::NotUpdatable;
            }
            error
        })
    }

    /// Runs an action of a resource.
    pub async fn post(&self, path: &str, api: ApiVersion, body: &Value) -> Result<Answer> {
        self.arm.post(path, api, body).await.map_err(explain)
    }

    /// Deletes a resource.
    pub async fn delete(&self, id: &str, api: ApiVersion) -> Result<Answer> {
        self.arm.delete(id, api).await.map_err(explain)
    }

    /// Reads one page of a collection.
    pub async fn list(&self, path: &str, api: ApiVersion, next: Option<&str>) -> Result<Page> {
        self.arm.list(path, api, next).await.map_err(explain)
    }

    /// The first thing that a container holds, deleted-but-kept blobs included.
    pub async fn first_blob(&self, endpoint: &str, container: &str) -> Result<Option<azure_client::Entry>> {
        self.blobs.first_entry(endpoint, container).await.map_err(explain)
    }
}

/// Azure's failure in CloudFormation's terms: the code, Azure's sentence, what to do next, and whether waiting may help.
fn explain(error: azure_client::Error) -> Error {
    use ErrorKind as Kind;
    use HandlerErrorCode as Code;
    let (code, advice) = match error.kind {
        Kind::Unauthenticated => (Code::InvalidCredentials, "check the credentials in the type configuration"),
        Kind::Forbidden => (
            Code::AccessDenied,
            "give the application of the type configuration a role that allows it, such as Contributor on the resource \
             group, or change the policy that denies it",
        ),
        Kind::Configuration => (Code::InvalidTypeConfiguration, "check SubscriptionId in the type configuration"),
        Kind::NotFound => (Code::NotFound, ""),
        Kind::AlreadyExists => (Code::AlreadyExists, "choose another name, or leave the name out to have one made"),
        Kind::Busy => (Code::ResourceConflict, ""),
        Kind::Conflict => (Code::ResourceConflict, "remove what protects it, such as a lock or an immutability policy"),
        Kind::QuotaExceeded => {
            (Code::ServiceLimitExceeded, "ask Azure for a higher limit, or delete what is not needed")
        }
        Kind::NotUpdatable => (Code::NotUpdatable, "the resource must be replaced"),
        Kind::InvalidRequest | Kind::RetryableInvalid => (Code::InvalidRequest, ""),
        Kind::PreconditionFailed => (Code::ResourceConflict, "it changed in the meantime; repeat the operation"),
        Kind::Throttled => (Code::Throttling, ""),
        Kind::Server => (Code::ServiceInternalError, ""),
        Kind::Network | Kind::Timeout => (Code::NetworkFailure, ""),
        Kind::Undecodable => (Code::InternalFailure, ""),
        Kind::Other => (Code::GeneralServiceException, ""),
    };
    let retry = match error.kind {
        Kind::Busy | Kind::Throttled | Kind::Server | Kind::Network | Kind::Timeout | Kind::PreconditionFailed => {
            Some(Retry { after: error.retry_after, within: None })
        }
        Kind::RetryableInvalid => Some(Retry { after: error.retry_after, within: Some(PROPAGATION) }),
        _ => None,
    };
    let message = if advice.is_empty() { error.to_string() } else { format!("{error}; {advice}") };
    let explained = Error::new(code, message).caused_by(error);
    match retry {
        Some(retry) => explained.transient(retry),
        None => explained,
    }
}
