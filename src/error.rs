//! Errors with two readers: the person who sees the stack event, and the log.

use serde::{Deserialize, Serialize};
use std::{error::Error as StdError, fmt, time::Duration};

/// The closed set of codes CloudFormation accepts from a handler.
///
/// Source: `HandlerErrorCode` of the CloudFormation CLI 0.2.41. The codes that only hooks use are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are CloudFormation's and documented there")]
pub enum HandlerErrorCode {
    NotUpdatable,
    InvalidRequest,
    AccessDenied,
    InvalidCredentials,
    AlreadyExists,
    NotFound,
    ResourceConflict,
    Throttling,
    ServiceLimitExceeded,
    NotStabilized,
    GeneralServiceException,
    ServiceInternalError,
    NetworkFailure,
    InternalFailure,
    InvalidTypeConfiguration,
}

impl HandlerErrorCode {
    /// Every code.
    pub const ALL: [HandlerErrorCode; 15] = [
        Self::NotUpdatable,
        Self::InvalidRequest,
        Self::AccessDenied,
        Self::InvalidCredentials,
        Self::AlreadyExists,
        Self::NotFound,
        Self::ResourceConflict,
        Self::Throttling,
        Self::ServiceLimitExceeded,
        Self::NotStabilized,
        Self::GeneralServiceException,
        Self::ServiceInternalError,
        Self::NetworkFailure,
        Self::InternalFailure,
        Self::InvalidTypeConfiguration,
    ];
}

/// How a call that failed may be repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// The wait that the service asked for; the engine's back-off where it named none.
    pub after: Option<Duration>,
    /// How long after the operation began repeating it still makes sense; the operation's whole time where `None`.
    pub within: Option<Duration>,
}

/// What went wrong: a code for CloudFormation, a sentence for the user, and a cause for the log.
///
/// The sentence must never hold a secret: it is shown in stack events.
#[derive(Debug)]
pub struct Error {
    /// CloudFormation's code.
    pub code: HandlerErrorCode,
    /// What the user reads.
    pub message: String,
    retry: Option<Retry>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error that repeating the call will not mend.
    pub fn new(code: HandlerErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry: None, source: None }
    }

    /// [`HandlerErrorCode::NotFound`]: the resource does not exist. The only code that means absence.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(HandlerErrorCode::NotFound, message)
    }

    /// [`HandlerErrorCode::InvalidRequest`]: the template asks for something that cannot be.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(HandlerErrorCode::InvalidRequest, message)
    }

    /// [`HandlerErrorCode::InternalFailure`]: a bug of the handler; the cause goes to the log.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(HandlerErrorCode::InternalFailure, "the handler failed; its log has the cause").caused_by(source)
    }

    /// Marks the error as one that waiting may mend: the engine calls again until the operation's time is up.
    #[must_use]
    pub fn transient(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts what was being done in front of the sentence: `creating x: …`.
    #[must_use]
    pub fn while_doing(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// How the engine may repeat the call; `None` where repeating it will not mend the error.
    pub fn retry(&self) -> Option<Retry> {
        self.retry
    }

    /// Whether the resource is absent.
    pub fn is_not_found(&self) -> bool {
        self.code == HandlerErrorCode::NotFound
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.message, self.code)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
