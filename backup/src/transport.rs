//! The HTTP client of both stores: hyper, rustls with `ring`, roots compiled in, HTTP/1.1, no redirects, no proxy.
//!
//! What carries an object's bytes goes through it as it is: S3's GETs, Azure's Put Blob and Put Block. For all other requests the
//! Azure SDK has it as its transport, so that they share connections.

use std::{
    collections::VecDeque,
    error::Error as StdError,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use azure_core::{
    Bytes,
    error::ErrorKind,
    http::{AsyncRawResponse, Body, HttpClient, Request, Transport, headers::Headers},
};
use futures::stream;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use rustls::{
    CipherSuite, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::{
    Error, Reason, Result,
    connection::{Answered, Connections, Driver},
    source::root_cause,
};

/// Slower than this nothing is sent: so much longer than usual an answer to a large body may take.
const SLOWEST: u64 = 256 << 10;

const AES_128: [CipherSuite; 3] = [
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

/// What is read of an answer that is no object.
const LONGEST: usize = 64 << 10;

/// A request's body.
pub(crate) type Payload = UnsyncBoxBody<Bytes, Box<dyn StdError + Send + Sync>>;

/// The client. Clones share their connections.
#[derive(Clone)]
pub struct Http {
    connections: Connections,
    patience: Duration,
}

/// What came, or why not.
pub(crate) type Reached<T> = std::result::Result<T, String>;

/// A body that is in memory, in the pieces that it came in: to put them together would be to copy them.
#[derive(Clone, Debug, Default)]
pub struct Pieces(VecDeque<Bytes>);

impl Pieces {
    /// Adds one at the end.
    pub fn push(&mut self, piece: Bytes) {
        self.0.push_back(piece);
    }
}

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Self {
        Self(VecDeque::from([bytes]))
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Http {
    /// A client that trusts the public authorities, and the given certificates (PEM) in addition. `patience`: how long an
    /// answer, or the next bytes of one, may take. Sends nothing.
    ///
    /// # Errors
    /// `Configuration`: the certificates are not usable.
    pub fn new(certificate_authority: Option<&str>, patience: Duration) -> Result<Self> {
        Ok(Self { connections: Connections::new(tls(certificate_authority)?), patience })
    }

    /// The same client for the Azure SDK.
    pub(crate) fn transport(&self) -> Transport {
        Transport::new(Arc::new(self.clone()))
    }

    /// How long an answer, or the next bytes of one, may take.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Sends a request with an absolute URI, and returns the answer, whatever its status.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn send(
        &self,
        request: http::Request<Payload>,
        driver: Driver,
    ) -> Reached<http::Response<Answered>> {
        let size = request.body().size_hint().lower();
        let patience = self.patience + Duration::from_secs(size / SLOWEST);
        match tokio::time::timeout(patience, self.connections.send(request, driver)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("there was no answer within {patience:?}")),
        }
    }
}

#[async_trait]
impl HttpClient for Http {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let Body::Bytes(body) = request.body().clone() else {
            return Err(azure_core::Error::with_message(ErrorKind::Io, "a stream does not pass through the SDK"));
        };
        let mut sent = http::Request::builder().method(request.method().as_ref()).uri(request.url().as_str());
        for (name, value) in request.headers().iter() {
            sent = sent.header(name.as_str(), value.as_str());
        }
        let sent = sent
            .body(Pieces::from(body).boxed_unsync())
            .map_err(|error| azure_core::Error::new(ErrorKind::DataConversion, error))?;
        let cut = |why: String| azure_core::Error::with_message(ErrorKind::Io, why);
        let (parts, body) = self.send(sent, Driver::Task).await.map_err(cut)?.into_parts();
        let mut headers = Headers::new();
        for (name, value) in &parts.headers {
            if let Ok(value) = std::str::from_utf8(value.as_bytes()) {
                headers.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        let patience = self.patience;
        let pieces = stream::unfold(body, move |mut body| async move {
            match next(&mut body, patience).await {
                Ok(bytes) => Some((Ok(bytes?), body)),
                Err(why) => Some((Err(cut(why)), body)),
            }
        });
        Ok(AsyncRawResponse::new(parts.status.as_u16().into(), headers, Box::pin(pieces)))
    }
}

/// The next bytes of an answer; None at its end.
///
/// # Errors
/// Why the connection was cut.
pub(crate) fn poll_next(body: &mut Answered, context: &mut Context<'_>) -> Poll<Reached<Option<Bytes>>> {
    loop {
        match ready!(Pin::new(&mut *body).poll_frame(context)) {
            None => return Poll::Ready(Ok(None)),
            Some(Err(error)) => return Poll::Ready(Err(root_cause(&error))),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Poll::Ready(Ok(Some(bytes)));
                }
            }
        }
    }
}

async fn next(body: &mut Answered, patience: Duration) -> Reached<Option<Bytes>> {
    let next = tokio::time::timeout(patience, poll_fn(|context| poll_next(body, context))).await;
    next.unwrap_or_else(|_| Err("it has gone silent".to_owned()))
}

/// An answer that is read as a whole: an error, a list. No more of it than that.
///
/// # Errors
/// The connection was cut, or has been silent for this long.
pub(crate) async fn all(mut body: Answered, patience: Duration) -> Reached<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(bytes) = next(&mut body, patience).await?
        && all.len() < LONGEST
    {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

fn tls(certificate_authority: Option<&str>) -> Result<ClientConfig> {
    let unusable = |error: &dyn StdError| {
        let why = root_cause(error);
        Error::new(
            Reason::Configuration,
            format!("the HTTPS client cannot be built, or its certificates are not PEM: {why}"),
        )
    };
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(pem) = certificate_authority {
        let given: Result<Vec<_>> = CertificateDer::pem_slice_iter(pem.as_bytes())
            .map(|found| found.map_err(|error| unusable(&error)))
            .collect();
        // A system's bundle may have some that rustls does not understand.
        if roots.add_parsable_certificates(given?).0 == 0 {
            return Err(Error::new(
                Reason::Configuration,
                "the certificate authority has no certificate that can be used",
            ));
        }
    }
    let mut provider = rustls::crypto::ring::default_provider();
    // Where the server leaves it to us: AES-256 takes a third more of the CPU. The order of Go and of browsers.
    provider.cipher_suites.sort_by_key(|suite| !AES_128.contains(&suite.suite()));
    Ok(ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn unusable_certificates_are_explained() {
        for pem in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = Http::new(Some(pem), PATIENCE).unwrap_err();
            assert_eq!(error.reason, Reason::Configuration, "{error}");
        }
        Http::new(None, PATIENCE).unwrap();
    }
}
