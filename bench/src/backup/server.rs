//! HTTPS on ports of 127.0.0.1, on threads of their own: what is measured waits for it, so it does as little as it can.

use super::content::Reply;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    http::HeaderName,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, sync::Arc};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;

/// Answers requests.
pub(super) trait Service: Send + Sync + 'static {
    /// To one request. Its body must be read to the end, or the connection is closed behind the answer.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Reply>> + Send;
}

/// Threads that serve until this is dropped.
pub(super) struct Servers {
    runtime: Option<Runtime>,
    acceptor: TlsAcceptor,
}

impl Servers {
    /// As many threads as there are cores.
    ///
    /// # Errors
    /// The system refuses threads.
    pub(super) fn new(acceptor: TlsAcceptor) -> Result<Self, String> {
        let runtime = Builder::new_multi_thread().enable_all().build();
        Ok(Self { runtime: Some(runtime.map_err(|error| format!("starting threads: {error}"))?), acceptor })
    }

    /// Serves on a free port, and returns `https://127.0.0.1:PORT`.
    ///
    /// # Errors
    /// There is no free port.
    pub(super) fn serve(&self, service: impl Service) -> Result<String, String> {
        let failed = |error| format!("listening on 127.0.0.1: {error}");
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (service, acceptor) = (Arc::new(service), self.acceptor.clone());
        let runtime = self.runtime.as_ref().expect("it is taken when this is dropped");
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("the listener does not block");
            while let Ok((stream, _)) = listener.accept().await {
                let (service, acceptor) = (service.clone(), acceptor.clone());
                tokio::spawn(async move {
                    // Without it the kernel waits for an acknowledgement between the parts of an answer.
                    let _ = stream.set_nodelay(true);
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let answer = service_fn(|request| {
                        let service = service.clone();
                        async move { Ok::<_, Infallible>(service.answer(request).await) }
                    });
                    let mut http = hyper::server::conn::http1::Builder::new();
                    // A client that hangs up is done.
                    let _ = http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Ok(format!("https://{address}"))
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A header's name from a literal.
pub(super) fn header(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

/// An answer with a text.
pub(super) fn text(status: u16, content_type: &'static str, text: String) -> Response<Reply> {
    let answer = Response::builder().status(status).header("content-type", content_type);
    answer.body(Reply::Whole(text.into())).expect("the headers are literals")
}

/// An answer with nothing but a status.
pub(super) fn status(status: u16) -> Response<Reply> {
    Response::builder().status(status).body(Reply::Whole(Bytes::new())).expect("there are no headers")
}

/// The value of a parameter of a query, which must not be encoded.
pub(super) fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}
