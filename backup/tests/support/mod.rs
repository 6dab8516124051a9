//! S3 and Azure Blob Storage, as far as the backup uses them, over HTTP on loopback, with faults.

#![allow(dead_code, clippy::unwrap_used)]

pub(crate) mod azure;
pub(crate) mod faults;
pub(crate) mod queue;
pub(crate) mod s3;

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use axum::{Router, extract::Request, response::Response};
use azure_core::http::Url;
use backup::{
    Backup, Policy,
    event::{Change, Kind},
    retry::Retries,
    source::Source,
    target::Target,
    transport::Http,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Serves a function on loopback until the runtime ends.
pub(crate) async fn serve<F, A>(answer: F) -> SocketAddr
where
    F: Fn(Request) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(move |request: Request| answer(request));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// The same over HTTPS, with a certificate of this authority.
pub(crate) async fn serve_tls<F, A>(authority: &sandbox::azure::Authority, answer: F) -> SocketAddr
where
    F: Fn(Request) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    let (certificate, key) = authority.certificate();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(move |request: Request| answer(request));
    let listener = Tls { listener, acceptor: TlsAcceptor::from(Arc::new(config)) };
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

struct Tls {
    listener: tokio::net::TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<tokio::net::TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else { continue };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A lock that a panic elsewhere does not poison.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A plain HTTP client.
pub(crate) fn http() -> reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        // reqwest asks for a provider even where no TLS is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder().no_proxy().build().unwrap()
    });
    CLIENT.clone()
}

/// Both ends, and the backup between them.
pub(crate) struct World {
    pub(crate) s3: s3::S3,
    pub(crate) azure: azure::Azure,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self { s3: s3::S3::start().await, azure: azure::Azure::start().await }
    }

    /// A backup as a fresh process would build it.
    pub(crate) fn backup(&self, policy: Policy) -> Backup {
        let credentials = SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test"));
        let patience = policy.retries.patience;
        let http = Http::new(None, patience).unwrap();
        let source = Source::new(credentials, "eu-west-1", Some(self.s3.url()), http.clone());
        let container = Url::parse(&self.azure.container_url()).unwrap();
        Backup::new(source, Target::new(container, None, http).unwrap(), policy)
    }
}

/// Blocks of four KiB, and no patience.
pub(crate) fn small_policy() -> Policy {
    Policy {
        small: 4096,
        block: 4096,
        memory: 1 << 20,
        retries: Retries {
            attempts: 6,
            first: Duration::from_millis(1),
            longest: Duration::from_millis(8),
            patience: Duration::from_millis(500),
        },
        ..Policy::default()
    }
}

/// The event that an object was written.
pub(crate) fn created(bucket: &str, key: &str) -> Change {
    Change {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        version: None,
        sequencer: None,
        kind: Kind::Created,
        size: None,
        region: None,
        time: None,
    }
}

/// Bytes that look like nothing else: of a seed, at an offset.
pub(crate) fn noise(seed: u64, offset: u64, length: usize) -> Vec<u8> {
    (offset..offset + length as u64)
        .map(|at| {
            let word = (at / 8 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seed.wrapping_mul(0xD6E8_FEB8_6659_FD93);
            (word >> (8 * (at % 8)) ^ word >> 29) as u8
        })
        .collect()
}
