//! Why a change was not carried over, for a person and for the decision what to do next.

use std::{fmt, time::Duration};

/// The result of a step of the backup.
pub type Result<T> = std::result::Result<T, Error>;

/// What stands in the way, by what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The event cannot be understood.
    Malformed,
    /// A setting is missing or wrong.
    Configuration,
    /// The object is in an archive class and not restored.
    Archived,
    /// The object, or this version of it, no longer exists.
    Gone,
    /// The object is encrypted with a key that only its owner has (SSE-C).
    CustomerKey,
    /// S3 refuses the role.
    SourceForbidden,
    /// S3 refuses the request for another reason.
    SourceRefused,
    /// The object was overwritten while it was read.
    SourceChanged,
    /// Azure does not accept who we are.
    Unauthenticated,
    /// Azure refuses the identity.
    TargetForbidden,
    /// The container does not exist.
    ContainerMissing,
    /// The account or the container takes no more.
    Full,
    /// A legal hold, an immutability policy or the archive tier protects the blob.
    Immutable,
    /// Somebody holds a lease on the blob.
    Leased,
    /// The blob's name is taken by something that this object's backup did not write.
    NotOurs,
    /// The object's description does not fit into a blob's metadata.
    TooMuchMetadata,
    /// The object is larger than a block blob can be.
    TooLarge,
    /// Azure refuses the request for another reason.
    TargetRefused,
    /// The bytes did not arrive as they were sent.
    Checksum,
    /// The bytes that S3 sends are not those that it stored a checksum of.
    Damaged,
    /// The blob changed since it was looked at: look again.
    Conflict,
    /// Staged blocks are no longer there: stage them again.
    BlocksLost,
    /// Azure cannot read the source by itself: stream it.
    CannotPull,
    /// The target does not say what arrived: send from memory.
    CannotStream,
    /// Too many requests.
    Throttled,
    /// The service failed.
    Unavailable,
    /// The connection failed.
    Network,
    /// The time of this invocation is over.
    Deadline,
}

impl Reason {
    /// Whether the same request may succeed at once or a little later.
    pub fn passes(self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable | Self::Network | Self::Checksum)
    }

    /// Whether no repetition helps until somebody changes the object, a permission or a setting.
    pub fn is_permanent(self) -> bool {
        !self.passes()
            && !matches!(
                self,
                Self::SourceChanged
                    | Self::Damaged
                    | Self::Conflict
                    | Self::BlocksLost
                    | Self::CannotPull
                    | Self::CannotStream
                    | Self::Deadline
                    | Self::Unauthenticated
            )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A failed step.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What stands in the way.
    pub reason: Reason,
    /// What happened, to what, with the service's own code and request id, and what to do.
    pub message: String,
    /// How long the service asked to wait.
    pub retry_after: Option<Duration>,
}

impl Error {
    /// An error with this reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry_after: None }
    }

    /// The same, saying first what was being done.
    pub fn about(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}
