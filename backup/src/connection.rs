//! Connections that are kept: HTTP/1.1, one request at a time on each.
//!
//! hyper-util's client keeps them too, and gives each a task; it has no way to let the reader of an answer drive its connection
//! ([`Driver::Reader`]).

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use azure_core::Bytes;
use http::{
    HeaderValue, Request, Response, Uri,
    header::HOST,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::{Body as _, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{self, SendRequest},
    },
    rt::{Read, Write},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::TlsConnector;

use crate::{
    source::root_cause,
    transport::{Payload, Reached},
};

/// A host that does not take a connection within this time will not.
const CONNECT: Duration = Duration::from_secs(5);
/// What nobody used for this long is closed.
const IDLE: Duration = Duration::from_secs(90);

/// Connections to any hosts. Clones share them.
#[derive(Clone)]
pub(crate) struct Connections {
    tls: TlsConnector,
    idle: Arc<Idle>,
}

/// Who reads from a connection and writes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Driver {
    /// A task of its own.
    Task,
    /// Whoever waits for the answer and reads it. If that is the body of another request, a block is read, summed, encrypted and
    /// written in one go, while it is in the core's cache. Tasks that take turns evict each other's bytes: a tenth of a large
    /// copy's CPU.
    Reader,
}

/// A host and a port, whether TLS is spoken, and who drives.
type Place = (Authority, bool, Driver);

#[derive(Default)]
struct Idle(Mutex<HashMap<Place, VecDeque<(Connection, Instant)>>>);

struct Connection {
    sender: SendRequest<Payload>,
    /// What [`Driver::Reader`] drives; None once it has ended.
    inner: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// Why a request has no answer, and the request, if none of it was sent.
type Unanswered = TrySendError<Request<Payload>>;

/// An answer's body. Its end frees the connection for others; whoever drops it before closes the connection.
pub(crate) struct Answered {
    body: Incoming,
    connection: Option<Connection>,
    place: Place,
    idle: Arc<Idle>,
}

impl Connections {
    /// Connects to nothing.
    pub(crate) fn new(tls: ClientConfig) -> Self {
        Self { tls: TlsConnector::from(Arc::new(tls)), idle: Arc::default() }
    }

    /// Sends a request with an absolute URI. If a kept connection turns out to be closed before any of it was sent, it goes
    /// over another one.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn send(&self, mut request: Request<Payload>, driver: Driver) -> Reached<Response<Answered>> {
        let (authority, secure) = address(&mut request)?;
        let place = (authority, secure, driver);
        loop {
            let kept = self.idle.take(&place);
            let was_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.connect(&place).await?,
            };
            if was_kept && !connection.is_open().await {
                continue;
            }
            match connection.exchange(request).await {
                Ok(answer) => {
                    let (place, idle) = (place, self.idle.clone());
                    return Ok(answer.map(|body| {
                        let mut answered = Answered { body, connection: Some(connection), place, idle };
                        answered.free_at_the_end();
                        answered
                    }));
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if was_kept => request = unsent,
                    _ => return Err(root_cause(&error.into_error())),
                },
            }
        }
    }

    async fn connect(&self, (authority, secure, driver): &Place) -> Reached<Connection> {
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = authority.port_u16().unwrap_or(if *secure { 443 } else { 80 });
        let failed = |error: &dyn std::error::Error| format!("connecting to {host}: {}", root_cause(error));
        let tcp = match tokio::time::timeout(CONNECT, TcpStream::connect((host, port))).await {
            Ok(tcp) => tcp.map_err(|error| failed(&error))?,
            Err(_) => return Err(format!("{host} does not take a connection within {CONNECT:?}")),
        };
        tcp.set_nodelay(true).map_err(|error| failed(&error))?;
        if !secure {
            return Connection::new(TokioIo::new(tcp), *driver).await;
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(&error))?;
        let stream = self.tls.connect(name, tcp).await.map_err(|error| failed(&error))?;
        Connection::new(TokioIo::new(stream), *driver).await
    }
}

impl Connection {
    async fn new(stream: impl Read + Write + Unpin + Send + 'static, driver: Driver) -> Reached<Self> {
        let (sender, connection) = http1::handshake(stream).await.map_err(|error| root_cause(&error))?;
        // Whoever waits for an answer, or reads one, hears of a failure.
        let connection = async move { _ = connection.await };
        let inner: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = match driver {
            Driver::Reader => Some(Box::pin(connection)),
            Driver::Task => {
                tokio::spawn(connection);
                None
            }
        };
        Ok(Self { sender, inner })
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        if let Some(inner) = &mut self.inner
            && inner.as_mut().poll(context).is_ready()
        {
            self.inner = None;
        }
    }

    async fn is_open(&mut self) -> bool {
        let ready = poll_fn(|context| {
            self.drive(context);
            self.sender.poll_ready(context)
        });
        ready.await.is_ok()
    }

    async fn exchange(&mut self, request: Request<Payload>) -> Result<Response<Incoming>, Unanswered> {
        let mut answer = pin!(self.sender.try_send_request(request));
        poll_fn(|context| {
            self.drive(context);
            answer.as_mut().poll(context)
        })
        .await
    }
}

/// Takes the host, and whether it is https, out of a request's URI, which is left as HTTP/1.1 sends it.
fn address(request: &mut Request<Payload>) -> Reached<(Authority, bool)> {
    let uri = std::mem::take(request.uri_mut()).into_parts();
    let authority = uri.authority.ok_or("the request has no absolute URI")?;
    let secure = uri.scheme.is_some_and(|scheme| scheme == Scheme::HTTPS);
    *request.uri_mut() = Uri::from(uri.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/")));
    if !request.headers().contains_key(HOST) {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|error| error.to_string())?;
        request.headers_mut().insert(HOST, host);
    }
    Ok((authority, secure))
}

impl Idle {
    /// The one used last.
    fn take(&self, place: &Place) -> Option<Connection> {
        let (connection, since) = self.all().get_mut(place)?.pop_back()?;
        (since.elapsed() < IDLE).then_some(connection)
    }

    fn put(&self, place: Place, connection: Connection) {
        let mut all = self.all();
        let kept = all.entry(place).or_default();
        while kept.front().is_some_and(|(_, since)| since.elapsed() >= IDLE) {
            kept.pop_front();
        }
        kept.push_back((connection, Instant::now()));
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Place, VecDeque<(Connection, Instant)>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answered {
    fn free_at_the_end(&mut self) {
        if self.body.is_end_stream()
            && let Some(connection) = self.connection.take()
        {
            self.idle.put(self.place.clone(), connection);
        }
    }
}

impl fmt::Debug for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answered").field("body", &self.body).finish_non_exhaustive()
    }
}

impl http_body::Body for Answered {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        if let Some(connection) = &mut self.connection {
            connection.drive(context);
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.free_at_the_end();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http_body_util::BodyExt as _;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::transport::Http;

    /// What a server does after so many answers on one connection.
    #[derive(Clone, Copy)]
    enum Then {
        /// Closes it.
        Close,
        /// Reads one more request, and closes it.
        Swallow,
    }

    struct Server {
        address: String,
        connections: Arc<AtomicUsize>,
        requests: Arc<AtomicUsize>,
    }

    impl Server {
        async fn start(answers: usize, then: Then) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = format!("http://{}/x", listener.local_addr().unwrap());
            let (connections, requests) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
            let (accepted, counted) = (connections.clone(), requests.clone());
            tokio::spawn(async move {
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    accepted.fetch_add(1, Ordering::SeqCst);
                    let counted = counted.clone();
                    tokio::spawn(async move {
                        let mut request = [0; 1024];
                        for answered in 0.. {
                            if answered == answers && matches!(then, Then::Close) {
                                return;
                            }
                            if stream.read(&mut request).await.unwrap_or_default() == 0 {
                                return;
                            }
                            counted.fetch_add(1, Ordering::SeqCst);
                            if answered == answers {
                                return;
                            }
                            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await.unwrap();
                        }
                    });
                }
            });
            Self { address, connections, requests }
        }

        fn request(&self) -> Request<Payload> {
            Request::get(&self.address).body(Payload::default()).unwrap()
        }

        fn seen(&self) -> (usize, usize) {
            (self.connections.load(Ordering::SeqCst), self.requests.load(Ordering::SeqCst))
        }
    }

    fn http() -> Http {
        Http::new(None, Duration::from_secs(5)).unwrap()
    }

    async fn read(answer: Response<Answered>) {
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    }

    const DRIVERS: [Driver; 2] = [Driver::Task, Driver::Reader];

    #[tokio::test]
    async fn a_connection_is_used_again_once_its_answer_is_read() {
        for driver in DRIVERS {
            let (server, http) = (Server::start(9, Then::Close).await, http());
            for _ in 0..3 {
                read(http.send(server.request(), driver).await.unwrap()).await;
            }
            assert_eq!(server.seen(), (1, 3), "{driver:?}");
            let unread = http.send(server.request(), driver).await.unwrap();
            let (one, other) = tokio::join!(http.send(server.request(), driver), http.send(server.request(), driver));
            drop(unread);
            read(one.unwrap()).await;
            read(other.unwrap()).await;
            read(http.send(server.request(), driver).await.unwrap()).await;
            assert_eq!(
                server.seen(),
                (3, 7),
                "{driver:?}: each has one answer at a time, and an unread one ends its own"
            );
        }
    }

    #[tokio::test]
    async fn a_request_takes_another_connection_where_a_kept_one_was_closed() {
        for driver in DRIVERS {
            let (server, http) = (Server::start(1, Then::Close).await, http());
            for count in 1..4 {
                read(http.send(server.request(), driver).await.unwrap()).await;
                assert_eq!(server.seen(), (count, count), "{driver:?}");
                // The other side may be seen to close at any time after its answer.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    #[tokio::test]
    async fn a_request_that_may_have_arrived_is_not_repeated() {
        for driver in DRIVERS {
            let (server, http) = (Server::start(1, Then::Swallow).await, http());
            read(http.send(server.request(), driver).await.unwrap()).await;
            http.send(server.request(), driver).await.unwrap_err();
            assert_eq!(server.seen(), (1, 2), "{driver:?}");
        }
    }

    #[tokio::test]
    async fn a_request_without_a_host_is_refused() {
        let request = Request::get("/x").body(Payload::default()).unwrap();
        assert!(http().send(request, Driver::Task).await.unwrap_err().contains("no absolute URI"));
    }
}
