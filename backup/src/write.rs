//! Put Blob and Put Block as plain requests, without the SDK around them.
//!
//! These two carry all bytes of a backup. Through the SDK's pipeline a Put Blob of 4 KiB took 85 µs of CPU, more than three times
//! what a bare copy takes for the GET, the PUT and TLS on both; and its Put Block has a body only as a stream that it may
//! begin again. Whatever is not on the way of the bytes is the SDK's.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use azure_core::{credentials::TokenCredential, http::Url};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_LENGTH, InvalidHeaderValue},
};
use http_body::Body as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use crate::{
    Error, Reason, Result,
    connection::Driver,
    refusal,
    transport::{self, Http, Payload},
};

/// The API version that the SDK speaks, so that both see the same.
const VERSION: &str = "2026-04-06";
const SCOPE: &str = "https://storage.azure.com/.default";
/// A token is replaced this long before it expires.
const EARLY: Duration = Duration::from_secs(300);
/// What stays readable of a blob's name, which is one segment of the path, as the SDK has it.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Writes to one container.
pub(crate) struct Writer {
    http: Http,
    /// Without the query.
    container: String,
    /// Of the container's address: a SAS, or nothing.
    query: String,
    credential: Option<Arc<dyn TokenCredential>>,
    token: Mutex<Option<Token>>,
}

struct Token {
    header: HeaderValue,
    expires: OffsetDateTime,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the query, which may be a SAS.
        f.debug_struct("Writer").field("container", &self.container).finish_non_exhaustive()
    }
}

impl Writer {
    pub(crate) fn new(mut container: Url, credential: Option<Arc<dyn TokenCredential>>, http: Http) -> Self {
        let query = container.query().unwrap_or_default().to_owned();
        container.set_query(None);
        let container = container.as_str().trim_end_matches('/').to_owned();
        Self { http, container, query, credential, token: Mutex::default() }
    }

    /// Sends a PUT of a blob and returns the answer's headers. `what` stands before the container's own query.
    ///
    /// # Errors
    /// What stands in the way.
    pub(crate) async fn put(&self, name: &str, what: &str, headers: Headers, body: Payload) -> Result<HeaderMap> {
        let mark = if what.is_empty() && self.query.is_empty() { "" } else { "?" };
        let and = if what.is_empty() || self.query.is_empty() { "" } else { "&" };
        let Self { container, query, .. } = self;
        let uri = format!("{container}/{}{mark}{what}{and}{query}", utf8_percent_encode(name, NAME));
        let length = body.size_hint().lower();
        let mut request = http::Request::put(uri).body(body).map_err(|error| unsendable(&error))?;
        *request.headers_mut() = headers.0;
        // hyper leaves it out where it is zero, which Azure refuses.
        request.headers_mut().insert(CONTENT_LENGTH, length.into());
        request.headers_mut().insert("x-ms-version", HeaderValue::from_static(VERSION));
        if let Some(token) = self.token().await? {
            request.headers_mut().insert(AUTHORIZATION, token);
        }
        let cut = |why| Error::new(Reason::Network, format!("the request to Azure did not get through: {why}"));
        let (parts, body) = self.http.send(request, Driver::Task).await.map_err(cut)?.into_parts();
        let said = transport::all(body, self.http.patience()).await;
        if parts.status.is_success() {
            return Ok(parts.headers);
        }
        if parts.status == http::StatusCode::UNAUTHORIZED {
            *self.token.lock().await = None;
        }
        let header = |name: &str| parts.headers.get(name)?.to_str().ok();
        Err(refusal::refused(parts.status.as_u16(), header, &said.unwrap_or_default()))
    }

    /// None with a SAS.
    async fn token(&self) -> Result<Option<HeaderValue>> {
        let Some(credential) = &self.credential else { return Ok(None) };
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| token.expires > OffsetDateTime::now_utc() + EARLY) {
            return Ok(Some(token.header.clone()));
        }
        let token = credential.get_token(&[SCOPE], None).await.map_err(|error| refusal::read(&error))?;
        let mut header =
            HeaderValue::try_from(format!("Bearer {}", token.token.secret())).map_err(|error| unsendable(&error))?;
        header.set_sensitive(true);
        *kept = Some(Token { header: header.clone(), expires: token.expires_on });
        Ok(Some(header))
    }
}

/// Headers of a request.
#[derive(Debug)]
pub(crate) struct Headers(HeaderMap);

impl Headers {
    /// None, and room for those of a small object.
    pub(crate) fn new() -> Self {
        Self(HeaderMap::with_capacity(24))
    }

    /// Adds one by its name in lower case.
    ///
    /// # Errors
    /// `TargetRefused`: its value is none that HTTP can carry.
    pub(crate) fn put(
        &mut self,
        name: &'static str,
        value: impl TryInto<HeaderValue, Error = InvalidHeaderValue>,
    ) -> Result<()> {
        self.0.insert(name, value.try_into().map_err(|error| unsendable(&error))?);
        Ok(())
    }

    /// Adds all of a map, with this before their names.
    ///
    /// # Errors
    /// `TargetRefused`: one is none that HTTP can carry.
    pub(crate) fn put_all(&mut self, prefix: &str, all: &BTreeMap<String, String>) -> Result<()> {
        let mut name = String::from(prefix);
        for (end, value) in all {
            name.truncate(prefix.len());
            name.push_str(end);
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| unsendable(&error))?;
            self.0.insert(name, HeaderValue::try_from(value).map_err(|error| unsendable(&error))?);
        }
        Ok(())
    }
}

fn unsendable(error: &dyn std::error::Error) -> Error {
    Error::new(Reason::TargetRefused, format!("the request to Azure cannot be made: {error}"))
}
