//! What the handlers call: Entra, Resource Manager and, for logs and metrics, AWS. Every call gets the
//! same answer at once, over HTTPS, on a thread of its own.

use crate::tls;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::{
    convert::Infallible,
    net::TcpListener,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio_rustls::TlsAcceptor;

/// The subscription, the group and the account that there are.
pub(crate) const ACCOUNT: &str = "/subscriptions/33333333-3333-3333-3333-333333333333/resourceGroups/backup/providers/\
                                  Microsoft.Storage/storageAccounts/backup7f3a";

/// A running stub, one address for each service as in the real clouds. It lives as long as the process.
pub(crate) struct Stub {
    /// Where tokens come from.
    pub(crate) entra: String,
    /// Where the account is.
    pub(crate) resource_manager: String,
    /// Where logs and metrics go.
    pub(crate) aws: String,
    counter: Arc<Counter>,
}

#[derive(Default)]
struct Counter {
    azure: AtomicU64,
    aws: AtomicU64,
}

/// How many calls services got.
#[derive(Clone, Copy, Default)]
pub(crate) struct Calls {
    /// Entra and Resource Manager.
    pub(crate) azure: u64,
    /// Logs and metrics.
    pub(crate) aws: u64,
}

#[derive(Clone, Copy)]
enum Service {
    Entra,
    ResourceManager,
    Aws,
}

impl Stub {
    /// Starts with the certificate and the key of two PEM files.
    ///
    /// # Errors
    /// The files cannot be used, or no port can be opened.
    pub(crate) fn start(certificate: &Path, key: &Path) -> Result<Self, String> {
        let acceptor = tls::acceptor(certificate, key)?;
        let counter = Arc::new(Counter::default());
        let listen = |error| format!("listening on 127.0.0.1: {error}");
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for service in [Service::Entra, Service::ResourceManager, Service::Aws] {
            let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(listen)?;
            listener.set_nonblocking(true).map_err(listen)?;
            addresses.push(format!("https://{}", listener.local_addr().map_err(listen)?));
            listeners.push((service, listener));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(listen)?;
        let counting = counter.clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                for (service, listener) in listeners {
                    tokio::spawn(serve(service, listener, acceptor.clone(), counting.clone()));
                }
                std::future::pending::<()>().await;
            });
        });
        let mut addresses = addresses.into_iter();
        let mut next = || addresses.next().expect("there is one for each service");
        Ok(Self { entra: next(), resource_manager: next(), aws: next(), counter })
    }

    /// The calls that came in so far.
    pub(crate) fn calls(&self) -> Calls {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Calls { azure: read(&self.counter.azure), aws: read(&self.counter.aws) }
    }
}

async fn serve(service: Service, listener: TcpListener, acceptor: TlsAcceptor, counter: Arc<Counter>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("the listener does not block");
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, counter) = (acceptor.clone(), counter.clone());
        tokio::spawn(async move {
            // Without it the kernel waits for an acknowledgement between the parts of an answer.
            let _ = stream.set_nodelay(true);
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let answer = service_fn(|request| {
                match service {
                    Service::Entra | Service::ResourceManager => counter.azure.fetch_add(1, Ordering::Relaxed),
                    Service::Aws => counter.aws.fetch_add(1, Ordering::Relaxed),
                };
                answer(service, request)
            });
            // A client that hangs up is done.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

async fn answer(service: Service, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_logs = request.headers().contains_key("x-amz-target");
    let path = request.uri().path().to_owned();
    // The answer to a request whose body was not read would close the connection.
    let _ = request.into_body().collect().await;
    let response = Response::builder().header("x-ms-request-id", "7b1c3cfb-5d1c-4b6e-9d7e-000000000001");
    let (response, body) = match service {
        Service::Entra => (response.header("content-type", "application/json"), token()),
        Service::ResourceManager if path == ACCOUNT => (response.header("content-type", "application/json"), account()),
        Service::ResourceManager => (response.status(404), Bytes::new()),
        Service::Aws if is_logs => (
            response.header("content-type", "application/x-amz-json-1.1"),
            json!({"nextSequenceToken": "1"}).to_string().into(),
        ),
        // CloudWatch's protocol is CBOR; this is an empty map of it.
        Service::Aws => (
            response.header("content-type", "application/cbor").header("smithy-protocol", "rpc-v2-cbor"),
            Bytes::from_static(&[0xa0]),
        ),
    };
    Ok(response.body(Full::new(body)).expect("the headers are literals"))
}

/// As long as a real one of an application.
pub(crate) fn token() -> Bytes {
    let token = json!({
        "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": "eyJ0eXAiOiJK".repeat(110)
    });
    token.to_string().into()
}

fn account() -> Bytes {
    let host = |service: &str| format!("https://backup7f3a.{service}.core.windows.net/");
    let key = json!({"keyType": "Account", "enabled": true, "lastEnabledTime": "2026-01-05T10:11:12.1234567Z"});
    let account = json!({
        "sku": {"name": "Standard_LRS", "tier": "Standard"},
        "kind": "StorageV2",
        "id": ACCOUNT,
        "name": "backup7f3a",
        "type": "Microsoft.Storage/storageAccounts",
        "location": "westeurope",
        "tags": {"purpose": "backup", "stack": "example"},
        "properties": {
            "keyCreationTime": {"key1": "2026-01-05T10:11:12.1Z", "key2": "2026-01-05T10:11:12.1Z"},
            "privateEndpointConnections": [],
            "minimumTlsVersion": "TLS1_2",
            "allowBlobPublicAccess": false,
            "allowSharedKeyAccess": true,
            "networkAcls": {
                "bypass": "AzureServices", "virtualNetworkRules": [], "ipRules": [], "defaultAction": "Allow"
            },
            "supportsHttpsTrafficOnly": true,
            "encryption": {"services": {"file": key, "blob": key}, "keySource": "Microsoft.Storage"},
            "accessTier": "Hot",
            "provisioningState": "Succeeded",
            "creationTime": "2026-01-05T10:11:12.0123456Z",
            "primaryEndpoints": {
                "dfs": host("dfs"), "web": host("z6.web"), "blob": host("blob"), "queue": host("queue"),
                "table": host("table"), "file": host("file")
            },
            "primaryLocation": "westeurope",
            "statusOfPrimary": "available"
        }
    });
    account.to_string().into()
}
