//! Azure Resource Manager: five verbs, a list by pages, and one step of a long-running operation.

use serde_json::Value;

use crate::{Operation, Progress, Result};

/// The version of a provider's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiVersion(&'static str);

impl ApiVersion {
    /// Microsoft.Storage.
    pub const STORAGE: Self = Self("2023-05-01");
    /// Microsoft.Resources: resource groups and subscriptions.
    pub const RESOURCES: Self = Self("2021-04-01");

    /// Any other version, such as `2025-08-01`.
    pub const fn new(version: &'static str) -> Self {
        Self(version)
    }
}

/// What Azure answered to a write.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status, 2xx.
    pub status: u16,
    /// The body; null if it was empty.
    pub body: Value,
    /// Set while the operation is still under way.
    pub operation: Option<Operation>,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The page's items, as Azure sent them.
    pub items: Vec<Value>,
    /// What to pass as `next` for the page after this one.
    pub next: Option<String>,
}

/// Azure Resource Manager, for the calls of one invocation: they share a time limit and a correlation id.
#[derive(Clone, Debug)]
pub struct Arm {}

impl Arm {
    /// Reads a resource.
    pub async fn get(&self, id: &str, api: ApiVersion) -> Result<Value> {
        let _ = (id, api);
        unimplemented!()
    }

    /// Creates a resource, or merges into an existing one.
    pub async fn put(&self, id: &str, api: ApiVersion, body: &Value) -> Result<Answer> {
        let _ = (id, api, body);
        unimplemented!()
    }

    /// Changes the members of a resource that the body names.
    pub async fn patch(&self, id: &str, api: ApiVersion, body: &Value) -> Result<Answer> {
        let _ = (id, api, body);
        unimplemented!()
    }

    /// Calls an action. Retried only when Azure throttled it before serving it.
    pub async fn post(&self, path: &str, api: ApiVersion, body: &Value) -> Result<Answer> {
        let _ = (path, api, body);
        unimplemented!()
    }

    /// Deletes a resource. An absent one is 204 or a NotFound error, as the provider pleases.
    pub async fn delete(&self, id: &str, api: ApiVersion) -> Result<Answer> {
        let _ = (id, api);
        unimplemented!()
    }

    /// One page of a list: the first, or the one that the page before named.
    pub async fn list(&self, path: &str, api: ApiVersion, next: Option<&str>) -> Result<Page> {
        let _ = (path, api, next);
        unimplemented!()
    }

    /// One look at an operation that has a `status_url`; one without is Pending: look at the resource instead.
    pub async fn poll(&self, operation: &Operation) -> Result<Progress> {
        let _ = operation;
        unimplemented!()
    }
}
