//! An HTTPS server on loopback that answers as a test says, and remembers what it was asked.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, Response},
    serve::Listener,
};
use azure_client::{Azure, Profile};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, rustls, server::TlsStream};
use tracing_subscriber::fmt::MakeWriter;

pub(crate) const SECRET: &str = "s3cr3t-value";
pub(crate) const TOKEN: &str = "t0ken-value";
pub(crate) const SUBSCRIPTION: &str = "01234567-89ab-cdef-0123-456789abcdef";

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn is_token(&self) -> bool {
        self.path.ends_with("/oauth2/v2.0/token")
    }
}

/// What was logged.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What to do with a request.
pub(crate) enum Reply {
    Answer(u16, Vec<(&'static str, String)>, String),
    Hang,
    LoseConnection,
}

pub(crate) fn json(status: u16, body: Value) -> Reply {
    Reply::Answer(status, vec![("content-type", "application/json".to_owned())], body.to_string())
}

pub(crate) fn failure(status: u16, code: &str, message: &str) -> Reply {
    json(status, json!({"error": {"code": code, "message": message}}))
}

pub(crate) fn token() -> Reply {
    json(200, json!({"token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 3600, "access_token": TOKEN}))
}

/// A running server; it ends with the test's runtime.
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    certificate_authority: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Stub {
    /// Serves everything from `answer`, which gets the request and how many like it (method and path) came before.
    pub(crate) async fn start(answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        let (certificate_authority, acceptor) = certificates();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let log = seen.clone();
        let answer = Arc::new(answer);
        let router = Router::new().fallback(move |request: Request| {
            let (log, answer) = (log.clone(), answer.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                let request = Seen {
                    method: parts.method.to_string(),
                    path: parts.uri.path().to_owned(),
                    query: parts.uri.query().unwrap_or_default().to_owned(),
                    headers: parts.headers,
                    body: String::from_utf8(body.to_vec()).unwrap(),
                };
                let before = {
                    let mut log = log.lock().unwrap();
                    log.push(request.clone());
                    log.iter().filter(|seen| seen.method == request.method && seen.path == request.path).count() - 1
                };
                match answer(&request, before) {
                    Reply::Answer(status, headers, body) => {
                        let response =
                            headers.into_iter().fold(Response::builder().status(status), |response, (name, value)| {
                                response.header(name, value)
                            });
                        response.body(Body::from(body)).unwrap()
                    }
                    Reply::Hang => std::future::pending().await,
                    Reply::LoseConnection => {
                        let lost = io::Error::from(io::ErrorKind::ConnectionReset);
                        Response::new(Body::from_stream(futures::stream::iter([Err::<Bytes, _>(lost)])))
                    }
                }
            }
        });
        tokio::spawn(async move { axum::serve(Tls { tcp, acceptor }, router).await });
        Self { address, certificate_authority, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The type configuration that leads here.
    pub(crate) fn configuration(&self) -> Value {
        json!({
            "TenantId": "tenant",
            "ClientId": "client",
            "ClientSecret": SECRET,
            "SubscriptionId": SUBSCRIPTION,
            "Endpoints": {
                "ResourceManager": self.url(),
                "Authority": self.url(),
                "CertificateAuthority": self.certificate_authority,
            },
        })
    }

    pub(crate) fn azure(&self) -> Azure {
        let profile: Profile = serde_json::from_value(self.configuration()).unwrap();
        Azure::open(&profile, None).unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn token_requests(&self) -> usize {
        self.seen().iter().filter(|seen| seen.is_token()).count()
    }

    /// How many requests came for anything but tokens.
    pub(crate) fn calls(&self) -> usize {
        self.seen().len() - self.token_requests()
    }
}

fn certificates() -> (String, TlsAcceptor) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private)
        .unwrap();
    (pem, TlsAcceptor::from(Arc::new(config)))
}

struct Tls {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((stream, address)) = self.tcp.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
