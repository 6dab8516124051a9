//! Who signs in: a credential whose tokens are cached until five minutes before they expire, and can be thrown away earlier.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use azure_core::{
    cloud::{CloudConfiguration, CustomConfiguration},
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::ErrorKind as CoreKind,
    http::{
        ClientOptions, Context, Request, RetryOptions, Transport, Url,
        policies::{Policy, PolicyResult},
    },
};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};

use crate::{Error, ErrorKind, Result, configuration::Secret, telemetry::Telemetry};

/// How the tokens are obtained.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A client secret of an app registration.
    ClientSecret { tenant_id: String, client_id: String, secret: Secret },
}

/// The credential of one configuration, shared by Resource Manager and Blob Storage.
#[derive(Debug)]
pub(crate) struct Credential {
    source: Source,
    authority: Url,
    transport: Transport,
    current: RwLock<Arc<dyn TokenCredential>>,
}

impl Credential {
    pub(crate) fn new(source: Source, authority: Url, transport: Transport) -> Result<Self> {
        let current = RwLock::new(build(&source, &authority, &transport)?);
        Ok(Self { source, authority, transport, current })
    }

    /// Forgets every token: the next request fetches a new one.
    pub(crate) fn renew(&self) {
        // azure_identity has no way to drop its cache, so a new credential takes the place of the old one.
        if let Ok(fresh) = build(&self.source, &self.authority, &self.transport) {
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }
}

#[async_trait]
impl TokenCredential for Credential {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        current.get_token(scopes, options).await
    }
}

fn build(source: &Source, authority: &Url, transport: &Transport) -> Result<Arc<dyn TokenCredential>> {
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = authority.to_string();
    let client_options = ClientOptions {
        transport: Some(transport.clone()),
        cloud: Some(Arc::new(CloudConfiguration::from(cloud))),
        // The request that needs the token is repeated as a whole.
        retry: RetryOptions::none(),
        per_try_policies: vec![Arc::new(Refusals), Arc::new(Telemetry)],
        ..ClientOptions::default()
    };
    match source {
        Source::ClientSecret { tenant_id, client_id, secret } => ClientSecretCredential::new(
            tenant_id,
            client_id.clone(),
            secret.reveal().to_owned().into(),
            Some(ClientSecretCredentialOptions { client_options }),
        )
        .map(|credential| credential as Arc<dyn TokenCredential>)
        .map_err(|error| Error::new(ErrorKind::Configuration, error.to_string())),
    }
}

/// Turns Entra's refusals into our error: azure_identity loses the status of those that are not JSON.
#[derive(Debug)]
struct Refusals;

#[async_trait]
impl Policy for Refusals {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let answer = next[0].send(context, request, &next[1..]).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let answer = answer.try_into_raw_response().await?;
        let error = Error::from_entra(u16::from(answer.status()), answer.headers(), answer.body());
        Err(azure_core::Error::new(CoreKind::Credential, error))
    }
}
