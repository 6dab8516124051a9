//! An emulator of Azure Resource Manager and Entra, written from recorded traffic.
//!
//! One HTTPS port on 127.0.0.1 serves ARM (`/subscriptions/…`), Entra (`/{tenant}/oauth2/v2.0/token`), the emulator's
//! own switches (`/_emulator/faults`, `/_emulator/requests`, `/_emulator/resources`), a tiny table endpoint (`/_table/…`)
//! and, without Azurite, a tiny blob endpoint (`/_blob/…`). The state is a map from ARM ids to the JSON documents a GET shows; what takes time at Azure
//! takes multiples of [`Options::pace`] here.
//!
//! # Adding a resource type
//!
//! One file with a struct that implements `arm::ResourceType`, and one row for it in `arm::TYPES`. Its `name` routes to
//! it; authorisation, parents, GET, lists, pages and the record of requests come with it. What remains is `put` (and
//! `patch`, `delete`, `act` where Azure has them): check the body, build the document with Azure's defaults, `state.put`
//! it, answer what Azure answers. What happens later by itself is a list of `state::Later`. Then add the type's recorded
//! interactions to `tests/azure_recordings`.

mod account_document;
mod account_refusals;
mod accounts;
mod arm;
mod authority;
mod blobs;
mod containers;
mod data_plane;
mod diagnostic_settings;
mod encryption_scopes;
mod entra;
mod faults;
mod federation;
mod groups;
mod held;
mod http;
mod identities;
mod ids;
mod immutability_policies;
mod keys;
mod local_users;
mod locks;
mod merge;
mod object_replication_policies;
mod policies;
mod role_assignments;
mod role_definitions;
mod rules;
mod server;
mod services;
mod state;
mod tables;
mod vaults;

use std::time::{Duration, Instant};

use hyper::body::Bytes;

use serde_json::{Value, json};

use ids::Id;
use server::Server;

pub use authority::Authority;
pub use faults::{Fault, Faults, Match, Shape};
pub use federation::Issuer;
pub(crate) use http::pairs;

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
    /// How long a token is good for.
    pub token_lifetime: Duration,
    /// The most that one page of a list has.
    pub page_size: usize,
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
            token_lifetime: Duration::from_secs(3599),
            page_size: 1000,
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

impl Recorded {
    fn to_json(&self) -> Value {
        json!({
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "body": self.body,
            "status": self.status,
        })
    }
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
    server: Server,
    authority: Authority,
}

impl Emulator {
    /// Starts an emulator on 127.0.0.1, on a thread of its own.
    pub async fn start(options: Options) -> Result<Emulator, Error> {
        let authority = match &options.authority {
            Some(authority) => authority.clone(),
            None => Authority::new()?,
        };
        // Built once here so that a later `client()` cannot fail.
        authority.client()?;
        Ok(Emulator { server: Server::start(options, &authority)?, authority })
    }

    /// The names of the resource types that it has, in Azure's casing.
    pub fn types() -> Vec<&'static str> {
        arm::types().collect()
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.server.shared.url
    }

    /// The options it was started with.
    pub fn options(&self) -> &Options {
        &self.server.shared.options
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
        let options = self.options();
        json!({
            "TenantId": options.tenant_id,
            "ClientId": options.client_id,
            "ClientSecret": options.client_secret,
            "SubscriptionId": options.subscription_id,
            "Cloud": "AzureCloud",
            "Endpoints": {
                "ResourceManager": self.url(),
                "Authority": self.url(),
                "CertificateAuthority": self.certificate_authority(),
            },
        })
    }

    /// The type configuration without a secret: the handlers sign in with a web identity token, whose issuer and role
    /// [`Self::trust`] and [`Self::federate`] made known.
    pub fn federated_configuration(&self) -> Value {
        let mut configuration = self.type_configuration();
        if let Value::Object(members) = &mut configuration {
            members.remove("ClientSecret");
        }
        configuration
    }

    /// Tells Entra an issuer's key, as if it had fetched it from the issuer.
    pub fn trust(&self, issuer: Issuer) {
        self.server.shared.entra().trust(issuer);
    }

    /// Gives the application a federated credential: whoever shows a token of `issuer` for `subject` is the application.
    pub fn federate(&self, issuer: &str, subject: &str) {
        self.server.shared.entra().federate(issuer, subject);
    }

    /// A client that trusts the emulator's certificate authority and nobody else's. Each call makes a new one, since a
    /// client must not outlive the runtime it is used in.
    pub fn client(&self) -> reqwest::Client {
        self.authority.client().expect("the same client was built when the emulator started")
    }

    /// What a test wants to go wrong.
    pub fn faults(&self) -> &Faults {
        &self.server.shared.faults
    }

    /// A bearer token for `scope`, such as `https://management.azure.com/.default`, as the token endpoint would issue
    /// it; none for a resource that Entra does not know.
    pub fn token(&self, scope: &str) -> Option<String> {
        self.server.shared.entra().issue(scope)
    }

    /// Everything served so far, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.server.shared.requests().clone()
    }

    /// Puts a blob into a container of the emulator's own blob endpoint.
    pub fn put_blob(&self, account: &str, container: &str, name: &str, bytes: &[u8]) {
        let mut state = self.server.shared.state();
        let protection = services::protection(&state, account);
        let bytes = Bytes::copy_from_slice(bytes);
        state.blobs.put((account, container, name), bytes, protection);
    }

    /// Puts an entity into a table of the emulator's own table endpoint.
    pub fn put_entity(&self, account: &str, table: &str, partition_key: &str, row_key: &str) {
        let entity = json!({"PartitionKey": partition_key, "RowKey": row_key});
        self.server.shared.state().tables.put(account, table, entity);
    }

    /// The ARM ids of everything a GET finds, as Azure spells them.
    pub fn resources(&self) -> Vec<String> {
        let state = self.settled();
        let ids = state.visible().map(|(_, document)| document["id"].as_str());
        ids.flatten().map(str::to_owned).collect()
    }

    /// The document of a resource as stored; none if a GET would not find it.
    pub fn get(&self, id: &str) -> Option<Value> {
        self.settled().get(&arm::parse(id)?).cloned()
    }

    /// Puts a document in place behind everybody's back. False if `id` is no ARM id.
    pub fn set(&self, id: &str, document: Value) -> bool {
        let id = arm::parse(id);
        if let Some(id) = &id {
            self.settled().put(id, document);
        }
        id.is_some()
    }

    /// Changes a document behind everybody's back; false if there is none.
    pub fn edit(&self, id: &str, change: impl FnOnce(&mut Value)) -> bool {
        let id: Option<Id> = arm::parse(id);
        let mut state = self.settled();
        let document = id.and_then(|id| state.get_mut(&id));
        document.map(change).is_some()
    }

    /// Removes a resource and all below it behind everybody's back; false if there is none.
    pub fn remove(&self, id: &str) -> bool {
        arm::parse(id).is_some_and(|id| self.settled().remove(&id))
    }

    /// Lets a storage account name be taken by somebody else's subscription.
    pub fn take_account_name(&self, name: &str) {
        self.server.shared.state().taken.insert(name.into());
    }

    fn settled(&self) -> std::sync::MutexGuard<'_, state::State> {
        let mut state = self.server.shared.state();
        state.settle(Instant::now());
        state
    }
}
