//! Azure as the handlers see it: opened from the type configuration, its failures in CloudFormation's codes.

use crate::profile;
use azure_client::{Answer, ApiVersion, Arm, Azure, Blobs, Configuration, ErrorKind, Keys, Page, Session, Tables};
use cfn_provider::{Error, HandlerErrorCode, Provider, Request, Result, Retry};
use serde_json::Value;
use std::time::Duration;

/// How long an identity or a parent that was made a moment ago may take to be known everywhere.
const PROPAGATION: Duration = Duration::from_secs(120);

/// How long somebody else may go on changing a resource between our reading and our writing it.
const CONTENTION: Duration = Duration::from_secs(30);

/// Azure, opened for one invocation. The clients and the token behind it outlive the invocation.
#[derive(Clone)]
pub struct AzureProvider {
    azure: Azure,
    arm: Arm,
    blobs: Blobs,
    keys: Keys,
    tables: Tables,
}

impl Provider for AzureProvider {
    type Configuration = Configuration;

    /// For the two ways to sign in that take the caller's session. `kms:Decrypt` is not among them: a secret under AWS's own
    /// key does not need it, and the policy of one's own key is the better place to allow it.
    const PERMISSIONS: &'static [&'static str] = &["sts:GetWebIdentityToken", "secretsmanager:GetSecretValue"];

    fn open(configuration: Configuration, request: &Request) -> Result<Self> {
        let profile = profile::choose(&configuration, &request.properties)?;
        let session = if profile.needs_session() { Some(session(request)?) } else { None };
        let azure = Azure::open(profile, session.as_ref()).map_err(explain)?;
        let deadline = request.deadline.into_std();
        Ok(Self {
            arm: azure.arm(deadline),
            blobs: azure.blobs(deadline),
            keys: azure.keys(deadline),
            tables: azure.tables(deadline),
            azure,
        })
    }
}

/// The session of the execution role, in the stack's region.
fn session(request: &Request) -> Result<Session> {
    let credentials = request.caller_credentials()?;
    let region = request.region.clone().or_else(|| std::env::var("AWS_REGION").ok()).ok_or_else(|| {
        Error::invalid_request("the request names no AWS region, and neither does the variable AWS_REGION")
    })?;
    let (id, key) = (&credentials.access_key_id, &credentials.secret_access_key);
    Ok(Session::new(id, key, credentials.session_token.clone(), region))
}

impl AzureProvider {
    /// The subscription of the profile.
    pub fn subscription_id(&self) -> &str {
        self.azure.subscription_id()
    }

    /// The same, for writes to a resource that still has this entity tag. Where it has another the engine acts again, on
    /// what it then reads.
    #[must_use]
    pub fn matching(&self, etag: &str) -> Self {
        Self { arm: self.arm.matching(etag), ..self.clone() }
    }

    /// What only a vault can do with its keys; its failures are to be explained.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
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
                error.message.push_str("; create it first: in a template, !Ref it where this resource names it");
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

    /// Some items of a collection that `counts` says count, from as many pages as it takes to find one, and whether there
    /// are more pages. None where the whole collection has none.
    pub async fn find(
        &self,
        path: &str,
        api: ApiVersion,
        counts: impl Fn(&Value) -> bool,
    ) -> Result<(Vec<Value>, bool)> {
        let mut next = None;
        loop {
            let page = self.list(path, api, next.as_deref()).await?;
            let found: Vec<Value> = page.items.into_iter().filter(&counts).collect();
            if !found.is_empty() || page.next.is_none() {
                return Ok((found, page.next.is_some()));
            }
            next = page.next;
        }
    }

    /// The first thing that a container holds, deleted-but-kept blobs included.
    pub async fn first_blob(&self, endpoint: &str, container: &str) -> Result<Option<azure_client::Entry>> {
        self.blobs.first_entry(endpoint, container).await.map_err(explain)
    }

    /// An entity that a table holds.
    pub async fn first_entity(&self, endpoint: &str, table: &str) -> Result<Option<azure_client::Entity>> {
        self.tables.first_entity(endpoint, table).await.map_err(explain)
    }
}

/// Azure's failure in CloudFormation's terms: the code, Azure's sentence, what to do next, and whether waiting may help.
pub(crate) fn explain(error: azure_client::Error) -> Error {
    use ErrorKind as Kind;
    use HandlerErrorCode as Code;
    let (code, advice) = match error.kind {
        Kind::NotYetTrusted => (Code::InvalidCredentials, ""),
        Kind::Unauthenticated => (Code::InvalidCredentials, "check the credentials in the type configuration"),
        Kind::Forbidden => (Code::AccessDenied, after_refusal(error.code.as_deref().unwrap_or_default())),
        Kind::Configuration => {
            (Code::InvalidTypeConfiguration, after_misconfiguration(error.code.as_deref().unwrap_or_default()))
        }
        Kind::NotFound => (Code::NotFound, ""),
        Kind::AlreadyExists => (Code::AlreadyExists, "choose another name, or leave the name out to have one made"),
        Kind::Busy => (Code::ResourceConflict, ""),
        Kind::Conflict => {
            (Code::ResourceConflict, "remove what protects it, such as a lock, a legal hold or an immutability policy")
        }
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
    // That comes with what to check.
    let advice = if error.signing_in { "" } else { advice };
    let retry = match error.kind {
        Kind::Busy | Kind::Throttled | Kind::Server | Kind::Network | Kind::Timeout => {
            Some(Retry { after: error.retry_after, within: None })
        }
        Kind::PreconditionFailed => Some(Retry { after: error.retry_after, within: Some(CONTENTION) }),
        Kind::RetryableInvalid | Kind::NotYetTrusted => {
            Some(Retry { after: error.retry_after, within: Some(PROPAGATION) })
        }
        _ => None,
    };
    // The engine has named the resource: the end of the path tells what was asked of it, or of what around it.
    let mut short = error.clone();
    short.target = error.target.as_deref().map(shortened);
    let message = if advice.is_empty() { short.to_string() } else { format!("{short}; {advice}") };
    let explained = Error::new(code, message).caused_by(error);
    match retry {
        Some(retry) => explained.transient(retry),
        None => explained,
    }
}

/// `PUT …/containers/backups` of `PUT /subscriptions/…/containers/backups`; other targets as they are.
fn shortened(target: &str) -> Box<str> {
    match target.split_once(" /subscriptions/") {
        Some((method, path)) if path.matches('/').count() > 1 => {
            let start = path.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at);
            format!("{method} …{}", &path[start..]).into()
        }
        _ => target.into(),
    }
}

/// What to do about a 403, by Azure's code.
fn after_refusal(code: &str) -> &'static str {
    match code {
        // The client has said which role or rule the data plane wants.
        "AuthorizationPermissionMismatch" | "AuthorizationFailure" => "",
        "RequestDisallowedByPolicy" => "change the template as the Azure policy demands, or have the policy changed",
        "SubscriptionDisabled" => "have the subscription enabled again",
        _ => {
            "check SubscriptionId in the type configuration, and give its application a role that allows it, such as \
             Contributor on the resource group"
        }
    }
}

/// What to do about an unusable subscription, by Azure's code. What is wrong in the configuration itself says so.
fn after_misconfiguration(code: &str) -> &'static str {
    match code {
        "" => "",
        "MissingSubscriptionRegistration" => {
            "register the resource provider in the subscription, as with `az provider register --namespace Microsoft.Storage`"
        }
        _ => "check SubscriptionId in the type configuration",
    }
}
