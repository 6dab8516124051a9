//! One client per profile, kept for the life of the process.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use azure_core::{
    credentials::TokenCredential,
    http::{ClientOptions, Pipeline, RetryOptions, Url, policies::auth::BearerTokenAuthorizationPolicy},
};
use sha2::{Digest, Sha256};

use crate::{
    Arm, Blobs, Profile, Result, Tables,
    call::Call,
    retry::Retry,
    telemetry::Telemetry,
    token::{Credential, Source},
    transport,
};

/// How many profiles a process keeps a client for; the one unused for longest goes first.
const POOL: usize = 8;

/// Clients by the hash of their profile, the most recently used last.
static CLIENTS: Mutex<Vec<(Fingerprint, Azure)>> = Mutex::new(Vec::new());

type Fingerprint = [u8; 32];

/// A signed-in client of one Azure subscription. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Azure {
    inner: Arc<Inner>,
}

/// What all calls of a client share.
#[derive(Debug)]
pub(crate) struct Inner {
    subscription_id: String,
    pub(crate) resource_manager: Url,
    /// Resource Manager's pipeline.
    pub(crate) pipeline: Pipeline,
    /// For the pipelines of other services.
    pub(crate) options: ClientOptions,
    pub(crate) credential: Arc<Credential>,
}

impl Azure {
    /// The client of this profile: the same one, with its connections and tokens, for an equal profile.
    /// Validates, and sends nothing.
    pub fn open(profile: &Profile) -> Result<Self> {
        let fingerprint = fingerprint(profile);
        let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
        let client = match clients.iter().position(|(known, _)| *known == fingerprint) {
            Some(at) => clients.remove(at).1,
            None => Self { inner: Arc::new(Inner::new(profile)?) },
        };
        if clients.len() == POOL {
            clients.remove(0);
        }
        clients.push((fingerprint, client.clone()));
        Ok(client)
    }

    /// The subscription of the profile.
    pub fn subscription_id(&self) -> &str {
        &self.inner.subscription_id
    }

    /// Resource Manager, for one invocation: every call returns by the deadline.
    pub fn arm(&self, deadline: Instant) -> Arm {
        Arm::new(self.inner.clone(), Call::new(deadline))
    }

    /// Blob Storage, for one invocation: every call returns by the deadline.
    pub fn blobs(&self, deadline: Instant) -> Blobs {
        Blobs::new(self.inner.clone(), Call::new(deadline))
    }

    /// Table Storage, for one invocation: every call returns by the deadline.
    pub fn tables(&self, deadline: Instant) -> Tables {
        Tables::new(self.inner.clone(), Call::new(deadline))
    }
}

impl Inner {
    fn new(profile: &Profile) -> Result<Self> {
        profile.validate()?;
        let addresses = profile.addresses()?;
        let endpoints = profile.endpoints.as_ref();
        let transport =
            transport::transport(endpoints.and_then(|endpoints| endpoints.certificate_authority.as_deref()))?;
        let source = Source::ClientSecret {
            tenant_id: profile.tenant_id.clone(),
            client_id: profile.client_id.clone(),
            secret: profile.client_secret.clone(),
        };
        let credential = Arc::new(Credential::new(source, addresses.authority, transport.clone())?);
        let options = ClientOptions {
            transport: Some(transport),
            retry: RetryOptions::none(),
            per_call_policies: vec![Arc::new(Retry::new(credential.clone()))],
            per_try_policies: vec![Arc::new(Telemetry)],
            ..ClientOptions::default()
        };
        let scope = format!("{}.default", addresses.resource_manager);
        let pipeline = signed_in(&options, &credential, &scope);
        Ok(Self {
            subscription_id: profile.subscription_id.clone(),
            resource_manager: addresses.resource_manager,
            pipeline,
            options,
            credential,
        })
    }

    /// The pipeline of another service than Resource Manager.
    pub(crate) fn signed_in(&self, scope: &str) -> Pipeline {
        signed_in(&self.options, &self.credential, scope)
    }
}

/// A pipeline whose requests carry a token for `scope`.
fn signed_in(options: &ClientOptions, credential: &Arc<Credential>, scope: &str) -> Pipeline {
    let bearer =
        BearerTokenAuthorizationPolicy::new(credential.clone() as Arc<dyn TokenCredential>, [scope.to_owned()]);
    Pipeline::new(
        option_env!("CARGO_PKG_NAME"),
        option_env!("CARGO_PKG_VERSION"),
        options.clone(),
        Vec::new(),
        vec![Arc::new(bearer)],
        None,
    )
}

/// Identifies a profile without keeping its secret in a key.
fn fingerprint(profile: &Profile) -> Fingerprint {
    let endpoints = profile.endpoints.clone().unwrap_or_default();
    let cloud = format!("{:?}", profile.cloud.unwrap_or_default());
    let parts = [
        Some(profile.tenant_id.as_str()),
        Some(profile.client_id.as_str()),
        Some(profile.client_secret.reveal()),
        Some(profile.subscription_id.as_str()),
        Some(cloud.as_str()),
        endpoints.resource_manager.as_deref(),
        endpoints.authority.as_deref(),
        endpoints.certificate_authority.as_deref(),
    ];
    let mut hash = Sha256::new();
    for part in parts {
        // Length first, so that no two lists of parts read the same.
        hash.update(part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
        hash.update(part.unwrap_or_default());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn profile(changes: &[(&str, Value)]) -> Profile {
        let mut value = json!({
            "TenantId": "tenant",
            "ClientId": "client",
            "ClientSecret": "hunter2",
            "SubscriptionId": "01234567-89ab-cdef-0123-456789abcdef",
        });
        for (name, change) in changes {
            value[*name] = change.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn every_value_tells_clients_apart() {
        let same = fingerprint(&profile(&[]));
        assert_eq!(same, fingerprint(&profile(&[("Cloud", json!("AzureCloud"))])), "the default spelt out");
        let others = [
            vec![("TenantId", json!("other"))],
            vec![("ClientId", json!("other"))],
            vec![("ClientSecret", json!("other"))],
            vec![("SubscriptionId", json!("other"))],
            vec![("Cloud", json!("AzureChinaCloud"))],
            vec![("Endpoints", json!({"ResourceManager": "https://a.example"}))],
            vec![("Endpoints", json!({"Authority": "https://a.example"}))],
            vec![("Endpoints", json!({"CertificateAuthority": "https://a.example"}))],
            vec![("TenantId", json!("tenantc")), ("ClientId", json!("lient"))],
        ];
        let mut known = vec![same];
        for changes in others {
            let other = fingerprint(&profile(&changes));
            assert!(!known.contains(&other), "{changes:?}");
            known.push(other);
        }
    }

    #[test]
    fn the_pool_is_bounded_and_reuses() {
        let first = Azure::open(&profile(&[])).unwrap();
        for secret in 0..POOL + 2 {
            Azure::open(&profile(&[("ClientSecret", json!(format!("secret {secret}")))])).unwrap();
            let again = Azure::open(&profile(&[])).unwrap();
            assert!(Arc::ptr_eq(&first.inner, &again.inner), "the one in use is kept");
        }
        assert_eq!(CLIENTS.lock().unwrap().len(), POOL);
    }
}
