//! The port: TLS, HTTP, faults and the record of what was served.

use std::convert::Infallible;
use std::fmt;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use super::arm::{self, Call};
use super::blobs::{self, Place};
use super::data_plane::Azurite;
use super::entra::{Audience, Entra};
use super::faults::{Fault, Faults, Match};
use super::http::{Answer, Outcome, Request, http_date};
use super::state::State;
use super::{
    Authority, Error, Options, Recorded, accounts, containers, federation, held, keys, services, tables, vaults,
};

/// What the port and the emulator's owner share.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) url: String,
    pub(super) faults: Faults,
    state: Mutex<State>,
    entra: Mutex<Entra>,
    requests: Mutex<Vec<Recorded>>,
    azurite: Option<Azurite>,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn entra(&self) -> MutexGuard<'_, Entra> {
        lock(&self.entra)
    }

    pub(super) fn requests(&self) -> MutexGuard<'_, Vec<Recorded>> {
        lock(&self.requests)
    }
}

/// A panic while a lock was held has failed its own request already; the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread that serves the port. It has a runtime of its own, so a test that blocks its own does not block Azure.
pub(super) struct Server {
    pub(super) shared: Arc<Shared>,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(options: Options, authority: &Authority) -> Result<Server, Error> {
        let listener = TcpListener::bind(("127.0.0.1", options.port))?;
        listener.set_nonblocking(true)?;
        let url = format!("https://127.0.0.1:{}", listener.local_addr()?.port());
        let azurite = match &options.azurite {
            Some(base) => Some(Azurite::new(base, authority.client()?)),
            None => None,
        };
        let shared = Arc::new(Shared {
            entra: Mutex::new(Entra::new(&options, &url)),
            options,
            url,
            faults: Faults::default(),
            state: Mutex::default(),
            requests: Mutex::default(),
            azurite,
        });
        let acceptor = TlsAcceptor::from(authority.server_config()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("azure-emulator".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, acceptor, serving) => {}
                }
            });
        })?;
        Ok(Server { shared, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed; there is nobody left to tell.
            drop(thread.join());
        }
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the Azure emulator cannot listen"),
    };
    loop {
        // An accept fails when the client is gone already or descriptors run out; both pass.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                return;
            };
            let service = service_fn(|request| handle(Arc::clone(&shared), request));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
}

/// Why a connection ends without an answer.
#[derive(Debug)]
struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dropped, as asked for")
    }
}

impl std::error::Error for Dropped {}

type Response = hyper::Response<Full<Bytes>>;

async fn handle(shared: Arc<Shared>, request: hyper::Request<Incoming>) -> Result<Response, Dropped> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    let path = percent_encoding::percent_decode_str(head.uri.path()).decode_utf8_lossy();
    let request = Request {
        method: head.method.to_string(),
        path: path.into_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
    };
    if let Some(answer) = control(&shared, &request) {
        return Ok(finish(answer, &request));
    }
    let answer = with_faults(&shared, &request).await;
    record(&shared, &request, answer.as_ref().ok().map(|answer| answer.status));
    answer.map(|answer| finish(answer, &request))
}

async fn with_faults(shared: &Shared, request: &Request) -> Result<Answer, Dropped> {
    let fault = shared.faults.take(&request.method, &request.path);
    match fault {
        None => Ok(work(shared, request).await),
        Some(Fault::Delay { milliseconds }) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            Ok(work(shared, request).await)
        }
        Some(Fault::DropBefore) => Err(Dropped),
        Some(Fault::DropAfter) => {
            work(shared, request).await;
            Err(Dropped)
        }
        Some(Fault::Undecodable) => {
            let mut answer = work(shared, request).await;
            let half = answer.body.len() / 2;
            answer.body = answer.body.slice(..half);
            Ok(answer)
        }
        Some(Fault::Busy) => Ok(accounts::busy()),
        Some(Fault::Throttle { retry_after }) => {
            let message = "The request is being throttled as the limit has been reached for this operation.";
            Ok(Answer::error(429, "TooManyRequests", message).with("retry-after", retry_after.to_string()))
        }
        Some(Fault::ThrottleInMessage { retry_after }) => {
            let message = format!(
                "Number of requests for this subscription and operation exceeded the backend storage limit. Please \
                 try again after '{retry_after}' seconds."
            );
            Ok(Answer::gateway(429, "SubscriptionRequestsThrottled", message))
        }
        Some(Fault::Status { status, code, message, shape }) => Ok(Answer::shaped(status, &code, &message, shape)),
    }
}

/// Does what the request asks for.
async fn work(shared: &Shared, request: &Request) -> Answer {
    let identities = match request.path.ends_with("/token") {
        true => federation::of_identities(&shared.state()),
        false => Vec::new(),
    };
    if let Some(answer) = shared.entra().serve(request, &identities) {
        return answer;
    }
    let (answer, effects) = {
        let mut state = shared.state();
        let now = Instant::now();
        state.settle(now);
        let answer = if request.path.starts_with(blobs::PREFIX) {
            blob(&mut state, &shared.entra(), request).unwrap_or_else(|failure| failure)
        } else if request.path.starts_with(tables::PREFIX) {
            table(&mut state, &shared.entra(), request).unwrap_or_else(|failure| failure)
        } else if request.path.starts_with(vaults::PREFIX) {
            let mut call = Call { state: &mut state, options: &shared.options, url: &shared.url, request, now };
            keys::serve(&mut call, &shared.entra()).unwrap_or_else(|failure| failure)
        } else {
            let mut call = Call { state: &mut state, options: &shared.options, url: &shared.url, request, now };
            arm::serve(&mut call, &shared.entra())
        };
        (answer, std::mem::take(&mut state.effects))
    };
    let Some(azurite) = &shared.azurite else {
        return answer;
    };
    for effect in effects {
        let token = shared.entra().issue("https://storage.azure.com/.default");
        if let Err(error) = azurite.apply(&effect, &token.unwrap_or_default()).await {
            let message = format!("{effect:?} at Azurite: {error}");
            return Answer::error(500, "InternalServerError", message);
        }
    }
    answer
}

fn blob(state: &mut State, entra: &Entra, request: &Request) -> Outcome {
    entra.check(request, Audience::Storage).map_err(|_| {
        let message = "Server failed to authenticate the request. Make sure the value of Authorization header is \
                       formed correctly including the signature.";
        blobs::error(401, "InvalidAuthenticationInfo", message)
            .with("www-authenticate", "Bearer resource_id=https://storage.azure.com")
    })?;
    let place = Place::parse(&request.path).ok_or_else(|| {
        blobs::error(400, "InvalidUri", "The requested URI does not represent any resource on the server.")
    })?;
    containers::check_exists(state, &place)?;
    let protection = services::protection(state, place.account);
    state.blobs.serve(request, &place, protection)
}

fn table(state: &mut State, entra: &Entra, request: &Request) -> Outcome {
    entra.check(request, Audience::Storage).map_err(|_| {
        let message = "Server failed to authenticate the request. Make sure the value of Authorization header is \
                       formed correctly including the signature.";
        tables::error(401, "InvalidAuthenticationInfo", message)
            .with("www-authenticate", "Bearer resource_id=https://storage.azure.com")
    })?;
    let place = tables::Place::parse(&request.path)
        .ok_or_else(|| tables::error(400, "InvalidUri", "The requested URI does not represent any resource."))?;
    held::check_table_exists(state, &place)?;
    state.tables.serve(request, &place)
}

/// `/_emulator/…`: what [`super::Emulator`] offers, for tests in other languages.
fn control(shared: &Shared, request: &Request) -> Option<Answer> {
    let what = request.path.strip_prefix("/_emulator/")?;
    Some(match (request.method.as_str(), what) {
        ("POST", "faults") => match serde_json::from_slice::<Asked>(&request.body) {
            Ok(asked) => {
                shared.faults.times(asked.times, asked.on, asked.fault);
                Answer::empty(204)
            }
            Err(error) => Answer::error(400, "InvalidFault", error.to_string()),
        },
        ("GET", "faults") => Answer::json(200, &json!({"pending": shared.faults.pending()})),
        ("DELETE", "faults") => {
            shared.faults.clear();
            Answer::empty(204)
        }
        ("GET", "requests") => {
            let requests: Vec<Value> = shared.requests().iter().map(Recorded::to_json).collect();
            Answer::json(200, &requests.into())
        }
        ("GET", "resources") => {
            let mut state = shared.state();
            state.settle(Instant::now());
            let all: Vec<Value> = state.visible().map(|(_, document)| document.clone()).collect();
            Answer::json(200, &all.into())
        }
        _ => Answer::error(404, "NotFound", "The emulator has faults, requests and resources."),
    })
}

#[derive(Deserialize)]
struct Asked {
    #[serde(flatten)]
    on: Match,
    fault: Fault,
    #[serde(default = "once")]
    times: usize,
}

fn once() -> usize {
    1
}

fn record(shared: &Shared, request: &Request, status: Option<u16>) {
    let is_secret = request.path.ends_with("/oauth2/v2.0/token");
    shared.requests().push(Recorded {
        method: request.method.clone(),
        path: request.path.clone(),
        query: request.query.clone(),
        body: request.json().filter(|_| !is_secret),
        status,
    });
}

/// Adds what every answer of Azure's has.
fn finish(answer: Answer, request: &Request) -> Response {
    let id = Uuid::new_v4().to_string();
    let correlation = request.header("x-ms-correlation-request-id").unwrap_or(&id).to_owned();
    let mut response = hyper::Response::builder()
        .status(answer.status)
        .header("date", http_date())
        .header("cache-control", "no-cache")
        .header("x-ms-request-id", id)
        .header("x-ms-correlation-request-id", correlation);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response
        .body(Full::new(answer.body))
        .unwrap_or_else(|_| hyper::Response::new(Full::new(Bytes::from_static(b"unspeakable header"))))
}
