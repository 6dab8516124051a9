//! An emulator of Azure Resource Manager and Entra, written from recorded traffic.

mod authority;
mod faults;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

pub use authority::Authority;
pub use faults::{Fault, Faults, Match, Shape};

/// How an [`Emulator`] is to behave.
#[derive(Clone)]
pub struct Options {
    /// The port on 127.0.0.1; 0 for any that is free.
    pub port: u16,
    /// The unit of time of everything that takes a while at Azure: provisioning, deleting, blocked names.
    pub pace: Duration,
    /// The base URL of Azurite's blob endpoint, such as `https://127.0.0.1:10000`. Without it the emulator serves a tiny
    /// blob endpoint of its own.
    pub azurite: Option<String>,
    /// The certificate authority; a fresh one if absent.
    pub authority: Option<Authority>,
    /// The one tenant.
    pub tenant_id: String,
    /// The one application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The one subscription.
    pub subscription_id: String,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            port: 0,
            pace: Duration::from_millis(10),
            azurite: None,
            authority: None,
            tenant_id: "11111111-1111-1111-1111-111111111111".into(),
            client_id: "22222222-2222-2222-2222-222222222222".into(),
            client_secret: "sandbox-client-secret".into(),
            subscription_id: "33333333-3333-3333-3333-333333333333".into(),
        }
    }
}

/// One request that was served.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The HTTP method.
    pub method: String,
    /// The path, percent-decoded.
    pub path: String,
    /// The query as sent, without the question mark.
    pub query: String,
    /// The JSON body, if there was one. Bodies of the token endpoint are never kept.
    pub body: Option<Value>,
    /// The status of the answer; none if the connection was dropped.
    pub status: Option<u16>,
}

/// Why the emulator could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificates could not be made.
    #[error("making certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The certificates could not be read back.
    #[error("reading certificates: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// TLS could not be set up.
    #[error("setting up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The HTTP client could not be made.
    #[error("making an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// The port could not be opened.
    #[error("listening on 127.0.0.1: {0}")]
    Listen(#[from] std::io::Error),
}

/// A running emulator; it stops when dropped.
pub struct Emulator {
    options: Options,
    authority: Authority,
    client: reqwest::Client,
    url: String,
    faults: Arc<Faults>,
}

impl Emulator {
    /// Starts an emulator on 127.0.0.1.
    pub async fn start(options: Options) -> Result<Emulator, Error> {
        let authority = match &options.authority {
            Some(authority) => authority.clone(),
            None => Authority::new()?,
        };
        authority.server_config()?;
        Ok(Emulator {
            client: authority.client()?,
            url: format!("https://127.0.0.1:{}", options.port),
            faults: Arc::new(Faults::default()),
            authority,
            options,
        })
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate to trust, PEM.
    pub fn certificate_authority(&self) -> &str {
        self.authority.certificate_authority()
    }

    /// The server's certificate and key, PEM.
    pub fn certificate(&self) -> (&str, &str) {
        self.authority.certificate()
    }

    /// The type configuration with which the handlers reach this emulator.
    pub fn type_configuration(&self) -> Value {
        json!({
            "TenantId": self.options.tenant_id,
            "ClientId": self.options.client_id,
            "ClientSecret": self.options.client_secret,
            "SubscriptionId": self.options.subscription_id,
            "Cloud": "AzureCloud",
            "Endpoints": {
                "ResourceManager": self.url,
                "Authority": self.url,
                "CertificateAuthority": self.certificate_authority(),
            },
        })
    }

    /// A client that trusts the emulator's certificate authority.
    pub fn client(&self) -> reqwest::Client {
        self.client.clone()
    }

    /// What a test wants to go wrong.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// A bearer token for `scope`, as the token endpoint would issue it.
    pub fn token(&self, _scope: &str) -> String {
        String::new()
    }

    /// Everything served so far, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        Vec::new()
    }

    /// Puts a blob into a container of the emulator's own blob endpoint.
    pub fn put_blob(&self, _account: &str, _container: &str, _name: &str, _bytes: &[u8]) {}

    /// The ARM ids of everything that exists, in canonical casing.
    pub fn resources(&self) -> Vec<String> {
        Vec::new()
    }

    /// The ARM document of a resource as stored.
    pub fn get(&self, _id: &str) -> Option<Value> {
        None
    }

    /// Puts a document in place behind everybody's back.
    pub fn set(&self, _id: &str, _document: Value) {}

    /// Changes a document behind everybody's back; false if there is none.
    pub fn edit(&self, _id: &str, _change: impl FnOnce(&mut Value)) -> bool {
        false
    }

    /// Removes a resource and all below it behind everybody's back; false if there is none.
    pub fn remove(&self, _id: &str) -> bool {
        false
    }

    /// Lets a storage account name be taken by somebody else's subscription.
    pub fn take_account_name(&self, _name: &str) {}
}
