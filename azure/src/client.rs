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
    Arm, Blobs, Keys, Profile, Result, Secret, SecretArn, Session, Tables, call::Call, retry::Retry,
    telemetry::Telemetry, token::Credential, transport,
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
    /// The client of this profile: the same one, with its connections and tokens, for an equal profile. Validates, and
    /// sends nothing.
    ///
    /// Where signing in takes the caller's AWS session ([`Profile::needs_session`]), a client and its tokens belong to that
    /// session alone, told by its access key, secret key and token. A profile holds no secret then, so that whoever knows
    /// one could otherwise have the token of another account; and an execution role from which the permission was taken
    /// loses Azure with its session. The price is one sign-in (a call to AWS, one to Entra) for each new session.
    pub fn open(profile: &Profile, session: Option<&Session>) -> Result<Self> {
        // A profile that signs in by its own secret is the same for every caller.
        let session = session.filter(|_| profile.needs_session());
        let fingerprint = fingerprint(profile, session);
        let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
        let client = match clients.iter().position(|(known, _)| *known == fingerprint) {
            Some(at) => clients.remove(at).1,
            None => Self { inner: Arc::new(Inner::new(profile, session)?) },
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

    /// Who signs in, for the client of another service.
    pub fn credential(&self) -> Arc<dyn TokenCredential> {
        self.inner.credential.clone()
    }

    /// Resource Manager, for one invocation: every call returns by the deadline.
    pub fn arm(&self, deadline: Instant) -> Arm {
        Arm::new(self.inner.clone(), Call::new(deadline))
    }

    /// Blob Storage, for one invocation: every call returns by the deadline.
    pub fn blobs(&self, deadline: Instant) -> Blobs {
        Blobs::new(self.inner.clone(), Call::new(deadline))
    }

    /// Keys in vaults, for one invocation: every call returns by the deadline.
    pub fn keys(&self, deadline: Instant) -> Keys {
        Keys::new(self.inner.clone(), Call::new(deadline))
    }

    /// Table Storage, for one invocation: every call returns by the deadline.
    pub fn tables(&self, deadline: Instant) -> Tables {
        Tables::new(self.inner.clone(), Call::new(deadline))
    }
}

impl Inner {
    fn new(profile: &Profile, session: Option<&Session>) -> Result<Self> {
        profile.validate()?;
        let addresses = profile.addresses()?;
        let endpoints = profile.endpoints.as_ref();
        let transport =
            transport::transport(endpoints.and_then(|endpoints| endpoints.certificate_authority.as_deref()))?;
        let credential = Arc::new(Credential::new(profile, session, addresses.authority, transport.clone())?);
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
fn fingerprint(profile: &Profile, session: Option<&Session>) -> Fingerprint {
    let endpoints = profile.endpoints.clone().unwrap_or_default();
    let cloud = format!("{:?}", profile.cloud.unwrap_or_default());
    let parts = [
        Some(profile.tenant_id.as_str()),
        Some(profile.client_id.as_str()),
        profile.client_secret.as_ref().map(Secret::reveal),
        profile.client_secret_arn.as_ref().map(SecretArn::as_str),
        Some(profile.subscription_id.as_str()),
        Some(cloud.as_str()),
        endpoints.resource_manager.as_deref(),
        endpoints.authority.as_deref(),
        endpoints.certificate_authority.as_deref(),
    ];
    let mut hash = Sha256::new();
    let caller = session.map(Session::parts).into_iter().flatten();
    for part in parts.into_iter().chain(caller) {
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

    /// The pool is the process's: who looks at what is in it has it alone.
    static ALONE: Mutex<()> = Mutex::new(());

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
        let same = fingerprint(&profile(&[]), None);
        assert_eq!(same, fingerprint(&profile(&[("Cloud", json!("AzureCloud"))]), None), "the default spelt out");
        let others = [
            vec![("TenantId", json!("other"))],
            vec![("ClientId", json!("other"))],
            vec![("ClientSecret", json!("other"))],
            vec![("ClientSecret", Value::Null), ("ClientSecretArn", json!("hunter2"))],
            vec![("SubscriptionId", json!("other"))],
            vec![("Cloud", json!("AzureChinaCloud"))],
            vec![("Endpoints", json!({"ResourceManager": "https://a.example"}))],
            vec![("Endpoints", json!({"Authority": "https://a.example"}))],
            vec![("Endpoints", json!({"CertificateAuthority": "https://a.example"}))],
            vec![("TenantId", json!("tenantc")), ("ClientId", json!("lient"))],
        ];
        let mut known = vec![same];
        for changes in others {
            let other = fingerprint(&profile(&changes), None);
            assert!(!known.contains(&other), "{changes:?}");
            known.push(other);
        }
    }

    #[test]
    fn every_session_has_a_client_of_its_own() {
        let _alone = ALONE.lock();
        let open = |profile: &Profile, session: &Session| Azure::open(profile, Some(session)).unwrap();
        let same = |a: &Azure, b: &Azure| Arc::ptr_eq(&a.inner, &b.inner);
        let session = Session::new("AKIA", "key", Some("token".to_owned()), "eu-central-1");
        let federated = profile(&[("ClientSecret", Value::Null)]);
        let first = open(&federated, &session);
        assert!(same(&first, &open(&federated, &session)));
        for other in [
            Session::new("AKIB", "key", Some("token".to_owned()), "eu-central-1"),
            // A key's id is no secret: only the whole of a session proves whose it is.
            Session::new("AKIA", "guessed", Some("token".to_owned()), "eu-central-1"),
            Session::new("AKIA", "key", Some("guessed".to_owned()), "eu-central-1"),
            Session::new("AKIA", "key", None, "eu-central-1"),
            Session::new("AKIA", "key", Some("token".to_owned()), "us-east-1"),
        ] {
            assert!(!same(&first, &open(&federated, &other)), "{other:?}");
        }
        let secret = profile(&[("ClientSecret", json!("of every caller"))]);
        assert!(same(&open(&secret, &session), &Azure::open(&secret, None).unwrap()));
        let error = Azure::open(&federated, None).unwrap_err();
        assert!(error.message.contains("takes the caller's AWS credentials"), "{error}");
        assert!(!format!("{session:?}").contains("key"), "{session:?}");
    }

    #[test]
    fn the_pool_is_bounded_and_reuses() {
        let _alone = ALONE.lock();
        let first = Azure::open(&profile(&[]), None).unwrap();
        for secret in 0..POOL + 2 {
            Azure::open(&profile(&[("ClientSecret", json!(format!("secret {secret}")))]), None).unwrap();
            let again = Azure::open(&profile(&[]), None).unwrap();
            assert!(Arc::ptr_eq(&first.inner, &again.inner), "the one in use is kept");
        }
        assert_eq!(CLIENTS.lock().unwrap().len(), POOL);
    }
}
