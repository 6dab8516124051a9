//! Azure Resource Manager: five verbs, a list by pages, and one look at a long-running operation.

use std::sync::Arc;

use azure_core::http::{Method, PipelineSendOptions, RawResponse, Request, Url};
use serde_json::Value;

use crate::{Error, ErrorKind, Operation, Progress, Result, call::Call, client::Inner};

/// The version of a provider's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiVersion(&'static str);

impl ApiVersion {
    /// Microsoft.Storage.
    pub const STORAGE: Self = Self("2023-05-01");
    /// Microsoft.Storage for what came later: the static website, and what an object replication copies beside blobs.
    pub const STORAGE_2025_08: Self = Self("2025-08-01");
    /// Microsoft.Resources: resource groups and what they hold.
    pub const RESOURCES: Self = Self("2021-04-01");

    /// Any other version, such as `2024-01-01`.
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
///
/// Paths are resource ids, perhaps with an action at the end or a query such as `?$top=5`; the API version is added.
#[derive(Clone, Debug)]
pub struct Arm {
    inner: Arc<Inner>,
    call: Call,
    if_match: Option<String>,
}

impl Arm {
    pub(crate) fn new(inner: Arc<Inner>, call: Call) -> Self {
        Self { inner, call, if_match: None }
    }

    /// The id that every request of this invocation carries; Azure's activity log finds them by it.
    pub fn correlation_id(&self) -> &str {
        &self.call.correlation_id
    }

    /// The same, for writes to a resource that still has the entity tag which it had when it was read. Where it has another,
    /// they fail with [`ErrorKind::PreconditionFailed`], as a repeated write does whose first answer was lost.
    #[must_use]
    pub fn matching(&self, etag: &str) -> Self {
        Self { if_match: Some(etag.to_owned()), ..self.clone() }
    }

    /// Reads a resource.
    pub async fn get(&self, id: &str, api: ApiVersion) -> Result<Value> {
        let (target, answer) = self.send(Method::Get, self.url(id, api)?, None).await?;
        self.body(&target, &answer)
    }

    /// Creates a resource, or merges into the one that exists.
    pub async fn put(&self, id: &str, api: ApiVersion, body: &Value) -> Result<Answer> {
        self.write(Method::Put, id, api, Some(body)).await
    }

    /// Changes the members of a resource that the body names.
    pub async fn patch(&self, id: &str, api: ApiVersion, body: &Value) -> Result<Answer> {
        self.write(Method::Patch, id, api, Some(body)).await
    }

    /// Calls an action; a null body sends none. Repeated only after 429, since it may not be idempotent.
    pub async fn post(&self, path: &str, api: ApiVersion, body: &Value) -> Result<Answer> {
        self.write(Method::Post, path, api, (!body.is_null()).then_some(body)).await
    }

    /// Deletes a resource. An absent one is a 204 or a NotFound error, as its provider pleases.
    ///
    /// A request whose answer was lost is repeated, so a NotFound error may follow a success.
    pub async fn delete(&self, id: &str, api: ApiVersion) -> Result<Answer> {
        self.write(Method::Delete, id, api, None).await
    }

    /// One page of a list: the first, or the one that the page before named as `next`, which must be on the same host and path.
    pub async fn list(&self, path: &str, api: ApiVersion, next: Option<&str>) -> Result<Page> {
        let first = self.url(path, api)?;
        let url = match next {
            None => first,
            Some(next) => self.same_list(&first, next).ok_or_else(|| {
                Error::new(ErrorKind::InvalidRequest, "the token of the next page does not belong to this list")
            })?,
        };
        let (target, answer) = self.send(Method::Get, url.clone(), None).await?;
        let undecodable = |what: &str| self.call.explain(&target, Error::new(ErrorKind::Undecodable, what));
        let mut body = self.body(&target, &answer)?;
        let Some(Value::Array(items)) = body.get_mut("value").map(Value::take) else {
            return Err(undecodable("the answer has no list named value"));
        };
        let next = body.get("nextLink").and_then(Value::as_str).filter(|next| !next.is_empty());
        if let Some(next) = next
            && self.same_list(&url, next).is_none()
        {
            return Err(undecodable(
                "the answer names a next page on another host or path, where the token must not go",
            ));
        }
        Ok(Page { items, next: next.map(str::to_owned) })
    }

    /// One look at an operation. One without a `status_url` is pending: look at the resource instead.
    pub async fn poll(&self, operation: &Operation) -> Result<Progress> {
        let Some(url) = &operation.status_url else {
            return Ok(Progress::Pending { retry_after: operation.retry_after });
        };
        let url = Url::parse(url).ok().filter(|url| self.is_here(url)).ok_or_else(|| {
            Error::new(ErrorKind::InvalidRequest, "the operation is not one of this Resource Manager")
        })?;
        let (target, answer) = self.send(Method::Get, url, None).await?;
        let envelope = self.body(&target, &answer)?;
        Progress::read(answer.headers(), &envelope).map_err(|error| self.call.explain(&target, error))
    }

    async fn write(&self, method: Method, path: &str, api: ApiVersion, body: Option<&Value>) -> Result<Answer> {
        let (target, answer) = self.send(method, self.url(path, api)?, body).await?;
        let status = u16::from(answer.status());
        let operation = Operation::announced(status, answer.headers());
        // An accepted request may answer prose; it says nothing that the operation does not.
        let body = match &operation {
            Some(_) => serde_json::from_slice(answer.body()).unwrap_or_default(),
            None if answer.body().is_empty() => Value::Null,
            None => self.body(&target, &answer)?,
        };
        Ok(Answer { status, body, operation })
    }

    async fn send(&self, method: Method, url: Url, body: Option<&Value>) -> Result<(String, RawResponse)> {
        let target = format!("{method} {}", url.path());
        let mut request = Request::new(url, method);
        request.insert_header("accept", "application/json");
        if let Some(etag) = self.if_match.as_ref().filter(|_| method != Method::Get) {
            request.insert_header("if-match", etag.clone());
        }
        if let Some(body) = body {
            request.insert_header("content-type", "application/json");
            request.set_body(body.to_string());
        }
        let context = self.call.context();
        let options = PipelineSendOptions { skip_checks: true, ..PipelineSendOptions::default() };
        let answer = self.call.within(&target, self.inner.pipeline.send(&context, &mut request, Some(options))).await?;
        if answer.status().is_success() {
            return Ok((target, answer));
        }
        let error = Error::from_answer(u16::from(answer.status()), answer.headers(), answer.body());
        Err(self.call.explain(&target, error))
    }

    fn body(&self, target: &str, answer: &RawResponse) -> Result<Value> {
        serde_json::from_slice(answer.body()).map_err(|error| {
            let message = format!("the answer ({}) is not JSON: {error}", u16::from(answer.status()));
            self.call.explain(target, Error::new(ErrorKind::Undecodable, message))
        })
    }

    fn url(&self, path: &str, api: ApiVersion) -> Result<Url> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let sound = path.strip_prefix('/').is_some_and(|path| {
            path.split('/').all(|segment| !matches!(segment, "" | "." | "..")) && !path.contains(['#', '\\'])
        });
        if !sound {
            return Err(Error::new(
                ErrorKind::InvalidRequest,
                format!("\"{path}\" is not a path of Resource Manager: /subscriptions/{{guid}}/…, without empty parts"),
            ));
        }
        let mut url = self.inner.resource_manager.clone();
        url.set_path(path);
        let separator = if query.is_empty() { "" } else { "&" };
        url.set_query(Some(&format!("{query}{separator}api-version={}", api.0)));
        Ok(url)
    }

    fn is_here(&self, url: &Url) -> bool {
        url.origin() == self.inner.resource_manager.origin() && url.username().is_empty()
    }

    fn same_list(&self, list: &Url, next: &str) -> Option<Url> {
        Url::parse(next).ok().filter(|next| self.is_here(next) && next.path().eq_ignore_ascii_case(list.path()))
    }
}
