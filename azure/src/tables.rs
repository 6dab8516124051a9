//! The data plane of Table Storage.

use std::sync::Arc;

use azure_core::http::{Method, PipelineSendOptions, RawResponse, Request, Url};
use serde_json::Value;

use crate::{Error, ErrorKind, Result, call::Call, client::Inner, data_plane};

/// A version that takes tokens of Entra's; a request that names none gets an older one, which does not.
const VERSION: &str = "2020-12-06";
/// With what an answer names where to go on, and how a request does.
const NEXT: [(&str, &str); 2] =
    [("x-ms-continuation-nextpartitionkey", "NextPartitionKey"), ("x-ms-continuation-nextrowkey", "NextRowKey")];

/// The keys of an entity in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// The partition it is in.
    pub partition_key: String,
    /// Its key there.
    pub row_key: String,
}

/// Table Storage, for the calls of one invocation: they share a time limit.
#[derive(Clone, Debug)]
pub struct Tables {
    inner: Arc<Inner>,
    call: Call,
}

impl Tables {
    pub(crate) fn new(inner: Arc<Inner>, call: Call) -> Self {
        Self { inner, call }
    }

    /// An entity of a table, or nothing if it is empty.
    ///
    /// `endpoint` is the account's `properties.primaryEndpoints.table`. The identity needs the role "Storage Table Data
    /// Reader".
    pub async fn first_entity(&self, endpoint: &str, table: &str) -> Result<Option<Entity>> {
        let target = format!("reading table {table}");
        let first = query(endpoint, table).map_err(|error| error.about(&target))?;
        let mut url = first.clone();
        loop {
            let answer = self.send(&target, url).await?;
            let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
            let undecodable = || Error::new(ErrorKind::Undecodable, "the answer has no list named value");
            let found = body["value"].as_array().ok_or_else(|| self.call.explain(&target, undecodable()))?;
            if let Some(entity) = found.first() {
                let key = |name: &str| entity[name].as_str().unwrap_or_default().to_owned();
                return Ok(Some(Entity { partition_key: key("PartitionKey"), row_key: key("RowKey") }));
            }
            // A page may be empty and still name another one, where the service looked as long as it may.
            let header = |name: &'static str| answer.headers().get_optional_str(&name.into());
            let next: Vec<_> = NEXT.iter().filter_map(|(from, to)| Some((*to, header(from)?))).collect();
            if next.is_empty() {
                return Ok(None);
            }
            url = first.clone();
            url.query_pairs_mut().extend_pairs(next);
        }
    }

    async fn send(&self, target: &str, url: Url) -> Result<RawResponse> {
        let mut request = Request::new(url, Method::Get);
        request.insert_header("accept", "application/json;odata=nometadata");
        request.insert_header("x-ms-version", VERSION);
        let pipeline = self.inner.signed_in(data_plane::SCOPE);
        let context = self.call.context();
        let options = PipelineSendOptions { skip_checks: true, ..PipelineSendOptions::default() };
        let sent = pipeline.send(&context, &mut request, Some(options));
        let role = "Storage Table Data Reader";
        let answer = self.call.within(target, sent).await.map_err(|error| data_plane::explain(error, role))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let error = Error::from_answer(u16::from(answer.status()), answer.headers(), answer.body());
        Err(data_plane::explain(self.call.explain(target, error), role))
    }
}

fn query(endpoint: &str, table: &str) -> Result<Url> {
    let unusable = || Error::new(ErrorKind::Undecodable, format!("\"{endpoint}\" is not a table endpoint"));
    let mut url = Url::parse(endpoint).map_err(|_| unusable())?;
    url.path_segments_mut().map_err(|()| unusable())?.pop_if_empty().push(&format!("{table}()"));
    url.set_query(Some("$top=1&$select=PartitionKey,RowKey"));
    Ok(url)
}
