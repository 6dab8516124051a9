//! What went wrong in a call to Azure.

use std::{fmt, time::Duration};

/// The result of a call to Azure.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call failed, by what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The credentials are wrong, or Azure does not accept their token.
    Unauthenticated,
    /// The identity lacks a permission, or a policy denies the request.
    Forbidden,
    /// The type configuration is wrong: an unusable value, an unknown subscription, a provider that it has not registered.
    Configuration,
    /// The resource, or one that it lives in, does not exist.
    NotFound,
    /// The name is taken, here or by somebody else.
    AlreadyExists,
    /// Another operation is under way on the resource: the same request succeeds later.
    Busy,
    /// The resource's state forbids the request until somebody changes it: a lock, contents, an immutability policy.
    Conflict,
    /// A quota of the subscription is used up.
    QuotaExceeded,
    /// The property cannot be changed after creation.
    NotUpdatable,
    /// Azure refuses the request as it stands.
    InvalidRequest,
    /// The request is right but names an identity that has not reached every replica yet: retry, then give up as invalid.
    RetryableInvalid,
    /// The resource has changed since it was read.
    PreconditionFailed,
    /// Too many requests.
    Throttled,
    /// Azure failed.
    Server,
    /// Azure could not be reached, or the connection was lost.
    Network,
    /// The time limit passed before Azure answered.
    Timeout,
    /// Azure reported success with a body that cannot be understood.
    Undecodable,
    /// Any other refusal.
    Other,
}

/// A failed call to Azure.
#[derive(Clone, Debug)]
pub struct Error {
    /// What the caller can do about it.
    pub kind: ErrorKind,
    /// The HTTP status, if Azure answered.
    pub status: Option<u16>,
    /// Azure's error code.
    pub code: Option<String>,
    /// Azure's message without embedded request id and time, or our own explanation.
    pub message: String,
    /// Azure's id of the request, for a support case.
    pub request_id: Option<String>,
    /// The id that all requests of this invocation share in Azure's activity log.
    pub correlation_id: Option<String>,
    /// How long Azure asked to wait before the next attempt.
    pub retry_after: Option<Duration>,
    /// What the call was about: method and path.
    pub target: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
