//! Which types a binary serves: a literal table.

use crate::{
    engine,
    error::{Error, Result},
    protocol::{Invocation, ProgressEvent},
    resource::{Resource, identifier},
    schema::{self, TypeSchema},
};
use futures::future::BoxFuture;
use serde_json::Value;
use std::fmt;
use tokio::time::Instant;

/// One resource type of a binary.
///
/// A registry is a literal table of them: `&[Entry::of::<BlobContainer>()]`.
pub struct Entry {
    /// The type's name.
    pub type_name: &'static str,
    /// The type's schema, generated when first asked for.
    pub schema: fn() -> &'static TypeSchema,
    /// Whether a value names a resource of the type.
    pub(crate) identifies: fn(&Value) -> bool,
    handle: for<'a> fn(&'a Invocation, Instant) -> BoxFuture<'a, ProgressEvent>,
}

impl Entry {
    /// The row of a type.
    pub const fn of<R: Resource>() -> Self {
        const { assert!(R::TIMEOUT_MINUTES >= 2 && R::TIMEOUT_MINUTES <= 2_160, "TIMEOUT_MINUTES is 2 to 2,160") };
        Self {
            type_name: R::TYPE_NAME,
            schema: schema::of::<R>,
            identifies: |value| identifier::<R>(value).is_ok(),
            handle: |invocation, deadline| Box::pin(engine::handle::<R>(invocation, deadline)),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name)
    }
}

/// Finds the type of an invocation.
///
/// # Errors
/// `InvalidRequest` for a type that the binary does not serve.
pub fn find<'a>(registry: &'a [Entry], type_name: &str) -> Result<&'a Entry> {
    // The old test entrypoint names no type: where there is one, it is meant.
    if let ("", [only]) = (type_name, registry) {
        return Ok(only);
    }
    registry.iter().find(|entry| entry.type_name == type_name).ok_or_else(|| {
        let served = registry.iter().map(|entry| entry.type_name).collect::<Vec<_>>().join(", ");
        Error::invalid_request(format!("this handler serves no type of the requested name; it serves {served}"))
    })
}

/// Answers one invocation before `deadline`; errors become FAILED.
pub async fn dispatch(registry: &[Entry], invocation: &Invocation, deadline: Instant) -> ProgressEvent {
    match find(registry, &invocation.resource_type) {
        Ok(entry) => (entry.handle)(invocation, deadline).await,
        Err(error) => ProgressEvent::failed(&error),
    }
}
