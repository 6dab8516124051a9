//! A port in front of an emulator that shows what passes and breaks what a test asks to be broken.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The service asks to slow down, in its own words; the work is not done.
    Throttle,
    /// The service refuses with this status, code and sentence; the work is not done.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// AWS's code.
        code: &'static str,
        /// AWS's sentence.
        message: &'static str,
    },
    /// The connection ends without an answer, before the work is done.
    DropBefore,
    /// The work is done, and the connection ends without an answer.
    DropAfter,
    /// The work is done so much later.
    Delay(Duration),
}

/// A request that passed or met a fault: `PUT /bucket?versioning`, and for KMS `POST / TrentService.CreateKey`.
pub type Call = String;

struct Planned {
    on: String,
    after: usize,
    faults: VecDeque<Fault>,
}

#[derive(Default)]
struct Shared {
    target: String,
    planned: Mutex<Vec<Planned>>,
    words: Mutex<Vec<(&'static str, &'static str)>>,
    calls: Mutex<Vec<Call>>,
}

/// The port. Dropping it closes it.
pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on loopback and passes everything on to `target`, `http://127.0.0.1:PORT`.
    ///
    /// # Errors
    /// Those of listening.
    pub async fn start(target: &str) -> io::Result<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let client = client()?;
        let shared = Arc::new(Shared { target: target.to_owned(), ..Shared::default() });
        let accepting = tokio::spawn(accept(listener, client, shared.clone()));
        Ok(Proxy { url, shared, accepting })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Of the calls that contain `on` (all contain the empty text), lets `after` through; the next ones meet `faults`, one
    /// each.
    pub fn fail(&self, on: &str, after: usize, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().collect();
        lock(&self.shared.planned).push(Planned { on: on.to_owned(), after, faults });
    }

    /// Puts one word for another in every answer: emulators spell some of what only lenient clients read.
    pub fn reword(&self, from: &'static str, to: &'static str) {
        lock(&self.shared.words).push((from, to));
    }

    /// How many faults no call has met yet, so that a test can see that its fault took place.
    pub fn pending(&self) -> usize {
        lock(&self.shared.planned).iter().map(|planned| planned.faults.len()).sum()
    }

    /// Forgets every fault.
    pub fn heal(&self) {
        lock(&self.shared.planned).clear();
    }

    /// What has come so far.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.calls).clone()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A client that takes every answer as it is.
pub(super) fn client() -> io::Result<reqwest::Client> {
    // Without a default reqwest builds no client, even for plain HTTP; whoever installed one before has done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
    client.map_err(io::Error::other)
}

/// A panic while a lock was held has failed its own request already; the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn reworded(&self, body: Bytes) -> Bytes {
        let words = lock(&self.words);
        match std::str::from_utf8(&body) {
            Ok(text) if words.iter().any(|(from, _)| text.contains(from)) => {
                let text = words.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
                text.into()
            }
            _ => body,
        }
    }

    fn take(&self, call: &str) -> Option<Fault> {
        let mut planned = lock(&self.planned);
        let mut met = None;
        for candidate in planned.iter_mut().filter(|candidate| call.contains(&candidate.on)) {
            if candidate.after > 0 {
                candidate.after -= 1;
            } else {
                met = candidate.faults.pop_front();
                break;
            }
        }
        planned.retain(|planned| !planned.faults.is_empty());
        met
    }
}

async fn accept(listener: TcpListener, client: reqwest::Client, shared: Arc<Shared>) {
    loop {
        // An accept fails when the client is gone already or descriptors run out; both pass.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let (client, shared) = (client.clone(), shared.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(&client, &shared, request));
            // An error is a connection that a fault or the other side has cut.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The error that makes hyper close a connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct Cut;

async fn answer(
    client: &reqwest::Client,
    shared: &Shared,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let target = head.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    let call = [head.method.as_str(), &head.uri.to_string()].into_iter().chain(target).collect::<Vec<_>>().join(" ");
    lock(&shared.calls).push(call.clone());
    let fault = shared.take(&call);
    match &fault {
        Some(Fault::DropBefore) => return Err(Cut),
        Some(Fault::Throttle) if target.is_some() => {
            return refusal(true, 400, "ThrottlingException", "Rate exceeded");
        }
        Some(Fault::Throttle) => return refusal(false, 503, "SlowDown", "Please reduce your request rate."),
        Some(Fault::Refuse { status, code, message }) => return refusal(target.is_some(), *status, code, message),
        Some(Fault::Delay(delay)) => tokio::time::sleep(*delay).await,
        Some(Fault::DropAfter) | None => {}
    }
    let mut headers = head.headers;
    for hop in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(hop);
    }
    let passed =
        client.request(head.method.clone(), format!("{}{}", shared.target, head.uri)).headers(headers).body(body);
    let passed = passed.send().await.map_err(|_| Cut)?;
    let mut response = hyper::Response::builder().status(passed.status());
    for (name, value) in passed.headers().iter().filter(|(name, _)| ![CONNECTION, TRANSFER_ENCODING].contains(name)) {
        // The length of what a HEAD does not send stays; that of a body is hyper's to say.
        if name != CONTENT_LENGTH || head.method == hyper::Method::HEAD {
            response = response.header(name, value);
        }
    }
    let body = passed.bytes().await.map_err(|_| Cut)?;
    match fault {
        Some(Fault::DropAfter) => Err(Cut),
        _ => response.body(Full::new(shared.reworded(body))).map_err(|_| Cut),
    }
}

/// A refusal as S3 writes it, in XML, or as the services do that speak JSON.
fn refusal(json: bool, status: u16, code: &str, message: &str) -> Result<hyper::Response<Full<Bytes>>, Cut> {
    let (kind, body) = match json {
        true => ("application/x-amz-json-1.1", serde_json::json!({"__type": code, "message": message}).to_string()),
        false => ("application/xml", format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>")),
    };
    let response = hyper::Response::builder().status(status).header("content-type", kind);
    response.header("x-amz-request-id", "FAULT").body(Full::new(body.into())).map_err(|_| Cut)
}
